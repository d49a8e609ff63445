"""/healthz answers beside the core's work and says what is wrong; the background work has one leader."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from core import background, health
from core.app import create_app
from core.background import Background, Leader, Loop
from core.health import CapacityProbe, Health, disk_probe, verdict
from core.settings import Settings
from core.workers import Notice
from tests.serving import serving


def until(true: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


@contextmanager
def core(engine: Engine, folder: Path) -> Iterator[httpx.Client]:
    settings = Settings(instance="test", secret_key=SecretStr("k" * 40), data_dir=folder)
    with serving(create_app(settings, engine, run_background=False, probes={"servers": lambda: None})) as client:
        yield client


def test_a_core_that_is_well_says_what_it_looked_at(engine: Engine, tmp_path: Path) -> None:
    with core(engine, tmp_path) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 200
    told = answer.json()
    looked_at = (
        "database",
        "room",
        "disk",
        "archive",
        "filling",
        "certificate",
        "ingest",
        "gateways",
        "clock",
        "servers",
    )
    assert (told["status"], told["checks"]) == ("ok", dict.fromkeys(looked_at, "ok"))
    assert told["heartbeats"].keys() == {"database"}, "nothing else has been there yet"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [((), "ok"), (("archive",), "warning"), (("disk",), "failing"), (("archive", "database"), "failing")],
)
def test_what_stops_nobodys_work_takes_no_core_out_of_service(wrong: tuple[str, ...], said: str) -> None:
    checks = {name: "trouble" if name in wrong else "ok" for name in ("database", "disk", "archive")}
    assert verdict(checks) == said


def test_it_answers_while_every_request_waits_for_a_connection(postgres_url: str, tmp_path: Path) -> None:
    small = create_engine(postgres_url, pool_size=1, max_overflow=0, pool_timeout=60)
    settings = Settings(instance="test", secret_key=SecretStr("k" * 40), data_dir=tmp_path)
    app = create_app(settings, small, run_background=False)

    def waits() -> None:
        small.connect().close()

    app.add_api_route("/waits", waits)
    with serving(app) as client, ThreadPoolExecutor(60) as pool:
        with small.connect():
            asked = [pool.submit(client.get, "/waits", timeout=60) for _ in range(50)]
            time.sleep(0.5)
            assert not any(each.done() for each in asked)
            assert client.get("/healthz", timeout=5).json()["status"] == "ok"
        assert {each.result(60).status_code for each in asked} == {200}
    small.dispose()


def test_a_probe_that_hangs_is_told_in_bounded_time_and_asked_once() -> None:
    going, calls = threading.Event(), []

    def hangs() -> str | None:
        calls.append(1)
        going.wait(20)
        return None

    async def ask() -> list[dict[str, str]]:
        looked = Health({"slow": hangs, "quick": lambda: "it is broken"}, within=0.1, fresh=0.0)
        said = [await looked.check(), await looked.check()]
        going.set()
        await asyncio.sleep(0.05)
        return [*said, await looked.check()]

    first, second, third = asyncio.run(ask())
    assert first == second == {"slow": "no answer within 0.1 s", "quick": "it is broken"}
    assert third["slow"] == "ok"
    assert len(calls) <= 2


def test_many_that_ask_at_once_are_told_the_same() -> None:
    calls: list[int] = []

    async def ask() -> None:
        looked = Health({"a": lambda: calls.append(1)}, fresh=60)
        await asyncio.gather(*(looked.check() for _ in range(50)))

    asyncio.run(ask())
    assert calls == [1]


@pytest.mark.as_owner
def test_a_refusal_for_lack_of_room_is_remembered(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = CapacityProbe(engine, Notice())
    assert probe() is None
    much = text("SELECT count(*) FROM (SELECT n FROM generate_series(1, 100000) n ORDER BY n DESC) a")
    with engine.connect() as conn:
        conn.execute(text("SET temp_file_limit = 0"))
        conn.execute(text("SET work_mem = '64kB'"))
        with pytest.raises(OperationalError):
            conn.execute(much)
    said = probe()
    assert said is not None
    assert "temp_file_limit" in said
    monkeypatch.setattr(health, "REFUSAL_SHOWN", 0.0)
    assert probe() is None


def test_a_full_disk_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = disk_probe(tmp_path / "not" / "made" / "yet")
    assert probe() is None
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 2**60)
    said = probe()
    assert said is not None
    assert "MiB free of" in said
    assert str(tmp_path) not in said


def working(engine: Engine, name: str, done: list[str]) -> Background:
    leader = Leader(engine)
    return Background(leader, [Loop("work", lambda: done.append(name), 0.01, leader.leads)], Notice())


def test_of_several_servers_one_leads_and_another_follows_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LEAD_EVERY", 0.05)
    done: list[str] = []
    first, second = working(engine, "first", done), working(engine, "second", done)
    first.start()
    until(lambda: "first" in done)
    second.start()
    time.sleep(0.3)
    assert set(done) == {"first"}
    first.stop()
    until(lambda: "second" in done)
    second.stop()


def test_a_database_that_is_away_is_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    may = threading.Event()
    may.set()
    away = create_engine("postgresql+psycopg://x@127.0.0.1:9/x")
    loop = Loop("sealer", lambda: away.connect().close(), 0.01, may)
    loop.start()
    until(lambda: loop.failure is not None)
    time.sleep(0.05)
    loop.stop()
    (said,) = caplog.records
    assert said.getMessage().startswith("sealer waits for the database: connection failed")
    assert said.exc_info is None


def test_a_leader_that_loses_its_session_leads_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LEAD_EVERY", 0.05)
    done: list[str] = []
    only = working(engine, "only", done)
    only.start()
    until(lambda: bool(done))
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with engine.connect() as conn:
        assert conn.execute(text(ended + " AND application_name = 'lotwise leader'")).scalars().all() == [True]
    until(lambda: _sessions(engine) == 1)
    done.clear()
    until(lambda: bool(done))
    only.stop()
    until(lambda: _sessions(engine) == 0)


def _sessions(engine: Engine) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    with engine.connect() as conn:
        return int(conn.scalar(text(query + " AND application_name = 'lotwise leader'")) or 0)


def test_a_loop_that_fails_is_told_and_goes_on() -> None:
    may, fails = threading.Event(), [True]
    may.set()

    def work() -> None:
        if fails[0]:
            raise OSError(28, "No space left on device")

    loop = Loop("sealer", work, 0.01, may)
    both = Background(Leader(create_engine("postgresql+psycopg://x@127.0.0.1:9/x")), [loop], Notice())
    loop.start()
    until(lambda: both.failing_loops() is not None)
    assert both.failing_loops() == "sealer: OSError: [Errno 28] No space left on device"
    fails[0] = False
    until(lambda: both.failing_loops() is None)
    loop.stop()
