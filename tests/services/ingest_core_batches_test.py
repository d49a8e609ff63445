"""Readings that came in no gateway's batch, from a logger's file or a dead letter, are shipped like all others."""

from datetime import timedelta

from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.ingest.importing import ImportRequest, ImportResult, Series, Value, import_logger
from core.ingest.shipping import prune, ship
from core.ingest.transaction import IngestTransaction
from core.series.memory import MemoryStore
from core.series.postgres import PostgresStore
from core.series.restoring import attach, series_of
from core.wiring import build_events
from tests.services.ingest_after_test import again, rows
from tests.services.ingest_support import POINT as PROBE
from tests.services.ingest_support import Gateway, RecordingJudge, add_points, fold, reading
from tests.world import World, at, every

POINT = "s1/a/room/R-1/temperature"
LATER = at("12:00", 13)


def take(world: World, value: float = 5.0) -> ImportResult:
    """A logger that stayed in the room is read out in the evening."""
    values = [Value(when, value) for when, _ in every(5, at("01:00"), at("04:00"), value)]
    order = ImportRequest("R-1", [Series("temperature", "Cel", values)], zone="s1/a/room")
    return world.do(lambda u: import_logger(u, Judge(), order, live=False), now=at("20:00"))


def test_what_a_logger_told_is_shipped_and_its_week_may_be_dropped(engine: Engine) -> None:
    world, store = World(engine, build_events()), MemoryStore()
    attach(engine, store)
    world.zone("room")
    done = take(world)
    assert done.points == [POINT]
    told = PostgresStore(engine).read(POINT, at("00:00"), at("00:00", 1))
    assert len(told) == done.landed == 37
    assert prune(engine, LATER) == []  # not shipped yet
    assert ship(engine, store, at("20:01")) == 1
    assert store.read(POINT, at("00:00"), at("00:00", 1)) == told
    assert prune(engine, LATER) == ["reading_20260302"]
    assert series_of(engine).read(POINT, at("00:00"), at("00:00", 1)) == told
    assert rows(engine, "SELECT gateway, count FROM reading_shipped") == [("import", 37)]
    # the same file once more finds what was dropped
    more = take(world)
    assert (more.landed, more.duplicates) == (0, 37)
    assert take(world, 6.0).conflicts == 37


def test_an_import_is_no_gateway(engine: Engine) -> None:
    world = World(engine, build_events())
    world.zone("room")
    take(world)
    take(world)
    assert rows(engine, "SELECT kind, status, count, landed_count FROM batch") == [("core", "landed", 37, 37)]
    assert rows(engine, "SELECT count(*) FROM v_gateway_status") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM v_gateway_batches") == [(0,)]


def test_a_dead_letter_that_lands_after_its_batch_was_shipped_is_shipped_too(engine: Engine) -> None:
    add_points(engine)
    new, store = PROBE.replace("probe_1", "probe_7"), MemoryStore()
    fold(
        engine,
        IngestTransaction(judge=RecordingJudge(), live=False),
        Gateway().cut([reading(0), reading(0, point=new)]),
    )
    ship(engine, store, LATER)
    add_points(engine, [new])
    assert again(engine, RecordingJudge()).landed == 1
    assert ship(engine, store, LATER + timedelta(minutes=1)) == 1
    assert store.last([PROBE, new]) == {PROBE: reading(0), new: reading(0, point=new)}
    # what came under the batch is still what became of it then
    assert rows(engine, "SELECT count, landed_count, dead_count FROM batch WHERE kind = 'readings'") == [(2, 1, 1)]
    with engine.connect() as conn:
        shipped = conn.execute(text("SELECT sum(count) FROM reading_shipped")).scalar_one()
    assert shipped == 2
