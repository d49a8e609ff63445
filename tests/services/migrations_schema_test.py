"""A fresh schema and a migrated one are the same: tables, columns, constraints, indexes, triggers, functions, views."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from core.erp.kernel.schema import load_models
from core.erp.migrations import upgrade
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.keys import opened


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[Engine]:
    name = "migrated"
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        conn.execute(f"CREATE DATABASE {name}".encode())
    engine = opened(postgres.url(name))
    yield engine
    engine.dispose()


CATALOGUES = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
    "WHERE table_schema = 'public'",
    "constraints": "SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND contype <> 'n'",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
    "AND prokind = 'f' AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "grants": "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants "
    "WHERE table_schema = 'public' AND grantee NOT IN ('postgres', 'lotwise_owner')",
    "partitioned": "SELECT c.relname, pg_get_partkeydef(c.oid) FROM pg_class c WHERE c.relkind = 'p'",
}


def catalogue(engine: Engine, sql: str) -> set[tuple[object, ...]]:
    with engine.connect() as conn:
        rows = {tuple(row) for row in conn.execute(text(sql.replace(":", r"\:")))}
    return {row for row in rows if not any("alembic_version" in str(value) for value in row)}


def test_fresh_and_migrated_are_the_same(owner: Engine, empty: Engine) -> None:
    upgrade(empty)
    upgrade(empty)  # a second time does nothing
    load_models()
    with empty.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), SQLModel.metadata) == []
    for what, sql in CATALOGUES.items():
        fresh, migrated = catalogue(owner, sql), catalogue(empty, sql)
        assert fresh - migrated == set(), f"{what} that the migrations forgot"
        assert migrated - fresh == set(), f"{what} that only the migrations make"
    assert len(catalogue(empty, CATALOGUES["triggers"])) > 40


def test_two_servers_that_start_at_once(empty: Engine) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            upgrade(empty)
        except BaseException as error:  # noqa: BLE001 - the thread hands over whatever it was
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
