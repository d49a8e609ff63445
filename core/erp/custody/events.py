"""What custody tells the modules above, inside the same transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.erp.kernel.events import Event


@dataclass(frozen=True)
class CustodyChanged(Event):
    """Where a sublot was from `from_at` on is known differently now; `zone_ids` are all zones this concerns."""

    required: ClassVar[tuple[str, ...]] = ("exposure.rejudge",)

    sublot_id: int
    zone_ids: tuple[int, ...]
    from_at: datetime
