"""Between datetimes, as the database has them, and whole microseconds, as the rules count them."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
BUCKET = 3600 * SECOND
"""Summaries are kept by the hour."""


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    gone = moment - EPOCH
    return (gone.days * 86_400 + gone.seconds) * SECOND + gone.microseconds


def moment(us: int) -> datetime:
    """The instant, in UTC."""
    return EPOCH + timedelta(microseconds=us)


def span(length: timedelta) -> int:
    """A length of time in microseconds."""
    return (length.days * 86_400 + length.seconds) * SECOND + length.microseconds


def bucket(us: int) -> int:
    """The start of the hour that holds the instant."""
    return us - us % BUCKET
