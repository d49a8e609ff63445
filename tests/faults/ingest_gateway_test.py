"""Gateway, stream, ingest and `prove` together: what is lost on the way is sent again, and delivery can be shown."""

import asyncio
import contextlib
import io
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner, Result

from core.ingest.shipping import ship
from core.series.memory import MemoryStore
from core.telemetry.reading import Reading
from edge.carrier import NatsCarrier
from edge.config import StreamConfig
from edge.forwarder import Forwarder
from edge.spool import Spool, SpoolOptions
from edge.tasks import end
from lotwise.embedded.nats import EmbeddedNats
from lotwise.prove import Report, app, prove, retry, show
from lotwise.proving import Difference
from tests.faults.ingest_running import count, until, worker
from tests.services.ingest_support import AT, POINT, RecordingJudge, S, add_points, mark

SMALL = SpoolOptions(batch_readings=5, cut_every=timedelta(milliseconds=20))
SPAN = timedelta(hours=1)


def readings(start: int, stop: int) -> Iterator[Reading]:
    for n in range(start, stop):
        yield Reading(point=POINT, at=AT + n * S, value=float(n % 50), unit="Cel", edge_at=AT)


@contextlib.asynccontextmanager
async def forwarding(spool: Spool, url: str) -> AsyncIterator[Forwarder]:
    carrier = NatsCarrier(StreamConfig(urls=(url,)), "gw-1")
    forwarder = Forwarder(spool, carrier, "gw-1", confirm_every=0.05)
    tasks = [asyncio.create_task(carrier.run()), asyncio.create_task(forwarder.run())]
    try:
        yield forwarder
    finally:
        for task in reversed(tasks):
            await end([task])


async def fill(spool: Spool, start: int, stop: int) -> None:
    for first in range(start, stop, 50):
        await spool.keep(list(readings(first, min(first + 50, stop))))
    await spool.watermarks([mark(stop - 1)])


async def until_confirmed(spool: Spool) -> None:
    async with asyncio.timeout(40):
        while (await spool.depth()).batches:  # noqa: ASYNC110 - the cursor sets no event
            await asyncio.sleep(0.05)


def proved(folder: Path, engine: Engine, store: MemoryStore | None = None) -> Report:
    now = datetime.now(UTC)
    return prove("gw-1", now - SPAN, now + SPAN, folder, engine, store)


def test_a_stream_lost_with_a_thousand_batches_in_it_loses_nothing(
    tmp_path: Path, engine: Engine, nats_server: EmbeddedNats
) -> None:
    add_points(engine)
    judge = RecordingJudge()

    async def main() -> None:
        async with (
            await Spool.open(tmp_path / "gw", "gw-1", "north", SMALL) as spool,
            forwarding(spool, nats_server.url) as forwarder,
        ):
            await fill(spool, 0, 6000)
            async with asyncio.timeout(40):
                await forwarder.drained()
            assert (await spool.depth()).batches >= 1000
            nats_server.kill()
            shutil.rmtree(nats_server.store_dir)
            nats_server.start()
            await fill(spool, 6000, 6200)
            async with worker(engine, nats_server.url, judge):
                await until_confirmed(spool)
                # none was cut while the stream had not taken the newest batch: the next says more
                await spool.watermarks([mark(6199)])
                await until_confirmed(spool)
            assert forwarder.resent >= 1000

    asyncio.run(main())
    assert [r.at for r in sorted(judge.readings, key=lambda r: r.at)] == [r.at for r in readings(0, 6200)]
    assert max(judge.watermarks, key=lambda told: told[1].upto) == ("gw-1", mark(6199))
    report = proved(tmp_path / "gw", engine)
    assert report.ok, report.differences
    assert (report.spool.readings, report.core.readings, report.series.readings) == (6200, 6200, 6200)
    numbers = "SELECT count(*), max(number) FROM batch GROUP BY gateway, epoch, partition"
    with engine.connect() as conn:
        assert all(batches == last for batches, last in conn.execute(text(numbers)))


def test_a_gateway_and_a_worker_that_die_again_and_again(
    tmp_path: Path, engine: Engine, nats_server: EmbeddedNats
) -> None:
    add_points(engine)
    judge = RecordingJudge()

    async def main() -> None:
        for life in range(4):
            async with await Spool.open(tmp_path / "gw", "gw-1", "north", SMALL) as spool:
                await fill(spool, life * 100, life * 100 + 100)
                async with forwarding(spool, nats_server.url), worker(engine, nats_server.url, judge):
                    await until(lambda: count(engine, "batch") > 0)
        async with await Spool.open(tmp_path / "gw", "gw-1", "north", SMALL) as spool:
            await fill(spool, 400, 410)
            async with forwarding(spool, nats_server.url), worker(engine, nats_server.url, judge):
                await until_confirmed(spool)

    asyncio.run(main())
    assert sorted(r.at for r in judge.readings) == [r.at for r in readings(0, 410)]
    # a batch that comes again after a later one tells its mark again: the furthest counts
    assert max((told.upto, gateway) for gateway, told in judge.watermarks) == (mark(409).upto, "gw-1")
    assert count(engine, "gateway_epoch") == 5
    assert count(engine, "pending_watermark") == 0
    assert proved(tmp_path / "gw", engine).ok


@pytest.fixture
def delivered(tmp_path: Path, engine: Engine, nats_server: EmbeddedNats) -> Path:
    """The folder of a spool whose 100 readings are confirmed."""
    add_points(engine)

    async def main() -> None:
        async with await Spool.open(tmp_path / "gw", "gw-1", "north", SMALL) as spool:
            await fill(spool, 0, 100)
            async with forwarding(spool, nats_server.url), worker(engine, nats_server.url, RecordingJudge()):
                await until_confirmed(spool)

    asyncio.run(main())
    return tmp_path / "gw"


def test_prove_agrees_and_says_so(delivered: Path, engine: Engine) -> None:
    store = MemoryStore()
    ship(engine, store, datetime.now(UTC))
    report = proved(delivered, engine, store)
    assert report.ok
    assert report.series.more["equal in the series store"] == 100
    told = json.loads(report.as_json())
    assert (told["ok"], told["empty"], told["spool"]["readings"], told["core"]["more"]["landed"]) == (
        True,
        False,
        100,
        100,
    )
    console = Console(record=True, width=160, file=io.StringIO())
    show(report, console)
    assert "delivery proved" in console.export_text()


def test_the_command_finds_the_spool_and_says_what_it_saw(
    delivered: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOTWISE_DATA_DIR", str(delivered.parent))
    monkeypatch.setenv("LOTWISE_DATABASE_URL", engine.url.render_as_string(hide_password=False))

    def run(*options: str) -> Result:
        return CliRunner().invoke(app, ["--gateway", "gw-1", *options])

    since = (datetime.now(UTC) - SPAN).isoformat()
    found = run("--from", since, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["core"]["readings"] == 100
    assert "delivery proved" in run("--from", since).stdout
    assert run("--from", "2020-01-01", "--to", "2020-01-02T00:00:00Z").exit_code == 1
    assert run("--from", "yesterday").exit_code == 2
    assert run("--from", since, "--spool", str(delivered / "nowhere")).exit_code == 2
    assert CliRunner().invoke(app, ["--gateway", "gw-9", "--from", since]).exit_code == 2


def test_the_command_waits_for_what_is_on_its_way_and_for_nothing_else() -> None:
    def report(*kinds: str) -> Report:
        found = Report("gw-1", AT, AT + S, differences=[Difference(kind, "e", 1, 1, "") for kind in kinds])
        found.spool.readings = 1
        return found

    def looks(*reports: Report) -> Report:
        return retry(iter(reports).__next__, tries=3, pause=0)

    assert looks(report("missing"), report("missing"), report()).ok
    assert not looks(report("missing"), report("missing"), report("missing")).ok
    assert not looks(report("missing", "hash"), report()).ok


def kinds(report: Report) -> set[str]:
    assert not report.ok
    return {difference.kind for difference in report.differences}


def test_prove_finds_what_is_not_in_the_series_store(delivered: Path, engine: Engine) -> None:
    store = MemoryStore()
    ship(engine, store, datetime.now(UTC))
    del store._points[POINT][40]
    assert kinds(proved(delivered, engine, store)) == {"absent"}


def test_prove_finds_a_confirmation_that_is_gone(delivered: Path, engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM batch WHERE number = 2"))
    assert "missing" in kinds(proved(delivered, engine))


@pytest.mark.as_owner
@pytest.mark.as_owner
def test_prove_finds_a_hash_that_differs(delivered: Path, engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))  # as a superuser can
        conn.execute(text("UPDATE batch SET sha256 = decode(repeat('00', 32), 'hex') WHERE number = 1"))
    assert kinds(proved(delivered, engine)) == {"hash"}


@pytest.mark.as_owner
def test_prove_finds_readings_taken_out_of_the_landing(delivered: Path, engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))  # as a superuser can
        conn.execute(text("DELETE FROM reading WHERE at = :at"), {"at": AT + 5 * S})
    assert kinds(proved(delivered, engine)) == {"count"}


def test_prove_finds_a_hole_in_the_spool(delivered: Path, engine: Engine) -> None:
    with contextlib.closing(sqlite3.connect(delivered / "spool.sqlite")) as db:
        db.execute("DELETE FROM batch WHERE number = 3")
        db.commit()
    assert kinds(proved(delivered, engine)) == {"hole", "stranger"}


def test_prove_of_an_empty_span_proves_nothing(delivered: Path, engine: Engine) -> None:
    report = prove("gw-1", AT, AT + S, delivered, engine, None)
    assert report.empty
    assert not report.ok
    assert report.differences == []


def test_prove_refuses_another_gateways_spool(delivered: Path, engine: Engine) -> None:
    with pytest.raises(ValueError, match="gw-1's, not gw-2's"):
        prove("gw-2", AT, AT + S, delivered, engine, None)
    with pytest.raises(FileNotFoundError):
        prove("gw-1", AT, AT + S, delivered / "nowhere", engine, None)


@pytest.mark.as_owner
def test_the_landing_cannot_be_emptied_by_mistake(delivered: Path, engine: Engine) -> None:
    assert delivered.exists()
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as conn:
        conn.execute(text("TRUNCATE reading"))
