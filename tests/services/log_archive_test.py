"""The database's log is archived, or somebody is told: a file in the way, a folder that is gone."""

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text

from core import log_archive as watched
from core.erp.kernel.words import render
from core.health import DatabaseProbe
from core.log_archive import LogArchive, log_archive, unarchived, watch
from core.wiring import build_events
from lotwise.backup.backing_up import archive_to
from lotwise.doctor import _archive
from lotwise.embedded.postgres import EmbeddedPostgres

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)  # PostgreSQL runs as nobody under root
    made = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def asking(server: EmbeddedPostgres) -> Iterator[Engine]:
    engine = create_engine(server.url())
    yield engine
    engine.dispose()


def finished(server: EmbeddedPostgres) -> str:
    """A segment that the server has just finished."""
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        row = conn.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        conn.execute("SELECT pg_logical_emit_message(true, 'test', 'something')")
        conn.execute("SELECT pg_switch_wal()")
    assert row is not None
    return str(row[0])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90  # a failed segment is tried three times, and again after a minute
    while not true():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.1)


def test_a_segment_that_is_there_already_is_taken_for_archived_if_it_is_the_same(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    archive_to(server, tmp_path / "wal")
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        row = conn.execute("SHOW archive_command").fetchone()
    assert row is not None
    segment = tmp_path / "segment"

    def archived(content: bytes) -> bool:
        segment.write_bytes(content)
        command = row[0].replace("%p", str(segment)).replace("%f", "000000010000000000000099")
        return subprocess.run(["sh", "-c", command], check=False).returncode == 0

    assert archived(b"the log")
    assert archived(b"the log"), "the server died between the copy and its note of it"
    assert not archived(b"another log"), "a segment is never overwritten"
    assert (tmp_path / "wal" / "000000010000000000000099").read_bytes() == b"the log"


def test_a_file_in_the_way_and_a_folder_that_is_gone_are_told(
    server: EmbeddedPostgres, asking: Engine, tmp_path: Path
) -> None:
    with asking.connect() as conn:
        assert unarchived(conn)
        assert log_archive(conn).trouble is None
    assert _archive(asking).well is None
    wal = tmp_path / "wal"
    archive_to(server, wal)
    segment = wal / finished(server)
    until(segment.exists)
    probe = DatabaseProbe(asking)
    assert probe.archive() is None
    assert _archive(asking).well
    wal.rename(tmp_path / "unmounted")
    lost = finished(server)
    until(lambda: probe.archive() is not None)
    said = probe.archive() or ""
    assert lost in said
    assert "lotwise backup" in said
    assert (_archive(asking).well, probe()) == (False, None)
    (tmp_path / "unmounted").rename(wal)
    until(lambda: probe.archive() is None)
    assert (wal / lost).exists()
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        row = conn.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
    assert row is not None
    (wal / row[0]).write_bytes(b"")
    finished(server)
    until(lambda: probe.archive() is not None)
    assert row[0] in (probe.archive() or "")
    probe.close()


@pytest.mark.parametrize(
    ("archived", "failed", "behind", "trouble"),
    [
        (None, None, 0, None),
        (-1, None, 4, None),
        (-1, -5, 0, None),
        (None, -5, 0, "kernel.log_archive_fails"),
        (-5, -1, 0, "kernel.log_archive_fails"),
        (-11, None, 5, "kernel.log_archive_hangs"),
        (-11, None, 4, None),
        (-9, None, 500, None),
    ],
)
def test_what_is_trouble(archived: int | None, failed: int | None, behind: int, trouble: str | None) -> None:
    at = [NOW + timedelta(minutes=one) if one is not None else None for one in (archived, failed)]
    found = LogArchive(at[0], at[1], "000000010000000000000007" if failed else None, behind, NOW).trouble
    assert (found.id if found is not None else None) == trouble
    assert found is None or "…" not in render(found, "zh")


def test_whoever_manages_users_has_a_task_until_it_is_well(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = LogArchive(NOW, NOW + timedelta(minutes=1), "000000010000000000000007", 1, NOW)
    events = build_events()
    for state, expected in (
        (failing, ["open"]),
        (failing, ["open"]),
        (LogArchive(NOW, None, None, 0, NOW), ["done"]),
        (failing, ["done", "open"]),
    ):
        monkeypatch.setattr(watched, "log_archive", lambda _, now=state: now)
        watch(engine, events, NOW)
        with engine.connect() as conn:
            rows = conn.execute(text("SELECT state, permit, title FROM task ORDER BY id")).all()
        assert [row.state for row in rows] == expected
        assert rows[0].permit == "user.manage"
        assert "000000010000000000000007" in rows[0].title
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM outbox WHERE topic = 'task.create'")) == 2
