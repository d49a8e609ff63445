"""A message of the stream as a batch, such that one part that cannot be read costs no other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from core.telemetry.batch import BadBatch, Body, Gap, Header, PreviousEpoch, Watermark, decode_body, unpack_header
from core.telemetry.reading import Reading

T = TypeVar("T")


class _RawBody(msgspec.Struct, frozen=True, array_like=True):
    readings: tuple[msgspec.Raw, ...] = ()
    watermarks: tuple[msgspec.Raw, ...] = ()
    gaps: tuple[msgspec.Raw, ...] = ()
    previous: PreviousEpoch | None = None


_decode_raw_body = msgspec.msgpack.Decoder(_RawBody)
_decode_reading = msgspec.msgpack.Decoder(Reading)
_decode_watermark = msgspec.msgpack.Decoder(Watermark)
_decode_gap = msgspec.msgpack.Decoder(Gap)


@dataclass(frozen=True, slots=True)
class BadPart:
    """A part of a body that cannot be decoded: its bytes and why."""

    raw: bytes
    detail: str


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
    try:
        return Arrival(header, decode_body(raw), message)
    except BadBatch as error:
        body, bad = _piecewise(raw, str(error))
        return Arrival(header, body, message, bad)


def _piecewise(raw: bytes, detail: str) -> tuple[Body, tuple[BadPart, ...]]:
    try:
        parts = _decode_raw_body.decode(raw)
    except msgspec.MsgspecError:
        return Body(), (BadPart(raw, detail),)
    bad: list[BadPart] = []
    body = Body(
        tuple(_good(parts.readings, _decode_reading.decode, bad)),
        tuple(_good(parts.watermarks, _decode_watermark.decode, bad)),
        tuple(_good(parts.gaps, _decode_gap.decode, bad)),
        parts.previous,
    )
    return body, tuple(bad)


def _good(parts: Iterable[msgspec.Raw], decode: Callable[[msgspec.Raw], T], bad: list[BadPart]) -> list[T]:
    good: list[T] = []
    for part in parts:
        try:
            good.append(decode(part))
        except (msgspec.MsgspecError, ValueError) as error:
            bad.append(BadPart(bytes(part), str(error)))
    return good
