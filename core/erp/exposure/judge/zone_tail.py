"""The open end of a zone that is being judged: what is settled of the open hour, and readings that may still change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.erp.exposure.judge.quiet_zones import QuietTail
from core.erp.exposure.readings.profiles import BAND
from core.erp.exposure.readings.trace import PointTrace, by_quantity
from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules.nearest import nearest
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Summary, ZoneView, add, with_runs_reaching
from core.erp.exposure.times import BUCKET, SECOND

OUT_OF_ORDER_MARGIN = 5 * SECOND
"""Readings of one zone's points come this much out of order, at most, without anything being looked at twice."""
LONG_TAIL = 512 * SECOND
"""Settled this far behind the watermark at the latest, so that a fold never looks at a long tail again."""
LONGEST_QUIET_TAIL = 60 * SECOND
"""A quiet tail is looked at only when it is this long: the reading that ends the quiet looks at all of it."""


@dataclass(slots=True)
class ZoneTail:
    """Readings of a zone and what its profiles saw in them. Times in microseconds.

    Settled through `settled` (within the hour that starts at `open_hour`); beyond it, `readings` holds the tail and
    one reading carried in for each point. `last_reading_at` is the last reading, `watermark` how far silence is real.
    """

    setup: ZoneSetup
    profiles: dict[int, Profile]
    open_hour: int
    settled: int
    readings: dict[str, PointTrace]
    last_reading_at: int
    watermark: int
    settled_part: dict[int, Summary] = field(default_factory=dict)
    """By version: [open_hour, settled)."""
    final_part: dict[int, Summary] = field(default_factory=dict)
    """By version: [settled, final_to), of which no watermark will tell anything new; late readings undo it."""
    final_to: int = 0
    reported_to: int = field(init=False)
    """Up to here the zone's conditions have been reported."""
    quiet: QuietTail = field(init=False)
    """Whether the tail from `open_from` on is quiet."""
    out_of_order: bool = False
    """A reading came in before one that had been folded, or silence before one was told of."""
    skip_until: int = 0
    """While it stays quiet nothing has to be looked at before this; 0 when that has to be worked out anew."""
    skipped_to: int = 0
    """Up to here it was quiet when last folded without being looked at."""
    _current: dict[int, Summary] | None = None

    def __post_init__(self) -> None:
        self.quiet = QuietTail(nearest(self.all_profiles().values(), self.setup.allowed_gap))
        self.reported_to = self.stop

    @property
    def stop(self) -> int:
        """One microsecond past the last instant known: the last reading's own instant counts."""
        return max(max(self.last_reading_at, self.watermark) + 1, self.settled)

    @property
    def longest_gap(self) -> int:
        """The longest any of its profiles, or the zone itself, lets a value speak."""
        return max([self.setup.allowed_gap, *(profile.allowed_gap for profile in self.all_profiles().values())])

    @property
    def open_from(self) -> int:
        """Where the part begins that is looked at in every fold."""
        return max(self.final_to, self.settled)

    @property
    def is_quiet(self) -> bool:
        """Whether all that came since the final part is quiet, up to `stop`."""
        return self.stop <= self.quiet.quiet_until(self.setup, self.readings)

    @property
    def current(self) -> Mapping[int, Summary]:
        """By version: from the start of the open hour to `stop`. Only what came since the final part is looked at."""
        if self._current is None:
            view = self._view_since(self.open_from, self.stop)
            self._current = self._combine([self.settled_part, self.final_part], view)
            self.quiet.check(self.setup, view)
        return self._current

    def all_profiles(self) -> dict[int, Profile]:
        """The goods' profiles, and the zone's own band under BAND."""
        return self.profiles if self.setup.band is None else {**self.profiles, BAND: self.setup.band}

    def recent(self, address: str) -> PointTrace:
        """A point's readings since the final part, whose silences are on record."""
        return self.readings[address].since(self.open_from)

    # --- what comes in

    def add(self, point: JudgedPoint, at: int, value: float, quality: int, error: float) -> None:
        """Takes a reading; `at` must not lie before `settled`."""
        if at < self.final_to:
            self._reopen()
        trace = self.readings[point.address]
        self.quiet.add(point, trace, at, value, quality, error)
        trace.insert(at, value, quality, error)
        self.last_reading_at = max(self.last_reading_at, at)

    def advance(self, watermark: int) -> None:
        """Silence is real up to this watermark; one that lies back changes nothing."""
        if watermark > self.watermark:
            # silence between the old one and what was looked at since is told only now
            self.out_of_order = self.out_of_order or self.watermark + 1 < self.stop
            self.watermark = watermark

    # --- looking at it

    def refresh(self) -> None:
        """Takes it that something has come since `current` was looked at, and that silences are on record."""
        self._current = None
        if not self.is_quiet or self.last_reading_at - self.open_from > LONGEST_QUIET_TAIL:
            self._current = dict(self.current)
            self._finalize(self.open_from)

    def skip(self) -> None:
        """Nothing that has come since the last fold has to be looked at."""
        self.skipped_to = self.stop
        self.out_of_order = False

    def _view(self, start: int, stop: int) -> ZoneView:
        """The tail over [start, stop); start not before `settled`."""
        traces = {address: trace.between(start, stop) for address, trace in self.readings.items()}
        return ZoneView(by_quantity(self.setup, traces), start, stop, self.watermark + 1)

    def _view_since(self, start: int, stop: int) -> ZoneView:
        traces = {address: trace.since(start) for address, trace in self.readings.items()}
        return ZoneView(by_quantity(self.setup, traces), start, stop, self.watermark + 1)

    def _combine(self, parts: Sequence[Mapping[int, Summary]], view: ZoneView) -> dict[int, Summary]:
        """What all profiles saw in the parts and the view after them; profiles that saw the same share one summary."""
        made: dict[tuple[int, ...], Summary] = {}
        out: dict[int, Summary] = {}
        for version, profile in self.all_profiles().items():
            mine = [*(part[version] for part in parts if version in part), view.summary(profile)]
            key = tuple(map(id, mine))
            if key not in made:
                made[key] = add(mine)
            out[version] = made[key]
        return out

    # --- what will not change any more

    def _finalize(self, start: int) -> None:
        """Moves `final_to` on: up to the watermark, before which nothing is untold; and beyond it, behind what may
        still come a little out of order, while everything is covered.
        """
        if not self.setup.monitored:
            return
        passed, in_order = min(self.watermark, self.last_reading_at), self.last_reading_at - OUT_OF_ORDER_MARGIN
        upto = passed if passed - start >= OUT_OF_ORDER_MARGIN else in_order
        if upto - start < OUT_OF_ORDER_MARGIN:
            return
        view = self._view_since(start, upto)
        if upto > passed and not self._is_covered(view, self.all_profiles().values()):
            return
        self.final_part = self._combine([self.final_part], view)
        self.final_to = upto

    def _is_covered(self, view: ZoneView, profiles: Iterable[Profile]) -> bool:
        """Whether every required point is good throughout, whatever a watermark may tell later."""
        gaps = {(point.quantity, self.setup.allowed_gap) for point in self.setup.points if point.required}
        for profile in profiles:
            gaps |= {(limit.quantity, profile.allowed_gap) for limit in profile.limits}
        return all(view.signal(quantity, gap).settled for quantity, gap in gaps)

    def _reopen(self) -> None:
        self.final_part, self.final_to, self.quiet.is_quiet = {}, self.settled, False

    def settle(self) -> Iterator[tuple[int, Summary]]:
        """Moves `settled` up to the watermark, hour by hour; yields (version, summary) of each hour it closes.

        Only what a watermark has passed can settle: before that, a spool may still tell.
        """
        target = min(self.watermark, self.stop)
        while target >= self.open_hour + BUCKET:
            end = self.open_hour + BUCKET
            hour = self._combine([self.settled_part], self._view(self.settled, end))
            for version in self.profiles:
                yield version, hour[version]
            band = self.setup.band
            self.settled_part = {} if band is None else {BAND: with_runs_reaching(hour[BAND], self.reported_to)}
            self.open_hour = self.settled = end
            self._settled_moved()
        if self._begins_before(self.settled):
            self._drop_settled()  # once, however many hours: of a long tail it moves all that is left
        if target > self.settled and (target - self.settled > LONG_TAIL or self._length() > LONG_TAIL // SECOND):
            self.settled_part = self._combine([self.settled_part], self._view(self.settled, target))
            self.settled = target
            self._drop_settled()

    def extend_band(self, early: int) -> None:
        """Takes the zone's own band up from `early`, before `settled`: no summary of closed hours keeps it, and its
        delay may have begun to run in the hour before. `readings` must reach back to `early`.
        """
        band = self._combine([], self._view(early, self.settled))[BAND]
        self.settled_part[BAND] = with_runs_reaching(band, self.reported_to)
        self._drop_settled()

    def _begins_before(self, at: int) -> bool:
        return any(len(trace.at) > 1 and trace.at[1] <= at for trace in self.readings.values())

    def _settled_moved(self) -> None:
        if not self.is_quiet:
            self.skip_until = 0  # what is settled is no part of the tail that says whether the zone may be skipped
        self._reopen()

    def _drop_settled(self) -> None:
        self._settled_moved()
        for trace in self.readings.values():
            trace.drop_before(self.settled)

    def _length(self) -> int:
        return max((len(trace.at) for trace in self.readings.values()), default=0)
