"""When somebody is reminded of a task. Pure."""

from datetime import datetime


def next_reminder(reminded: datetime, due_at: datetime) -> datetime | None:
    """After a reminder: when it is due, or not any more."""
    return due_at if reminded < due_at else None


def first_reminder(remind_at: datetime | None, due_at: datetime) -> datetime:
    """As wished, and when it is due at the latest."""
    return min(remind_at, due_at) if remind_at is not None else due_at
