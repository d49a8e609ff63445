"""Decides what goes into which batch, and what a batch that is dropped leaves behind. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from core.telemetry.address import BadAddress, partition_of, zone_of
from core.telemetry.batch import Body, Gap, Header, Watermark, encode_body
from core.telemetry.reading import Reading
from edge.spool.records import Piece, SpoolOptions

_partitions: dict[str, int] = {}
POINTS_NAMED = 16
"""A tombstone names at most so many points of a zone; past that it names the zone, which claims more silence
than there was and so never counts for goods."""


def partition_of_point(point: str) -> int:
    """The partition of a point's zone, remembered."""
    found = _partitions.get(point)
    if found is None:
        found = _partitions[point] = partition_of(zone_of(point))
    return found


def partitions_of_gap(gap: Gap, zones: Iterable[str]) -> frozenset[int]:
    """Where a gap travels: with its point, with its zone, or, for a whole source, with every zone of the source.

    A source that knows no zone yet has nothing to be missing; its gap travels in partition 0 so that it is on record.
    Raises BadAddress for a scope that is none of these.
    """
    if gap.scope.startswith("source:"):
        return frozenset(partition_of(zone) for zone in zones) or frozenset({0})
    try:
        return frozenset({partition_of_point(gap.scope)})
    except BadAddress:
        return frozenset({partition_of(gap.scope)})


def split_watermarks(watermarks: Iterable[Watermark]) -> dict[int, list[Watermark]]:
    """Each source's watermark, once per partition that it has zones in, naming only those zones."""
    split: dict[int, list[Watermark]] = {}
    for mark in watermarks:
        zones: dict[int, list[str]] = {}
        for zone in sorted(mark.zones):
            zones.setdefault(partition_of(zone), []).append(zone)
        for partition, names in zones.items():
            part = Watermark(mark.source, mark.upto, tuple(names), mark.behind, mark.group)
            split.setdefault(partition, []).append(part)
    return split


def pieces(
    readings: Sequence[Reading],
    gaps: Sequence[tuple[int, Gap]],
    watermarks: Mapping[int, Sequence[Watermark]],
    options: SpoolOptions,
) -> list[Piece]:
    """The bodies to number, in order; per partition the last one carries the gaps and the watermarks."""
    by_partition: dict[int, list[Reading]] = {}
    for reading in readings:
        by_partition.setdefault(partition_of_point(reading.point), []).append(reading)
    gaps_of: dict[int, list[Gap]] = {}
    for partition, gap in gaps:
        gaps_of.setdefault(partition, []).append(gap)
    cut: list[Piece] = []
    for partition in sorted(by_partition.keys() | gaps_of.keys() | watermarks.keys()):
        mine = by_partition.get(partition, [])
        size = options.batch_readings
        bodies = [Body(tuple(mine[i : i + size])) for i in range(0, len(mine), size)] or [Body()]
        last = bodies.pop()
        bodies.append(Body(last.readings, tuple(watermarks.get(partition, ())), tuple(gaps_of.get(partition, ()))))
        cut.extend(Piece(partition, small) for body in bodies for small in _fitting(body, options.batch_bytes))
    return cut


def _fitting(body: Body, limit: int) -> list[Body]:
    """The body, halved until each part fits the stream's message size; one reading always fits."""
    count = len(body.readings)
    # no reading without text comes near the limit, so that only long texts pay for a second encoding
    if count <= 1 or not any(isinstance(r.value, str) for r in body.readings) or len(encode_body(body)) <= limit:
        return [body]
    head = Body(body.readings[: count // 2])
    tail = Body(body.readings[count // 2 :], body.watermarks, body.gaps)
    return _fitting(head, limit) + _fitting(tail, limit)


def lost_tombstone(header: Header, zones: Iterable[str], reason: str) -> Body:
    """What stands for a batch of which only the header is left: a gap for each of the zones, over the batch's span."""
    if header.first_at is None or header.last_at is None:
        return Body()
    return Body(gaps=tuple(_gap(zone, header.first_at, header.last_at, reason) for zone in sorted(zones)))


def tombstone(body: Body, reason: str) -> Body:
    """What stands for a dropped body: a gap for each point it spoke of, and all else that it carried."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for reading in body.readings:
        first, last = spans.get(reading.point, (reading.at, reading.at))
        spans[reading.point] = (min(first, reading.at), max(last, reading.at))
    zones: dict[str, list[str]] = {}
    for point in spans:
        zones.setdefault(zone_of(point), []).append(point)
    gaps = list(body.gaps)
    for zone, points in sorted(zones.items()):
        if len(points) > POINTS_NAMED:
            first = min(spans[point][0] for point in points)
            last = max(spans[point][1] for point in points)
            gaps.append(_gap(zone, first, last, reason))
        else:
            gaps.extend(_gap(point, *spans[point], reason) for point in sorted(points))
    return msgspec.structs.replace(body, readings=(), gaps=tuple(gaps))


def _gap(scope: str, first: datetime, last: datetime, reason: str) -> Gap:
    """Half-open and never empty: the last dropped reading lies inside."""
    return Gap(scope, first, last + timedelta(microseconds=1), reason)
