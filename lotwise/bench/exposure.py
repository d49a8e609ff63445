"""Exposure of every sublot over a random interval: how long it takes, and whether brute force says the same."""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, text

from core.erp.exposure.bulk.exposures import WantedExposure, exposures
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.profiles import load_profiles
from core.erp.exposure.readings.zone_setup import load_setups
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.service import Exposure
from core.erp.exposure.times import micros, moment, span
from core.erp.kernel.audit_keys import open_engine
from core.erp.migrations import upgrade
from core.series.landing import write_rows
from core.telemetry.mkt import GAS_CONSTANT, KELVIN
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS, Plant, build
from lotwise.embedded.postgres import EmbeddedPostgres

ZONES, PROFILES = 30, 5
EVERY = timedelta(minutes=5)
RUNS = 3
METHOD = (
    "exposure of every sublot (time out of each of 3 limits proven, uncertain and worst, longest run, least, greatest,"
    " mean, MKT, coverage) over a random interval within {days} days, {profiles} profiles, {zones} zones logged every"
    " 5 min with warm spells, 2-hour silences and 1% uncertain readings, every second sublot moved once; one call of"
    " exposures() on a cold connection, from PostgreSQL: closed hours' summaries, and raw readings at the ends; median"
    " of {runs} runs; setting up (COPY of the readings, making the summaries) is not in it; load average {load:.1f}"
)


@dataclass(frozen=True, slots=True)
class RawValue:
    """One reading of a zone's only point, for brute force."""

    at: int
    value: float
    good: bool


def readings(plant: Plant, start: datetime, days: int, seed: int = 3) -> dict[int, list[Reading]]:
    """By zone id: what its point says."""
    dice = np.random.default_rng(seed)
    count = days * 24 * 12
    out = {}
    for zone, point in zip(plant.zone_ids, plant.points, strict=True):
        values = np.round(5.0 + dice.normal(0, 0.5, count), 2)
        spoken = np.ones(count, np.bool_)
        for _ in range(days):
            warm = dice.integers(0, count)
            values[warm : warm + int(dice.integers(1, 24))] += 6.0
            silent = dice.integers(0, count) if dice.random() < 0.3 else count  # noqa: PLR2004 - a silence in three days
            spoken[silent : silent + 24] = False
        good = dice.random(count) >= 0.01  # noqa: PLR2004 - one in a hundred is uncertain
        jitter = dice.integers(0, 60_000_000, count)
        out[zone] = [
            Reading(
                point,
                at,
                float(values[k]),
                "Cel",
                at,
                None,
                Quality.GOOD if good[k] else Quality.UNCERTAIN,
                Reason.NONE if good[k] else Reason.DEVICE,
            )
            for k in range(count)
            if spoken[k]
            for at in [start + k * EVERY + timedelta(microseconds=int(jitter[k]))]
        ]
    return out


def _land(
    engine: Engine, readings_by_zone: dict[int, list[Reading]], plant: Plant, start: datetime, stop: datetime
) -> None:
    """The readings, how far the zones are known, and the closed hours of every zone and profile."""
    for zone, mine in readings_by_zone.items():
        with engine.begin() as conn:
            write_rows(conn, mine)
            conn.execute(
                text("INSERT INTO zone_judged (zone_id, version, judged_to, watermark) VALUES (:z, 1, :at, :at)"),
                {"z": zone, "at": stop},
            )
            profiles = load_profiles(conn, plant.versions)
            wanted = {(zone, version): micros(start) for version in plant.versions}
            summaries.ensure_closed_hours(conn, load_setups(conn, [zone]), profiles, wanted)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("ANALYZE"))


def _move(conn: Connection, plant: Plant, start: datetime, days: int, dice: np.random.Generator) -> None:
    """Every second sublot goes to another zone once."""
    movers = plant.sublots[::2]
    conn.execute(
        text(
            "INSERT INTO custody_fact (sublot_id, zone_id, at, known_at, actor, reason)"
            " SELECT s, z, a, a, 'bench', '' FROM unnest(CAST(:s AS bigint[]), CAST(:z AS bigint[]),"
            " CAST(:a AS timestamptz[])) x(s, z, a)"
        ),
        {
            "s": list(movers),
            "z": [plant.zone_ids[int(k)] for k in dice.integers(0, len(plant.zone_ids), len(movers))],
            "a": [start + timedelta(seconds=int(k)) for k in dice.integers(60, days * 86_400 - 60, len(movers))],
        },
    )


def brute(
    profile: Profile, intervals: Sequence[tuple[int, int, int]], values: dict[int, list[RawValue]]
) -> dict[str, float]:
    """What raw readings say of (zone, from, to) stays, reading by reading, by the words of the design."""
    spans: list[tuple[int, int, RawValue | None]] = []
    for zone, a, b in intervals:
        mine = values[zone]
        ends = [*(each.at for each in mine[1:]), b]
        cursor = a
        for each, following in zip(mine, ends, strict=True):
            x, y = max(each.at, cursor), min(following, each.at + profile.allowed_gap, b)
            if y > x:
                if x > cursor:
                    spans.append((cursor, x, None))
                spans.append((x, y, each))
                cursor = y
        if cursor < b:
            spans.append((cursor, b, None))
    good = [(b - a, each.value) for a, b, each in spans if each is not None and each.good]
    covered, length = sum(width for width, _ in good), sum(b - a for a, b, _ in spans)
    out: dict[str, float] = {"covered": covered / length}
    if good:
        out["lowest"], out["highest"] = min(value for _, value in good), max(value for _, value in good)
        out["mean"] = sum(width * value for width, value in good) / covered
    if covered == length:
        ratio = profile.activation_energy / GAS_CONSTANT
        warmth = sum(width * np.exp(-ratio / (value + KELVIN)) for width, value in good)
        out["mkt"] = ratio / -np.log(warmth / length) - KELVIN
    for limit in profile.limits:
        proven = [(a, b) for a, b, each in spans if each is not None and each.good and limit.out(each.value)]
        uncertain = [(a, b) for a, b, each in spans if each is not None and limit.out(each.value)]
        worst = [(a, b) for a, b, each in spans if each is None or limit.out(each.value)]
        longest = running = 0
        for k, (a, b) in enumerate(proven):
            running = b - a + (running if k and proven[k - 1][1] == a else 0)
            longest = max(longest, running)
        for name, runs in (("proven", proven), ("uncertain", uncertain), ("worst", worst)):
            out[f"{limit.key} {name}"] = sum(b - a for a, b in runs)
        out[f"{limit.key} longest"] = longest
    return out


def comparable(found: Exposure) -> dict[str, float]:
    """An exposure in the words of `brute`."""
    values = {name: getattr(found, name) for name in ("covered", "lowest", "highest", "mean", "mkt")}
    out: dict[str, float] = {name: value for name, value in values.items() if value is not None}
    for limit in found.limits:
        for name in ("proven", "uncertain", "worst", "longest"):
            out[f"{limit.key} {name}"] = span(getattr(limit, name))
    return out


def agree(one: dict[str, float], other: dict[str, float]) -> bool:
    """Equal to a part in a thousand million (sums of floats in another order); times exactly."""
    return one.keys() == other.keys() and all(np.isclose(one[key], other[key], rtol=1e-9, atol=0) for key in one)


def _mismatches(
    conn: Connection,
    wanted: Sequence[WantedExposure],
    found: Sequence[Exposure | None],
    raw: dict[int, list[Reading]],
    picks: Sequence[int],
) -> int:
    values = {
        zone: [RawValue(micros(r.at), float(r.value), r.quality is Quality.GOOD) for r in mine]  # type: ignore[arg-type]  # the bench wrote numbers only
        for zone, mine in raw.items()
    }
    profiles = load_profiles(conn, {each.version_id for each in found if each is not None})
    wrong = 0
    for pick in picks:
        sublot, start, stop = wanted[pick]
        mine = found[pick]
        assert start is not None
        assert stop is not None
        facts = conn.execute(
            text("SELECT zone_id, at FROM custody_fact WHERE sublot_id = :s ORDER BY at"), {"s": sublot}
        ).all()
        times = [*((fact.zone_id, micros(fact.at)) for fact in facts), (0, micros(stop))]
        intervals = [(z, max(a, micros(start)), min(b, micros(stop))) for (z, a), (_, b) in pairwise(times)]
        intervals = [stay for stay in intervals if stay[2] > stay[1]]
        wrong += mine is None or not agree(comparable(mine), brute(profiles[mine.version_id], intervals, values))
    return wrong


def run(days: int, lots: int, sample: int) -> None:
    """Prints `seconds` and `mismatches`."""
    stop = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = stop - timedelta(days=days)
    dice = np.random.default_rng(11)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        engine = open_engine(postgres.url(), BENCH_KEYS)
        try:
            upgrade(engine)
            plant = build(engine, start, zones=ZONES, profiles=PROFILES, sublots=lots)
            raw = readings(plant, start, days)
            with engine.begin() as conn:
                _move(conn, plant, start, days, dice)
            _land(engine, raw, plant, start, stop)
            ends = np.sort(dice.integers(0, days * 86_400_000_000, (lots, 2)), axis=1)
            wanted: list[WantedExposure] = [
                (sublot, moment(micros(start) + int(a)), moment(micros(start) + int(b) + 1))
                for sublot, (a, b) in zip(plant.sublots, ends, strict=True)
            ]
            times, cpu = [], []
            for _ in range(RUNS):
                engine.dispose()
                with engine.begin() as conn:
                    begun, busy = time.perf_counter(), time.process_time()
                    found = exposures(conn, wanted, stop)
                    times.append(time.perf_counter() - begun)
                    cpu.append(time.process_time() - busy)
            load = os.getloadavg()[0]
            picks = [int(k) for k in dice.choice(lots, min(sample, lots), replace=False)]
            with engine.connect() as conn:
                wrong = _mismatches(conn, wanted, found, raw, picks)
        finally:
            engine.dispose()
            postgres.stop()
    method = METHOD.format(days=days, profiles=PROFILES, zones=ZONES, runs=RUNS, load=load)
    figure("exposure", "seconds", float(np.median(times)), "s", lots, method)
    figure(
        "exposure",
        "cpu_seconds",
        float(np.median(cpu)),
        "s",
        lots,
        "of that: processor time of the asking process, PostgreSQL's left out",
    )
    figure(
        "exposure",
        "mismatches",
        wrong,
        "1",
        len(picks),
        "sublots drawn at random whose exposure differs from brute force over the raw readings, one by one: times"
        " exactly, means and MKT to 1e-9",
    )
