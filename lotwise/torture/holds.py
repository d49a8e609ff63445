"""Holds beside what the goods went through: missed, double, and those that should not be."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lotwise.torture.devices import micros
from lotwise.torture.plan import GAP
from lotwise.torture.truth import SentValue
from lotwise.torture.verdict import SECOND, Broken, JudgedInterval, broken
from lotwise.torture.work import PlacedGoods

LATE = 1 * SECOND
"""A move that the core learned of later than this may rightly have held goods for where they no longer were."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An excursion that is on record: when it broke, how surely, whether it still stands, and how many holds it has."""

    sublot_id: int
    at: int
    certainty: str
    superseded: bool
    holds: int


@dataclass(slots=True)
class Judged:
    """Counts; the first four must be 0."""

    missed: int = 0
    double: int = 0
    false_hold: int = 0
    wrong_certainty: int = 0
    sublots: int = 0
    expected: Counter[str] = field(default_factory=Counter)
    superseded_by_late_moves: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, kind: str, what: str) -> None:
        """Counts a fault and says which."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.notes.append(f"{kind}: {what}")


def expected_intervals(
    goods: PlacedGoods, readings: Mapping[str, Sequence[SentValue]], upto: int
) -> list[JudgedInterval]:
    """Where the sublot stood until `upto`, with what was heard there."""
    ends = [since for _, since, _ in goods.moves[1:]] + [upto]
    return [
        JudgedInterval(readings[zone], since, stop) for (zone, since, _), stop in zip(goods.moves, ends, strict=True)
    ]


def judge(
    goods: Sequence[PlacedGoods], readings: Mapping[str, Sequence[SentValue]], placed: Sequence[Placed], upto: int
) -> Judged:
    """Every sublot's excursions and holds beside those that its zones' readings ask for, as far as `upto`."""
    out = Judged(sublots=len(goods))
    by_sublot: dict[int, list[Placed]] = defaultdict(list)
    for each in placed:
        if each.at < upto:
            by_sublot[each.sublot_id].append(each)
    for one in goods:
        expected = broken(one.goods.profile, expected_intervals(one, readings, upto), GAP * SECOND)
        out.expected.update(f"{one.goods.profile.kind} {each.certainty}" for each in expected)
        late = any(known - since > LATE for _, since, known in one.moves[1:])
        _one(out, one, expected, by_sublot[one.sublot_id], late=late)
    return out


def _one(out: Judged, one: PlacedGoods, expected: list[Broken], placed: list[Placed], *, late: bool) -> None:
    name = f"{one.goods.name} ({one.goods.profile.item})"
    standing: dict[int, list[Placed]] = defaultdict(list)
    for each in placed:
        if each.superseded and each.holds and late:
            out.superseded_by_late_moves += 1
        elif each.superseded and each.holds:
            out.note("false_hold", f"{name} for {each.at}, {each.certainty}, superseded since")
        elif not each.superseded:
            standing[each.at].append(each)
    for wanted in expected:
        there = standing.pop(wanted.at, [])
        if not there or not there[0].holds:
            out.note("missed", f"{name} at {wanted.at}, {wanted.certainty}")
            continue
        if len(there) > 1 or there[0].holds > 1:
            out.note("double", f"{name} at {wanted.at}: {len(there)} excursions, {there[0].holds} holds")
        if there[0].certainty != wanted.certainty:
            out.note("wrong_certainty", f"{name} at {wanted.at}: {there[0].certainty}, should be {wanted.certainty}")
    for at, unwanted in standing.items():
        out.note("false_hold", f"{name} at {at}, {unwanted[0].certainty}")


def placed_of(excursions: Sequence[Mapping[str, Any]], holds: Sequence[Mapping[str, Any]]) -> list[Placed]:
    """Excursions and holds as the API has them, laid together; a copy that a hold's child carries counts once."""
    count = Counter((hold["excursion_id"], hold["sublot_id"]) for hold in holds if hold["excursion_id"] is not None)
    return [
        Placed(
            sublot_id=each["sublot_id"],
            at=micros(datetime.fromisoformat(each["broke_at"])),
            certainty=each["certainty"],
            superseded=each["state"] == "superseded",
            holds=count[each["id"], each["sublot_id"]],
        )
        for each in excursions
    ]
