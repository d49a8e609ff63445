"""Life cycles on a real PostgreSQL: what may not be, many moves at once, and the second person.

The forbidden moves are written by hand: taken from the life cycles they would only show that a table equals itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import Forbidden, IllegalMove, Invalid, NotFound, Refused
from core.erp.kernel.events import Events
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, Unit, system, unit
from core.erp.kernel.workflow import Move, Workflow
from core.erp.production.model import WorkOrderOperation
from core.erp.production.workflow import OPERATION
from core.erp.shipments.model import FieldAction, ShipmentLine, ShipmentLogger
from core.erp.shipments.workflow import FIELD_ACTION, LINE, LOGGER

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PICKER = Actor("wanda", frozenset({Role.WAREHOUSE}), 1)
OTHER = Actor("willi", frozenset({Role.WAREHOUSE}), 2)

ROWS = {
    "zone_alarm": "zone_id = 1, kind = 'high', started_at = now(), raised_at = now(), suppressed = false, "
    "out_of_service = false",
    "shipment_line": "shipment_id = 1, sublot_id = 1, amount = 1",
    "shipment_logger": "shipment_id = 1, serial = 'R-1'",
    "field_action": "excursion_id = 1, sublot_id = 1, happened_at = now(), known_at = now(), deadline = now()",
    "work_order_operation": "order_id = 1, number = 1, name = 'fill', work_centre_id = 1, alternatives = '{}', "
    "duration = interval '0'",
}
BEGINS_NOT = [
    ("zone_alarm", "normal"),
    ("zone_alarm", "acknowledged"),
    ("shipment_line", "picked"),
    ("shipment_line", "shipped"),
    ("shipment_logger", "read"),
    ("field_action", "closed"),
    ("work_order_operation", "running"),
    ("work_order_operation", "done"),
]
BECOMES_NOT = [
    ("zone_alarm", "normal", "unacknowledged"),
    ("zone_alarm", "normal", "acknowledged"),
    ("zone_alarm", "acknowledged", "unacknowledged"),
    ("zone_alarm", "acknowledged", "returned_unacknowledged"),
    ("zone_alarm", "returned_unacknowledged", "acknowledged"),
    ("zone_alarm", "unacknowledged", "normal"),
    ("shipment_line", "picked", "planned"),
    ("shipment_line", "shipped", "planned"),
    ("shipment_line", "shipped", "put_back"),
    ("shipment_line", "put_back", "picked"),
    ("shipment_line", "put_back", "shipped"),
    ("shipment_logger", "read", "required"),
    ("shipment_logger", "read", "waived"),
    ("shipment_logger", "waived", "required"),
    ("shipment_logger", "waived", "read"),
    ("field_action", "closed", "open"),
    ("work_order_operation", "waiting", "done"),
    ("work_order_operation", "done", "running"),
    ("work_order_operation", "done", "waiting"),
]
MOVES_NOT: list[tuple[Workflow, Any, str, str]] = [
    (LINE, ShipmentLine, "picked", "pick"),
    (LINE, ShipmentLine, "shipped", "pick"),
    (LINE, ShipmentLine, "shipped", "ship"),
    (LINE, ShipmentLine, "shipped", "put_back"),
    (LINE, ShipmentLine, "put_back", "pick"),
    (LINE, ShipmentLine, "put_back", "ship"),
    (LINE, ShipmentLine, "put_back", "put_back"),
    (LOGGER, ShipmentLogger, "read", "read"),
    (LOGGER, ShipmentLogger, "read", "waive"),
    (LOGGER, ShipmentLogger, "waived", "read"),
    (LOGGER, ShipmentLogger, "waived", "waive"),
    (FIELD_ACTION, FieldAction, "closed", "close"),
    (OPERATION, WorkOrderOperation, "waiting", "finish"),
    (OPERATION, WorkOrderOperation, "waiting", "interrupt"),
    (OPERATION, WorkOrderOperation, "running", "start"),
    (OPERATION, WorkOrderOperation, "done", "start"),
    (OPERATION, WorkOrderOperation, "done", "finish"),
    (OPERATION, WorkOrderOperation, "done", "interrupt"),
]


@contextmanager
def acting(engine: Engine, actor: Actor = PICKER) -> Iterator[Unit]:
    with unit(engine, actor, Events(), NOON) as u:
        yield u


def insert(table: str, state: str) -> str:
    """A row of the table in that state."""
    given = dict(one.split(" = ", 1) for one in f"{ROWS[table]}, state = '{state}'".split(", "))
    return f"INSERT INTO {table} ({', '.join(given)}) VALUES ({', '.join(given.values())})"


def sqlstate(engine: Engine, sql: str) -> str | None:
    """The SQLSTATE by which the database refuses a statement; None where it does not."""
    try:
        with engine.begin() as conn:
            conn.execute(text(sql))
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", None))
    return None


def test_the_database_lets_no_row_begin_in_the_middle(engine: Engine) -> None:
    for table, state in BEGINS_NOT:
        assert sqlstate(engine, insert(table, state)) == "LW003", f"a {table} begins as {state}"


@pytest.mark.as_owner
def test_the_database_lets_no_row_go_a_way_that_there_is_not(engine: Engine) -> None:
    for table, state, target in BECOMES_NOT:
        with engine.begin() as conn:
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            conn.execute(text("ALTER TABLE shipment_logger DROP CONSTRAINT IF EXISTS shipment_logger_check"))
            conn.execute(text(f"DELETE FROM {table}"))
            conn.execute(text(insert(table, state)))
        assert sqlstate(engine, f"UPDATE {table} SET state = '{target}'") == "LW003", f"{table}: {state} > {target}"


@pytest.mark.parametrize(("cycle", "model", "state", "move"), MOVES_NOT)
def test_forbidden_moves(cycle: Workflow, model: Any, state: str, move: str) -> None:
    with pytest.raises(IllegalMove) as refused:
        cycle.apply(None, model(id=1, state=state), move, reason="try")  # type: ignore[arg-type] # it comes to no unit
    assert refused.value.extra["state"] == state


@pytest.fixture
def lines(engine: Engine) -> list[int]:
    """Five planned lines."""
    with engine.begin() as conn:
        many = text(f"{insert('shipment_line', 'planned')} RETURNING id")
        return [conn.execute(many).scalar_one() for _ in range(5)]


def states(engine: Engine) -> list[str]:
    with engine.connect() as conn:
        return list(conn.scalars(text("SELECT state FROM shipment_line ORDER BY id")))


def audit_rows(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as conn:
        audit = text("SELECT action, entity_id, actor, before, after, reason FROM audit ORDER BY id")
        return [tuple(row) for row in conn.execute(audit)]


def test_many_make_a_move_at_once_and_each_is_told(engine: Engine, lines: list[int]) -> None:
    one, two, three, *_ = lines
    with acting(engine) as u:
        loaded = u.session.get_one(ShipmentLine, two)
        left = LINE.apply_many(u, ShipmentLine, [two, one, one], "pick", reason="asked for", also={two: {"box": 7}})
        assert left == {one: "planned", two: "planned"}
        assert loaded.state == "picked", "what is in memory says what the database says"
        assert LINE.apply_many(u, ShipmentLine, [], "pick") == {}
    with acting(engine) as u:
        assert LINE.apply_many(u, ShipmentLine, lines[1:3], "ship") == {two: "picked", three: "planned"}
    assert states(engine) == ["picked", "shipped", "shipped", "planned", "planned"]
    picked = {"state": "picked"}
    assert audit_rows(engine)[:2] == [
        ("shipment_line.pick", str(one), "wanda", {"state": "planned"}, picked, "asked for"),
        ("shipment_line.pick", str(two), "wanda", {"state": "planned"}, {**picked, "box": 7}, "asked for"),
    ]
    with engine.connect() as conn:
        topics = conn.execute(text("SELECT topic, key, payload FROM outbox ORDER BY id")).all()
    assert [tuple(row) for row in topics[1:3]] == [
        ("shipment_line.pick", str(two), {"from": "planned", "to": "picked", "reason": "asked for", "box": 7}),
        ("shipment_line.ship", str(two), {"from": "picked", "to": "shipped", "reason": None}),
    ]


def test_all_or_none_and_those_that_may_not_are_named(engine: Engine, lines: list[int]) -> None:
    with acting(engine) as u:
        LINE.apply_many(u, ShipmentLine, lines[:2], "ship")
    with pytest.raises(IllegalMove) as illegal, acting(engine) as u:
        LINE.apply_many(u, ShipmentLine, lines, "pick")
    assert illegal.value.extra["ids"] == lines[:2]
    with pytest.raises(IllegalMove) as illegal, acting(engine) as u:
        LINE.apply_many(u, ShipmentLine, lines[1:], "pick")
    assert illegal.value.extra["ids"] == lines[1:2]
    with pytest.raises(NotFound, match="999"), acting(engine) as u:
        LINE.apply_many(u, ShipmentLine, [*lines[2:], 999], "pick")
    with pytest.raises(Forbidden), acting(engine, Actor("quinn", frozenset({Role.QA}))) as u:
        LINE.apply_many(u, ShipmentLine, lines[2:], "put_back")
    assert states(engine) == ["shipped", "shipped", "planned", "planned", "planned"]
    assert len(audit_rows(engine)) == 2


def _small(u: Unit, line: Any) -> None:
    del u
    if line.amount < 1:
        raise Refused("shipments.no_legs", code=str(line.id))


PLANNED, PICKED = frozenset({"planned"}), frozenset({"picked"})
TWO = Workflow(
    "shipment_line",
    (
        Move("pick", PLANNED, "picked", permit="stock.pick", guard=_small),
        Move("ship", PICKED, "shipped", permit="stock.pick", second_person=True, reasoned=True),
        Move("put_back", PLANNED, "put_back", system=True),
    ),
    begins=("planned",),
)
"""A life cycle of two pairs of eyes, as the database lets it be."""


def create(engine: Engine, actor: Actor) -> int:
    with acting(engine, actor) as u:
        line = ShipmentLine(shipment_id=1, sublot_id=1, amount=Decimal(1))
        u.session.add(line)
        u.session.flush()
        u.audit("shipment_line.create", "shipment_line", line.id, after={"amount": 1})
        return line.id


def ship(engine: Engine, actor: Actor, line: int, *, many: bool = False) -> None:
    with acting(engine, actor) as u:
        if many:
            TWO.apply_many(u, ShipmentLine, [line], "ship", reason="looked at it")
        else:
            TWO.apply(u, u.get_one(ShipmentLine, line, lock=True), "ship", reason="looked at it")


def pick(engine: Engine, actor: Actor, line: int) -> None:
    with acting(engine, actor) as u:
        TWO.apply(u, u.get_one(ShipmentLine, line, lock=True), "pick")


@pytest.mark.parametrize("many", [False, True])
def test_a_second_person_has_neither_made_nor_changed_nor_moved_it(engine: Engine, *, many: bool) -> None:
    for who_makes, who_moves in ((PICKER, OTHER), (OTHER, PICKER)):
        line = create(engine, who_makes)
        pick(engine, who_moves, line)
        with pytest.raises(Forbidden, match="second person"):
            ship(engine, PICKER, line, many=many)
    line = create(engine, OTHER)
    pick(engine, OTHER, line)
    with acting(engine, PICKER) as u:
        u.audit("shipment_line.change", "shipment_line", line, before={"amount": 1}, after={"amount": 2})
    with acting(engine, OTHER) as u:
        u.audit("shipment_line.change", "shipment_line", line, before={"amount": 2}, after={"amount": 3})
    with pytest.raises(Forbidden, match="second person"):
        ship(engine, PICKER, line, many=many)


@pytest.mark.parametrize("many", [False, True])
def test_a_second_person_may_have_signed_or_looked_before(engine: Engine, *, many: bool) -> None:
    line = create(engine, OTHER)
    with acting(engine, PICKER) as u:
        u.audit("shipment_line.change", "shipment_line", line, after={"amount": 2})
    with acting(engine, Actor("third", frozenset({Role.WAREHOUSE}))) as u:
        u.audit("shipment_line.ship", "shipment_line", line, after={"state": "shipped"})  # and it came back
    pick(engine, OTHER, line)
    with acting(engine, PICKER) as u:
        u.audit("signature.sign", "shipment_line", line, after={"meaning": "read"})
    ship(engine, PICKER, line, many=many)


def test_nobody_is_their_own_second_person_within_one_transaction(engine: Engine) -> None:
    with acting(engine) as u:
        line = ShipmentLine(shipment_id=1, sublot_id=1, amount=Decimal(1))
        u.session.add(line)
        u.session.flush()
        TWO.apply(u, line, "pick")
        with pytest.raises(Forbidden, match="second person"):
            TWO.apply(u, line, "ship", reason="looked at it")


def test_a_signed_or_guarded_move_asks_for_all_it_says(engine: Engine, lines: list[int]) -> None:
    with engine.begin() as conn:
        conn.execute(text("UPDATE shipment_line SET amount = 0.5 WHERE id = :l"), {"l": lines[4]})
    with pytest.raises(Refused, match=f"shipment {lines[4]} has no leg"), acting(engine) as u:
        TWO.apply_many(u, ShipmentLine, lines, "pick")
    with acting(engine, OTHER) as u:
        TWO.apply_many(u, ShipmentLine, lines[:2], "pick")
    for reason in (None, " "):
        with pytest.raises(Invalid, match="reason"), acting(engine) as u:
            TWO.apply_many(u, ShipmentLine, lines[:2], "ship", reason=reason)
    ship(engine, PICKER, lines[0])
    assert states(engine)[:2] == ["shipped", "picked"]


def test_what_is_offered_goes_by_state_and_permit_and_never_the_systems(engine: Engine) -> None:
    del engine
    assert [move.name for move in TWO.available(PICKER, "planned")] == ["pick"]
    assert [move.name for move in TWO.available(PICKER, "picked")] == ["ship"]
    assert TWO.available(Actor("quinn", frozenset({Role.QA})), "planned") == []
    assert [move.name for move in TWO.available(system("judge"), "planned")] == ["pick"]
    assert TWO.available(PICKER, "shipped") == []
