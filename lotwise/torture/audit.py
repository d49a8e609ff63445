"""What came of it: the devices' books and the goods' ways, beside the series, the database and the public API."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import create_engine

from lotwise.proving import prove
from lotwise.torture.devices import Devices, micros, moment
from lotwise.torture.holds import Judged, judge, placed_of
from lotwise.torture.plan import GAP
from lotwise.torture.series import CoreReadings, Gap, Row, SeriesFindings, compare, unrecorded
from lotwise.torture.stage import ZONES, Stage
from lotwise.torture.truth import BAD, Device, SentValue
from lotwise.torture.verdict import SECOND
from lotwise.torture.work import PlacedGoods

PROVING = 45.0
"""Seconds that the last empty batches may take to be confirmed."""
WINDOW = 300 * SECOND
"""Microseconds of a point's readings that the API is asked for at once."""
_ROWS = (
    "SELECT r.at, coalesce(r.num, r.whole), r.quality, r.source_at FROM reading r"
    " JOIN series_point p ON p.id = r.point_id WHERE p.address = %s ORDER BY r.at"
)
_GAPS = (
    "SELECT p.address, g.start_at, g.stop_at FROM gap_standing g JOIN point p"
    " ON p.id = g.point_id OR (g.point_id IS NULL AND p.zone_id = g.zone_id)"
)
_MUST_BE_NONE = {
    "dead_letters": "SELECT count(*) FROM dead_letter",
    "conflicts": "SELECT count(*) FROM reading_conflict",
    "silent_gateway": "SELECT count(*) FROM zone_alarm WHERE kind = 'silent_gateway' AND returned_at IS NULL",
}
_RAISED = "SELECT count(*) FROM zone_alarm WHERE kind = 'silent_gateway'"


@dataclass(frozen=True, slots=True)
class Broken:
    """A blow as it fell: what was broken how, and when (microseconds)."""

    target: str
    way: str
    at: int


def read(conninfo: str, books: Iterable[Device], blows: Sequence[Broken]) -> dict[str, CoreReadings]:
    """What the database has of each device, by the device's temperature point."""
    # what was answered and not yet kept when the gateway or the line went is nobody's
    broken = [
        (each.at - SECOND, each.at + SECOND)
        for each in blows
        if each.target.startswith("edge") or each.target == "controller"
    ]
    with psycopg.connect(conninfo) as conn:
        gaps = [
            Gap(point, micros(start), None if stop is None else micros(stop))
            for point, start, stop in conn.execute(_GAPS)
        ]
        return {
            book.temperature: CoreReadings(_rows(conn, book.temperature), _rows(conn, book.sequence), gaps, broken)
            for book in books
        }


def _rows(conn: psycopg.Connection[Any], point: str) -> list[Row]:
    return [
        Row(micros(at), value, quality, None if source is None else micros(source))
        for at, value, quality, source in conn.execute(_ROWS, [point])
    ]


def compare_all(devices: Devices, seen: dict[str, CoreReadings], upto: int) -> SeriesFindings:
    """Every book beside the series."""
    found = SeriesFindings()
    for book in devices.books.values():
        found.add(compare(book, seen[book.temperature], upto))
    return found


def judged_readings(devices: Devices, seen: dict[str, CoreReadings]) -> dict[str, list[SentValue]]:
    """By zone, what its goods are judged by: of MQTT the book itself; of others the series, which was compared with it,
    since what they promise is a value or a gap.
    """
    out = {}
    for zone, book in devices.by_zone.items():
        if book.protocol == "mqtt":
            out[zone] = sorted(book.sent, key=lambda each: each.at)
        else:
            rows = seen[book.temperature].temperature
            out[zone] = [
                SentValue(0, row.at, 0.0 if row.value is None else row.value, BAD if row.value is None else row.quality)
                for row in rows
            ]
    return out


async def judge_all(
    stage: Stage, devices: Devices, seen: dict[str, CoreReadings], placed: list[PlacedGoods], upto: int
) -> Judged:
    """Excursions and holds of the public API beside those that should be."""
    excursions = await stage.caller.all("/excursions")
    holds = await stage.caller.all("/holds", open_only=False)
    return judge(placed, judged_readings(devices, seen), placed_of(excursions, holds), upto)


def silences(devices: Devices, seen: dict[str, CoreReadings], upto: int) -> list[str]:
    """Silences of points with goods that are not on record."""
    out = []
    for zone in ZONES:
        book = devices.by_zone[zone]
        view = seen[book.temperature]
        for start, stop in unrecorded(book.temperature, view.temperature, view.gaps, GAP * SECOND, upto):
            out.append(f"{book.temperature} from {start} to {stop}")
    return out


def counts(conninfo: str, posted: Sequence[PlacedGoods]) -> tuple[dict[str, int], int]:
    """What must be none besides, and how many sublots were posted twice or not at all. Then how often a gateway's word
    was overdue: no fault where so much was broken that nothing came through for two minutes, if it is over by now.
    """
    with psycopg.connect(conninfo) as conn:
        out = {name: int((conn.execute(query).fetchone() or (0,))[0]) for name, query in _MUST_BE_NONE.items()}
        codes: dict[str, int] = dict(conn.execute("SELECT code, count(*) FROM sublot GROUP BY 1").fetchall())
        late = int((conn.execute(_RAISED).fetchone() or (0,))[0])
    out["posted_twice"] = sum(number > 1 for number in codes.values())
    out["not_posted"] = sum(codes.get(each.goods.name, 0) == 0 for each in posted)
    return out, late


def unproved(stage: Stage, start: int, upto: int) -> list[str]:
    """What `lotwise prove` finds wrong with the gateways' deliveries; asked again while batches are on their way."""
    engine = create_engine(stage.database_url)
    deadline = time.monotonic() + PROVING
    try:
        while True:
            out = []
            for name in stage.health_ports:
                report = prove(name, moment(start), moment(upto), stage.folder / name, engine, None)
                out += [f"prove {name}: {each.kind} {each.detail}" for each in report.differences]
                out += [f"prove {name}: nothing to prove"] if report.empty else []
            if not out or time.monotonic() > deadline:
                return out
            time.sleep(1.0)
    finally:
        engine.dispose()


async def api_differs(
    stage: Stage, seen: dict[str, CoreReadings], points: Sequence[tuple[str, str]], upto: int
) -> list[str]:
    """Points of which the public API tells other readings than the table has. `points`: (point, its book's key)."""
    out = []
    for point, key in points:
        rows = seen[key].sequence if point.endswith("/sequence") else seen[key].temperature
        mine = [(row.at, row.value, row.quality) for row in rows if row.at < upto]
        values: list[tuple[int, float | None, int]] = []
        start = mine[0][0] if mine else upto - 1
        while start < upto:
            stop = min(start + WINDOW, upto)
            answer = await stage.caller.get(
                "/readings", point=point, start=moment(start).isoformat(), stop=moment(stop).isoformat(), limit=10_000
            )
            values += [(micros(datetime.fromisoformat(each["at"])), each["value"], each["quality"]) for each in answer]
            start = stop
        if values != mine:
            out.append(f"{point}: {len(values)} readings by the API, {len(mine)} in the table")
        await asyncio.sleep(0)
    return out
