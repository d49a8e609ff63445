"""Custody is append-only and knows two times: when it was so, and when we learned it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from core.erp.custody import service as custody
from core.erp.custody.events import CustodyChanged
from core.erp.kernel.errors import Conflict, Invalid, NotFound
from core.erp.lots import service as lots
from tests.services.lots_world import NOON, World, build


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


def test_a_rescue_keyed_three_hours_late(world: World) -> None:
    sublot = world.stock(at=at(1))
    with world.unit(now=at(6, 30)) as u:
        custody.record_location(u, sublot, world.freezer, at(3, 20), "rescued")
        assert custody.intervals(u, [sublot])[sublot] == [
            (world.cold, at(1), at(3, 20)),
            (world.freezer, at(3, 20), None),
        ]
        assert custody.intervals(u, [sublot], known_at=at(6))[sublot] == [(world.cold, at(1), None)]
        assert lots.get_sublot(u, sublot).zone_id == world.freezer
        assert custody.intervals_in_zone(u.conn, world.cold, at(3, 20), None) == []
        assert custody.intervals_in_zone(u.conn, world.cold, at(3, 19), at(3, 20)) == [(sublot, at(1), at(3, 20))]
        assert custody.intervals_in_zone(u.conn, world.freezer, at(1), at(3, 20)) == []
    changed = [e for e in world.seen if isinstance(e, CustodyChanged)][-1]
    assert (changed.sublot_id, set(changed.zone_ids), changed.from_at) == (
        sublot,
        {world.cold, world.freezer},
        at(3, 20),
    )


def test_an_entry_in_the_past_leaves_the_latest_place(world: World) -> None:
    sublot = world.stock(at=at(1))
    with world.unit(now=at(5)) as u:
        custody.record_location(u, sublot, world.pen, at(4))
        custody.record_location(u, sublot, world.freezer, at(2))
        assert [zone for zone, _, _ in custody.intervals(u, [sublot])[sublot]] == [
            world.cold,
            world.freezer,
            world.pen,
        ]
        assert lots.get_sublot(u, sublot).zone_id == world.pen


def test_of_two_facts_at_the_same_instant_the_last_known_wins(world: World) -> None:
    sublot = world.stock(at=at(1))
    with world.unit(now=at(5)) as u:
        custody.record_location(u, sublot, world.pen, at(4))
    with world.unit(now=at(6)) as u:
        custody.record_location(u, sublot, world.freezer, at(4))
        assert custody.intervals(u, [sublot])[sublot][-1] == (world.freezer, at(4), None)
        assert custody.intervals(u, [sublot], known_at=at(5, 30))[sublot][-1] == (world.pen, at(4), None)


def test_a_fact_that_was_wrong(world: World) -> None:
    sublot = world.stock(at=at(1))
    with world.unit(now=at(5)) as u:
        wrong = custody.record_location(u, sublot, world.freezer, at(2)).id
        assert wrong is not None
    with world.unit(now=at(6)) as u:
        done = custody.retract(u, wrong, "other pallet")
        assert custody.intervals(u, [sublot])[sublot] == [(world.cold, at(1), None)]
        assert custody.intervals(u, [sublot], known_at=at(5, 30))[sublot][-1] == (world.freezer, at(2), None)
        assert lots.get_sublot(u, sublot).zone_id == world.cold
        for again in (wrong, done.id or 0):
            with pytest.raises(Conflict):
                custody.retract(u, again, "again")
        with pytest.raises(Invalid):
            custody.retract(u, wrong, "")


def test_a_split_copies_the_history_and_later_knowledge_reaches_both(world: World) -> None:
    sublot = world.stock(at=at(1))
    with world.unit(now=at(5)) as u:
        part = lots.split(u, sublot, Decimal(10)).id
        assert part is not None
    with world.unit(now=at(6)) as u:
        fact = custody.record_location(u, sublot, world.pen, at(3), "learned late")
        both = custody.intervals(u, [sublot, part])
        assert both[sublot] == both[part] == [(world.cold, at(1), at(3)), (world.pen, at(3), None)]
        custody.record_location(u, sublot, world.freezer, at(6), "after the split, so it alone")
        assert custody.intervals(u, [part])[part] == both[part]
        custody.retract(u, fact.id or 0, "no")
        assert custody.intervals(u, [part])[part] == [(world.cold, at(1), None)]


def test_a_merge_begins_anew_and_its_parts_are_with_us_no_more(world: World) -> None:
    sublot = world.stock(at=at(1))
    with world.unit(now=at(5)) as u:
        part = lots.split(u, sublot, Decimal(10)).id or 0
    with world.unit(now=at(6)) as u:
        whole = lots.merge(u, [sublot, part]).id or 0
        assert custody.intervals(u, [whole])[whole] == [(world.cold, at(6), None)]
        assert custody.intervals(u, [part])[part][-1] == (None, at(6), None)


def test_facts_that_cannot_be(world: World) -> None:
    sublot = world.stock()
    with pytest.raises(Invalid), world.unit() as u:
        custody.record_location(u, sublot, world.pen, NOON + timedelta(seconds=1))
    with pytest.raises(NotFound), world.unit() as u:
        custody.record_location(u, sublot, 999, NOON)
    with pytest.raises(NotFound), world.unit() as u:
        custody.record_location(u, 999, world.pen, NOON)
