"""A merger begins with the worst of what its parts have spent: merging wins no time back."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from core.app import build_events
from core.erp.catalog import service as catalog
from core.erp.catalog.model import ProfileLimit
from core.erp.custody import service as custody
from core.erp.kernel.errors import Refused
from core.erp.lots import service as lots
from tests.services.lots_world import NOON, build

HOUR = timedelta(hours=1)


def test_merging_wins_no_time_back(engine: Engine) -> None:
    world = build(engine)
    world.events = build_events()
    start = NOON - timedelta(days=2)
    with world.unit(now=start) as u:
        profile = catalog.create_profile(u, "budget", "ten hours above 8").id or 0
        catalog.add_version(u, profile, HOUR, [
            ProfileLimit(key="warm", op=">", threshold=8.0, kind="cumulative", delay=10 * HOUR),
        ])  # fmt: skip
        item = catalog.create_item(u, "serum", "Serum", profile_id=profile).id or 0
        lot = lots.create_lot(u, item, "S1").id or 0
        u.conn.execute(text("UPDATE zone SET worst_temperature = 20 WHERE id = :z"), {"z": world.freezer})
        one = lots.receive(u, lot, Decimal(10), world.freezer).id or 0
    with world.unit(now=start + HOUR) as u:
        two = lots.split(u, one, Decimal(4)).id or 0
        custody.put(u, two, world.cold, u.now)
    with world.unit(now=start + 3 * HOUR) as u:
        custody.put(u, one, world.cold, u.now)
    with world.unit(now=start + 3 * HOUR) as u:
        whole = lots.merge(u, [one, two])
        assert whole.carried is not None
        assert [counts["w"] for counts in whole.carried.values()] == [3 * 3600.0], "three hours, not one, nor four"
    with world.unit(now=start + 4 * HOUR) as u:
        part = lots.split(u, whole.id or 0, Decimal(1))
        assert part.carried == whole.carried


def test_goods_whose_consecutive_count_still_runs_are_not_merged(engine: Engine) -> None:
    """Fifty warm minutes before a merge and fifty after would never make sixty."""
    world = build(engine)
    world.events = build_events()
    start = NOON - timedelta(days=2)
    with world.unit(now=start) as u:
        profile = catalog.create_profile(u, "label", "ten hours in one go above 8").id or 0
        catalog.add_version(u, profile, HOUR, [
            ProfileLimit(key="warm", op=">", threshold=8.0, kind="consecutive", delay=10 * HOUR),
        ])  # fmt: skip
        item = catalog.create_item(u, "serum", "Serum", profile_id=profile).id or 0
        lot = lots.create_lot(u, item, "S1").id or 0
        u.conn.execute(text("UPDATE zone SET worst_temperature = 20 WHERE id = :z"), {"z": world.freezer})
        u.conn.execute(text("UPDATE zone SET worst_temperature = 5 WHERE id = :z"), {"z": world.cold})
        u.conn.execute(text("UPDATE point SET role = 'machine' WHERE zone_id = :z"), {"z": world.cold})
        one = lots.receive(u, lot, Decimal(10), world.freezer).id or 0
        two = lots.receive(u, lot, Decimal(10), world.freezer).id or 0
    with pytest.raises(Refused, match="out of warm"), world.unit(now=start + 3 * HOUR) as u:
        lots.merge(u, [one, two])
    with world.unit(now=start + 3 * HOUR) as u:
        for sublot in (one, two):
            custody.put(u, sublot, world.cold, u.now - timedelta(minutes=5))
    with world.unit(now=start + 3 * HOUR) as u:
        assert lots.merge(u, [one, two]).state == "quarantine"
