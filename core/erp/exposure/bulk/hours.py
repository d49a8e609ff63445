"""Closed hours of many zones under several profiles: the figures of all of them as sums, and what was seen in some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from core.erp.exposure.bulk.index import Ints, Sums
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Summary, decode_many
from core.erp.exposure.times import BUCKET, bucket, micros, moment

AskedIntervals = Mapping[Profile, tuple[Ints, Ints]]
"""By profile: the intervals that will be asked for, none empty, as starts and stops."""
ClimateKey = tuple[int, float]
"""Allowed gap and activation energy: what the figures of a profile's hours depend on besides the readings."""

# one value a profile: a row an hour would cost more to fetch than to make sense of. Of all hours the climate is needed,
# which profiles share; of a profile by itself only those hours in which it saw something
_HOURS = text(
    "SELECT w.zone_id, w.version_id, h.* FROM unnest(CAST(:zones AS bigint[]), CAST(:versions AS bigint[]),"
    " CAST(:wholes AS boolean[]), CAST(:starts AS timestamptz[]), CAST(:stops AS timestamptz[]))"
    " w(zone_id, version_id, whole, start, stop) CROSS JOIN LATERAL ("
    " SELECT min(start_at) AS first, max(start_at) AS last, count(*) AS hours,"
    " count(*) FILTER (WHERE NOT clean) AS some,"
    " string_agg(data, ''::bytea ORDER BY start_at) FILTER (WHERE NOT clean) AS seen,"
    " string_agg(data, ''::bytea ORDER BY start_at) FILTER (WHERE w.whole) AS whole"
    " FROM zone_summary s WHERE s.zone_id = w.zone_id AND s.version_id = w.version_id"
    " AND s.start_at >= w.start AND s.start_at < w.stop) h WHERE h.hours > 0"
)


class Hours:
    """A profile's closed hours over [start, stop) in a zone, none missing: those in which it saw something, in order,
    and the sums of all.
    """

    def __init__(self, start: int, stop: int, seen: Sequence[Summary]) -> None:
        self.start, self.stop, self.seen = start, stop, seen
        self.sums = _sums([])

    @property
    def count(self) -> int:
        """How many there are."""
        return (self.stop - self.start) // BUCKET


@dataclass(frozen=True, slots=True)
class _WantedHours:
    zone: int
    profile: Profile
    start: int
    stop: int

    @property
    def sums_key(self) -> tuple[int, ClimateKey]:
        """Profiles of a zone that are alike in this have hours with the same figures."""
        return self.zone, (self.profile.allowed_gap, self.profile.activation_energy)


def load_hours(conn: Connection, asked: Mapping[int, AskedIntervals]) -> dict[tuple[int, Profile], Hours]:
    """By zone and profile: the hours that overlap what is asked. Raises ValueError where one among them is missing."""
    wanted = [
        _WantedHours(zone, profile, *bounds) for zone, of in asked.items() for bounds in [_bounds(of)] for profile in of
    ]
    out: dict[tuple[int, Profile], Hours] = {(each.zone, each.profile): Hours(0, 0, ()) for each in wanted}
    sums: dict[tuple[tuple[int, ClimateKey], int, int], Sums] = {}
    whole = {each.sums_key: each for each in wanted}
    _read(conn, wanted, set(whole.values()), out, sums)

    def lacks(each: _WantedHours) -> bool:
        hours = out[each.zone, each.profile]
        return hours.count > 0 and (each.sums_key, hours.start, hours.stop) not in sums

    # profiles whose hours begin or end elsewhere share no sums with the others: theirs are read by themselves
    lacking = {each for each in wanted if lacks(each)}
    if lacking:
        _read(conn, list(lacking), lacking, out, sums)
    for each in wanted:
        hours = out[each.zone, each.profile]
        if hours.count:
            hours.sums = sums[each.sums_key, hours.start, hours.stop]
    return out


def _bounds(of: AskedIntervals) -> tuple[int, int]:
    return (
        bucket(min(int(starts.min()) for starts, _ in of.values())),
        max(int(stops.max()) for _, stops in of.values()),
    )


def _read(
    conn: Connection,
    wanted: Sequence[_WantedHours],
    whole: set[_WantedHours],
    out: dict[tuple[int, Profile], Hours],
    sums: dict[tuple[tuple[int, ClimateKey], int, int], Sums],
) -> None:
    by_id = {(each.zone, each.profile.version_id): each for each in wanted}
    rows = conn.execute(
        _HOURS,
        {
            "zones": [each.zone for each in wanted],
            "versions": [each.profile.version_id for each in wanted],
            "wholes": [each in whole for each in wanted],
            "starts": [moment(each.start) for each in wanted],
            "stops": [moment(each.stop) for each in wanted],
        },
    )
    for zone, version, first, last, count, some, seen, data in rows.all():
        each = by_id[zone, version]
        # one that only is not covered throughout is not clean either
        marked = [] if seen is None else [hour for hour in decode_many(seen, some) if hour.seen]
        hours = out[zone, each.profile] = Hours(micros(first), micros(last) + BUCKET, marked)
        if hours.count != count:
            raise ValueError(f"closed hours of zone {zone} are missing")
        if data is not None:
            sums[each.sums_key, hours.start, hours.stop] = _sums(decode_many(data, count))


def _sums(hours: Sequence[Summary]) -> Sums:
    return Sums(
        np.array([hour.covered for hour in hours], np.int64),
        np.array([hour.heat for hour in hours], np.float64),
        np.array([hour.arrhenius for hour in hours], np.float64),
        np.array([np.inf if hour.lowest is None else hour.lowest for hour in hours], np.float64),
        np.array([-np.inf if hour.highest is None else hour.highest for hour in hours], np.float64),
    )
