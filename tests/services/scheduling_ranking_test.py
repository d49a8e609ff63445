"""In which order ready operations go; the database must rank them the same."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.erp.production import service as production
from core.erp.scheduling import service as scheduling
from core.erp.scheduling.rules import Ready, ranked
from tests.services.quality_plant import DAY, at, build

READY = st.builds(
    Ready,
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(0, 3).map(lambda h: DAY + timedelta(hours=h)),
    st.integers(0, 3),
)


@given(st.lists(READY, max_size=12, unique_by=(lambda r: r.operation_id, lambda r: (r.order_id, r.number))))
def test_the_order_does_not_depend_on_how_they_came(ready: list[Ready]) -> None:
    order = ranked(ready)
    assert order == ranked(reversed(ready))
    by_id = {r.operation_id: r for r in ready}
    for first, second in pairwise(by_id[number] for number in order):
        assert (first.due_at, first.priority) <= (second.due_at, second.priority)


def test_the_database_ranks_as_the_rule_does(engine: Engine) -> None:
    plant = build(engine)
    plant.do("pat", at("00:00"), production.create_work_centre, "FILL-1", "Fill")
    bom = plant.do(
        "pat",
        at("00:01"),
        production.create_bom,
        plant.items["kit"],
        Decimal(1),
        [(plant.items["label"], Decimal(1))],
        [production.Step(10, "fill", "FILL-1")],
    ).id
    labels = plant.goods("label", 1000)
    for index, (due, priority) in enumerate((("12:00", 5), ("09:00", 9), ("12:00", 1), ("09:00", 9), ("08:00", 99))):
        made = plant.do("pat", at("00:02"), production.plan, f"WO-{index}", bom, Decimal(1), at(due), priority=priority)
        plant.do("pat", at("00:03"), production.reserve, made.id, labels, Decimal(1))
        for move in ("check_material", "release"):
            plant.do("pat", at("00:04"), production.move_order, made.id, move)
    rows = plant.rows(
        "SELECT p.id, o.id, p.number, o.due_at, o.priority FROM work_order_operation p "
        "JOIN work_order o ON o.id = p.order_id"
    )
    listed = plant.do("pat", at("00:05"), scheduling.dispatch_list, "FILL-1")["entries"]
    assert [entry["operation_id"] for entry in listed] == ranked(Ready(*row) for row in rows)
    assert [entry["rank"] for entry in listed] == [1, 2, 3, 4, 5]
