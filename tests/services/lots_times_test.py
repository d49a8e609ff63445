"""Times of holds and moves show the order in which they were committed: they are read behind the lock."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.errors import IllegalMove, Refused
from core.erp.kernel.unit import Unit, system, transact, unit
from core.erp.lots import service as lots
from tests.services.lots_world import NOON, World, build

SYSTEM = system("test")


@pytest.fixture
def world(engine: Engine) -> World:
    made = build(engine)
    made.good_until(made.cold, NOON + timedelta(days=1))
    return made


def ticking() -> Callable[[], datetime]:
    """A clock that is one millisecond later whenever it is asked."""
    ticks = count()
    return lambda: NOON + timedelta(milliseconds=next(ticks))


def hold(u: Unit, sublot: int) -> None:
    lots.place_hold(u, kind="manual", reason="looks odd", since_at=NOON, sublot_id=sublot)


def take(u: Unit, sublot: int) -> None:
    lots.move(u, sublot, Decimal(1), "production", purpose="use", reference="WO-1")


def contradictions(engine: Engine, sublots: list[int]) -> list[int]:
    """Sublots of which goods were taken at a time at which a hold stood, as the rows' own times tell."""
    query = text("""
        SELECT DISTINCT m.sublot_id FROM stock_move m JOIN hold h ON h.sublot_id = m.sublot_id
        WHERE m.target = 'production' AND m.sublot_id = ANY(:ids)
            AND m.posted_at >= h.placed_at AND (h.lifted_at IS NULL OR m.posted_at < h.lifted_at)
    """)
    with engine.connect() as conn:
        return list(conn.execute(query, {"ids": sublots}).scalars())


def test_who_began_first_and_waited_is_later(world: World) -> None:
    """Thirty holds that begin before a move of the same goods and get the row after it: each is stamped after it."""
    clock = ticking()
    sublots = [world.stock(number=f"L{number}") for number in range(30)]
    for sublot in sublots:
        with unit(world.engine, SYSTEM, world.events, clock) as waits:
            transact(world.engine, SYSTEM, world.events, lambda u, s=sublot: take(u, s), clock)  # type: ignore[misc]  # mypy cannot tell the type of a lambda with a default
            hold(waits, sublot)
    assert contradictions(world.engine, sublots) == []
    with world.engine.connect() as conn:
        audited = conn.execute(
            text("SELECT entity_id, at, action FROM audit WHERE action IN ('stock.move', 'hold.place') ORDER BY at")
        ).all()
    assert [row.action for row in audited if row.at >= NOON] == ["stock.move", "hold.place"] * 30


def test_the_times_of_those_who_meet_on_one_row(world: World) -> None:
    """Six at once hold, lift and take the same goods: sorted by time, the trail is in the order of its commits."""
    sublots = [world.stock(1000, number=f"L{number}") for number in range(2)]
    start = max(NOON, datetime.now(NOON.tzinfo))
    world.good_until(world.cold, start + timedelta(days=1))
    gate = threading.Barrier(6)

    def lift(u: Unit, sublot: int) -> None:
        for found in lots.open_holds(u, sublot_id=sublot):
            lots.lift_hold(u, found.id, "looked at")

    def run(first: int) -> None:
        gate.wait()
        for number in range(first, first + 24):
            act = (hold, take, lift)[number % 3]
            try:
                transact(world.engine, SYSTEM, world.events, lambda u: act(u, sublots[number % 2]))  # noqa: B023 - run at once
            except (IllegalMove, Refused):
                continue

    threads = [threading.Thread(target=run, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert contradictions(world.engine, sublots) == []
    # ids of a sublot's rows are given under its lock, so their order is that of the commits
    with world.engine.connect() as conn:
        rows = conn.execute(
            text("""
            SELECT a.id, a.at, COALESCE(h.sublot_id, CASE WHEN a.entity = 'sublot' THEN a.entity_id::bigint END) AS s
            FROM audit a LEFT JOIN hold h ON a.entity = 'hold' AND h.id::text = a.entity_id
            WHERE a.action IN ('stock.move', 'hold.place', 'hold.lift') ORDER BY a.id
        """)
        ).all()
    for sublot in sublots:
        times = [row.at for row in rows if row.s == sublot]
        assert len(times) > 10
        assert times == sorted(times)


def test_a_clock_that_stands_is_the_same_throughout(world: World) -> None:
    sublot = world.stock()
    with world.unit() as u:
        take(u, sublot)
        assert u.now == NOON
