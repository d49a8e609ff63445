"""What lots tell the modules above, inside the same transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.erp.kernel.events import Event
from core.erp.kernel.words import Message
from core.erp.lots.rules import Obstacle


@dataclass(frozen=True)
class SublotCreated(Event):
    """A sublot began: by receipt, output, split or merge. Custody writes or copies its history."""

    required: ClassVar[tuple[str, ...]] = ("custody.enter",)

    sublot_id: int
    how: str
    """receipt, split, merge."""
    parent_ids: tuple[int, ...]
    zone_id: int | None
    at: datetime
    reason: str | Message


@dataclass(frozen=True)
class ZonesToLock(Event):
    """Sublots are about to be locked whose history is about to change: custody locks their zones first.

    The one order of locks is zones, sublots, work orders, shipments (design, rule 2).
    """

    required: ClassVar[tuple[str, ...]] = ("custody.lock_zones",)

    sublot_ids: tuple[int, ...]
    zone_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class HoldPlaced(Event):
    """Holds were placed on these; what stands on them must stop now."""

    required: ClassVar[tuple[str, ...]] = ("production.stop_orders", "shipments.stop", "scheduling.replan")

    hold_ids: tuple[int, ...]
    sublot_ids: tuple[int, ...]
    shipment_ids: tuple[int, ...]


@dataclass(frozen=True)
class HoldLifted(Event):
    """One hold was lifted; others may still stand."""

    hold_id: int
    sublot_ids: tuple[int, ...]
    shipment_id: int | None


@dataclass(frozen=True)
class FactBrokeRule(Event):
    """A fact was posted that, as an intention, would have been refused: quality opens a deviation and holds."""

    required: ClassVar[tuple[str, ...]] = ("quality.deviation",)

    sublot_id: int
    move_id: int
    purpose: str
    reference: str
    """work_order:ID, shipment:ID or what else it was for."""
    at: datetime
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True)
class SublotReleasing(Event):
    """A sublot is about to be released; a handler that raises Refused vetoes it."""

    sublot_id: int
