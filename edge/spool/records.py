"""The spool's words: what it is told, what it hands out, how it fails."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from core.telemetry.batch import Body, Gap, Header, Watermark
from core.telemetry.reading import Reading
from edge.collectors.port import SpoolFull

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SpoolFailed(SpoolFull):
    """The disk refuses (full, unreadable, corrupt): nothing was kept; do not acknowledge, try again later."""


class SpoolInUse(Exception):
    """Another process holds the spool's folder."""


class SpoolMismatch(Exception):
    """The spool in this folder belongs to a gateway of another name."""


class DropPolicy(StrEnum):
    """What happens when the byte bound is reached and nothing confirmed is left to forget."""

    REFUSE = "refuse"
    """New readings are refused; sources that can be left unacknowledged keep them."""
    DROP_OLDEST = "drop_oldest"
    """The oldest unconfirmed batch gives up its readings and travels on as a tombstone."""


class SpoolOptions(msgspec.Struct, frozen=True):
    """Bounds and paces of a spool. `max_bytes` is of payload, before SQLite's overhead of a few per cent."""

    max_bytes: int = 4 * 1024**3
    policy: DropPolicy = DropPolicy.REFUSE
    keep_confirmed: timedelta = timedelta(hours=48)
    keep_headers: timedelta = timedelta(days=366)
    batch_readings: int = 500
    batch_bytes: int = 512 * 1024
    cut_every: timedelta = timedelta(milliseconds=50)
    group_readings: int = 1000
    group_wait: timedelta = timedelta(milliseconds=25)


class RawRow(msgspec.Struct, frozen=True, array_like=True):
    """What one group commit kept: readings and gaps not yet cut into batches. Gaps come with their partition."""

    readings: list[Reading] = []
    gaps: list[tuple[int, Gap]] = []


class Piece(msgspec.Struct, frozen=True):
    """What one batch will carry, before it has a number."""

    partition: int
    body: Body


class SpooledBatch(msgspec.Struct, frozen=True):
    """A batch ready to be published: its row, its header, its encoded body, and which attempt this is (from 1)."""

    row: int
    header: Header
    body: bytes
    attempt: int


class SentMark(msgspec.Struct, frozen=True):
    """The stream took attempt `attempt` of a batch: at this sequence, of this incarnation of the stream."""

    row: int
    attempt: int
    sequence: int
    incarnation: str


class Outstanding(msgspec.Struct, frozen=True):
    """What to ask the core about one (epoch, partition): everything above `since` through `upto`.

    At or below `since` the spool has nothing left: it was confirmed, and its replay window is past. Through `confirmed`
    the core has said that it has every one.
    """

    epoch: str
    partition: int
    upto: int
    since: int = 0
    confirmed: int = 0


class Settled(msgspec.Struct, frozen=True):
    """What a reply changed: batches newly confirmed, taken back, to be sent again, and past replaying."""

    confirmed: int = 0
    taken_back: int = 0
    resend: int = 0
    beyond_replay: int = 0


class Depth(msgspec.Struct, frozen=True):
    """What is not yet confirmed (`batches`, `readings`, `bytes`, since when), and the bytes of all payloads kept."""

    batches: int = 0
    readings: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    kept_bytes: int = 0
    uncut: int = 0


def micros(moment: datetime) -> int:
    """Microseconds since 1970, as the spool stores times."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The time of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: int | None) -> datetime | None:
    """The same, for a time that may be missing."""
    return None if value is None else moment(value)


__all__ = [
    "Depth",
    "DropPolicy",
    "Outstanding",
    "Piece",
    "RawRow",
    "SentMark",
    "Settled",
    "SpoolFailed",
    "SpoolFull",
    "SpoolInUse",
    "SpoolMismatch",
    "SpoolOptions",
    "SpooledBatch",
    "Watermark",
    "micros",
    "moment",
    "moment_or_none",
]
