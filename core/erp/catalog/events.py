"""What the catalog tells the modules above, inside the same transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.erp.kernel.events import Event
from core.erp.kernel.words import Message


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


@dataclass(frozen=True)
class Withdrawing(Event):
    """Master data is about to be withdrawn: whoever uses the record, of this kind and id, adds to `uses` by what."""

    kind: str
    """site, zone, point, sensor, storage_profile, item, work_centre."""
    record_id: int
    uses: list[Message]
    required: ClassVar[tuple[str, ...]] = ("lots.uses", "production.uses", "shipments.uses")
