"""Every plan, from whichever way, holds: the checker finds nothing, whatever the problem."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.erp.scheduling import formats
from core.erp.scheduling.planner.checker import check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.dispatch import ATC, EDD, Dispatch
from core.erp.scheduling.planner.explain import Reasons, relaxed, worth
from core.erp.scheduling.planner.improve import Limits
from core.erp.scheduling.planner.objective import moved
from core.erp.scheduling.planner.plan import Plan, Planner
from core.erp.scheduling.planner.repair import in_order, keys_of
from core.erp.scheduling.planner.search import made_by
from core.erp.scheduling.planner.soundness import sound
from core.erp.scheduling.problem import (
    After,
    Blocked,
    Crew,
    Fixed,
    Machine,
    Mode,
    Need,
    Operation,
    Order,
    Problem,
    Setup,
    Shift,
    Store,
    Supply,
    Window,
)
from tests.rules.schedule_problems import problem

SEEDS = st.integers(0, 1 << 30)
QUICK = Limits(seconds=60, turns=3)
FT06 = """# Fisher and Thompson 6x6
6 6
2  1  0  3  1  6  3  7  5  3  4  6
1  8  2  5  4 10  5 10  0 10  3  4
2  5  3  4  5  8  0  9  1  1  4  7
1  5  0  5  2  5  3  3  4  8  5  9
2  9  1  3  4  5  5  4  0  3  3  1
1  3  3  3  5  9  0 10  4  4  2  1
"""
FLEXIBLE = """2 2 1.5
2 1 1 3 2 1 4 2 2
1 2 1 5 2 5
"""


def last(planner: Planner) -> Plan:
    """The best plan of a run."""
    *_, found = planner.plans()
    return found


@given(SEEDS, st.sampled_from((EDD, *ATC)))
def test_what_a_rule_makes_holds_and_nothing_is_left_out(seed: int, rule: object) -> None:
    given_problem = problem(seed)
    assert not [one for one in sound(given_problem).findings if not one.planned]
    run = Dispatch(Compiled(given_problem), rule)  # type: ignore[arg-type]  # drawn from rules
    placed = run.run().placed()
    assert not run.impossible
    assert check(given_problem, placed) == []


@given(SEEDS)
def test_the_order_of_a_plan_gives_the_plan_again(seed: int) -> None:
    compiled = Compiled(problem(seed))
    placed = made_by(compiled, ATC[0]).placed
    again = in_order(compiled, *keys_of(compiled, placed))
    assert not again.impossible
    assert check(compiled.problem, again.board.placed()) == []


@given(SEEDS)
def test_better_plans_hold_cost_less_and_are_the_same_for_a_seed(seed: int) -> None:
    given_problem = problem(seed)
    plans = list(Planner(given_problem, QUICK, seed).plans())
    costs = [one.cost.total for one in plans]
    assert costs == sorted(costs, reverse=True)
    assert last(Planner(given_problem, QUICK, seed)).placed == plans[-1].placed


@given(SEEDS, st.integers(0, 3), st.integers(0, 150))
def test_after_an_event_the_plan_holds_and_what_is_frozen_stays_unless_it_cannot(
    seed: int, event: int, frozen: int
) -> None:
    before = problem(seed)
    published = made_by(Compiled(before), EDD).placed
    dice = random.Random(seed)
    after = replace(before, published=published, frozen=frozen)
    untouched = {one.operation for one in published if one.start < frozen}
    if event == 1:
        down = dice.choice(before.machines[:3])
        closed = (*down.closed, Window(0, 60, "down"))
        after = replace(
            after, machines=tuple(replace(one, closed=closed) if one is down else one for one in after.machines)
        )
    elif event == 2:
        held = dice.choice(before.orders).id
        after = replace(
            after,
            orders=tuple(one for one in after.orders if one.id != held),
            operations=tuple(one for one in after.operations if one.order != held),
        )
        untouched = {name for name in untouched if not name.startswith(f"{held}/")}
    elif event == 3:
        new = Order("new", 60, 9)
        step = Operation("new/mix", "new", (Mode("mix", 10),), family="nut")
        after = replace(after, orders=(*after.orders, new), operations=(*after.operations, step))
    plan = next(Planner(after, Limits(turns=1), seed).plans())
    assert check(after, plan.placed, partial=bool(plan.findings)) == []
    if event in {0, 2, 3}:
        stands = {one.operation: one for one in plan.placed}
        first = tuple(one for one in published if one.operation in untouched)
        if event == 0:
            assert moved(replace(after, published=first), stands) == 0


def test_a_longest_lag_pulls_the_step_before_to_the_step_behind() -> None:
    tight = Problem(
        machines=(Machine("a"), Machine("b", closed=(Window(0, 100, "down"),))),
        orders=(Order("o", 200),),
        operations=(
            Operation("1", "o", (Mode("a", 10),)),
            Operation("2", "o", (Mode("b", 10),), (After("1", 0, 5),)),
        ),
    )
    placed = {one.operation: one for one in last(Planner(tight, QUICK)).placed}
    assert (placed["1"].start, placed["2"].start) == (85, 100)


def test_fefo_takes_what_expires_first_and_never_what_is_expired() -> None:
    supplies = (Supply("old", "i", 1, 0, 5), Supply("next", "i", 1, 0, 50), Supply("new", "i", 1, 0, 500))
    steps = tuple(Operation(f"{n}", f"o{n}", (Mode("a", 10),), needs=(Need("i", 1),)) for n in range(3))
    made = Problem((Machine("a"),), tuple(Order(f"o{n}", n) for n in range(3)), steps, supplies=supplies)
    placed = last(Planner(made, QUICK)).placed
    assert [one.used[0][0] for one in placed] == ["old", "next", "new"]
    late = replace(made, operations=made.operations[:1], orders=(Order("o0", 10, release=20),))
    assert last(Planner(late, QUICK)).placed[0].used == (("next", 1),)


def test_what_fits_one_batch_is_done_in_one_run() -> None:
    steps = tuple(Operation(f"{n}", f"o{n}", (Mode("oven", 30),), batch="hot", size=2) for n in range(3))
    made = Problem((Machine("oven", batch=4),), tuple(Order(f"o{n}", 30) for n in range(3)), steps)
    assert sorted(one.start for one in last(Planner(made, QUICK)).placed) == [0, 0, 30]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("no_machine", {"modes": (Mode("nowhere", 5),)}),
        ("no_time", {"modes": (Mode("a", 0),)}),
        ("no_time", {"modes": (Mode("a", -3),)}),
        ("no_opening", {"modes": (Mode("shut", 5),)}),
        ("no_order", {"order": "other"}),
        ("no_predecessor", {"after": (After("missing"),)}),
        ("cycle", {"after": (After("y/1"),)}),
        ("no_crew", {"skill": "magic"}),
        ("no_crew", {"skill": "filling", "people": 3}),
        ("no_material", {"needs": (Need("i", 9),)}),
        ("no_store", {"store": "none"}),
        ("batch_too_big", {"modes": (Mode("oven", 5),), "batch": "hot", "size": 9}),
        ("lag", {"after": (After("z/1", 9, 3),)}),
    ],
)
def test_what_cannot_be_planned_is_said_with_its_order_and_the_rest_is_planned(
    kind: str, change: dict[str, object]
) -> None:
    bad = replace(Operation("x/1", "x", (Mode("a", 5),)), **change)
    waits = Operation("y/1", "y", (Mode("a", 5),), (After("x/1"),) if kind != "no_order" else ())
    fine = Operation("z/1", "z", (Mode("a", 5),))
    made = Problem(
        machines=(Machine("a"), Machine("shut", closed=(Window(0, 1 << 41),)), Machine("oven", batch=4)),
        orders=(Order("x", 50), Order("y", 50), Order("z", 50)),
        operations=(bad, waits, fine),
        crews=(Crew("c", ("filling",), (Shift(0, 100, 2),)),),
        stores=(Store("fridge", 1),),
        supplies=(Supply("s", "i", 1),),
    )
    plan = last(Planner(made, QUICK))
    said = {one.order: one.kind for one in plan.findings if not one.planned}
    assert said[bad.order if kind == "no_order" else "x"] == kind
    assert [one.operation for one in plan.placed if one.operation == "z/1"] == ["z/1"]
    assert not any(one.operation == "x/1" for one in plan.placed)


def test_two_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="machine a"):
        sound(Problem((Machine("a"), Machine("a")), (), ()))


def test_a_receipt_after_the_due_date_is_said_and_planned() -> None:
    step = Operation("1", "o", (Mode("a", 5),), needs=(Need("i", 1),))
    made = Problem((Machine("a"),), (Order("o", 10),), (step,), supplies=(Supply("s", "i", 1, 40),))
    plan = last(Planner(made, QUICK))
    assert [(one.kind, one.planned) for one in plan.findings] == [("receipt_after_due", True)]
    assert plan.placed[0].start == 40


@given(SEEDS)
def test_every_late_order_has_a_reason(seed: int) -> None:
    plan = last(Planner(problem(seed), Limits(turns=1)))
    assert all(why.cause is not None for why in Reasons(plan.problem, plan.placed).late())


def one_step(**of: object) -> Problem:
    """An order of one step of 5 on machine a, due at 10."""
    step = {name: of.pop(name) for name in ("needs", "skill") if name in of}
    operation = replace(Operation("1", "o", (Mode("a", 5),)), **step)
    return replace(Problem((Machine("a"),), (Order("o", 10),), (operation,)), **of)


CAUSES = {
    "material": one_step(needs=(Need("i", 1),), supplies=(Supply("s", "i", 1, 40),)),
    "closed": one_step(machines=(Machine("a", closed=(Window(0, 40, "down"),)),)),
    "crew": one_step(skill="s", crews=(Crew("c", ("s",), (Shift(40, 90, 1),)),)),
    "machine": one_step(
        orders=(Order("p", 1, 99), Order("o", 10)),
        operations=(Operation("0", "p", (Mode("a", 40),)), Operation("1", "o", (Mode("a", 5),))),
    ),
    "release": one_step(orders=(Order("o", 10, 1, 40),)),
}


@pytest.mark.parametrize(("kind", "made"), CAUSES.items())
def test_the_cause_is_named_and_taking_it_away_frees_the_order(kind: str, made: Problem) -> None:
    plan = last(Planner(made, QUICK))
    why = Reasons(made, plan.placed).why("o")
    assert why.late == 35
    assert why.cause is not None
    assert why.cause.kind == kind
    assert worth(made, why)[0].earlier >= 35 - 5 * (kind == "machine")
    assert relaxed(made, why.cause, 1000) != made


def test_a_known_job_shop_is_solved_to_its_proven_optimum() -> None:
    plan = last(Planner(formats.job_shop(FT06), Limits(seconds=60)))
    assert (plan.cost.makespan, plan.optimal) == (55, True)


def test_a_flexible_job_shop_is_read_and_solved() -> None:
    shop = formats.flexible(FLEXIBLE)
    assert [mode.machine for mode in shop.operations[1].modes] == ["m1", "m2"]
    plan = last(Planner(shop, Limits(seconds=60)))
    assert (plan.cost.makespan, plan.optimal) == (7, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no line with numbers"),
        ("2 2\n0 1 1 2\n", "2 jobs are announced, 1 are there"),
        ("1 2\n0 1 1\n", "job 1: a machine without its time"),
        ("1 2\n0 1 7 2\n", "there is no machine 7"),
        ("1 x\n", "line 1"),
    ],
)
def test_a_broken_job_shop_is_refused_with_the_place(content: str, words: str) -> None:
    with pytest.raises(formats.BadProblem, match=words):
        formats.job_shop(content)


def test_a_problem_survives_its_file_and_a_broken_one_names_its_field() -> None:
    made = problem(3)
    assert formats.from_json(formats.to_json(made)) == made
    with pytest.raises(formats.BadProblem, match="ticks"):
        formats.from_json(formats.to_json(made).replace(b'"ticks": ', b'"ticks": "x", "y": ', 1))


def test_a_plan_goes_to_csv_and_to_a_calendar() -> None:
    made = replace(problem(3), start=datetime(2027, 3, 1, 6, tzinfo=UTC))
    plan = last(Planner(made, Limits(turns=1)))
    lines = formats.plan_csv(made, plan.placed).splitlines()
    assert len(lines) == len(plan.placed) + 1
    assert lines[1].split(",")[4].startswith("2027-03-0")
    calendar = formats.plan_calendar(made, plan.placed, "oven")
    assert calendar.count("BEGIN:VEVENT") == sum(one.machine == "oven" for one in plan.placed)
    with pytest.raises(formats.BadProblem, match="start"):
        formats.plan_calendar(problem(3), plan.placed)


def test_change_over_is_kept_between_families() -> None:
    setups = (Setup("a", "b", 7), Setup("b", "a", 3))
    steps = tuple(Operation(f, f, (Mode("m", 10),), family=f) for f in ("a", "b"))
    made = Problem((Machine("m", setups=setups, family="a"),), (Order("a", 30), Order("b", 30)), steps)
    placed = {one.operation: (one.start, one.setup) for one in last(Planner(made, QUICK)).placed}
    assert placed == {"a": (0, 0), "b": (17, 7)}


@given(SEEDS, st.integers(0, 40), st.sampled_from((0, 40, 200)))
def test_a_pin_or_what_has_begun_never_breaks_a_plan(seed: int, later: int, frozen: int) -> None:
    before = problem(seed)
    published = made_by(Compiled(before), EDD).placed
    dice = random.Random(seed)
    name = dice.choice(published)
    fixed = Fixed(name.machine, name.start + later)
    begun = Fixed(name.machine, 0, 5, "started")
    change = {"fixed": begun, "after": ()} if later % 2 else {"fixed": fixed}
    operations = tuple(replace(one, **change) if one.id == name.operation else one for one in before.operations)
    after = replace(before, operations=operations, published=published, frozen=frozen)
    plan = next(Planner(after, Limits(turns=1), seed).plans())
    stands = {one.operation: one for one in plan.placed}
    let_go = any(one.kind == "pin" for one in plan.findings)
    if any(name.operation.startswith(f"{one.order}/") and not one.planned for one in plan.findings):
        return  # what follows it can no longer be done in time: the order is said
    if later % 2:
        assert (stands[name.operation].start, stands[name.operation].end) == (0, 5)
    elif not let_go and name.operation in stands:
        assert stands[name.operation].start == fixed.start


def only(*operations: Operation, **of: object) -> Problem:
    """Operations on machines a and b, each order due at 50."""
    orders = tuple(Order(name, 50) for name in sorted({one.order for one in operations}))
    return replace(Problem((Machine("a"), Machine("b")), orders, operations), **of)


def planned(made: Problem, limits: Limits = QUICK) -> dict[str, tuple[int, int]]:
    return {one.operation: (one.start, one.end) for one in last(Planner(made, limits)).placed}


def test_a_tie_that_encloses_another_orders_step_ends() -> None:
    first = Operation("a1", "A", (Mode("a", 5),))
    between = Operation("b1", "B", (Mode("b", 5),), (After("a1"),))
    tied = Operation("a2", "A", (Mode("a", 5),), (After("a1", 0, 100), After("b1")))
    behind = Operation("c", "C", (Mode("b", 5),), (After("a2"),))
    assert planned(only(first, between, tied, behind)) == {"a1": (0, 5), "b1": (5, 10), "a2": (10, 15), "c": (15, 20)}


def test_what_is_called_optimal_is_never_worse_and_may_end_later() -> None:
    steps = (Operation("1", "A", (Mode("a", 10),)), Operation("2", "B", (Mode("a", 3),)))
    made = only(*steps, orders=(Order("A", 100), Order("B", 5, 100, 2)))
    plan = last(Planner(made, Limits(60)))
    assert (plan.cost.total, {one.operation: one.start for one in plan.placed}) == (0, {"2": 2, "1": 5})
    heavy = only(
        Operation("1", "A", (Mode("a", 2),)),
        Operation("2", "B", (Mode("a", 4),)),
        orders=(Order("A", 1000, 100), Order("B", 4)),
    )
    assert last(Planner(heavy, Limits(60))).cost.total == 0


@given(SEEDS)
def test_windows_hold_where_some_have_no_family(seed: int) -> None:
    dice = random.Random(seed)
    steps = [
        Operation(f"{n}", f"o{n}", (Mode("a", dice.randint(2, 9)),), family=dice.choice((None, "x", "y")), pauses=True)
        for n in range(10)
    ]
    orders = tuple(Order(f"o{n}", dice.randint(5, 60), dice.randint(1, 5)) for n in range(10))
    made = only(*steps, orders=orders, machines=(Machine("a", change_over=15),))
    plans = list(Planner(made, Limits(60, 6), seed).plans())
    assert check(made, plans[-1].placed) == []


def test_nothing_to_plan_is_an_empty_plan() -> None:
    assert last(Planner(Problem((), (), ()))).placed == ()
    assert last(Planner(only(Operation("1", "o", ())))).placed == ()


def test_a_way_to_a_machine_that_is_not_there_is_no_way() -> None:
    assert planned(only(Operation("1", "o", (Mode("ghost", 1), Mode("a", 5))))) == {"1": (0, 5)}


def test_two_needs_of_one_item_are_one() -> None:
    step = Operation("1", "o", (Mode("a", 5),), needs=(Need("i", 2), Need("i", 3), Need("none", 0)))
    short = last(Planner(only(step, supplies=(Supply("s", "i", 3),))))
    assert [one.kind for one in short.findings] == ["no_material"]
    assert last(Planner(only(step, supplies=(Supply("s", "i", 5),)))).placed[0].used == (("s", 5),)


def test_tenths_of_a_supply_add_up() -> None:
    steps = [Operation(f"{n}", f"o{n}", (Mode("a", 5),), needs=(Need("i", 0.1),)) for n in range(3)]
    assert len(planned(only(*steps, supplies=(Supply("s", "i", 0.3),)))) == 3


def test_what_has_begun_before_now_goes_on() -> None:
    begun = Operation("1", "o", (Mode("a", 50),), fixed=Fixed("a", -10, 50, "started"))
    assert planned(only(begun, Operation("2", "p", (Mode("a", 5),)))) == {"1": (-10, 40), "2": (40, 45)}


def test_what_a_machine_that_closes_for_good_leaves_over_is_said() -> None:
    steps = [Operation(name, name, (Mode("a", 10),)) for name in ("x", "y", "z")]
    plan = last(Planner(only(*steps, machines=(Machine("a", closed=(Window(20, 1 << 40),)),))))
    assert len(plan.placed) == 2
    assert [one.kind for one in plan.findings] == ["no_opening"]


def test_another_machine_that_cannot_do_it_does_not_make_it_impossible() -> None:
    step = Operation("1", "o", (Mode("a", 5), Mode("b", 5)), skill="s")
    machines = (Machine("a"), Machine("b", closed=(Window(0, 1 << 40),)))
    assert planned(only(step, machines=machines, crews=(Crew("c", ("s",), (Shift(100, 200, 1),)),))) == {
        "1": (100, 105)
    }


def test_only_what_takes_the_same_joins_a_batch() -> None:
    oven = (Machine("a", batch=4),)
    hot = Operation("1", "o", (Mode("a", 10),), batch="hot")
    late = replace(hot, id="2", order="p", needs=(Need("i", 1),))
    skilled = replace(hot, id="3", order="q", skill="s")
    crews = (Crew("c", ("s",), (Shift(0, 500, 1),)),)
    made = only(hot, late, skilled, machines=oven, supplies=(Supply("s", "i", 1, 30),), crews=crews)
    assert sorted(planned(made).values()) == [(0, 10), (10, 20), (30, 40)]


def test_goods_that_two_steps_wait_for_take_room_once() -> None:
    first = Operation("1", "o", (Mode("a", 5),), store="fridge")
    second, third = (Operation(name, "o", (Mode("a", 5),), (After("1", 5),)) for name in ("2", "3"))
    made = only(first, second, third, stores=(Store("fridge", 1),))
    assert planned(made) == {"1": (0, 5), "2": (10, 15), "3": (15, 20)}


def test_a_blocked_order_is_never_planned() -> None:
    steps = (Operation("1", "o", (Mode("a", 5),)), Operation("2", "p", (Mode("a", 5),)))
    assert planned(only(*steps, blocked=(Blocked("o", "held", ("sublot:1",)),))) == {"2": (0, 5)}


def test_a_receipt_counts_when_enough_of_it_is_there() -> None:
    step = Operation("1", "o", (Mode("a", 5),), needs=(Need("i", 2),))
    plan = last(Planner(only(step, supplies=(Supply("s", "i", 1), Supply("t", "i", 1, 60)))))
    assert [one.kind for one in plan.findings] == ["receipt_after_due"]
