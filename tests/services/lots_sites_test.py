"""Whose goods they are: a sublot's site is its zone's, and the last one while it is under way."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.catalog.model import Site, Zone
from core.erp.custody import service as custody
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from tests.services.lots_world import NOON, World, build


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def second_site(world: World) -> tuple[int, int]:
    """(site, its zone)."""

    def work(u: Unit) -> tuple[int, int]:
        site = Site(code="OTHER", name="Other site")
        u.session.add(site)
        u.session.flush()
        zone = Zone(site_id=site.id, address="other/cold/room", name="Room")
        u.session.add(zone)
        u.session.flush()
        return site.id, zone.id

    return world.run(work)


def site_of(world: World, sublot: int) -> int | None:
    with world.engine.connect() as conn:
        found: int | None = conn.scalar(text("SELECT site_id FROM sublot WHERE id = :id"), {"id": sublot})
    return found


def test_a_sublots_site_goes_with_its_zone_and_stays_under_way(world: World) -> None:
    first = 1
    other, there = second_site(world)
    goods = world.stock()
    assert site_of(world, goods) == first
    later = NOON + timedelta(hours=1)
    world.run(lambda u: custody.record_location(u, goods, None, u.now, "left"), now=later)
    assert site_of(world, goods) == first, "under way it is the last site's"
    part = world.run(lambda u: lots.split(u, goods, Decimal(10)).id, now=later)
    assert site_of(world, part) == first, "what is split off under way is, too"
    world.run(lambda u: custody.record_location(u, goods, there, u.now, "came"), now=later + timedelta(hours=1))
    assert (site_of(world, goods), site_of(world, part)) == (other, first)


def test_a_merger_under_way_keeps_the_site(world: World) -> None:
    goods = world.stock()
    part = world.run(lambda u: lots.split(u, goods, Decimal(10)).id)
    for one in (goods, part):
        left = partial(
            custody.record_location, sublot_id=one, zone_id=None, at=NOON + timedelta(hours=1), reason="left"
        )
        world.run(left, now=NOON + timedelta(hours=1))
    whole = world.run(lambda u: lots.merge(u, [goods, part]).id, now=NOON + timedelta(hours=2))
    assert site_of(world, whole) == 1


def test_what_is_expected_has_no_site_until_it_arrives(world: World) -> None:
    _, there = second_site(world)
    lot = world.run(lambda u: lots.create_lot(u, world.vaccine, "L9").id)
    goods = world.run(lambda u: lots.receive(u, lot, Decimal(5), None, state="expected").id)
    assert site_of(world, goods) is None
    world.run(lambda u: lots.arrive(u, goods, Decimal(5), there))
    assert site_of(world, goods) is not None


def test_the_application_cannot_write_the_site(world: World) -> None:
    goods = world.stock()
    with pytest.raises(DBAPIError, match="permission denied"), world.engine.begin() as conn:
        conn.execute(text("UPDATE sublot SET site_id = NULL WHERE id = :id"), {"id": goods})
