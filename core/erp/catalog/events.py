"""What the catalog tells the modules above, inside the same transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.erp.kernel.events import Event


@dataclass(frozen=True)
class JudgingChanged(Event):
    """Something by which readings are judged is known differently from `from_at` on: calibrations, installations,
    nesting of these zones, their band or points, or the profile of these items. What a point is (reason `point`) is no
    dated fact: it counts for as long as goods have stood in the zone.
    """

    zone_ids: tuple[int, ...]
    item_ids: tuple[int, ...]
    from_at: datetime
    reason: str
    """calibration, installation, nesting, zone, point, profile."""
    required: ClassVar[tuple[str, ...]] = ("exposure.rejudge",)
