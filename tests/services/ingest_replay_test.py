"""`lotwise ingest replay`: dead letters tried again from the command line, and what came of it."""

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from core.ingest.transaction import IngestTransaction
from lotwise.cli import app
from tests.services.ingest_after_test import rows
from tests.services.ingest_support import ZONE, Gateway, RecordingJudge, add_points, fold, reading

NEW = f"{ZONE}/probe_2/temperature"


@pytest.fixture
def dead(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Three readings of a point that is not there, and one of a unit that cannot be."""
    add_points(engine)
    bad = [*[reading(n, point=NEW) for n in range(3)], reading(9, unit="%")]
    fold(engine, IngestTransaction(judge=RecordingJudge(), live=False), Gateway().cut([reading(0), *bad]))
    monkeypatch.setenv("LOTWISE_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")
    return engine


def replay(*options: str) -> Result:
    return CliRunner().invoke(app, ["ingest", "replay", *options], env={"COLUMNS": "200"})


def test_dead_letters_are_counted_tried_and_landed(dead: Engine) -> None:
    shown = replay("--dry-run")
    assert shown.exit_code == 1
    assert "unknown_point" in shown.output
    assert "wrong_unit" in shown.output
    assert rows(dead, "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL") == [(4,)]
    still = replay()
    assert still.exit_code == 1
    assert "still refused: 3 (unknown_point)" in still.output
    add_points(dead, [NEW])
    done = replay("--reason", "unknown_point")
    assert done.exit_code == 0, done.output
    assert "landed 3" in done.output
    assert (
        rows(dead, "SELECT outcome, replayed_by FROM dead_letter WHERE replayed_at IS NOT NULL")
        == [("landed", "system:command line")] * 3
    )
    assert rows(dead, "SELECT count(*) FROM reading") == [(4,)]
    assert replay().exit_code == 1  # the other one stays
    assert rows(dead, "SELECT count(*) FROM reading") == [(4,)]  # and nothing lands twice
    assert replay("--gateway", "gw-2").exit_code == 0


def test_what_would_be_tried_is_what_is_asked_for(dead: Engine) -> None:
    some = replay("--dry-run", "--reason", "wrong_unit", "--gateway", "gw-1")
    assert some.exit_code == 1
    assert "unknown_point" not in some.output
    for nothing in (("--reason", "no_such_reason"), ("--gateway", "gw-2")):
        assert replay("--dry-run", *nothing).exit_code == replay(*nothing).exit_code == 0
    assert rows(dead, "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL") == [(4,)]
