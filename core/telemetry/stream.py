"""The stream that carries batches: its name, subjects and settings, as plain data for both ends.

The stream is a carrier, not a witness. Either end creates it when it is missing, from the settings here, and
neither ever changes or trusts one that is there: what it holds is known only by the core's confirmations.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from core.telemetry.address import partitions_named

STREAM = "READINGS"
"""Name of the JetStream stream."""

SUBJECTS = ("readings.>",)
"""Batches travel on `readings.<partition>.<site>` (`Header.subject`)."""

MESSAGE_ID = "Nats-Msg-Id"
"""The header the stream drops duplicates by."""

STREAM_NOT_FOUND = 10059
"""JetStream's error code: there is no such stream."""

STREAM_NAME_IN_USE = 10058
"""JetStream's error code: the other end has just created it, with other settings."""


class StreamSettings(msgspec.Struct, frozen=True):
    """What a stream is created with.

    Messages live until `max_age` or, where `max_bytes` is set, until the oldest makes room. The oldest goes
    rather than the newest being refused: what the core has not yet read is then passed over, and the gateway,
    which keeps every unconfirmed batch, sends it again. Refusing the newest would stop live data for the sake of
    messages that were long confirmed.
    """

    replicas: int = 1
    max_age: timedelta = timedelta(hours=24)
    max_bytes: int | None = None
    duplicate_window: timedelta = timedelta(minutes=2)


def _nanoseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1_000_000_000)


def create_request(settings: StreamSettings) -> dict[str, object]:
    """The JSON of a `$JS.API.STREAM.CREATE.READINGS` request."""
    return {
        "name": STREAM,
        "subjects": list(SUBJECTS),
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": settings.replicas,
        "max_age": _nanoseconds(settings.max_age),
        "max_bytes": -1 if settings.max_bytes is None else settings.max_bytes,
        "max_msgs": -1,
        "max_consumers": -1,
        "duplicate_window": _nanoseconds(settings.duplicate_window),
    }


def partition_filters(partition: int) -> list[str]:
    """The subject filters of a partition's consumer: every site's batches of all that is that partition today."""
    return [f"readings.{named}.>" for named in partitions_named(partition)]


def confirm_subject(gateway: str) -> str:
    """Where a gateway asks the core for confirmations."""
    return f"confirm.{gateway}"


CONFIRM_WILDCARD = "confirm.*"
"""What the core subscribes to in order to answer every gateway."""


def incarnation(created: datetime) -> str:
    """A stream's incarnation, from its creation time: the same text at both ends, cut to the microsecond."""
    return created.astimezone(UTC).isoformat(timespec="microseconds")
