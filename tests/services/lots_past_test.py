"""Facts are tested as it was where the goods stood at their true time, not where they stand now."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.model import Site, Zone
from core.erp.custody import service as custody
from core.erp.lots import service as lots
from core.erp.lots.events import FactBrokeRule
from tests.services.lots_world import NOON, WAREHOUSE, World, build

HOUR = timedelta(hours=1)


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def sold(world: World, sublot: int, at: datetime, now: datetime) -> list[str]:
    """Posts that one was sold at `at`, learned at `now`; kinds of the rules it broke."""
    del world.seen[:]
    with world.unit(WAREHOUSE, now=now) as u:
        lots.post_fact(u, sublot, Decimal(1), "customer", purpose="sale", reference="shipment:7", at=at, reason="paper")
    return [str(o.kind) for e in world.seen if isinstance(e, FactBrokeRule) for o in e.obstacles]


def moved(world: World, sublot: int, zone: int | None, at: datetime) -> None:
    with world.unit(now=at) as u:
        custody.record_location(u, sublot, zone, at, "moved")


def test_unjudged_is_asked_of_the_zone_where_it_stood_then(world: World) -> None:
    sublot = world.stock()  # at noon, in the cold room, whose sensor lives
    world.good_until(world.cold, NOON + 5 * HOUR)
    moved(world, sublot, world.freezer, NOON + 2 * HOUR)  # nothing watches the freezer
    assert sold(world, sublot, NOON + HOUR, NOON + 5 * HOUR) == []
    assert sold(world, sublot, NOON + 3 * HOUR, NOON + 5 * HOUR) == ["unjudged"]
    moved(world, sublot, world.pen, NOON + 4 * HOUR)
    world.good_until(world.pen, NOON + 5 * HOUR)
    assert sold(world, sublot, NOON + 3 * HOUR, NOON + 5 * HOUR) == ["unjudged"], "though it stands well now"
    moved(world, sublot, None, NOON + 4 * HOUR + HOUR / 2)
    assert sold(world, sublot, NOON + 4.1 * HOUR, NOON + 5 * HOUR) == [], "though it stands nowhere now"


def test_custody_learned_late_and_retracted_counts_as_known_when_posted(world: World) -> None:
    sublot = world.stock()
    world.good_until(world.cold, NOON + 5 * HOUR)
    with world.unit(now=NOON + 3 * HOUR) as u:
        late = custody.record_location(u, sublot, world.freezer, NOON + HOUR, "keyed late")
    assert sold(world, sublot, NOON + 2 * HOUR, NOON + 4 * HOUR) == ["unjudged"]
    with world.unit(now=NOON + 4 * HOUR) as u:
        custody.retract(u, late.id or 0, "wrong label")
    assert sold(world, sublot, NOON + 2 * HOUR, NOON + 4 * HOUR) == []


def test_a_silence_then_is_not_healed_by_speaking_again(world: World) -> None:
    sublot = world.stock()
    world.good_until(world.cold, NOON + 5 * HOUR)
    with world.engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO gap_record (zone_id, point_id, start_at, stop_at, reason, known_at) "
                "SELECT zone_id, id, :a, :b, 'silent', :b FROM point WHERE zone_id = :z"
            ),
            {"z": world.cold, "a": NOON + HOUR, "b": NOON + 3 * HOUR},
        )
    assert sold(world, sublot, NOON + HOUR, NOON + 4 * HOUR) == [], "a silence begins after what was allowed"
    assert sold(world, sublot, NOON + 2 * HOUR, NOON + 4 * HOUR) == ["unjudged"]
    assert sold(world, sublot, NOON + 3 * HOUR, NOON + 4 * HOUR) == []
    with world.unit(now=NOON + 4 * HOUR) as u:
        assert lots.movable(u, sublot, "sale") == [], "a silence that is over bars no intention"
        u.conn.execute(
            text(
                "INSERT INTO gap_record (zone_id, point_id, start_at, stop_at, reason, known_at, replaces_id) "
                "SELECT zone_id, point_id, start_at, start_at, reason, :now, id FROM gap_record"
            ),
            {"now": u.now},
        )
    assert sold(world, sublot, NOON + 2 * HOUR, NOON + 4 * HOUR) == [], "late data filled it"


def test_expiry_is_by_the_time_zone_where_it_stood_then(world: World) -> None:
    """23:30 in Berlin is the last day still; in Auckland, where it stands now, that day is long over."""
    with world.unit() as u:
        site = Site(code="s2", name="Far", timezone="Pacific/Auckland")
        u.session.add(site)
        u.session.flush()
        far = Zone(site_id=site.id, address="s2/store/cold", name="Far store", worst_temperature=5)
        u.session.add(far)
        u.session.flush()
        away = far.id
    last = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    sublot = world.stock(expiry=date(2026, 3, 2))
    world.good_until(world.cold, last)
    moved(world, sublot, away, last + HOUR / 4)
    assert sold(world, sublot, last, last + HOUR) == []
    assert sold(world, sublot, last + HOUR / 2, last + HOUR) == ["expired"]
