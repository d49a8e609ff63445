"""Housekeeping: what is kept for a while only goes by itself."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel import retention
from core.erp.kernel.retention import IDEMPOTENCY_KEYS_KEPT, LOGIN_ATTEMPTS_KEPT, delete_expired
from core.ingest.shipping import ship
from core.ingest.stream import NatsSettings
from core.series.memory import MemoryStore
from core.settings import Settings
from lotwise import ingesting
from lotwise.embedded.nats import EmbeddedNats
from lotwise.ingesting import run_housekeeping
from tests.faults.ingest_running import until
from tests.services.ingest_after_test import landed, rows
from tests.services.ingest_support import AT, S

NOW = AT + timedelta(days=100)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """Keys and tries of the last hundred days, one a day."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO idempotency_key (key, actor, request_hash, status, response, at) "
                "SELECT 'k' || n, 'anna', 'x', 201, '{}', cast(:now AS timestamptz) - n * interval '1 day' "
                "FROM generate_series(0, 99) n"
            ),
            {"now": NOW},
        )
        conn.execute(
            text(
                "INSERT INTO login_attempt (login, address, at, ok) "
                "SELECT 'anna', '10.0.0.1', cast(:now AS timestamptz) - n * interval '1 day', true "
                "FROM generate_series(0, 99) n"
            ),
            {"now": NOW},
        )
    return engine


def test_old_keys_and_tries_go_and_young_ones_stay(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 7)  # in small steps
    assert delete_expired(filled, NOW) == {
        "idempotency_key": 99 - IDEMPOTENCY_KEYS_KEPT.days,
        "login_attempt": 99 - LOGIN_ATTEMPTS_KEPT.days,
        "browser_session": 0,
    }
    assert rows(filled, "SELECT count(*), min(at) FROM idempotency_key") == [
        (IDEMPOTENCY_KEYS_KEPT.days + 1, NOW - IDEMPOTENCY_KEYS_KEPT)
    ]
    assert rows(filled, "SELECT count(*), min(at) FROM login_attempt") == [
        (LOGIN_ATTEMPTS_KEPT.days + 1, NOW - LOGIN_ATTEMPTS_KEPT)
    ]
    assert delete_expired(filled, NOW) == dict.fromkeys(("idempotency_key", "login_attempt", "browser_session"), 0)


def test_a_round_of_housekeeping(filled: Engine) -> None:
    landed(filled)
    ship(filled, MemoryStore(), AT + 3600 * S)
    run_housekeeping(filled, NOW, behind=False)
    assert rows(filled, "SELECT count(*) FROM reading") == [(50,)]  # without a store behind this is the series
    assert rows(filled, "SELECT first_number, last_number FROM batch_fold") == [(1, 5)]
    assert rows(filled, "SELECT count(*) FROM idempotency_key") == [(IDEMPOTENCY_KEYS_KEPT.days + 1,)]
    run_housekeeping(filled, NOW, behind=True)
    assert rows(filled, "SELECT count(*) FROM reading") == [(0,)]
    assert rows(filled, "SELECT count(*) FROM batch") == [(0,)]
    assert rows(filled, "SELECT gone, landed_count FROM batch_fold") == [(5, 50)]


def test_the_ingest_keeps_house_by_itself(
    filled: Engine, nats_server: EmbeddedNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "HOUSEKEEPING_EVERY", 0.05)
    settings = Settings(instance="test", data_dir=tmp_path)

    async def main() -> None:
        stop = asyncio.Event()
        stream = NatsSettings(urls=(nats_server.url,))
        task = asyncio.create_task(ingesting.ingest(settings, filled, stream, stop, name="w"))
        await until(lambda: rows(filled, "SELECT count(*) FROM login_attempt") == [(0,)])
        stop.set()
        await task

    with filled.begin() as conn:
        conn.execute(text("UPDATE login_attempt SET at = at - interval '3 years'"))
    asyncio.run(main())
