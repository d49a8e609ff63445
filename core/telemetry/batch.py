"""Batches: what travels from a gateway to the core, numbered without holes, and what the core answers.

A batch is fixed when the spool cuts it. (gateway, epoch, partition, number) names it for ever; its hash is
over the encoded body, so both ends can prove that they speak of the same readings.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, TypeVar

import msgspec

from core.telemetry.reading import Reading

BatchKind = Literal["readings", "tombstone"]
T = TypeVar("T", bound=msgspec.Struct)


class Watermark(msgspec.Struct, frozen=True, array_like=True):
    """A source's word that all it will have live up to `upto` is in, for the zones it speaks for.

    `zones` are the addresses, within the batch's partition, of every zone the source serves. `behind` is how far the
    source stays back while all is well (a device clock's tolerance, a sampling interval): so much older than now `upto`
    may be before anybody is late. Gateways of one redundancy `group` read the same sources under the same names: what
    one of them has told is told. "" for a gateway that stands alone.
    """

    source: str
    upto: datetime
    zones: tuple[str, ...]
    behind: timedelta = timedelta(0)
    group: str = ""


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """A span [start, stop) for which a point, or every point of a zone or source, is known to have nothing.

    `scope` is a point's address, a zone's address, or "source:NAME".
    """

    scope: str
    start: datetime
    stop: datetime
    reason: str


class PreviousEpoch(msgspec.Struct, frozen=True, array_like=True):
    """The epoch before this one on the same gateway, and its last number in each partition."""

    epoch: str
    last_numbers: dict[int, int]


class Announced(msgspec.Struct, frozen=True, array_like=True):
    """Every source that a gateway's configuration names, whether it can be reached or not; `config` is its hash."""

    config: str
    sources: tuple[str, ...]


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What a batch carries. A tombstone carries no readings but the gaps that stand for the dropped ones.

    `previous` and `announced` come with number 1 of each partition.
    """

    readings: tuple[Reading, ...] = ()
    watermarks: tuple[Watermark, ...] = ()
    gaps: tuple[Gap, ...] = ()
    previous: PreviousEpoch | None = None
    announced: Announced | None = None


class Header(msgspec.Struct, frozen=True, array_like=True):
    """A batch's name, hash, count and time range. `first_at`/`last_at` are None when it has no readings."""

    gateway: str
    site: str
    epoch: str
    partition: int
    number: int
    kind: BatchKind
    sha256: bytes
    count: int
    first_at: datetime | None
    last_at: datetime | None
    cut_at: datetime

    @property
    def subject(self) -> str:
        """The stream subject it travels on."""
        return f"readings.{self.partition}.{self.site}"

    @property
    def id(self) -> str:
        """Its name as text, for message ids and logs."""
        return f"{self.gateway}:{self.epoch}:{self.partition}:{self.number}"


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """Header and encoded body, as published."""

    header: Header
    body: msgspec.Raw


class BadBatch(ValueError):
    """The bytes are not a batch, or its body does not match its header."""


UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding hostile bytes raises: no MessagePack, text that is not UTF-8, a thousand arrays within each other."""

_encode = msgspec.msgpack.Encoder()
_decode_envelope = msgspec.msgpack.Decoder(Envelope)
_decode_body = msgspec.msgpack.Decoder(Body)


def encode_body(body: Body) -> bytes:
    """The body as it is spooled and hashed."""
    return _encode.encode(body)


def digest(body: bytes) -> bytes:
    """SHA-256 of an encoded body, 32 bytes."""
    return hashlib.sha256(body).digest()


def digest_of(readings: Iterable[Reading], count: int) -> bytes:
    """`digest(encode_body(Body(tuple(readings))))` of so many readings, none of which is kept."""
    found = hashlib.sha256(b"\x95" + _array_head(count))  # MessagePack: an array of five, the first of them an array
    for reading in readings:
        found.update(_encode.encode(reading))
    found.update(b"\x90\x90\xc0\xc0")  # no watermarks, no gaps, nothing told of epochs or sources
    return found.digest()


def _array_head(count: int) -> bytes:
    if count < 16:  # noqa: PLR2004 - MessagePack's short arrays
        return bytes([0x90 | count])
    return b"\xdc" + count.to_bytes(2, "big") if count < 2**16 else b"\xdd" + count.to_bytes(4, "big")


def pack(header: Header, body: bytes) -> bytes:
    """The message to publish, from a header and an already encoded body."""
    return _encode.encode(Envelope(header, msgspec.Raw(body)))


def unpack_header(message: bytes) -> tuple[Header, bytes]:
    """Header and encoded body of a message, hash checked. Raises BadBatch."""
    try:
        envelope = _decode_envelope.decode(message)
    except UNDECODABLE as error:
        raise BadBatch(f"not a batch: {error}") from error
    body = bytes(envelope.body)
    if digest(body) != envelope.header.sha256:
        raise BadBatch(f"{envelope.header.id}: body does not match its hash")
    return envelope.header, body


def decode_body(body: bytes) -> Body:
    """The readings, watermarks and gaps. Raises BadBatch if any of it is malformed."""
    try:
        return _decode_body.decode(body)
    except UNDECODABLE as error:
        raise BadBatch(f"malformed body: {error}") from error


class ConfirmRequest(msgspec.Struct, frozen=True):
    """A gateway asks, on subject `confirm.<gateway>`: how far are these (epoch, partition) confirmed?

    `upto` gives for each the highest number the gateway has sent. `since`, where given, goes along with it: the
    gateway no longer has anything at or below that number, so that `missing` need not list it. `points` are addresses
    of which it wants to know whether the catalog has them, at most POINTS_MAX. `confirmed`, where given, goes along
    with `upto`: through which number the gateway has been told before that all are confirmed.
    """

    gateway: str
    upto: tuple[tuple[str, int, int], ...]
    since: tuple[int, ...] = ()
    points: tuple[str, ...] = ()
    confirmed: tuple[int, ...] = ()


POINTS_MAX = 2000
"""Points that one question may be about: with 400 characters each it stays within a message's usual size."""

MISSING_MAX = 4096
"""How many missing numbers an answer lists at most; a longer list would outgrow the stream's message size."""


class Confirmed(msgspec.Struct, frozen=True, array_like=True):
    """All numbers through `through` are confirmed, and of those above it, up to the asked, all but `missing`.

    `missing` lists numbers in (through, asked] that are not confirmed, ascending. Where there are more than
    MISSING_MAX of them, the list is cut there and `upto` is the last number the answer speaks of; None means as far
    as was asked.
    """

    epoch: str
    partition: int
    through: int
    missing: tuple[int, ...]
    upto: int | None = None


class ConfirmReply(msgspec.Struct, frozen=True):
    """The core's answer, from PostgreSQL: what is committed, and where the stream's consumers stand.

    `stream` names the stream's incarnation (its creation time); `floors` gives for each partition the stream
    sequence through which the core's consumer has acknowledged. A batch that was published to another
    incarnation, or at a sequence at or below its partition's floor, and is not confirmed, was passed over.
    `stream` is `core.telemetry.stream.incarnation(created)`. `floors` should be read before `confirmed`; the
    gateway believes a floor only from the next reply on, so that either order is safe.
    """

    confirmed: tuple[Confirmed, ...]
    stream: str
    floors: dict[int, int]
    closed_epochs: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Of the points asked for, those that the catalog does not have."""


CHAIN_START = bytes(32)
"""What an hour's chained hash starts from."""


def chain(link: bytes, sha256: bytes) -> bytes:
    """The next link of a chained hash: SHA-256 of the link so far and the next batch's hash, by ascending number."""
    return hashlib.sha256(link + sha256).digest()


def encode(message: msgspec.Struct) -> bytes:
    """A request or reply as bytes (MessagePack)."""
    return _encode.encode(message)


def decode(kind: type[T], data: bytes) -> T:
    """Bytes back to a request or reply. Raises BadBatch."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except UNDECODABLE as error:
        raise BadBatch(f"not a {kind.__name__}: {error}") from error
