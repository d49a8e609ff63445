"""Closed hours of zones under profile versions: writing them, making them anew from raw readings, reading them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, text

from core.erp.exposure.readings.trace import by_quantity, load_readings, require_readings
from core.erp.exposure.readings.zone_setup import ZoneSetup
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Summary, ZoneView, decode, encode
from core.erp.exposure.times import BUCKET, bucket, micros, moment

DAY = 24 * BUCKET

_WRITE = text(
    "INSERT INTO zone_summary (zone_id, version_id, start_at, clean, data)"
    " SELECT * FROM unnest(CAST(:zones AS bigint[]), CAST(:versions AS bigint[]), CAST(:starts AS timestamptz[]),"
    " CAST(:cleans AS boolean[]), CAST(:datas AS bytea[]))"
    " ON CONFLICT (zone_id, version_id, start_at) DO UPDATE SET clean = excluded.clean, data = excluded.data"
)


def write(conn: Connection, rows: Sequence[tuple[int, int, Summary]]) -> None:
    """Writes (zone, version, summary of one hour) rows; a row made anew replaces the old one."""
    if not rows:
        return
    conn.execute(
        _WRITE,
        {
            "zones": [zone for zone, _, _ in rows],
            "versions": [version for _, version, _ in rows],
            "starts": [moment(summary.start) for _, _, summary in rows],
            "cleans": [summary.clean for _, _, summary in rows],
            "datas": [encode(summary) for _, _, summary in rows],
        },
    )


def rebuild(
    conn: Connection, setup: ZoneSetup, profiles: Iterable[Profile], start: int, stop: int, watermark: int
) -> None:
    """Makes the closed hours of [start, stop) anew from raw readings; both at whole hours. The zone must be locked."""
    profiles = list(profiles)
    if not profiles or start >= stop:
        return
    carry = max(profile.allowed_gap for profile in profiles)
    require_readings(conn, [point.address for point in setup.points], start, stop, carry)
    for day in range(start, stop, DAY):
        end = min(day + DAY, stop)
        readings = load_readings(conn, setup, day, end, carry)
        traces = by_quantity(setup, readings)
        rows = []
        for hour in range(day, end, BUCKET):
            view = ZoneView(traces, hour, hour + BUCKET, watermark + 1)
            rows += [(setup.zone_id, profile.version_id, view.summary(profile)) for profile in profiles]
        write(conn, rows)


_PROFILES = text("SELECT zone_id, version_id, from_at FROM zone_profile WHERE zone_id = ANY(:zones)")
_BUMP = text(
    "UPDATE zone_judged SET version = version + 1 WHERE zone_id = ANY(:zones) RETURNING zone_id, judged_to, watermark"
)
_WRITE_PROFILES = text(
    "INSERT INTO zone_profile (zone_id, version_id, from_at)"
    " SELECT * FROM unnest(CAST(:zones AS bigint[]), CAST(:versions AS bigint[]), CAST(:starts AS timestamptz[]))"
    " ON CONFLICT (zone_id, version_id) DO UPDATE SET from_at = excluded.from_at"
)


def profiles_since(conn: Connection, zones: Iterable[int]) -> dict[int, dict[int, int]]:
    """By zone: the profile versions that are, or were, judged in it, and since when their closed hours exist."""
    out: dict[int, dict[int, int]] = {zone: {} for zone in zones}
    for row in conn.execute(_PROFILES, {"zones": sorted(out)}):
        out[row.zone_id][row.version_id] = micros(row.from_at)
    return out


def ensure_closed_hours(
    conn: Connection,
    setups: Mapping[int, ZoneSetup],
    profiles: Mapping[int, Profile],
    wanted: Mapping[tuple[int, int], int],
) -> None:
    """Sees to it that closed hours exist: `wanted` gives by (zone, version) since when they are needed.

    Where it has to make some it locks those zones and bumps their versions, so that a live fold learns of a profile
    before it closes the next hour.
    """
    missing = _missing(conn, wanted) if wanted else {}
    if not missing:
        return
    zones = sorted({zone for zone, _ in missing})
    conn.execute(
        text("SELECT 1 FROM zone_judged WHERE zone_id = ANY(:zones) ORDER BY zone_id FOR UPDATE"), {"zones": zones}
    )
    known = {row.zone_id: row for row in conn.execute(_BUMP, {"zones": zones})}
    kept = profiles_since(conn, zones)
    missing = _missing(conn, wanted)
    spans: dict[tuple[int, int, int], list[Profile]] = defaultdict(list)
    for zone, version in missing:
        row = known.get(zone)
        if row is not None and row.watermark is not None:
            closed_to = bucket(min(micros(row.watermark), micros(row.judged_to) + 1))
            missing[(zone, version)] = min(missing[(zone, version)], closed_to)
            spans[(zone, missing[(zone, version)], kept[zone].get(version, closed_to))].append(profiles[version])
    for (zone, since, stop), of in spans.items():
        rebuild(conn, setups[zone], of, since, stop, micros(known[zone].watermark))
    keys = sorted(missing)
    conn.execute(
        _WRITE_PROFILES,
        {
            "zones": [zone for zone, _ in keys],
            "versions": [version for _, version in keys],
            "starts": [moment(missing[key]) for key in keys],
        },
    )


def _missing(conn: Connection, wanted: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    kept = profiles_since(conn, {zone for zone, _ in wanted})
    return {
        (zone, version): bucket(since)
        for (zone, version), since in wanted.items()
        if version not in kept[zone] or kept[zone][version] > bucket(since)
    }


_CLOSED = text(
    "SELECT data FROM zone_summary WHERE zone_id = :zone AND version_id = :version"
    " AND start_at >= :start AND start_at < :stop ORDER BY start_at"
)
_UNCLEAN = text(
    "SELECT s.zone_id, s.version_id, s.data FROM zone_summary s"
    " JOIN unnest(CAST(:zones AS bigint[]), CAST(:versions AS bigint[]), CAST(:starts AS timestamptz[]))"
    " AS w(zone_id, version_id, start_at) ON s.zone_id = w.zone_id AND s.version_id = w.version_id"
    " AND s.start_at >= w.start_at WHERE NOT s.clean ORDER BY s.start_at"
)


def hours_that_counted(conn: Connection, wanted: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], list[Summary]]:
    """By (zone, version): the closed hours since its `wanted` instant in which something counted, in order."""
    out: dict[tuple[int, int], list[Summary]] = {key: [] for key in wanted}
    keys = sorted(wanted)
    rows = conn.execute(
        _UNCLEAN,
        {
            "zones": [zone for zone, _ in keys],
            "versions": [version for _, version in keys],
            "starts": [moment(bucket(wanted[key])) for key in keys],
        },
    )
    for row in rows:
        out[(row.zone_id, row.version_id)].append(decode(row.data))
    return out


def closed_hours(conn: Connection, zone_id: int, version_id: int, start: int, stop: int) -> list[Summary]:
    """All closed hours that overlap [start, stop), in order."""
    rows = conn.execute(
        _CLOSED,
        {"zone": zone_id, "version": version_id, "start": moment(bucket(start)), "stop": moment(stop)},
    )
    return [decode(row.data) for row in rows]
