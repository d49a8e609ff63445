"""In-transaction events of quality."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.erp.kernel.events import Event


@dataclass(frozen=True)
class DepartedGoods:
    """An excursion of a sublot of which some has already left us."""

    excursion_id: int
    sublot_id: int
    certainty: str
    happened_at: datetime
    known_at: datetime


@dataclass(frozen=True)
class ExcursionAfterDeparture(Event):
    """Excursions became known after their goods had left: consignees must be told."""

    items: tuple[DepartedGoods, ...]
    required: ClassVar[tuple[str, ...]] = ("shipments.field_action",)
