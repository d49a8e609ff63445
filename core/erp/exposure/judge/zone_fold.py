"""A zone being judged, live: what is settled of the open hour, and the tail of readings that may still change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.erp.exposure.judge.quiet_zones import Calm
from core.erp.exposure.judge.watermarks import Speaker, told_by_all
from core.erp.exposure.readings.trace import Heard, by_quantity
from core.erp.exposure.readings.zone_setup import BAND, Place, PointRef
from core.erp.exposure.rules.assess import NEVER, Certainty
from core.erp.exposure.rules.nearest import nearest
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.signal import GOOD
from core.erp.exposure.rules.summary import Look, Seen, Summary, add, reaching
from core.erp.exposure.times import BUCKET, SECOND

MARGIN = 5 * SECOND
"""Readings of one zone's points come this much out of order, at most, without anything being looked at twice."""
LONG_TAIL = 512 * SECOND
"""Settled this far behind the watermark at the latest, so that a fold never looks at a long tail again."""
CALM_TAIL = 60 * SECOND
"""A calm tail is looked at only when it is this long: what breaks the calm looks at all of it."""


@dataclass(slots=True)
class Watch:
    """When a profile's goods in this zone must be looked at again, from the last time they were."""

    due: int = 0
    looked_to: int = 0
    seen_to: int = 0
    seen: dict[str, Seen] = field(default_factory=dict)
    """What was seen up to `seen_to` when the zone was last folded; readings out of order may change it."""
    open_keys: frozenset[str] = frozenset()
    surer: dict[Certainty, int] = field(default_factory=dict)
    """As assess.Verdict: when what stands could become more certain."""
    warm_until: int = NEVER
    """As assess.Verdict; not known before the first look."""
    dirty_from: int | None = 0
    """Something before what was looked at has changed since this instant; None when nothing has."""


@dataclass(slots=True)
class ZoneFold:
    """One zone's running fold. Times in microseconds.

    Settled through `settled` (within the hour that starts at `hour`); beyond it, `heard` holds the tail and one
    reading carried in for each point. `heard_to` is the last reading, `watermark` how far silence is real.
    """

    place: Place
    profiles: dict[int, Profile]
    hour: int
    settled: int
    heard: dict[str, Heard]
    heard_to: int
    watermark: int
    closed_since: dict[int, int] = field(default_factory=dict)
    """By version: since when its closed hours are known to exist."""
    base: dict[int, Summary] = field(default_factory=dict)
    watches: dict[int, Watch] = field(default_factory=dict)
    marks: dict[Speaker, int] = field(default_factory=dict)
    good_at: dict[str, int] = field(default_factory=dict)
    since: int | None = None
    """When it was first heard of, as far as that is needed."""
    alarms: dict[str, bool] = field(default_factory=dict)
    asked_to: int = field(init=False)
    """Up to here its conditions have been told."""
    value: float | None = None
    silences: dict[str, tuple[tuple[int, int | None], ...]] = field(default_factory=dict)
    """By point: the silences of the tail that are on record."""
    disordered: bool = False
    """A reading came in before one that had been folded, or silence before one was told of."""
    sure: dict[int, Summary] = field(default_factory=dict)
    """By version: [settled, sure_to), of which no watermark will tell anything new; late readings undo it."""
    sure_to: int = 0
    calm: Calm = field(init=False)
    """Whether the tail from `open_from` on is calm."""
    rests_until: int = 0
    """While it stays calm nothing has to be looked at before this; 0 when that has to be worked out anew."""
    rested_to: int = 0
    """Up to here it was calm when last folded without being looked at."""
    _current: dict[int, Summary] | None = None

    def __post_init__(self) -> None:
        self.calm = Calm(nearest(self.all_profiles().values(), self.place.allowed_gap))
        self.asked_to = self.stop

    @property
    def stop(self) -> int:
        """One microsecond past the last instant known: the last reading's own instant counts."""
        return max(max(self.heard_to, self.watermark) + 1, self.settled)

    @property
    def longest_gap(self) -> int:
        """The longest any of its profiles, or the zone itself, lets a value speak."""
        return max([self.place.allowed_gap, *(profile.allowed_gap for profile in self.all_profiles().values())])

    def all_profiles(self) -> dict[int, Profile]:
        """The goods' profiles, and the zone's own band under BAND."""
        return self.profiles if self.place.band is None else {**self.profiles, BAND: self.place.band}

    def hear(self, point: PointRef, at: int, value: float, quality: int, error: float) -> None:
        """Takes a reading into the tail; `at` must not lie before `settled`."""
        if at < self.sure_to:
            self._unsure()
        heard = self.heard[point.address]
        self.calm.hear(point, heard, at, value, quality, error)
        heard.put(at, value, quality, error)
        self.heard_to = max(self.heard_to, at)
        self.since = at if self.since is None else self.since
        if quality == GOOD:
            self.good_at[point.address] = max(self.good_at.get(point.address, at), at)
            if point.required and point.quantity == "temperature":
                self.value = value

    def last_good(self) -> int | None:
        """The oldest, over required points, of the last good reading; a good spare of its quantity may stand in."""
        return min(self._last_good_of_each(), default=0) or None

    def expected_since(self) -> int | None:
        """The oldest, over required points, of the last good reading or, for one that never had any, of when its
        sensor was installed or, where none is on record, of when the zone was first heard of. None if nothing is known.
        """
        found = [
            good or point.since or self.since
            for point, good in zip(self._required_now(), self._last_good_of_each(), strict=True)
        ]
        return min((at for at in found if at is not None), default=None)

    def _required_now(self) -> list[PointRef]:
        """The required points whose sensors have been installed by now."""
        return [p for p in self.place.points if p.required and (p.since is None or p.since < self.stop)]

    def _last_good_of_each(self) -> list[int]:
        """By required point, in order; 0 for none."""
        spare: dict[str, int] = {}
        for point in self.place.points:
            if not point.required and point.address in self.good_at:
                spare[point.quantity] = max(spare.get(point.quantity, 0), self.good_at[point.address])
        return [max(self.good_at.get(point.address, 0), spare.get(point.quantity, 0)) for point in self._required_now()]

    def look(self, start: int, stop: int) -> Look:
        """The tail over [start, stop); start not before `settled`."""
        heard = {address: heard.between(start, stop) for address, heard in self.heard.items()}
        return Look(by_quantity(self.place, heard), start, stop, self.watermark + 1)

    @property
    def current(self) -> Mapping[int, Summary]:
        """By version: from the start of the open hour to `stop`. Only what came since the sure part is looked at."""
        if self._current is None:
            tail = self._look_since(self.open_from, self.stop)
            self._current = self._together([self.base, self.sure], tail)
            self.calm.found(self.place, tail)
        return self._current

    def look_now(self) -> None:
        """Takes it that something has come since `current` was looked at, and that silences are on record."""
        self._current = None
        if not self.is_calm or self.heard_to - self.open_from > CALM_TAIL:
            self._current = dict(self.current)
            self._be_sure(self.open_from)

    def rest(self) -> None:
        """Nothing that has come since the last fold has to be looked at."""
        self.rested_to = self.stop
        self.disordered = False

    @property
    def is_calm(self) -> bool:
        """Whether all that came since the sure part is calm, up to `stop`."""
        return self.stop <= self.calm.until(self.place, self.heard)

    def _together(self, parts: Sequence[Mapping[int, Summary]], tail: Look) -> dict[int, Summary]:
        """What all profiles saw in the parts and the tail after them; profiles that saw the same share one summary."""
        made: dict[tuple[int, ...], Summary] = {}
        out: dict[int, Summary] = {}
        for version, profile in self.all_profiles().items():
            mine = [*(part[version] for part in parts if version in part), tail.summary(profile)]
            key = tuple(map(id, mine))
            if key not in made:
                made[key] = add(mine)
            out[version] = made[key]
        return out

    def _look_since(self, start: int, stop: int) -> Look:
        heard = {address: heard.since(start) for address, heard in self.heard.items()}
        return Look(by_quantity(self.place, heard), start, stop, self.watermark + 1)

    def _be_sure(self, start: int) -> None:
        """Moves `sure_to` on: up to the watermark, before which nothing is untold; and beyond it, behind what may
        still come a little out of order, while everything is covered.
        """
        if not self.place.monitored:
            return
        told, said = min(self.watermark, self.heard_to), self.heard_to - MARGIN
        upto = told if told - start >= MARGIN else said
        if upto - start < MARGIN:
            return
        look = self._look_since(start, upto)
        profiles = self.all_profiles()
        if upto > told and not self._covered(look, profiles.values()):
            return
        self.sure = self._together([self.sure], look)
        self.sure_to = upto

    def _covered(self, look: Look, profiles: Iterable[Profile]) -> bool:
        """Whether every required point is good throughout, whatever a watermark may tell later."""
        gaps = {(point.quantity, self.place.allowed_gap) for point in self.place.points if point.required}
        for profile in profiles:
            gaps |= {(limit.quantity, profile.allowed_gap) for limit in profile.limits}
        return all(look.signal(quantity, gap).settled for quantity, gap in gaps)

    def _unsure(self) -> None:
        self.sure, self.sure_to, self.calm.holds = {}, self.settled, False

    def recent(self, address: str) -> Heard:
        """A point's readings since the sure part, whose silences are on record."""
        return self.heard[address].since(self.open_from)

    @property
    def open_from(self) -> int:
        """Where the part begins that is looked at in every fold."""
        return max(self.sure_to, self.settled)

    def settle(self) -> Iterator[tuple[int, Summary]]:
        """Moves `settled` up to the watermark, hour by hour; yields (version, summary) of each hour it closes.

        Only what a watermark has passed can settle: before that, a spool may still tell.
        """
        target = min(self.watermark, self.stop)
        while target >= self.hour + BUCKET:
            end = self.hour + BUCKET
            hour = self._together([self.base], self.look(self.settled, end))
            for version in self.profiles:
                yield version, hour[version]
            self.base = {} if self.place.band is None else {BAND: reaching(hour[BAND], self.asked_to)}
            self.hour = self.settled = end
            self._unrest()
        if self._begins_before(self.settled):
            self._forget()  # once, however many hours: of a long tail it moves all that is left
        if target > self.settled and (target - self.settled > LONG_TAIL or self._tail_length() > LONG_TAIL // SECOND):
            self.base = self._together([self.base], self.look(self.settled, target))
            self.settled = target
            self._forget()

    def remember_band(self, early: int) -> None:
        """Takes the zone's own band up from `early`, before `settled`: no summary of closed hours keeps it, and its
        delay may have begun to run in the hour before. `heard` must reach back to `early`.
        """
        self.base[BAND] = reaching(self._together([], self.look(early, self.settled))[BAND], self.asked_to)
        self._forget()

    def _begins_before(self, at: int) -> bool:
        return any(len(heard.at) > 1 and heard.at[1] <= at for heard in self.heard.values())

    def _unrest(self) -> None:
        if not self.is_calm:
            self.rests_until = 0  # what is settled is no part of the tail that says whether the zone may rest
        self._unsure()

    def _forget(self) -> None:
        self._unrest()
        for heard in self.heard.values():
            heard.forget_before(self.settled)

    def _tail_length(self) -> int:
        return max((len(heard.at) for heard in self.heard.values()), default=0)

    def recompute_marks(self, marks: Mapping[Speaker, int]) -> None:
        """Takes sources' watermarks; the zone's is as far as all have told."""
        for speaker, upto in marks.items():
            if speaker not in self.marks:  # new, or its gateway has joined a group or left one
                self.marks = {each: said for each, said in self.marks.items() if each[:2] != speaker[:2]}
            self.marks[speaker] = max(self.marks.get(speaker, 0), upto)
        if self.marks:
            self.pass_by(told_by_all(self.marks))

    def pass_by(self, watermark: int) -> None:
        """Silence is real up to this watermark; one that lies back changes nothing."""
        if watermark > self.watermark:
            # silence between the old one and what was looked at since is told only now
            self.disordered = self.disordered or self.watermark + 1 < self.stop
            self.watermark = watermark
