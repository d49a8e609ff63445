"""Connections of those who only read: few messages, nothing written, what is prepared stays, dead ones go."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from core.app import create_app
from core.erp.kernel import connections
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.connections import (
    bound_statements,
    close_for_good,
    keep_prepared,
    look_after_rest,
    read_only,
)
from core.erp.kernel.http import DoorKeeper
from core.erp.kernel.unit import Unit, reading, system, unit
from core.settings import Settings
from core.wiring import build_events
from tests.keys import opened
from tests.serving import serving

PASSWORD = "correct horse battery"


@pytest.fixture
def readers(engine: Engine) -> Iterator[Engine]:
    made = read_only(engine, 1, timedelta(seconds=3))
    yield made
    made.dispose()


def test_who_only_reads_writes_nothing(readers: Engine) -> None:
    with (
        reading(readers, system("test"), build_events()) as u,
        pytest.raises(DBAPIError, match="read-only transaction"),
    ):
        u.conn.execute(text("INSERT INTO site (code, name, timezone) VALUES ('s', 's', 'UTC')"))


@pytest.mark.parametrize(
    "statement", ["SELECT FROM site FOR UPDATE", "LOCK TABLE site IN ACCESS SHARE MODE", "SAVEPOINT a"]
)
def test_what_needs_a_transaction_after_all_is_begun_anew_in_one(
    engine: Engine, readers: Engine, statement: str
) -> None:
    tries: list[str] = []

    def work(u: Unit) -> str:
        tries.append(statement)
        u.conn.execute(text(statement))
        return "seen"

    nobody: Any = None  # neither posts nor signs
    door = DoorKeeper(engine, readers, build_events(), nobody, system("test"), nobody, None, b"")
    assert (door.read(work), len(tries)) == ("seen", 2)


def test_statements_stay_prepared_from_one_unit_to_the_next(readers: Engine) -> None:
    for number in range(8):
        with reading(readers, system("test"), build_events()) as u:
            u.conn.execute(text("SELECT count(*) FROM site WHERE id > :id"), {"id": number})
    with reading(readers, system("test"), build_events()) as u:
        kept = u.conn.scalars(text("SELECT statement FROM pg_prepared_statements")).all()
    assert any("FROM site WHERE id >" in statement for statement in kept)


def test_a_bound_holds_until_the_next_unit(readers: Engine) -> None:
    said: list[str] = []
    event.listen(readers, "before_cursor_execute", lambda _c, _u, statement, *_: said.append(statement))
    for longest in (timedelta(seconds=2), timedelta(seconds=2), None):
        with reading(readers, system("test"), build_events(), longest=longest) as u:
            bound = u.conn.scalar(text("SHOW statement_timeout"))
        assert bound == ("2s" if longest else "0")
    assert said.count("SET statement_timeout = 2000") == 1, "said once while it stays the same"


def test_a_bound_of_a_transaction_ends_with_it(engine: Engine) -> None:
    with unit(engine, system("test"), build_events()) as u:
        bound_statements(u.conn, timedelta(seconds=2))
        assert u.conn.scalar(text("SHOW statement_timeout")) == "2s"
    with unit(engine, system("test"), build_events()) as u:
        assert u.conn.scalar(text("SHOW statement_timeout")) == "0"


def test_what_is_in_use_at_the_end_is_closed_when_it_is_given_back(postgres_url: str) -> None:
    """A pool that was only disposed of kept it open, and whoever collected it was told of it."""
    ended = opened(postgres_url, pool_size=2)
    used, rested = ended.connect(), ended.connect()
    raw: list[Any] = [one.connection.dbapi_connection for one in (used, rested)]
    rested.close()
    close_for_good(ended)
    assert [one.closed for one in raw] == [False, True]
    assert used.execute(text("SELECT 1")).scalar_one() == 1, "who asks still has the answer"
    used.close()
    assert raw[0].closed


def test_a_connection_that_died_while_it_rested_is_made_anew(
    engine: Engine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested = opened(postgres_url, pool_size=1, max_overflow=0)
    look_after_rest(rested)
    keep_prepared(rested)
    monkeypatch.setattr(connections, "REST", 0.0)
    with rested.connect() as conn:
        conn.execute(text("SELECT 1"))
        mine = conn.scalar(text("SELECT pg_backend_pid()"))
    with engine.connect() as conn:
        conn.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
    time.sleep(0.1)
    with rested.connect() as conn:
        assert conn.scalar(text("SELECT pg_backend_pid()")) != mine
    rested.dispose()


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[tuple[httpx.Client, list[str]]]:
    """Somebody of one site, and what is asked of the database in their name."""
    with unit(engine, system("test"), build_events()) as u:
        site = u.conn.scalar(text("INSERT INTO site (code, name, timezone) VALUES ('s', 's', 'UTC') RETURNING id"))
        create_user(u, "wes", "Wes", PASSWORD, ["warehouse"], place=Place((site,)))
    app = create_app(Settings(secret_key=SecretStr("s" * 40), data_dir=tmp_path), engine, run_background=False)
    said: list[str] = []
    for one in (engine, app.state.readers):
        event.listen(one, "before_cursor_execute", lambda _c, _u, statement, *_: said.append(statement))
    with serving(app) as client:
        token = client.post("/api/v1/token", data={"username": "wes", "password": PASSWORD}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client, said


@pytest.mark.parametrize(("path", "most"), [("/sublots", 2), ("/lots?sort=-number", 2), ("/shipments?limit=5", 2)])
def test_a_list_is_two_statements(client: tuple[httpx.Client, list[str]], path: str, most: int) -> None:
    """Who asks, and what is asked for: no transaction around either."""
    asks, said = client
    asks.get(f"/api/v1{path}").raise_for_status()
    said.clear()
    asks.get(f"/api/v1{path}").raise_for_status()
    assert len(said) == most, said
