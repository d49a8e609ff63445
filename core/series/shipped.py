"""What was shipped to the store behind, as figures that stay: a count and a sum of fingerprints, per point and day.

They are added up when readings are shipped, so that nothing has to be read again when a week is dropped. Sums do not
depend on order. They show what got lost or changed by accident; they are no proof against somebody who forges readings.
"""

import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from core.series.dropped_ranges import DAY, day_of
from core.telemetry.reading import Reading

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_TIMES = struct.Struct(">qq?q")
_NUMBER, _WHOLE = struct.Struct(">d"), struct.Struct(">q")

_ADD = text(
    "INSERT INTO reading_shipped (gateway, point_id, day, count, digest)"
    " SELECT k.g, p.id, k.d, k.n, k.s FROM unnest(cast(:g AS text[]), cast(:p AS text[]), cast(:d AS timestamptz[]),"
    " cast(:n AS bigint[]), cast(:s AS numeric[])) k(g, p, d, n, s) JOIN series_point p ON p.address = k.p"
    " ORDER BY 1, 2, 3 ON CONFLICT (gateway, point_id, day) DO UPDATE"
    " SET count = reading_shipped.count + excluded.count, digest = reading_shipped.digest + excluded.digest"
)
_OF = text(
    "SELECT p.address, s.day, sum(s.count) AS told, sum(s.digest) AS digest FROM reading_shipped s"
    " JOIN series_point p ON p.id = s.point_id WHERE s.day >= :first AND s.day < :stop AND EXISTS (SELECT FROM"
    " reading_shipped m WHERE m.gateway = :gateway AND m.point_id = s.point_id AND m.day = s.day)"
    " GROUP BY 1, 2 ORDER BY 1, 2"
)


@dataclass(frozen=True, slots=True)
class ShippedTotals:
    """How many readings, and the sum of their fingerprints."""

    count: int = 0
    digest: int = 0


def fingerprint(reading: Reading) -> int:
    """64 bits, signed, of everything in a reading but its point. A zero has no sign: not every store keeps it."""
    source = reading.source_at
    head = _TIMES.pack(
        (reading.at - _EPOCH) // _US,
        (reading.edge_at - _EPOCH) // _US,
        source is not None,
        0 if source is None else (source - _EPOCH) // _US,
    )
    flags = bytes((int(reading.quality), reading.simulated))
    words = f"{reading.unit}\x1f{reading.reason}".encode()
    whole = hashlib.md5(b"\0".join((head, flags, words, _value(reading))), usedforsecurity=False).digest()
    return int.from_bytes(whole[:8], signed=True)


def _value(reading: Reading) -> bytes:
    value = reading.value
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, float):
        return b"f" + _NUMBER.pack(value + 0.0)
    if isinstance(value, int):
        return b"i" + _WHOLE.pack(value)
    return b"t" + value.encode()


def totals_of(readings: Iterable[Reading]) -> ShippedTotals:
    """Of all the readings together."""
    prints = [fingerprint(reading) for reading in readings]
    return ShippedTotals(len(prints), sum(prints))


def add_shipped(conn: Connection, by_gateway: Mapping[str, Iterable[Reading]]) -> None:
    """Adds readings that are shipped for the first time, by the gateway that told them."""
    counts: defaultdict[tuple[str, str, datetime], list[int]] = defaultdict(lambda: [0, 0])
    for gateway, readings in by_gateway.items():
        for reading in readings:
            sums = counts[gateway, reading.point, day_of(reading.at)]
            sums[0] += 1
            sums[1] += fingerprint(reading)
    if counts:
        conn.execute(
            _ADD,
            {
                "g": [key[0] for key in counts],
                "p": [key[1] for key in counts],
                "d": [key[2] for key in counts],
                "n": [sums[0] for sums in counts.values()],
                "s": [str(sums[1]) for sums in counts.values()],
            },
        )


def shipped(
    conn: Connection, gateway: str, start: datetime, stop: datetime
) -> dict[tuple[str, datetime], ShippedTotals]:
    """For every point that the gateway spoke of on a day that meets [start, stop): what all gateways told of it."""
    rows = conn.execute(_OF, {"gateway": gateway, "first": day_of(start), "stop": day_of(stop - _US) + DAY})
    return {(row.address, row.day): ShippedTotals(int(row.told), int(row.digest)) for row in rows}
