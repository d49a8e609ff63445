"""Custody locks zones before sublots, as the judge does: two that would otherwise wait for each other."""

import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, text

from core.erp.catalog.model import ZoneNesting
from tests.world import DAY, OVER_8_FOR_60, at, judging

_WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def test_a_move_waits_for_the_zone_around_before_it_locks_the_goods(engine: Engine) -> None:
    """The truck is being judged, and will hold what is in its crate, while the crate's goods are moved."""
    world = judging(engine)
    truck, crate, room = world.zone("truck"), world.zone("crate", points=()), world.zone("room")
    world._add(ZoneNesting(zone_id=crate, parent_id=truck, from_at=DAY))
    sublot = world.sublot(world.item(OVER_8_FOR_60), crate, at("01:00"))
    world.feed("truck", [(at("01:00"), 5.0)], upto=at("01:00"))
    with ThreadPoolExecutor(1) as threads, engine.connect() as judge, engine.connect() as watcher:
        judge.execute(text("SELECT FROM zone_judged WHERE zone_id = :z FOR UPDATE"), {"z": truck})
        moved = threads.submit(world.put, sublot, room, at("01:05"))
        deadline = time.monotonic() + 20
        while watcher.execute(_WAITS).scalar_one() == 0:
            watcher.rollback()
            assert time.monotonic() < deadline, "the move did not wait for the zone"
        judge.execute(text("SELECT FROM sublot WHERE id = :s FOR UPDATE NOWAIT"), {"s": sublot})
        judge.commit()
        moved.result()
