"""A series store that is down: no hold waits for it, somebody is called, and everything is there afterwards."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from core.erp.kernel.unit import system, transact
from core.ingest.shipping import ShipOptions, run_shipper, ship
from core.ingest.transaction import IngestTransaction
from core.series.port import StoreUnavailable
from core.telemetry.address import partition_of
from core.telemetry.batch import Watermark
from core.telemetry.reading import Reading
from core.wiring import build_events
from tests.faults.ingest_running import until
from tests.services.ingest_after_test import Moody, landed, rows
from tests.services.ingest_support import Gateway
from tests.world import OVER_8_FOR_60, World, at, every

ROOM = "s1/a/room"
POINT = f"{ROOM}/p1/temperature"
QUICK = ShipOptions(
    backoff_first=timedelta(milliseconds=5),
    backoff_most=timedelta(milliseconds=20),
    idle=timedelta(milliseconds=10),
    alarm_after=timedelta(0),
)


def test_a_store_that_is_down_for_an_hour_delays_no_hold_and_loses_nothing(engine: Engine) -> None:
    world, store, gateway = World(engine, build_events()), Moody(down=True), Gateway()
    sublot = world.sublot(world.item(OVER_8_FOR_60), world.zone("room"), at("01:00"))
    ingest = IngestTransaction(judge=world.judge, live=False)
    told = [Reading(POINT, when, value, "Cel", when) for when, value in every(5, at("01:00"), at("02:30"), 9.0)]

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(run_shipper(engine, store, stop, QUICK))
        for minute in range(0, len(told), 3):  # the hour goes by, a quarter of an hour at a time
            some = told[minute : minute + 3]
            batch = gateway.cut(some, [Watermark("probes", some[-1].at, (ROOM,))], partition=partition_of(ROOM))
            writes = store.writes
            await asyncio.to_thread(
                transact, engine, system("ingest"), world.events, lambda u, b=batch: ingest.run(u, [b]), some[-1].at
            )
            await until(lambda w=writes: store.writes > w)  # type: ignore[misc]  # the loop's value is bound by a default
            held = world.holds(sublot)
            assert held == (["proven"] if some[-1].at >= at("02:00") else [])
        assert rows(engine, "SELECT kind, cleared_at FROM ingest_alarm") == [("unshipped", None)]
        store.down = False
        await until(lambda: not rows(engine, "SELECT 1 FROM batch WHERE status = 'landed' AND landed_count > 0"))
        await until(lambda: rows(engine, "SELECT cleared_at IS NOT NULL FROM ingest_alarm") == [(True,)])
        stop.set()
        await task

    asyncio.run(main())
    assert store.read(POINT, at("00:00"), at("03:00")) == told
    assert rows(engine, "SELECT topic FROM outbox WHERE topic LIKE 'ingest.%ship%' ORDER BY id") == [
        ("ingest.unshipped",),
        ("ingest.shipping",),
    ]


def test_a_short_break_calls_nobody_and_an_alarm_of_an_earlier_life_is_cleared(engine: Engine) -> None:
    landed(engine)
    store = Moody(down=True)
    patient = ShipOptions(backoff_first=timedelta(milliseconds=5), idle=timedelta(milliseconds=5))

    async def main(options: ShipOptions, tries: int) -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(run_shipper(engine, store, stop, options))
        await until(lambda: store.writes >= tries)
        if not store.down:
            await until(lambda: not rows(engine, "SELECT 1 FROM ingest_alarm WHERE cleared_at IS NULL"))
        stop.set()
        await task

    asyncio.run(main(patient, 3))
    assert rows(engine, "SELECT count(*) FROM ingest_alarm") == [(0,)]
    asyncio.run(main(QUICK, 9))
    asyncio.run(main(QUICK, 15))
    assert rows(engine, "SELECT count(*) FROM ingest_alarm WHERE cleared_at IS NULL") == [(1,)]  # once while it stands
    store.down = False
    asyncio.run(main(patient, 16))
    assert rows(engine, "SELECT count(*) FROM ingest_alarm WHERE cleared_at IS NULL") == [(0,)]


def test_two_shippers_count_what_they_ship_once(engine: Engine) -> None:
    readings = landed(engine)
    store = Moody()
    store.down = True
    with pytest.raises(StoreUnavailable):
        ship(engine, store, at("12:00"))
    store.down = False

    class Second(Moody):
        """Another shipper is done while this one writes."""

        def write(self, some: object) -> None:
            ship(engine, store, at("12:00"))
            store.write(some)  # type: ignore[arg-type]  # a sequence of what the store refuses

    ship(engine, Second(), at("12:01"))
    assert rows(engine, "SELECT count FROM reading_shipped") == [(len(readings),)]
    assert rows(engine, "SELECT DISTINCT status FROM batch") == [("shipped",)]
