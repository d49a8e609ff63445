"""Rules of scheduling, pure: in which order ready operations go."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

RANKED_BY = ("due_at", "priority", "order_id", "number")
"""What goes first: the earliest due, then the most urgent (lowest number), then the oldest order, then its step."""


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that could start now."""

    operation_id: int
    order_id: int
    number: int
    due_at: datetime
    priority: int


def ranked(ready: Iterable[Ready]) -> list[int]:
    """The operations' ids in the order they should go; the same order as the service's SQL."""
    return [r.operation_id for r in sorted(ready, key=lambda r: tuple(getattr(r, name) for name in RANKED_BY))]
