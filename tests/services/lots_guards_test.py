"""What plain SQL may not do to stock, whoever runs it: written by hand (design, rules 1, 3 and 4)."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import Conflict, Invalid, NotFound, Refused
from core.erp.lots import service as lots
from tests.services.lots_world import NOON, World, build
from tests.world import RELEASE

_MOVE = (
    "INSERT INTO stock_move (sublot_id, source, target, amount, at, posted_at, actor, purpose, reference, fact) "
    "VALUES (:free, {}, now(), :now, 'x', {}, 'r', true)"
)
_RESERVE = (
    "INSERT INTO reservation (sublot_id, amount, purpose, reference, state, created_at) VALUES ({}, 'r', '{}', :now)"
)
_BORN = "INSERT INTO sublot (code, lot_id, state, created_at) VALUES ('X', 1, '{}', now())"
_HOLD = (
    "INSERT INTO hold (sublot_id, kind, reason, since_at, placed_at, placed_by, lift_permit) "
    "VALUES (:free, 'fancy', 'r', now(), now(), 'x', 'hold.lift')"
)

# the code it is refused with, and what is tried
FORBIDDEN = (
    ("LW001", "UPDATE sublot SET state = 'released' WHERE id = :waiting"),
    ("LW003", _BORN.format("released")),
    ("LW003", _BORN.format("destroyed")),
    ("LW003", _BORN.format("rejected")),
    ("LW005", "UPDATE sublot SET id = id + 1000 WHERE id = :free"),
    ("LW005", "UPDATE sublot SET serial = 'other'"),
    ("LW005", "UPDATE sublot SET created_at = now()"),
    ("LW005", "UPDATE lot SET id = id + 1000"),
    ("LW001", _RESERVE.format(":held, 1, 'sale'", "active")),
    ("LW001", _RESERVE.format(":waiting, 1, 'use'", "active")),
    ("LW003", _RESERVE.format(":free, 1, 'sale'", "picked")),
    ("LW002", _RESERVE.format(":free, 91, 'sale'", "active")),
    ("LW002", _RESERVE.format(":free, 'NaN', 'sale'", "active")),
    ("23514", _RESERVE.format(":free, 1, 'fun'", "active")),
    ("LW005", "UPDATE reservation SET amount = 5"),
    ("LW005", "UPDATE reservation SET sublot_id = :waiting"),
    ("LW003", "UPDATE reservation SET state = 'active' WHERE id = :taken"),
    ("LW003", "UPDATE reservation SET state = 'picked' WHERE id = :suspended"),
    ("LW001", "UPDATE reservation SET state = 'active' WHERE id = :suspended"),
    ("23514", _MOVE.format("'stock', 'customer', 'NaN'", "'sale'")),
    ("23514", _MOVE.format("'moon', 'stock', 1", "'receipt'")),
    ("LW003", _MOVE.format("'stock', 'split', 1", "'split'")),
    ("LW003", _MOVE.format("'split', 'stock', 1", "'split'")),
    ("23514", "UPDATE hold SET lifted_at = now(), lifted_by = 'x'"),
    ("23514", _HOLD),
)


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def sqlstate(world: World, statement: str, names: Mapping[str, object]) -> str | None:
    """With what the database refuses it, at the latest when it is committed; None: it does not."""
    try:
        with world.engine.begin() as conn:
            conn.execute(text(statement), {name: value for name, value in names.items() if f":{name}" in statement})
    except DBAPIError as error:
        return getattr(error.orig, "sqlstate", None)
    return None


@pytest.mark.as_owner
def test_what_plain_sql_may_not_do(world: World) -> None:
    free, held = world.stock(100, number="free"), world.stock(number="held")
    waiting = world.stock(number="waiting", released=False)
    with world.unit() as u:
        taken = lots.reserve(u, free, Decimal(10), "sale", "shipment:1")
        lots.consume(u, taken.id or 0)
        suspended = lots.reserve(u, held, Decimal(1), "sale", "shipment:1")
        lots.place_hold(u, sublot_id=held, kind="manual", reason="r", since_at=NOON)
    names = {"free": free, "held": held, "waiting": waiting, "taken": taken.id, "suspended": suspended.id, "now": NOON}
    found = [(sqlstate(world, statement, names), statement) for _, statement in FORBIDDEN]
    assert found == list(FORBIDDEN)


def test_a_release_stands_for_the_goods_as_they_were_then(world: World) -> None:
    """One of the past releases nothing again, and none goes past a hold."""
    sublot = world.stock()
    with world.unit() as u:
        lots.SUBLOT.apply(u, lots.get_sublot(u, sublot), "recall", reason="complaint")
    again = "UPDATE sublot SET state = 'released' WHERE id = :id"
    assert sqlstate(world, again, {"id": sublot}) == "LW001"
    with world.unit() as u:
        lots.place_hold(u, sublot_id=sublot, kind="manual", reason="r", since_at=NOON)
    assert sqlstate(world, RELEASE.text, {"id": sublot}) == "LW001"


def test_what_is_reserved_is_taken_by_nobody_else(world: World) -> None:
    sublot = world.stock(100)
    with world.unit() as u:
        lots.reserve(u, sublot, Decimal(90), "sale", "shipment:1")
    for take in (
        lambda u: lots.move(u, sublot, Decimal(11), "customer", purpose="sale", reference="shipment:2"),
        lambda u: lots.reserve(u, sublot, Decimal(11), "use", "work_order:1"),
        lambda u: lots.split(u, sublot, Decimal(11)),
        lambda u: lots.merge(u, [sublot, lots.split(u, sublot, Decimal(5)).id or 0]),
    ):
        with pytest.raises(Refused), world.unit() as u:
            take(u)
    with world.unit() as u:
        lots.move(u, sublot, Decimal(10), "customer", purpose="sale", reference="shipment:2")
        lots.move(u, sublot, Decimal(85), "customer", purpose="sale", reference="shipment:1")
        lots.move(u, sublot, Decimal(1), "sample", purpose="sampling", reference="QA draws it whoever waits")
        assert lots.on_hand(u, sublot) == 4


def test_a_serialised_unit_is_a_sublot_of_one(world: World) -> None:
    with world.unit() as u:
        lot = lots.create_lot(u, world.vaccine, "devices").id or 0

        def unit_of(serial: str, amount: int = 1) -> int:
            return lots.receive(u, lot, Decimal(amount), world.cold, serial=serial).id or 0

        one, two = unit_of("SN-1"), unit_of("SN-2")
        with pytest.raises(Invalid, match="sublot of one"):
            unit_of("SN-3", 2)
        with pytest.raises(Conflict, match="SN-1 is here"):
            unit_of("SN-1")
        with pytest.raises(Refused, match="one and stays one"):
            lots.split(u, one, Decimal("0.5"))
        with pytest.raises(Refused, match="not merged"):
            lots.merge(u, [one, two])
        lots.post_lost(u, one, Decimal(1), at=NOON, reason="not on its shelf")
        assert unit_of("SN-1"), "it has come back"


def test_nothing_is_held_that_nobody_knows_and_nothing_is_lost_tomorrow(world: World) -> None:
    sublot = world.stock()
    with pytest.raises(NotFound, match="no sublot 999"), world.unit() as u:
        lots.place_hold(u, sublot_id=999, kind="manual", reason="r", since_at=NOON)
    with pytest.raises(Invalid, match="not happened"), world.unit() as u:
        lots.post_lost(u, sublot, Decimal(1), at=NOON + timedelta(days=1), reason="r")
