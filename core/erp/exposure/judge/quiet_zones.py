"""Calm zones: those in whose tail no profile sees anything. Most are, most of the time, and cost next to nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.erp.exposure.readings.trace import Heard
from core.erp.exposure.readings.zone_setup import Place, PointRef
from core.erp.exposure.rules.nearest import Nearest
from core.erp.exposure.rules.signal import GOOD
from core.erp.exposure.rules.summary import Look


@dataclass(slots=True)
class Calm:
    """Whether a zone's tail is calm: every required point good throughout, by itself, and every value inside the
    nearest thresholds. Then no limit of any profile has seen anything in it, no point was silent, and no watermark can
    tell anything new of it. Found out once by looking at the tail; kept up reading by reading from then on.
    """

    near: Nearest
    holds: bool = False

    def found(self, place: Place, look: Look) -> bool:
        """Looks at the whole tail."""
        required = {point.quantity for point in place.points if point.required}
        self.holds = bool(required) and required >= self.near.inside.keys()
        for quantity in required if self.holds else ():
            inside = self.near.inside.get(quantity)
            for gap in self.near.gaps:
                said = look.signal(quantity, gap)
                self.holds &= said.settled and (
                    inside is None or (inside.low <= said.lowest and said.highest <= inside.high)
                )
        return self.holds

    def hear(self, point: PointRef, before: Heard, at: int, value: float, quality: int, error: float) -> None:
        """Takes note of a reading, before it is put to those of its point: one in order that is good, in time and
        inside the nearest thresholds keeps the zone calm.
        """
        if not self.holds:
            return
        last = before.at[-1] if before.at else at - 1
        inside = self.near.inside.get(point.quantity)
        self.holds = (
            quality == GOOD
            and last < at
            and (not point.required or at - last <= self.near.gap)
            and (inside is None or (inside.low <= value - error and value + error <= inside.high))
        )

    def until(self, place: Place, heard: Mapping[str, Heard]) -> int:
        """To where the zone is calm without any further reading; 0 if it is not."""
        if not self.holds:
            return 0
        return min(heard[point.address].at[-1] + self.near.gap for point in place.points if point.required)
