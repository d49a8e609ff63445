"""Rules of quality, pure: which excursions should stand given what the data say and what has been signed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from core.erp.kernel.words import Message

LIVE = frozenset({"open", "ended", "assessed"})
"""States in which data still shape an excursion."""
SIGNED = frozenset({"dispositioned", "closed"})
"""States after QA has signed: never edited again."""

CERTAINTY_RANK = {"unproven": 0, "uncertain": 1, "proven": 2}
"""Rank of each certainty; proof only ever upgrades a hold."""

FIELD_ACTION_DAYS = {"proven": 1, "uncertain": 3, "unproven": 7}
"""Days to tell consignees, by certainty (after the 1 / 3 / 7 days of device-recall notices, facts §2)."""

RELEASING = frozenset({"accept", "restrict"})
"""Decisions that lift the excursion's own hold."""
REJECTING = frozenset({"reject", "rework", "return", "destroy"})
"""Decisions that leave the hold and reject the sublot; what is done with it then is another act."""
ALARM_MODES = ("shelve", "unshelve", "suppress", "unsuppress", "out_of_service", "in_service")
"""How an alarm's showing is changed; none of them silences the judge."""
WORDS: dict[str, tuple[str, ...]] = {"decision": (*RELEASING, *REJECTING), "alarm_mode": ALARM_MODES}
"""Families of message ids that are made of our own words (tests/architecture/words_test.py)."""


class Breach(Protocol):
    """What the judge says a sublot broke (core.erp.exposure.events.Breach), as far as these rules look at it."""

    @property
    def limit_key(self) -> str:
        """Which limit."""

    @property
    def kind(self) -> str:
        """instant, consecutive or cumulative."""

    @property
    def started_at(self) -> datetime:
        """When the count began."""

    @property
    def broke_at(self) -> datetime:
        """When the count reached the delay."""

    @property
    def ended_at(self) -> datetime | None:
        """When the limit was no longer out; None while it is."""

    @property
    def certainty(self) -> str:
        """proven, uncertain or unproven."""

    @property
    def out(self) -> timedelta:
        """Time out of the limit."""

    @property
    def lowest(self) -> float | None:
        """The least value seen."""

    @property
    def highest(self) -> float | None:
        """The greatest value seen."""

    @property
    def zone_id(self) -> int:
        """Where it broke."""


@dataclass(frozen=True, slots=True)
class ReleaseObstacle:
    """One reason against a release; `message` is for people."""

    kind: str
    message: Message

    def as_extra(self) -> dict[str, Any]:
        """As a refusal's problem document carries it."""
        return {"kind": self.kind, "message": self.message}


@dataclass(frozen=True, slots=True)
class KnownExcursion:
    """An excursion as it stands in the database, as far as matching needs it.

    `ended_at` of one that was signed before it had ended is when it was signed: no more than that was accepted.
    """

    id: int
    limit_key: str
    started_at: datetime
    broke_at: datetime
    ended_at: datetime | None
    certainty: str
    out: timedelta
    lowest: float | None
    highest: float | None
    state: str
    accepted_before: timedelta
    accepted: timedelta | None
    zone_id: int | None = None
    """Where it broke; not needed to tell which run it is of."""


@dataclass(frozen=True, slots=True)
class NewExcursion:
    """An excursion to open. `replaces_id` is the one of the same run whose start late data moved."""

    breach: Breach
    accepted_before: timedelta
    replaces_id: int | None


@dataclass(frozen=True, slots=True)
class ExcursionChanges:
    """What must happen to one sublot's excursions under one profile version so that they say what the data say."""

    opened: tuple[NewExcursion, ...]
    updated: tuple[tuple[KnownExcursion, Breach], ...]
    superseded: tuple[KnownExcursion, ...]

    def __bool__(self) -> bool:
        return bool(self.opened or self.updated or self.superseded)


def same_run(known: KnownExcursion, breach: Breach) -> bool:
    """Whether both speak of one count of one limit.

    A cumulative count is never reset, so every breach of its limit is the same count; otherwise their half-open
    intervals must overlap, or begin together.
    """
    if known.limit_key != breach.limit_key:
        return False
    if breach.kind == "cumulative" or known.started_at == breach.started_at:
        return True
    return (known.ended_at is None or breach.started_at < known.ended_at) and (
        breach.ended_at is None or known.started_at < breach.ended_at
    )


@dataclass(frozen=True, slots=True, order=True)
class AcceptedCount:
    """A count that QA has signed for, and how sure it was (CERTAINTY_RANK)."""

    out: timedelta
    rank: int


@dataclass(frozen=True, slots=True)
class OriginPart:
    """A sublot that another began from, and what stood against it, signed or not, when those goods went."""

    sublot: int
    known: tuple[KnownExcursion, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a sublot began from: one part (a split) or several (a merger), and so on for each of them: `parts`."""

    sublot: int
    parts: Mapping[int, tuple[OriginPart, ...]]

    def accepted(self, breach: Breach) -> AcceptedCount | None:
        """The count of the run that was signed for the goods before they became this sublot; None if none was.

        Every part that went through the run must have been signed for; the least of what was is accepted.
        """
        return self._accepted_of(self.sublot, breach, {})[1]

    def ancestors(self) -> set[int]:
        """All sublots it came from."""
        found: set[int] = set()
        more = [self.sublot]
        while more:
            new = {part.sublot for part in self.parts.get(more.pop(), ())} - found
            found |= new
            more += new
        return found

    def _accepted_of(
        self, sublot: int, breach: Breach, memo: dict[int, tuple[bool, AcceptedCount | None]]
    ) -> tuple[bool, AcceptedCount | None]:
        """(whether any of its parts went through the run, what was signed for all that did)."""
        if sublot not in memo:
            counts: list[AcceptedCount | None] = []
            for part in self.parts.get(sublot, ()):
                went_before, before = self._accepted_of(part.sublot, breach, memo)
                if went_before or any(same_run(k, breach) for k in part.known):
                    counts.append(_most(before, _signed(part.known, breach)))
            accepted = [count for count in counts if count is not None]
            memo[sublot] = (bool(counts), min(accepted) if accepted and len(accepted) == len(counts) else None)
        return memo[sublot]


def _signed(known: Sequence[KnownExcursion], breach: Breach) -> AcceptedCount | None:
    return _most(
        *(
            AcceptedCount(k.accepted, CERTAINTY_RANK[k.certainty])
            for k in known
            if k.state in SIGNED and k.accepted is not None and same_run(k, breach)
        )
    )


def _most(*counts: AcceptedCount | None) -> AcceptedCount | None:
    return max((count for count in counts if count is not None), default=None)


def accepted_count(
    known: Sequence[KnownExcursion], breach: Breach, origin: Origin | None = None
) -> AcceptedCount | None:
    """The largest count that a signed disposition of the same run has accepted, or None if none was signed.

    What was signed before goods were split off or merged is signed for them.
    """
    return _most(_signed(known, breach), origin.accepted(breach) if origin else None)


def breaks_further(breach: Breach, accepted: AcceptedCount | None, delay: timedelta) -> bool:
    """Whether the breach stands against the goods although `accepted` of its count has been signed for.

    The count must have grown past what was accepted: by at least the limit's delay, or by anything at all if it is
    known more surely now than when it was signed. Proof of no more than what was accepted changes nothing: QA signed
    for that many minutes.
    """
    if accepted is None:
        return True
    more = breach.out - accepted.out
    return more > timedelta(0) and (more >= delay or CERTAINTY_RANK[breach.certainty] > accepted.rank)


def _differs(known: KnownExcursion, breach: Breach) -> bool:
    return (
        known.broke_at,
        known.ended_at,
        known.certainty,
        known.out,
        known.lowest,
        known.highest,
        known.zone_id,
    ) != (
        breach.broke_at,
        breach.ended_at,
        breach.certainty,
        breach.out,
        breach.lowest,
        breach.highest,
        breach.zone_id,
    )


def excursion_changes(
    known: Sequence[KnownExcursion],
    breaches: Sequence[Breach],
    delays: Mapping[str, timedelta],
    origin: Origin | None = None,
) -> ExcursionChanges:
    """Compares what stands with what the data say.

    Identity is (limit, start, count accepted before). What stands and is no longer said is superseded; what is said
    and does not stand is opened, naming the superseded excursion of the same run if there is one. Applied twice to
    the same breaches it changes nothing the second time. `delays` holds each limit's delay; a limit without one
    (MKT) has none. `origin` is what the sublot began from, for what was signed before it did.
    """
    live = {(k.limit_key, k.started_at, k.accepted_before): k for k in known if k.state in LIVE}
    updated: list[tuple[KnownExcursion, Breach]] = []
    fresh: list[tuple[Breach, timedelta]] = []
    for breach in breaches:
        accepted = accepted_count(known, breach, origin)
        if not breaks_further(breach, accepted, delays.get(breach.limit_key, timedelta(0))):
            continue
        before = accepted.out if accepted else timedelta(0)
        match = live.pop((breach.limit_key, breach.started_at, before), None)
        if match is None:
            fresh.append((breach, before))
        elif _differs(match, breach):
            updated.append((match, breach))
    refuted = sorted(live.values(), key=lambda k: k.id)
    unclaimed = list(refuted)
    opened: list[NewExcursion] = []
    for breach, before in fresh:
        replaced = next((k for k in unclaimed if same_run(k, breach)), None)
        if replaced is not None:
            unclaimed.remove(replaced)
        opened.append(NewExcursion(breach, before, replaced.id if replaced else None))
    return ExcursionChanges(tuple(opened), tuple(updated), tuple(refuted))


def assessment_stands(known: KnownExcursion, breach: Breach) -> bool:
    """Whether an assessment of what goes on still holds: it was made while nobody measured the goods, and nothing
    more is known of them. What only the worst case says grows with the silence itself.
    """
    if known.state != "assessed" or known.ended_at is not None or known.certainty != breach.certainty:
        return False
    return breach.certainty == "unproven" or breach.out == known.out


def incident_kind(certainty: str) -> str:
    """What an incident is about: a limit really broken, or goods that nobody watched."""
    return "gap" if certainty == "unproven" else "limit"


def merge_gaps(gaps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gaps (zone_id, point_id, reason, start_at, stop_at or None, allowed_gap) with those of one point and reason that
    lie no further apart than what is allowed made one; `silences` says of how many. By first id.
    """
    found: list[dict[str, Any]] = []
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(gaps, key=lambda row: (row["start_at"], row["id"])):
        gap = {**row, "silences": 1}
        allowed = gap.pop("allowed_gap") or timedelta(0)
        key = (gap["zone_id"], gap["point_id"], gap["reason"])
        before = last.get(key)
        if before is None or (before["stop_at"] is not None and gap["start_at"] - before["stop_at"] > allowed):
            found.append(gap)
            last[key] = gap
            continue
        before["silences"] += 1
        ends = (before["stop_at"], gap["stop_at"])
        before["stop_at"] = None if None in ends else max(ends)
    return sorted(found, key=lambda gap: int(gap["id"]))
