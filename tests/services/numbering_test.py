"""Numbers taken by many at once on a real PostgreSQL: no hole and no double, whoever dies with one in hand."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from time import monotonic, sleep

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from core.erp.kernel.events import Events
from core.erp.kernel.numbering.ddl import sequence
from core.erp.kernel.numbering.rules import Series
from core.erp.kernel.numbering.service import take
from core.erp.kernel.rights import APP
from core.erp.kernel.unit import Unit, system, transact, unit

SYSTEM = system("test")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CAPA = Series("capa", "CAPA-{year}-{n:04}")
FAST = Series("tag", "T-{n}", gapless=False)
POSTERS, EACH = 16, 25


class Undone(Exception):
    """Thrown to have a transaction undone."""


@pytest.fixture
def engine(engine: Engine, owner: Engine) -> Engine:
    """With a table of numbered records, and the sequence that a module's DDL makes."""
    with owner.begin() as conn:
        conn.execute(text("CREATE TABLE numbered (number text PRIMARY KEY)"))
        conn.execute(text(f"GRANT SELECT, INSERT ON numbered TO {APP}"))
        conn.execute(text(sequence(FAST)))
        conn.execute(text(f"GRANT USAGE ON SEQUENCE number_tag TO {APP}"))
    return engine


def post(u: Unit, series: Series = CAPA) -> str:
    number = take(u, series)
    u.conn.execute(text("INSERT INTO numbered VALUES (:n)"), {"n": number})
    return number


def post_and_undo(engine: Engine, series: Series) -> None:
    def work(u: Unit) -> None:
        post(u, series)
        raise Undone

    with pytest.raises(Undone):
        transact(engine, SYSTEM, Events(), work, NOW)


def stored(engine: Engine) -> list[str]:
    with engine.connect() as conn:
        return list(conn.execute(text("SELECT number FROM numbered ORDER BY number")).scalars())


def test_a_series_counts_by_site_and_year(engine: Engine) -> None:
    by_site = Series("ncr", "{site}-{year}-{n:03}")
    with unit(engine, SYSTEM, Events(), NOW) as u:
        assert [take(u, CAPA), take(u, CAPA)] == ["CAPA-2026-0001", "CAPA-2026-0002"]
        assert take(u, CAPA, day=date(2027, 1, 1)) == "CAPA-2027-0001"
        assert take(u, CAPA) == "CAPA-2026-0003"
        assert [take(u, by_site, site=site) for site in ("zrh", "sha", "zrh")] == [
            "zrh-2026-001",
            "sha-2026-001",
            "zrh-2026-002",
        ]
        assert [take(u, FAST), take(u, FAST)] == ["T-1", "T-2"]
        with pytest.raises(ValueError, match="say which"):
            take(u, by_site)


def test_an_undone_number_is_the_next_ones(engine: Engine) -> None:
    post_and_undo(engine, CAPA)
    with unit(engine, SYSTEM, Events(), NOW) as u:
        assert post(u) == "CAPA-2026-0001"


def test_sixteen_posters_and_one_that_is_killed(engine: Engine) -> None:
    """Every fourth posting is undone; another poster's server process is ended while it holds a number and 16 wait."""
    undone = threading.Barrier(POSTERS + 1)

    def poster(mine: int) -> list[str]:
        undone.wait()
        got = []
        for turn in range(EACH):
            if (mine + turn) % 4 == 0:
                post_and_undo(engine, CAPA)
            else:
                got.append(transact(engine, SYSTEM, Events(), post, NOW))
        return got

    def victim() -> None:
        with unit(engine, SYSTEM, Events(), NOW) as u:
            post(u)
            pid = u.conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
            undone.wait()
            waits_for(engine, POSTERS)
            with engine.begin() as conn:
                conn.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            u.conn.execute(text("SELECT 1"))

    with ThreadPoolExecutor(POSTERS + 1) as pool:
        killed = pool.submit(victim)
        sleep(0.2)  # it has the first number
        numbers = [number for got in pool.map(poster, range(POSTERS)) for number in got]
        with pytest.raises((OperationalError, DBAPIError)):
            killed.result()
    expected = [f"CAPA-2026-{n:04}" for n in range(1, len(numbers) + 1)]
    assert sorted(numbers) == expected == stored(engine)
    assert len(numbers) == POSTERS * EACH - sum((m + t) % 4 == 0 for m in range(POSTERS) for t in range(EACH))


def waits_for(engine: Engine, count: int) -> None:
    """Until so many sessions wait for the killed one's number."""
    until = monotonic() + 60
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while conn.execute(query).scalar_one() < count:
            assert monotonic() < until, "the posters do not wait"
            sleep(0.01)


def test_a_fast_series_waits_for_nobody(engine: Engine) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as slow:
        assert post(slow, FAST) == "T-1"
        assert transact(engine, SYSTEM, Events(), lambda u: post(u, FAST), NOW) == "T-2"
    post_and_undo(engine, FAST)
    assert transact(engine, SYSTEM, Events(), lambda u: post(u, FAST), NOW) == "T-4"
    with pytest.raises(ValueError, match="gapless"):
        sequence(CAPA)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE number_counter SET last = last + 2",
        "UPDATE number_counter SET last = last - 1",
        "UPDATE number_counter SET last = last",
        "UPDATE number_counter SET year = 2025, last = last + 1",
        "INSERT INTO number_counter VALUES ('capa', '', 2025, 2)",
        "DELETE FROM number_counter",
        "TRUNCATE number_counter",
    ],
)
def test_the_database_lets_no_series_jump(engine: Engine, owner: Engine, statement: str) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        take(u, CAPA)
        take(u, CAPA)
    with pytest.raises(DBAPIError) as refused, owner.begin() as conn:
        conn.execute(text(statement))
    assert getattr(refused.value.orig, "sqlstate", "") == "LW005"
