"""A zone being judged, live: its open end, what is watched for its goods, and what it last said of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.erp.exposure.judge.watermarks import WatermarkSource, complete_to
from core.erp.exposure.judge.zone_tail import ZoneTail
from core.erp.exposure.readings.zone_setup import JudgedPoint
from core.erp.exposure.rules.assess import NEVER, Certainty
from core.erp.exposure.rules.signal import GOOD
from core.erp.exposure.rules.summary import LimitRuns


@dataclass(slots=True)
class ProfileWatch:
    """When a profile's goods in this zone must be looked at again, from the last time they were."""

    due: int = 0
    looked_to: int = 0
    seen_to: int = 0
    seen: dict[str, LimitRuns] = field(default_factory=dict)
    """What was seen up to `seen_to` when the zone was last folded; readings out of order may change it."""
    open_keys: frozenset[str] = frozenset()
    upgrade_due: dict[Certainty, int] = field(default_factory=dict)
    """As assess.Verdict: when what stands could become more certain."""
    warm_until: int = NEVER
    """As assess.Verdict; not known before the first look."""
    dirty_from: int | None = 0
    """Something before what was looked at has changed since this instant; None when nothing has."""


@dataclass(slots=True)
class ZoneFold:
    """One zone's running fold. Times in microseconds."""

    tail: ZoneTail
    closed_since: dict[int, int] = field(default_factory=dict)
    """By version: since when its closed hours are known to exist."""
    watches: dict[int, ProfileWatch] = field(default_factory=dict)
    """By version."""
    watermarks: dict[WatermarkSource, int] = field(default_factory=dict)
    last_good_at: dict[str, int] = field(default_factory=dict)
    """By point."""
    first_known_at: int | None = None
    """When anything was first known of it, as far as that is needed."""
    conditions: dict[str, bool] = field(default_factory=dict)
    """By kind: whether the zone's condition was active when it was last reported."""
    value: float | None = None
    """The last good temperature of a required point."""
    silences: dict[str, tuple[tuple[int, int | None], ...]] = field(default_factory=dict)
    """By point: the silences of the tail that are on record."""

    def add(self, point: JudgedPoint, at: int, value: float, quality: int, error: float) -> None:
        """Takes a reading into the tail; `at` must not lie before what is settled."""
        self.tail.add(point, at, value, quality, error)
        self.first_known_at = at if self.first_known_at is None else self.first_known_at
        if quality == GOOD:
            self.last_good_at[point.address] = max(self.last_good_at.get(point.address, at), at)
            if point.required and point.quantity == "temperature":
                self.value = value

    def update_watermarks(self, watermarks: Mapping[WatermarkSource, int]) -> None:
        """Takes sources' watermarks; the zone's is as far as all have told."""
        for source, upto in watermarks.items():
            if source not in self.watermarks:  # new, or its gateway has joined a group or left one
                self.watermarks = {one: at for one, at in self.watermarks.items() if one[:2] != source[:2]}
            self.watermarks[source] = max(self.watermarks.get(source, 0), upto)
        if self.watermarks:
            self.tail.advance(complete_to(self.watermarks))

    def last_good(self) -> int | None:
        """The oldest, over required points, of the last good reading; a good spare of its quantity may stand in."""
        return min(self._last_good_of_each(), default=0) or None

    def expected_since(self) -> int | None:
        """The oldest, over required points, of the last good reading or, for one that never had any, of when its
        sensor was installed or, where none is on record, of when the zone was first known. None if nothing is known.
        """
        found = [
            good or point.installed_at or self.first_known_at
            for point, good in zip(self._required_now(), self._last_good_of_each(), strict=True)
        ]
        return min((at for at in found if at is not None), default=None)

    def _required_now(self) -> list[JudgedPoint]:
        """The required points whose sensors have been installed by now."""
        stop = self.tail.stop
        return [p for p in self.tail.setup.points if p.required and (p.installed_at is None or p.installed_at < stop)]

    def _last_good_of_each(self) -> list[int]:
        """By required point, in order; 0 for none."""
        spare: dict[str, int] = {}
        for point in self.tail.setup.points:
            if not point.required and point.address in self.last_good_at:
                spare[point.quantity] = max(spare.get(point.quantity, 0), self.last_good_at[point.address])
        required = self._required_now()
        return [max(self.last_good_at.get(point.address, 0), spare.get(point.quantity, 0)) for point in required]
