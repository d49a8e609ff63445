"""A message of the stream as a batch, such that one part that cannot be read costs no other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import msgspec

from core.erp.kernel.words import Message
from core.telemetry.address import NAMED_PARTITIONS, BadAddress, check_zone
from core.telemetry.batch import (
    UNDECODABLE,
    Announced,
    BadBatch,
    Body,
    Gap,
    Header,
    PreviousEpoch,
    Watermark,
    decode_body,
    encode,
    unpack_header,
)
from core.telemetry.reading import INT_MAX, Reading

T = TypeVar("T")
P = TypeVar("P", Watermark, Gap)

NAME_MAX = 200
COUNT_MAX = 1_000_000
PARTS_MAX = 200_000
"""Parts of a kind that a body with a bad one is taken apart into: more than one full of readings can have."""

_Parts = Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=PARTS_MAX)]


class _RawBody(msgspec.Struct, frozen=True, array_like=True):
    readings: _Parts = ()
    watermarks: _Parts = ()
    gaps: _Parts = ()
    previous: PreviousEpoch | None = None
    announced: Announced | None = None


_decode_raw_body = msgspec.msgpack.Decoder(_RawBody)
_decode_reading = msgspec.msgpack.Decoder(Reading)
_decode_watermark = msgspec.msgpack.Decoder(Watermark)
_decode_gap = msgspec.msgpack.Decoder(Gap)


@dataclass(frozen=True, slots=True)
class BadPart:
    """A part of a body that cannot be decoded: its bytes and why, and how many readings it should have been."""

    raw: bytes
    detail: Message
    readings: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch as it came out of the stream."""

    header: Header
    body: Body
    message: bytes
    bad: tuple[BadPart, ...] = field(default=())


def arrival(message: bytes) -> Arrival:
    """The batch a message carries. Raises BadBatch when the message is none, or its body is not what was hashed.

    A body whose parts cannot all be decoded is a batch nevertheless: what is hashed is what the gateway cut, so that
    sending it again would bring the same; its bad parts are given apart.
    """
    header, raw = unpack_header(message)
    _check_header(header)
    bad: tuple[BadPart, ...] = ()
    try:
        body = decode_body(raw)
    except BadBatch as error:
        body, bad = _piecewise(raw, str(error), header.count)
    body, worse = _check_body(body)
    return Arrival(header, body, message, bad + worse)


def _check_header(header: Header) -> None:
    """Raises BadBatch for what no table takes: names that are none, numbers out of range, a time without a zone."""
    names = (header.gateway, header.epoch, header.site)
    if not all(_named(name) for name in names):
        raise BadBatch(f"a header's names are {NAME_MAX} characters at most, printable and not empty: {names!r}")
    if not (
        1 <= header.number <= INT_MAX and 0 <= header.partition < NAMED_PARTITIONS and 0 <= header.count <= COUNT_MAX
    ):
        raise BadBatch(f"{header.id}: number, partition or count out of range")
    if header.cut_at.tzinfo is None:
        raise BadBatch(f"{header.id}: cut at a time without a zone")


def _named(name: str) -> bool:
    return 0 < len(name) <= NAME_MAX and name.isprintable()


def _check_body(body: Body) -> tuple[Body, tuple[BadPart, ...]]:
    """The body without watermarks and gaps that mean nothing."""
    marks, lost_marks = _split_parts(body.watermarks, _check_watermark)
    gaps, lost_gaps = _split_parts(body.gaps, _check_gap)
    previous, announced = body.previous, body.announced
    if previous is not None and not _named(previous.epoch):
        previous = None
    if announced is not None and not all(map(_named, (announced.config, *announced.sources))):
        announced = None
    lost: list[msgspec.Struct] = [*lost_marks, *lost_gaps]
    lost += [one for one in (body.previous, body.announced) if one is not None and one not in (previous, announced)]
    if not lost:
        return body, ()
    sound = Body(body.readings, marks, gaps, previous, announced)
    return sound, tuple(BadPart(encode(part), Message("ingest.part_means_nothing", part=repr(part))) for part in lost)


def _split_parts(parts: Iterable[P], sound: Callable[[P], bool]) -> tuple[tuple[P, ...], list[P]]:
    """Those that are sound, and those that are not."""
    good: list[P] = []
    bad: list[P] = []
    for part in parts:
        (good if sound(part) else bad).append(part)
    return tuple(good), bad


def _check_watermark(mark: Watermark) -> bool:
    try:
        return mark.upto.tzinfo is not None and _named(mark.source) and all(map(check_zone, mark.zones))
    except BadAddress:
        return False


def _check_gap(gap: Gap) -> bool:
    if gap.start.tzinfo is None or gap.stop.tzinfo is None:
        return False
    return gap.start <= gap.stop and _named(gap.scope) and "\0" not in gap.reason


def _piecewise(raw: bytes, why: str, count: int) -> tuple[Body, tuple[BadPart, ...]]:
    try:
        parts = _decode_raw_body.decode(raw)
    except UNDECODABLE:
        return Body(), (BadPart(raw, Message("ingest.undecodable", why=why), count),)
    bad: list[BadPart] = []
    body = Body(
        tuple(_good(parts.readings, _decode_reading.decode, bad, 1)),
        tuple(_good(parts.watermarks, _decode_watermark.decode, bad)),
        tuple(_good(parts.gaps, _decode_gap.decode, bad)),
        parts.previous,
        parts.announced,
    )
    return body, tuple(bad)


def _good(
    parts: Iterable[msgspec.Raw], decode: Callable[[msgspec.Raw], T], bad: list[BadPart], readings: int = 0
) -> list[T]:
    good: list[T] = []
    for part in parts:
        try:
            good.append(decode(part))
        except UNDECODABLE as error:
            bad.append(BadPart(bytes(part), Message("ingest.undecodable", why=str(error)), readings))
    return good
