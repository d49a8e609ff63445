"""The pure rules of lots, custody and the catalog."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.catalog.model import ProfileLimit
from core.erp.catalog.rules import faults
from core.erp.custody.rules import Fact, effective, intervals_of
from core.erp.lots.rules import POLICY, Purpose, balanced, forbids, restriction_fault, stronger

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_purpose_has_a_policy() -> None:
    assert set(POLICY) == set(Purpose)
    assert [p for p in Purpose if POLICY[p].unjudged] == [Purpose.SALE, Purpose.USE]
    assert [p for p in Purpose if not POLICY[p].held] == [
        Purpose.SAMPLING,
        Purpose.RESCUE,
        Purpose.QUARANTINE_TRANSFER,
    ]


@pytest.mark.parametrize(
    ("value", "given_name", "forbidden"),
    [
        ({"only": ["DE", "FR"]}, "DE", False),
        ({"only": ["DE"]}, "FR", True),
        ({"only": ["DE"]}, None, True),
        ({"except": ["DE"]}, "DE", True),
        ({"except": ["DE"]}, "FR", False),
        ({"except": ["DE"]}, None, True),
    ],
)
def test_markets(value: dict[str, list[str]], given_name: str | None, forbidden: bool) -> None:
    assert forbids("market", value, "sale", given_name) is forbidden
    assert forbids("market", value, "use", given_name) is False


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("market", {}),
        ("market", {"only": "DE"}),
        ("market", {"only": [1]}),
        ("market", {"only": [], "except": []}),
        ("use_by", {}),
        ("use_by", {"date": "soon"}),
        ("use_by", {"date": 5}),
        ("use_by", {"date": "2026-01-01", "x": 1}),
        ("remaining_life", {"days": 0}),
        ("remaining_life", {"days": True}),
        ("remaining_life", {"days": "9"}),
        ("mood", {"only": []}),
        ("purpose", {"never": []}),
    ],
)
def test_restrictions_that_say_nothing_clear(kind: str, value: dict[str, object]) -> None:
    assert restriction_fault(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("purpose", {"only": ["sampling"]}),
        ("market", {"except": ["FR"]}),
        ("customer", {"only": ["C1"]}),
        ("use_by", {"date": "2026-01-01"}),
        ("remaining_life", {"days": 90}),
    ],
)
def test_restrictions_that_are_clear(kind: str, value: dict[str, object]) -> None:
    assert restriction_fault(kind, value) is None


def test_proof_is_stronger() -> None:
    assert stronger("unproven", "uncertain") == "uncertain"
    assert stronger("proven", "unproven") == "proven"
    assert stronger(None, "unproven") == "unproven"
    assert stronger(None, None) is None


@pytest.mark.parametrize(("outputs", "fits"), [(["97"], False), (["98"], True), (["60", "42"], True), (["103"], False)])
def test_mass_balance_within_two_percent(outputs: list[str], fits: bool) -> None:
    assert balanced([Decimal(40), Decimal(60)], [Decimal(o) for o in outputs], Decimal("0.02")) is fits


MINUTES = st.integers(0, 20)
FACTS = st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 3)), MINUTES, MINUTES, st.booleans()), max_size=12)


def _facts(rows: list[tuple[int | None, int, int, bool]]) -> list[Fact]:
    made: list[Fact] = []
    for number, (zone, at, late, retracted) in enumerate(rows, 1):
        moment = START + timedelta(minutes=at)
        made.append(Fact(number, zone, moment, moment + timedelta(minutes=late)))
        if retracted:
            made.append(Fact(100 + number, zone, moment, moment + timedelta(minutes=late + 1), retracts_id=number))
    return made


@given(FACTS, MINUTES, MINUTES)
def test_intervals_say_the_same_as_asking_instant_by_instant(
    rows: list[tuple[int | None, int, int, bool]], when: int, known: int
) -> None:
    facts = _facts(rows)
    known_at, instant = START + timedelta(minutes=known + 20), START + timedelta(minutes=when)
    standing = [
        f
        for f in facts
        if f.retracts_id is None
        and f.known_at <= known_at
        and f.at <= instant
        and not any(r.retracts_id == f.id and r.known_at <= known_at for r in facts)
    ]
    truth = max(standing, key=lambda f: (f.at, f.known_at, f.id), default=None)
    spans = intervals_of(effective(facts, known_at))
    there = [zone for zone, start, stop in spans if start <= instant and (stop is None or instant < stop)]
    assert there == ([truth.zone_id] if truth is not None else [])
    assert all(a[2] == b[1] and a[0] != b[0] for a, b in pairwise(spans))


def limit(**changes: Any) -> ProfileLimit:
    fields: dict[str, Any] = {
        "key": "high",
        "op": ">",
        "threshold": 8.0,
        "kind": "consecutive",
        "delay": timedelta(hours=1),
    }
    return ProfileLimit(**(fields | changes))


HOUR = timedelta(hours=1)
NONE = timedelta(0)


@pytest.mark.parametrize(
    ("limits", "gap", "wrong"),
    [
        ([limit()], HOUR, False),
        ([limit(kind="instant", delay=NONE)], HOUR, False),
        ([], HOUR, False),
        ([limit()], NONE, True),
        ([limit(), limit()], HOUR, True),
        ([limit(kind="instant")], HOUR, True),
        ([limit(delay=NONE)], HOUR, True),
        ([limit(hysteresis=-1.0)], HOUR, True),
        ([limit(allowance="a")], HOUR, True),
        ([limit(kind="cumulative", allowance="a")], HOUR, False),
    ],
)
def test_profiles_that_cannot_be(limits: list[ProfileLimit], gap: timedelta, wrong: bool) -> None:
    assert bool(faults(limits, gap)) is wrong
