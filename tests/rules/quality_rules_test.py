"""Which excursions should stand: properties, and the arithmetic of what a signature has accepted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.exposure.events import Breach
from core.erp.exposure.rules.assess import Certainty
from core.erp.quality import rules
from core.erp.quality.rules import (
    CERTAINTY_RANK,
    AcceptedCount,
    KnownExcursion,
    Origin,
    OriginPart,
    accepted_count,
    assessment_stands,
    breaks_further,
    excursion_changes,
    same_run,
)

DAY = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DELAYS = {"warm": 60 * MINUTE, "cold": timedelta(0)}


def breach(
    start: int,
    length: int | None,
    limit: str = "warm",
    kind: str = "consecutive",
    out: int | None = None,
    certainty: Certainty = "proven",
) -> Breach:
    begun = DAY + start * MINUTE
    return Breach(
        limit,
        kind,
        begun,
        begun + DELAYS[limit],
        begun + length * MINUTE if length is not None else None,
        certainty,
        (out if out is not None else length or 60) * MINUTE,
        1.0,
        9.0,
        1,
    )


def distinct(found: list[Breach]) -> tuple[Breach, ...]:
    return tuple({(b.limit_key, b.started_at): b for b in found}.values())


breaches = st.lists(
    st.builds(
        breach,
        st.integers(0, 500),
        st.none() | st.integers(60, 300),
        st.sampled_from(sorted(DELAYS)),
        certainty=st.sampled_from(["proven", "uncertain", "unproven"]),
    ),
    max_size=5,
).map(distinct)


class Standing:
    """What a database would hold after each answer of the judge."""

    def __init__(self) -> None:
        self.rows: dict[int, KnownExcursion] = {}
        self._ids = count(1)

    def sync(self, said: tuple[Breach, ...]) -> bool:
        change = excursion_changes(list(self.rows.values()), said, DELAYS)
        for known in change.superseded:
            del self.rows[known.id]
        for known, b in change.updated:
            self.rows[known.id] = self._row(known.id, b, known.accepted_before)
        for opening in change.opened:
            number = next(self._ids)
            self.rows[number] = self._row(number, opening.breach, opening.accepted_before)
        return bool(change)

    @staticmethod
    def _row(number: int, b: rules.Breach, before: timedelta) -> KnownExcursion:
        state = "open" if b.ended_at is None else "ended"
        return KnownExcursion(
            number,
            b.limit_key,
            b.started_at,
            b.broke_at,
            b.ended_at,
            b.certainty,
            b.out,
            b.lowest,
            b.highest,
            state,
            before,
            None,
            b.zone_id,
        )

    def says(self) -> set[tuple[object, ...]]:
        return {(k.limit_key, k.started_at, k.broke_at, k.ended_at, k.certainty, k.out) for k in self.rows.values()}


@given(st.lists(breaches, max_size=5), breaches)
def test_what_stands_is_what_the_data_say_whatever_they_said_before(
    history: list[tuple[Breach, ...]], last: tuple[Breach, ...]
) -> None:
    standing = Standing()
    for said in history:
        standing.sync(said)
    standing.sync(last)
    assert standing.says() == {(b.limit_key, b.started_at, b.broke_at, b.ended_at, b.certainty, b.out) for b in last}
    assert not standing.sync(last), "a second time changes nothing"


PROVEN, UNPROVEN = CERTAINTY_RANK["proven"], CERTAINTY_RANK["unproven"]


@given(st.integers(0, 400), st.integers(0, 400))
def test_a_further_breach_is_one_delay_beyond_what_was_accepted(accepted: int, out: int) -> None:
    found = breaks_further(breach(0, None, out=out), AcceptedCount(accepted * MINUTE, PROVEN), 60 * MINUTE)
    assert found == (out >= accepted + 60)


@given(st.integers(0, 400), st.integers(0, 400))
def test_proof_of_more_than_was_accepted_unproven_is_a_further_breach(accepted: int, out: int) -> None:
    found = breaks_further(breach(0, None, out=out), AcceptedCount(accepted * MINUTE, UNPROVEN), 60 * MINUTE)
    assert found == (out > accepted)


def test_an_instant_limit_breaks_further_only_if_it_grew() -> None:
    for out, expected in ((10, False), (9, False), (11, True)):
        grown = breach(0, None, "cold", "instant", out)
        assert breaks_further(grown, AcceptedCount(10 * MINUTE, PROVEN), timedelta(0)) is expected


def signed(start: int, end: int, accepted: int, limit: str = "warm") -> KnownExcursion:
    begun, over = DAY + start * MINUTE, DAY + end * MINUTE
    return KnownExcursion(
        1,
        limit,
        begun,
        begun,
        over,
        "proven",
        (end - start) * MINUTE,
        1.0,
        9.0,
        "dispositioned",
        timedelta(0),
        accepted * MINUTE,
    )


def test_a_signed_run_answers_for_its_run_and_no_other() -> None:
    known = signed(0, 80, 80)
    assert not excursion_changes([known], [breach(0, 80)], DELAYS)
    assert not excursion_changes([known], [breach(-20, 110)], DELAYS)  # the same run, known better: 110 < 80 + 60
    assert excursion_changes([known], [breach(-20, 160)], DELAYS).opened[0].accepted_before == 80 * MINUTE
    # half-open: what begins where the signed one ends is another run
    assert excursion_changes([known], [breach(80, 60)], DELAYS).opened[0].accepted_before == timedelta(0)
    assert not excursion_changes([known], [], DELAYS), "a signed disposition stands whatever later data say"


def test_a_cumulative_count_is_one_run_for_ever() -> None:
    first, later = signed(0, 80, 80), breach(900, 30, kind="cumulative", out=110)
    assert same_run(first, later)
    assert not excursion_changes([first], [later], DELAYS)


@pytest.mark.parametrize(
    ("state", "ended", "was", "now", "stands"),
    [
        ("assessed", None, ("unproven", 60), ("unproven", 90), True),  # the silence goes on
        ("assessed", None, ("proven", 80), ("proven", 80), True),  # nothing was read since
        ("assessed", None, ("proven", 80), ("proven", 90), False),  # read again, and still warm
        ("assessed", None, ("uncertain", 80), ("uncertain", 81), False),
        ("assessed", None, ("unproven", 60), ("uncertain", 60), False),
        ("assessed", None, ("unproven", 60), ("proven", 60), False),
        ("assessed", 80, ("unproven", 60), ("unproven", 90), False),  # it was thought to be over
        ("ended", None, ("unproven", 60), ("unproven", 90), False),
        ("open", None, ("unproven", 60), ("unproven", 90), False),
    ],
)
def test_an_assessment_of_what_goes_on_stands_while_nothing_more_is_known(
    state: str, ended: int | None, was: tuple[Certainty, int], now: tuple[Certainty, int], stands: bool
) -> None:
    known = replace(
        signed(0, 80, 0),
        state=state,
        accepted=None,
        ended_at=None if ended is None else DAY + ended * MINUTE,
        certainty=was[0],
        out=was[1] * MINUTE,
    )
    assert assessment_stands(known, breach(0, None, out=now[1], certainty=now[0])) is stands


def test_a_moved_start_names_what_it_replaces() -> None:
    standing = Standing()
    standing.sync((breach(10, 90),))
    (old,) = standing.rows
    change = excursion_changes(list(standing.rows.values()), [breach(0, 100), breach(300, 60)], DELAYS)
    assert [opening.replaces_id for opening in change.opened] == [old, None]
    assert [known.id for known in change.superseded] == [old]


def unsigned(start: int, end: int) -> KnownExcursion:
    return replace(signed(start, end, 0), state="assessed", accepted=None)


def test_what_was_signed_for_every_part_is_signed_for_the_merger() -> None:
    """3 is merged of 1 and 2, and 4 is split off from it."""
    run = breach(0, 80)

    def accepted(one: list[KnownExcursion], two: list[KnownExcursion]) -> timedelta | None:
        parts = {3: (OriginPart(1, tuple(one)), OriginPart(2, tuple(two))), 4: (OriginPart(3, ()),)}
        found = accepted_count([], run, Origin(4, parts))
        return found.out if found else None

    assert accepted([signed(0, 80, 80)], []) == 80 * MINUTE, "the other went through nothing"
    assert accepted([signed(0, 80, 80)], [signed(0, 80, 70)]) == 70 * MINUTE
    assert accepted([signed(0, 80, 80)], [unsigned(0, 80)]) is None
    assert accepted([signed(200, 280, 80)], []) is None, "that was another run"


def test_goods_split_and_merged_again_and_again_are_asked_of_once_each() -> None:
    parts: dict[int, tuple[OriginPart, ...]] = {
        2 * n + 3: (OriginPart(2 * n + 1, ()), OriginPart(2 * n + 2, ())) for n in range(60)
    }
    parts |= {2 * n + 2: (OriginPart(2 * n + 1, ()),) for n in range(60)}
    parts[3] = (OriginPart(1, (signed(0, 80, 80),)), OriginPart(2, (signed(0, 80, 80),)))
    found = accepted_count([], breach(0, 80), Origin(121, parts))
    assert found == AcceptedCount(80 * MINUTE, PROVEN)
