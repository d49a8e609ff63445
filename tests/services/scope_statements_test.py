"""Scopes on a database: every kind of record of two sites, asked for by people of one, of both, and from outside."""

from decimal import Decimal

import pytest
from sqlalchemy import Engine, func, select, text

from core.erp.kernel.permits import Role
from core.erp.kernel.scope import scoped, visible
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor, system
from core.erp.lots import service as lots
from core.erp.lots.model import Hold, Lot, Sublot
from tests.services.lots_sites_test import second_site
from tests.services.lots_world import NOON, QA, World, build

ANN = Actor("ann", frozenset({Role.WAREHOUSE}))
SUPPLIER = Actor("sue", frozenset({Role.SUPPLIER}), partner_id=1)


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def seen(world: World, name: str, actor: Actor) -> set[int]:
    with world.engine.connect() as conn:
        return set(conn.scalars(visible()[name].keys(actor)))


def of_site(*sites: int) -> Actor:
    return Actor("bob", frozenset({Role.WAREHOUSE}), sites=frozenset(sites))


@pytest.mark.parametrize("name", sorted(visible()))
def test_every_scope_is_a_statement_the_database_takes(engine: Engine, name: str) -> None:
    """Also within a statement that reads the tables its conditions name."""
    kind = visible()[name]
    with engine.connect() as conn:
        for actor in (ANN, of_site(1, 2), SUPPLIER, system("x")):
            conn.execute(text("SELECT 1"))
            assert conn.execute(kind.keys(actor)).all() == []
    wide = select(kind.key, table(Sublot).c.id, table(Lot).c.id)
    str(scoped(wide.where(table(Sublot).c.lot_id == table(Lot).c.id), kind.scope, of_site(1)))


@pytest.mark.parametrize("name", sorted(visible()))
def test_outside_people_see_nothing_by_default(engine: Engine, name: str) -> None:
    kind = visible()[name]
    with engine.connect() as conn:
        plan = conn.scalars(select(func.count()).select_from(kind.keys(SUPPLIER).subquery())).one()
    assert plan == 0
    assert kind.scope(SUPPLIER) is not None, "whatever there may be"


def test_goods_are_seen_by_their_site(world: World) -> None:
    other, there = second_site(world)
    here, away = world.stock(number="L1"), world.stock(number="L2", zone=there)
    with world.unit() as u:
        fresh = lots.create_lot(u, world.vaccine, "L3").id
        expected = lots.receive(u, fresh, Decimal(1), None, state="expected").id
        empty = lots.create_lot(u, world.vaccine, "L4").id
    assert seen(world, "sublot", ANN) == {here, away, expected}
    assert seen(world, "sublot", of_site(1)) == {here, expected}
    assert seen(world, "sublot", of_site(other)) == {away, expected}
    assert seen(world, "sublot", of_site(99)) == {expected}
    assert seen(world, "lot", of_site(other)) == {2, fresh, empty}
    assert seen(world, "stock_move", of_site(other)) == {2}
    assert seen(world, "custody_fact", of_site(1)) == {1}
    assert seen(world, "zone", of_site(other)) == {there}
    assert seen(world, "site", of_site(other)) == {other}


def test_holds_are_seen_by_what_they_hold(world: World) -> None:
    other, there = second_site(world)
    here, away = world.stock(number="L1"), world.stock(number="L2", zone=there)
    for sublot, lot in ((here, None), (away, None), (None, 1), (None, 2)):
        with world.unit(QA) as u:
            lots.place_hold(u, kind="quality", reason="looked at", since_at=NOON, sublot_id=sublot, lot_id=lot)
    hold = table(Hold).c
    with world.engine.connect() as conn:
        rows = conn.execute(select(hold.id, hold.sublot_id, hold.lot_id)).all()
    theirs = {row.id for row in rows if row.sublot_id == away or row.lot_id == 2}
    assert theirs
    assert seen(world, "hold", of_site(other)) == theirs
    assert seen(world, "hold", of_site(1)) == {row.id for row in rows} - theirs
