"""The application's own role: it can do what life cycles and housekeeping need, and undo nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from core.erp.kernel.guarded import declared
from core.erp.kernel.rights import APP, OWNER
from core.ingest.shipping import prune
from core.series.landing import driver, ensure_weeks
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.keys import opened

NOT_ALLOWED = "42501"

# Written by hand: tables of which the running application may remove rows. Each declaration has its reason.
REMOVED_FROM = {
    "batch",
    "batch_fold",
    "browser_session",
    "dispatch_entry",
    "heartbeat",
    "idempotency_key",
    "ingest_lease",
    "ingest_worker",
    "live_change",
    "login_attempt",
    "outbox_subscription",
    "pending_watermark",
    "point_hour",
    "reading_restored",
    "revoked_token",
    "saved_view",
    "source_watermark",
}


@pytest.fixture
def app(postgres: EmbeddedPostgres, database: str) -> Iterator[Engine]:
    made = opened(postgres.url_as(APP, database))
    yield made
    made.dispose()


def state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def test_every_table_is_declared_and_what_may_be_removed_says_why() -> None:
    assert {one.name for one in declared().values() if one.removable} == REMOVED_FROM
    assert all(one.why for one in declared().values() if one.removable)


def test_what_the_application_cannot_do(app: Engine) -> None:
    for sql in (
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "ALTER TABLE stock_move DISABLE TRIGGER ALL",
        "DROP TABLE audit",
        "DROP TRIGGER audit_append_only ON audit",
        "CREATE TABLE mine (id int)",
        "TRUNCATE login_attempt",
        "SET session_replication_role = replica",
        "ALTER FUNCTION lotwise_forbid_change() OWNER TO lotwise_app",
        "CREATE OR REPLACE FUNCTION lotwise_guard_hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "UPDATE audit SET reason = 'x'",
        "DELETE FROM audit",
        "UPDATE stock_move SET amount = 1",
        "DELETE FROM hold",
        "UPDATE hold SET reason = 'x'",
        "UPDATE sublot SET lot_id = 1",
        "UPDATE idempotency_key SET request_hash = ''",
        "UPDATE batch SET sha256 = ''",
        "DELETE FROM app_user",
        "DELETE FROM zone_summary",
        "SELECT setval('audit_id_seq', 1)",
        "SET ROLE lotwise_owner",
        "CREATE SCHEMA mine",
        "ALTER ROLE lotwise_app SUPERUSER",
        "UPDATE alembic_version SET version_num = '0'",
    ):
        with pytest.raises(DBAPIError) as refused, app.begin() as conn:
            conn.execute(text(sql.replace(":", r"\:")))
        assert state(refused.value) in {NOT_ALLOWED, "42P01"}, sql


def test_partitions_are_made_and_dropped_by_the_owners_functions_only(app: Engine, owner: Engine) -> None:
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    with app.begin() as conn:
        ensure_weeks(driver(conn), [monday])
    hot = datetime.now(UTC) - timedelta(days=datetime.now(UTC).weekday())
    with app.begin() as conn:
        ensure_weeks(driver(conn), [hot.replace(hour=0, minute=0, second=0, microsecond=0)])
    for sql in (
        "SELECT series_make_week('reading_20260303', '2026-03-03T00:00Z', '2026-03-10T00:00Z')",
        "SELECT series_make_week('audit', '2026-03-02T00:00Z', '2026-03-09T00:00Z')",
        "SELECT series_drop_week('audit', interval '1 day')",
        "SELECT series_drop_week('reading_20260302', interval '0')",
        f"SELECT series_drop_week('reading_{hot:%Y%m%d}', interval '1 day')",
    ):
        with pytest.raises(DBAPIError) as refused, app.begin() as conn:
            conn.execute(text(sql.replace(":", r"\:")))
        assert state(refused.value) == "LW005", sql
    with pytest.raises(ProgrammingError), app.begin() as conn:
        conn.execute(text("DROP TABLE reading_20260302"))
    with owner.begin() as conn:
        conn.execute(text("INSERT INTO series_point (address) VALUES ('a/b/c/d/e')"))
    assert prune(app, datetime(2026, 4, 1, tzinfo=UTC)) == ["reading_20260302"]


def test_the_owner_is_no_superuser(postgres: EmbeddedPostgres, database: str) -> None:
    engine = opened(postgres.url_as(OWNER, database))
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")) is False
    engine.dispose()
