"""What comes after the landing: dead letters replayed, epochs closed, readings shipped, partitions pruned."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from core.erp.kernel.events import Events
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, transact
from core.ingest.epochs import close_epoch
from core.ingest.lag import ingest_lag
from core.ingest.replaying import Filter, Replayed, replay
from core.ingest.shipping import ShipOptions, prune, run_shipper, ship
from core.ingest.transaction import IngestTransaction
from core.series.dropped_ranges import day_of
from core.series.influx import InfluxStore
from core.series.memory import MemoryStore
from core.series.port import RefusedReading, StoreRefused, StoreUnavailable
from core.series.postgres import PostgresStore
from core.series.shipped import shipped, totals_of
from core.telemetry.batch import Body, encode_body
from core.telemetry.reading import Reading
from tests.contracts.series_influxd import influxd
from tests.faults.ingest_running import until
from tests.services.ingest_support import (
    AT,
    PARTITION,
    POINT,
    ZONE,
    Gateway,
    RecordingJudge,
    S,
    add_points,
    fold,
    mark,
    reading,
)

NOW = AT + 3600 * S
ADMIN = Actor("root", frozenset({Role.ADMIN}))


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def again(engine: Engine, judge: RecordingJudge, only: Filter | None = None, actor: Actor = ADMIN) -> Replayed:
    return replay(engine, judge, Events(), actor, only or Filter(), live=False, now=NOW)


# -- dead letters --------------------------------------------------------------------------------------------------


def test_a_point_made_meanwhile_gets_its_readings(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge()
    new = f"{ZONE}/probe_2/temperature"
    batch = Gateway().cut([reading(0), *[reading(n, point=new) for n in range(600)], reading(1, unit="%")])
    fold(engine, IngestTransaction(judge=judge, live=False), batch)
    assert again(engine, judge).remaining == {"unknown_point": 600, "wrong_unit": 1}
    add_points(engine, [new])
    done = again(engine, judge, Filter(reason="unknown_point"))
    assert (done.landed, done.remaining) == (600, {})
    assert sum(r.point == new for r in judge.readings) == 600
    # what became of them when they came, and what came of it since
    assert rows(engine, "SELECT kind, landed_count, dead_count FROM batch ORDER BY id") == [
        ("readings", 1, 601),
        *[("core", count, 0) for count in (500, 100)],
    ]
    assert rows(engine, "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL") == [(1,)]
    assert again(engine, judge).landed == 0


def test_replay_needs_its_permit(engine: Engine) -> None:
    with pytest.raises(Forbidden):
        again(engine, RecordingJudge(), actor=Actor("anna", frozenset({Role.QA})))


def test_a_batch_of_other_content_lands_beside_what_stands(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge()
    ingest = IngestTransaction(judge=judge, live=False)
    gw = Gateway()
    fold(engine, ingest, gw.cut([reading(0, 4.0)]))
    fold(engine, ingest, gw.carry(PARTITION, 1, encode_body(Body((reading(0, 9.0), reading(5, 6.0))))))
    done = again(engine, judge)
    assert (done.landed, done.conflicts) == (1, 1)
    assert [(one.value, two.value) for one, two in judge.conflicts] == [(4.0, 9.0)]


def test_dead_letters_are_never_removed(engine: Engine) -> None:
    fold(engine, IngestTransaction(judge=RecordingJudge(), live=False), Gateway().cut([reading(0)]))
    with pytest.raises(DBAPIError), engine.begin() as conn:
        conn.execute(text("DELETE FROM dead_letter"))
    assert rows(engine, "SELECT count(*) FROM dead_letter") == [(1,)]


# -- epochs --------------------------------------------------------------------------------------------------------


def test_closing_a_lost_epoch_lets_later_watermarks_count_and_records_the_loss(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge()
    ingest = IngestTransaction(judge=judge, live=False)
    lost = Gateway()
    one, _, three = lost.cut([reading(0)], [mark(0)]), lost.cut([reading(1)]), lost.cut([reading(2)], [mark(2)])
    fold(engine, ingest, one, three)
    with engine.begin() as conn:  # what the judge keeps of the watermark
        conn.execute(
            text(
                "INSERT INTO source_watermark (zone_id, gateway, source, redundancy_group, upto, received_at) VALUES"
                " ((SELECT id FROM zone), 'gw-1', 'probes', '', :at, :at)"
            ),
            {"at": AT},
        )
    fold(engine, ingest, Gateway(epoch="f1").cut([reading(10)], [mark(10)]))
    assert judge.watermarks == [("gw-1", mark(0))]

    def close(actor: Actor, reason: str = "disk burnt", epoch: str = "e1", signature: int | None = None) -> None:
        transact(
            engine,
            actor,
            Events(),
            lambda u: close_epoch(u, judge, "gw-1", epoch, reason=reason, signature_id=signature),
            NOW,
        )

    qa = Actor("anna", frozenset({Role.QA}), user_id=1)
    with pytest.raises(Forbidden):
        close(ADMIN, signature=1)
    with pytest.raises(Invalid, match="signature"):
        close(qa)
    with pytest.raises(Invalid, match="reason"):
        close(qa, reason=" ", signature=1)
    with pytest.raises(NotFound):
        close(qa, epoch="never", signature=1)
    close(qa, signature=1)
    assert judge.watermarks[-1] == ("gw-1", mark(10))
    assert [(g.scope, g.start, g.reason) for _, g in judge.gaps] == [(ZONE, AT, "spool_lost: disk burnt")]
    assert rows(engine, "SELECT missing FROM epoch_closed") == [({str(PARTITION): [2]},)]
    with pytest.raises(Conflict):
        close(qa, signature=1)
    with pytest.raises(DBAPIError), engine.begin() as conn:
        conn.execute(text("DELETE FROM epoch_closed"))


# -- the shipper ---------------------------------------------------------------------------------------------------


@dataclass
class Moody(MemoryStore):
    """A store that is down, or refuses a value."""

    down: bool = False
    refuses: float | None = None
    writes: int = field(default=0)

    def __post_init__(self) -> None:
        super().__init__()

    def write(self, readings: Sequence[Reading]) -> None:
        self.writes += 1
        if self.down:
            raise StoreUnavailable("down")
        super().write([r for r in readings if r.value != self.refuses])
        refused = [RefusedReading(r, "no such value") for r in readings if r.value == self.refuses]
        if refused:
            raise StoreRefused(refused)


def landed(engine: Engine, batches: int = 5, start: float = 0) -> list[Reading]:
    add_points(engine)
    gw = Gateway(epoch=f"e{start}")
    made = [[reading(start + n * 10 + i, 4.0 + i / 10) for i in range(10)] for n in range(batches)]
    fold(engine, IngestTransaction(judge=RecordingJudge(), live=False), *[gw.cut(some) for some in made])
    return [r for some in made for r in some]


def test_what_landed_is_shipped_once_and_marked(engine: Engine) -> None:
    readings = landed(engine)
    store = Moody()
    small = ShipOptions(readings=20)
    assert [ship(engine, store, NOW, small) for _ in range(4)] == [2, 2, 1, 0]
    assert store.read(POINT, AT, NOW) == readings
    assert rows(engine, "SELECT DISTINCT status, shipped_at IS NOT NULL FROM batch") == [("shipped", True)]


def test_a_store_that_is_down_loses_and_delays_nothing(engine: Engine) -> None:
    readings = landed(engine)
    store = Moody(down=True)
    with pytest.raises(StoreUnavailable):
        ship(engine, store, NOW)
    readings += landed(engine, start=1000)  # the ingest goes on
    assert rows(engine, "SELECT DISTINCT status FROM batch") == [("landed",)]

    async def main() -> None:
        stop = asyncio.Event()
        quick = ShipOptions(backoff_first=timedelta(milliseconds=10), idle=timedelta(milliseconds=10))
        task = asyncio.create_task(run_shipper(engine, store, stop, quick))
        await until(lambda: store.writes >= 4)
        store.down = False
        await until(lambda: not rows(engine, "SELECT 1 FROM batch WHERE status = 'landed'"))
        stop.set()
        await task

    asyncio.run(main())
    assert store.read(POINT, AT, NOW) == readings


def test_a_reading_the_store_refuses_costs_no_other(engine: Engine) -> None:
    readings = landed(engine, batches=1)
    store = Moody(refuses=4.3)
    assert ship(engine, store, NOW) == 1
    assert store.read(POINT, AT, NOW) == [r for r in readings if r.value != 4.3]
    assert rows(engine, "SELECT kind, reason, detail FROM dead_letter") == [
        ("unstored", "series_store", "the series store refuses it: no such value")
    ]
    assert PostgresStore(engine).read(POINT, AT, NOW) == readings


def test_what_is_shipped_is_equal_in_influx(engine: Engine, tmp_path: Path) -> None:
    readings = landed(engine)
    with influxd(tmp_path / "influx") as (server, influx):
        store = InfluxStore(influx.settings)
        assert ship(engine, store, NOW) == 5
        assert store.read(POINT, AT, NOW) == readings
        server.stop()
        more = landed(engine, start=1000)
        with pytest.raises(StoreUnavailable):
            ship(engine, store, NOW)
        server.start()
        assert ship(engine, store, NOW) == 5
        assert store.read(POINT, AT, NOW) == readings + more
        with engine.connect() as conn:
            assert shipped(conn, "gw-1", AT, NOW) == {(POINT, day_of(AT)): totals_of(store.read(POINT, AT, NOW))}
        store.close()


def test_only_shipped_weeks_past_the_hot_window_are_dropped(engine: Engine) -> None:
    landed(engine)
    week = rows(engine, "SELECT relname FROM pg_class WHERE relname LIKE 'reading_2026____' AND relkind = 'r'")
    later = NOW + timedelta(days=9)
    assert prune(engine, later) == []  # nothing is shipped
    ship(engine, MemoryStore(), NOW)
    assert prune(engine, NOW) == []  # still hot
    assert prune(engine, later) == [week[0][0]]
    assert rows(engine, "SELECT count(*) FROM reading") == [(0,)]
    landed(engine, start=500)  # a late batch makes its week again
    assert rows(engine, "SELECT count(*) FROM reading") == [(50,)]


def test_what_came_in_no_batch_is_never_dropped(engine: Engine) -> None:
    PostgresStore(engine).write([reading(0)])
    assert prune(engine, NOW + timedelta(days=90)) == []


# -- lag -----------------------------------------------------------------------------------------------------------


def test_lag_tells_what_is_overdue(engine: Engine) -> None:
    judge = RecordingJudge()
    landed(engine)
    gw = Gateway(name="gw-2")
    gw.cut([reading(0)])
    fold(
        engine,
        IngestTransaction(judge=judge, live=False),
        gw.cut([reading(0, point=f"{ZONE}/x/temperature")], [mark(5)]),
    )
    told = ingest_lag(engine, NOW + 60 * S)
    assert (told.unshipped_batches, told.dead_letters, told.pending_watermarks) == (5, {"unknown_point": 1}, 1)
    assert told.oldest_unshipped == 60 * S
    assert told.runs_with_holes == 1
    assert told.stopped == ()


def test_what_the_store_refused_is_shipped_again_on_replay(engine: Engine) -> None:
    readings = landed(engine, batches=1)
    store = Moody(refuses=4.3)
    ship(engine, store, NOW)
    assert again(engine, RecordingJudge()).batches == 1
    ship(engine, store, NOW)  # refused again: a dead letter again
    assert rows(engine, "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL") == [(1,)]
    store.refuses = None
    again(engine, RecordingJudge())
    ship(engine, store, NOW)
    assert store.read(POINT, AT, NOW) == readings
    assert rows(engine, "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL") == [(0,)]


def test_a_device_that_is_wrong_every_second_is_told_of_once_an_hour(engine: Engine) -> None:
    ingest = IngestTransaction(judge=RecordingJudge(), live=False)
    gw = Gateway()
    for minute in range(0, 130, 10):
        fold(engine, ingest, gw.cut([reading(minute * 60)]), now=AT + minute * 60 * S)
        ingest.points = type(ingest.points)()
    assert rows(engine, "SELECT key FROM outbox WHERE topic = 'ingest.dead_letters'") == [("unknown_point",)]
    fold(engine, ingest, gw.cut([reading(0)]), now=AT + 7 * 3600 * S)
    assert rows(engine, "SELECT count(*) FROM outbox WHERE topic = 'ingest.dead_letters'") == [(2,)]
