"""Addresses of points and zones, and the partition a zone belongs to.

A point is `site/area/zone/device/quantity`; its first three segments are the zone (ISA-95).
"""

import hashlib
import re
from functools import lru_cache

PARTITIONS = 8
"""Ways to the core. Few, so that a gateway's cut, twenty times a second, makes few batches with many readings each:
with 64 of them every reading travelled nearly alone, and a batch costs as much as ten readings.
"""
NAMED_PARTITIONS = 64
"""A batch may name any partition below this: spools written when there were so many are still taken."""
_OF_ZONE, _OF_POINT = 3, 5
"""Segments of an address."""
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class BadAddress(ValueError):
    """The text is not an address of the kind asked for."""


def _segments(address: str, count: int, what: str) -> list[str]:
    parts = address.split("/")
    if len(parts) != count or not all(_SEGMENT.match(part) for part in parts):
        raise BadAddress(
            f"{address!r} is not a {what}: needs {count} segments of letters, digits, '_' or '-' joined by '/'"
        )
    return parts


@lru_cache(maxsize=65536)
def check_point(address: str) -> str:
    """The address itself, if it is a point's. Raises BadAddress."""
    _segments(address, _OF_POINT, "point (site/area/zone/device/quantity)")
    return address


@lru_cache(maxsize=16384)
def check_zone(address: str) -> str:
    """The address itself, if it is a zone's. Raises BadAddress."""
    _segments(address, _OF_ZONE, "zone (site/area/zone)")
    return address


def check_segment(text: str) -> str:
    """The text itself, if it can be one segment of an address. Raises BadAddress."""
    if not _SEGMENT.match(text):
        raise BadAddress(f"{text!r} cannot be part of an address: letters, digits, '_' or '-', at most 64")
    return text


@lru_cache(maxsize=65536)
def zone_of(point: str) -> str:
    """The zone's address of a point. Raises BadAddress."""
    return "/".join(_segments(point, _OF_POINT, "point (site/area/zone/device/quantity)")[:_OF_ZONE])


def zone_or_point(scope: str) -> tuple[str | None, str | None]:
    """The (zone's, point's) address in what a gap is of: a point names both, a zone itself, a source neither."""
    parts = scope.split("/")
    point = scope if len(parts) == _OF_POINT else None
    return ("/".join(parts[:_OF_ZONE]) if point or len(parts) == _OF_ZONE else None), point


@lru_cache(maxsize=65536)
def partition_of(zone: str) -> int:
    """The zone's partition: the same on every machine, so that a zone has one way."""
    digest = hashlib.blake2b(check_zone(zone).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % PARTITIONS


def partition_now(named: int) -> int:
    """The partition that goes on with one named in a batch: the zones of an old one are all in one of today's."""
    return named % PARTITIONS


def partitions_named(partition: int) -> range:
    """Every partition a batch may name whose zones are in the same one today as this one's."""
    return range(partition_now(partition), NAMED_PARTITIONS, PARTITIONS)
