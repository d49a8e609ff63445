"""Closed hours of zones under profile versions: writing them, making them anew from raw readings, reading them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, TextClause, text

from core.erp.exposure.places import Place
from core.erp.exposure.raw import by_quantity, load_heard
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Look, Summary, decode, encode
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


def rebuild(conn: Connection, place: Place, profiles: Iterable[Profile], start: int, stop: int, watermark: int) -> None:
    """Makes the closed hours of [start, stop) anew from raw readings; both at whole hours. The zone must be locked."""
    profiles = list(profiles)
    if not profiles or start >= stop:
        return
    carry = max(profile.allowed_gap for profile in profiles)
    for day in range(start, stop, DAY):
        end = min(day + DAY, stop)
        heard = load_heard(conn, place, day, end, carry)
        traces = by_quantity(place, heard)
        rows = []
        for hour in range(day, end, BUCKET):
            look = Look(traces, hour, hour + BUCKET, watermark + 1)
            rows += [(place.zone_id, profile.version_id, look.summary(profile)) for profile in profiles]
        write(conn, rows)


def ensure(conn: Connection, place: Place, profile: Profile, since: int) -> None:
    """Sees to it that the zone's closed hours exist under the profile from `since` on.

    Where it has to make some it locks the zone and bumps its version, so that a live fold learns of the profile
    before it closes the next hour.
    """
    key = {"zone": place.zone_id, "version": profile.version_id}
    kept = text("SELECT from_at FROM zone_profile WHERE zone_id = :zone AND version_id = :version")
    row = conn.execute(kept, key).one_or_none()
    start = bucket(since)
    if row is not None and micros(row.from_at) <= start:
        return
    known = conn.execute(
        text("UPDATE zone_judged SET version = version + 1 WHERE zone_id = :zone RETURNING judged_to, watermark"),
        key,
    ).one_or_none()
    row = conn.execute(kept, key).one_or_none()
    if row is not None and micros(row.from_at) <= start:
        return
    if known is not None and known.watermark is not None:
        watermark = micros(known.watermark)
        closed_to = bucket(min(watermark, micros(known.judged_to) + 1))
        start = min(start, closed_to)
        rebuild(conn, place, [profile], start, closed_to if row is None else micros(row.from_at), watermark)
    conn.execute(
        text(
            "INSERT INTO zone_profile (zone_id, version_id, from_at) VALUES (:zone, :version, :start)"
            " ON CONFLICT (zone_id, version_id) DO UPDATE SET from_at = excluded.from_at"
        ),
        {**key, "start": moment(start)},
    )


_CLOSED = text(
    "SELECT data FROM zone_summary WHERE zone_id = :zone AND version_id = :version"
    " AND start_at >= :start AND start_at < :stop ORDER BY start_at"
)
_UNCLEAN = text(
    "SELECT data FROM zone_summary WHERE zone_id = :zone AND version_id = :version"
    " AND start_at >= :start AND start_at < :stop AND NOT clean ORDER BY start_at"
)


def unclean(conn: Connection, zone_id: int, version_id: int, start: int, stop: int) -> list[Summary]:
    """Closed hours that overlap [start, stop) and in which something counted, in order."""
    return _read(conn, _UNCLEAN, zone_id, version_id, start, stop)


def closed(conn: Connection, zone_id: int, version_id: int, start: int, stop: int) -> list[Summary]:
    """All closed hours that overlap [start, stop), in order."""
    return _read(conn, _CLOSED, zone_id, version_id, start, stop)


def _read(conn: Connection, which: TextClause, zone_id: int, version_id: int, start: int, stop: int) -> list[Summary]:
    rows = conn.execute(
        which,
        {"zone": zone_id, "version": version_id, "start": moment(bucket(start)), "stop": moment(stop)},
    )
    return [decode(row.data) for row in rows]
