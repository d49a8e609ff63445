"""The steps of a deadline: warnings before, one when it is due, escalations behind; in order, none in vain."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.calendars.rules import STANDARD_WEEK, Count, CountUnit, days, read_calendar, working_days
from core.erp.kernel.deadlines.rules import (
    FIRST_WAIT,
    LONGEST_WAIT,
    Escalation,
    Planned,
    StepKind,
    late_by,
    plan,
    wait_after,
)

BERLIN = read_calendar("Europe/Berlin", STANDARD_WEEK, {"2026-04-03": [], "2026-04-06": []})
DUE = datetime(2026, 6, 30, 22, tzinfo=UTC)  # the end of June there
WARN, AT_DUE, ESCALATE = StepKind.WARN, StepKind.DUE, StepKind.ESCALATE
WARNINGS = (days(90), days(30))


def test_each_warning_is_at_its_time_over_a_change_of_clocks() -> None:
    steps = plan(BERLIN, DUE, DUE - timedelta(days=200), WARNINGS, (Escalation(working_days(3), "user.manage"),))
    assert steps == (
        Planned(WARN, datetime(2026, 4, 1, 22, tzinfo=UTC)),
        Planned(WARN, datetime(2026, 5, 31, 22, tzinfo=UTC)),
        Planned(AT_DUE, DUE),
        Planned(ESCALATE, datetime(2026, 7, 3, 22, tzinfo=UTC), "user.manage"),
    )
    winter = plan(BERLIN, datetime(2026, 4, 30, 22, tzinfo=UTC), DUE - timedelta(days=200), (days(60),), ())
    assert winter[0].at == datetime(2026, 3, 1, 23, tzinfo=UTC)  # midnight there, by the clocks of winter


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (timedelta(days=100), [-90, -30]),
        (timedelta(days=60), [-60, -30]),  # the first has passed: told at once, in its stead
        (timedelta(days=10), [-10]),  # both have passed: told once
        (timedelta(days=90), [-90, -30]),
        (timedelta(0), []),
        (timedelta(days=-1), []),
    ],
)
def test_warnings_that_have_passed_when_it_begins(before: timedelta, expected: list[int]) -> None:
    due = datetime(2026, 12, 31, 23, tzinfo=UTC)
    steps = plan(BERLIN, due, due - before, (days(30), days(90), days(30)), ())
    warned = [round((one.at - due) / timedelta(days=1)) for one in steps if one.kind is WARN]
    assert warned == expected
    assert [one.at for one in steps if one.kind is AT_DUE] == [due]


COUNTS = st.builds(Count, st.integers(0, 200), st.sampled_from(list(CountUnit)))
INSTANTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(INSTANTS, INSTANTS, st.lists(COUNTS, max_size=5), st.lists(COUNTS, max_size=5))
def test_steps_are_in_order_and_none_lies_in_the_past(
    due: datetime, now: datetime, warnings: list[Count], escalations: list[Count]
) -> None:
    steps = plan(BERLIN, due, now, warnings, [Escalation(one, "user.manage") for one in escalations])
    assert [one.at for one in steps] == sorted(one.at for one in steps)
    kinds = [one.kind for one in steps]
    assert kinds == sorted(kinds, key=list(StepKind).index)
    assert kinds.count(AT_DUE) == 1
    assert kinds.count(ESCALATE) == len(escalations)
    warned = [one.at for one in steps if one.kind is WARN]
    assert all(now <= at < due for at in warned)
    assert len(set(warned)) == len(warned) <= len(warnings)


def test_lateness_and_patience() -> None:
    assert late_by(DUE, DUE - timedelta(1)) == late_by(DUE, DUE) == timedelta(0)
    assert late_by(DUE, DUE + timedelta(7)) == timedelta(7)
    waits = [wait_after(failures) for failures in range(1, 40)]
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (FIRST_WAIT, 2 * FIRST_WAIT, LONGEST_WAIT)
