"""Quiet zones: those in whose tail no profile sees anything. Most are, most of the time, and cost next to nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.erp.exposure.readings.trace import PointTrace
from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules.nearest import NearestThresholds
from core.erp.exposure.rules.signal import GOOD
from core.erp.exposure.rules.summary import ZoneView


@dataclass(slots=True)
class QuietTail:
    """Whether a zone's tail is quiet: every required point good throughout, by itself, and every value inside the
    nearest thresholds. Then no limit of any profile has seen anything in it, no point was silent, and no watermark can
    tell anything new of it. Found out once by looking at the tail; kept up reading by reading from then on.
    """

    nearest: NearestThresholds
    is_quiet: bool = False

    def check(self, setup: ZoneSetup, view: ZoneView) -> bool:
        """Looks at the whole tail."""
        required = {point.quantity for point in setup.points if point.required}
        self.is_quiet = bool(required) and required >= self.nearest.inside.keys()
        for quantity in required if self.is_quiet else ():
            inside = self.nearest.inside.get(quantity)
            for gap in self.nearest.gaps:
                signal = view.signal(quantity, gap)
                self.is_quiet &= signal.settled and (
                    inside is None or (inside.low <= signal.lowest and signal.highest <= inside.high)
                )
        return self.is_quiet

    def add(self, point: JudgedPoint, before: PointTrace, at: int, value: float, quality: int, error: float) -> None:
        """Takes note of a reading, before it is put to those of its point: one in order that is good, in time and
        inside the nearest thresholds keeps the zone quiet.
        """
        if not self.is_quiet:
            return
        last = before.at[-1] if before.at else at - 1
        inside = self.nearest.inside.get(point.quantity)
        self.is_quiet = (
            quality == GOOD
            and last < at
            and (not point.required or at - last <= self.nearest.gap)
            and (inside is None or (inside.low <= value - error and value + error <= inside.high))
        )

    def quiet_until(self, setup: ZoneSetup, readings: Mapping[str, PointTrace]) -> int:
        """To where the zone is quiet without any further reading; 0 if it is not."""
        if not self.is_quiet:
            return 0
        return min(readings[point.address].at[-1] + self.nearest.gap for point in setup.points if point.required)
