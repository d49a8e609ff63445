"""In-transaction events of production."""

from dataclasses import dataclass
from typing import ClassVar

from core.erp.kernel.events import Event
from core.erp.kernel.words import Message


@dataclass(frozen=True)
class OrdersChanged(Event):
    """Work orders, or their operations, became ready or stopped being so."""

    order_ids: tuple[int, ...]
    cause: Message
    required: ClassVar[tuple[str, ...]] = ("scheduling.replan",)


@dataclass(frozen=True)
class WorkCentresChanged(Event):
    """Work centres went up or down."""

    work_centre_ids: tuple[int, ...]
    cause: Message
    required: ClassVar[tuple[str, ...]] = ("scheduling.replan",)
