"""Rules of quality, pure: which excursions should stand given what the data say and what has been signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

LIVE = frozenset({"open", "ended", "assessed"})
"""States in which data still shape an excursion."""
SIGNED = frozenset({"dispositioned", "closed"})
"""States after QA has signed: never edited again."""

CERTAINTY = {"unproven": 0, "uncertain": 1, "proven": 2}
"""Rank of each certainty; proof only ever upgrades a hold."""

FIELD_ACTION_DAYS = {"proven": 1, "uncertain": 3, "unproven": 7}
"""Days to tell consignees, by certainty (after the 1 / 3 / 7 days of device-recall notices, facts §2)."""

RELEASING = frozenset({"accept", "restrict"})
"""Decisions that lift the excursion's own hold."""
REJECTING = frozenset({"reject", "rework", "return", "destroy"})
"""Decisions that leave the hold and reject the sublot; what is done with it then is another act."""


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
class Known:
    """An excursion as it stands in the database, as far as matching needs it."""

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


@dataclass(frozen=True, slots=True)
class Opening:
    """An excursion to open. `replaces_id` is the one of the same run whose start late data moved."""

    breach: Breach
    accepted_before: timedelta
    replaces_id: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What must happen to one sublot's excursions under one profile version so that they say what the data say."""

    opened: tuple[Opening, ...]
    updated: tuple[tuple[Known, Breach], ...]
    superseded: tuple[Known, ...]

    def __bool__(self) -> bool:
        return bool(self.opened or self.updated or self.superseded)


def same_run(known: Known, breach: Breach) -> bool:
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


def accepted_count(known: Sequence[Known], breach: Breach) -> timedelta | None:
    """The largest count that a signed disposition of the same run has accepted, or None if none was signed."""
    counts = [k.accepted for k in known if k.state in SIGNED and k.accepted is not None and same_run(k, breach)]
    return max(counts, default=None)


def breaks_further(breach: Breach, accepted: timedelta | None, delay: timedelta) -> bool:
    """Whether the breach stands against the goods although `accepted` of its count has been signed for.

    The count must have grown past what was accepted, by at least the limit's delay.
    """
    return accepted is None or (breach.out > accepted and breach.out - accepted >= delay)


def _differs(known: Known, breach: Breach) -> bool:
    return (known.broke_at, known.ended_at, known.certainty, known.out, known.lowest, known.highest) != (
        breach.broke_at, breach.ended_at, breach.certainty, breach.out, breach.lowest, breach.highest,
    )  # fmt: skip


def changes(known: Sequence[Known], breaches: Sequence[Breach], delays: Mapping[str, timedelta]) -> Changes:
    """Compares what stands with what the data say.

    Identity is (limit, start, count accepted before). What stands and is no longer said is superseded; what is said
    and does not stand is opened, naming the superseded excursion of the same run if there is one. Applied twice to
    the same breaches it changes nothing the second time. `delays` holds each limit's delay; a limit without one
    (MKT) has none.
    """
    live = {(k.limit_key, k.started_at, k.accepted_before): k for k in known if k.state in LIVE}
    updated: list[tuple[Known, Breach]] = []
    fresh: list[tuple[Breach, timedelta]] = []
    for breach in breaches:
        accepted = accepted_count(known, breach)
        if not breaks_further(breach, accepted, delays.get(breach.limit_key, timedelta(0))):
            continue
        before = accepted or timedelta(0)
        match = live.pop((breach.limit_key, breach.started_at, before), None)
        if match is None:
            fresh.append((breach, before))
        elif _differs(match, breach):
            updated.append((match, breach))
    refuted = sorted(live.values(), key=lambda k: k.id)
    unclaimed = list(refuted)
    opened: list[Opening] = []
    for breach, before in fresh:
        replaced = next((k for k in unclaimed if same_run(k, breach)), None)
        if replaced is not None:
            unclaimed.remove(replaced)
        opened.append(Opening(breach, before, replaced.id if replaced else None))
    return Changes(tuple(opened), tuple(updated), tuple(refuted))


def incident_kind(certainty: str) -> str:
    """What an incident is about: a limit really broken, or goods that nobody watched."""
    return "gap" if certainty == "unproven" else "limit"
