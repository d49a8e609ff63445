"""The audit trail against somebody who owns the database: keyed rows and seals, and the witness outside."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from core.erp.kernel.audit import BehindWitness, Sealer
from core.erp.kernel.audit_keys import MESSAGE_SQL, NoAuditKey, audit_keys, message, open_engine
from core.erp.kernel.audit_verification import VerificationProgress, verify
from core.erp.kernel.events import Events
from core.erp.kernel.unit import json_value, system, unit
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.settings import Settings
from lotwise.cli import app
from lotwise.embedded.process import ServerFailed
from lotwise.runtime import load_audit_keys
from tests.keys import KEYS

pytestmark = pytest.mark.as_owner

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SYSTEM = system("test")


def audited(engine: Engine, count: int) -> None:
    for number in range(count):
        with unit(engine, SYSTEM, Events(), NOW) as u:
            u.audit("test.act", "thing", number, before={"x": 1.5}, after={"x": "ä", "at": NOW}, reason="why")


def kinds(engine: Engine, witness: Witness | None = None) -> set[str]:
    with engine.connect() as conn:
        return {finding.kind for finding in verify(conn, None, witness)}


def tamper(engine: Engine, *statements: str) -> None:
    """As somebody would who owns the database: triggers off."""
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            conn.execute(text(statement))


def filled(engine: Engine, folder: Path, seals: int = 4) -> Witness:
    """A trail of seals of three rows each, all witnessed."""
    witness = Witness(folder / "heads.jsonl")
    sealer = Sealer(engine, witness)
    for _ in range(seals):
        audited(engine, 3)
        sealer.seal(NOW)
    assert kinds(engine, Witness(witness.path)) == set()
    return witness


FORGED = """
    INSERT INTO audit (at, actor, action, entity, entity_id, after, reason, nonce, key_id, hash)
    SELECT at, 'nobody', action, entity, entity_id, after, reason, nonce, key_id,
        sha256(convert_to('what a plain hash of the right content would be', 'UTF8')) FROM audit WHERE id = 2
"""
COPIED = """
    INSERT INTO audit (at, actor, action, entity, entity_id, before, after, reason, nonce, key_id, hash)
    SELECT at, actor, action, entity, entity_id, before, after, reason, nonce, key_id, hash FROM audit WHERE id = 2
"""


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (FORGED, "edited"),
        (COPIED, "copied"),
        ("UPDATE audit SET key_id = 'mine' WHERE id = 2", "edited"),
        ("UPDATE audit SET nonce = nonce + 1 WHERE id = 2", "edited"),
        ("UPDATE audit_seal SET witnessed = 0 WHERE number = 3", "broken_chain"),
        ("UPDATE audit_seal SET at = at - interval '1 day' WHERE number = 3", "broken_chain"),
    ],
)
def test_what_is_made_without_the_key_is_found(engine: Engine, tmp_path: Path, how: str, kind: str) -> None:
    filled(engine, tmp_path)
    tamper(engine, how)
    Sealer(engine, Witness(tmp_path / "heads.jsonl")).seal(NOW)  # the sealer seals whatever is committed
    assert kinds(engine) == {kind}


def test_a_chain_made_anew_needs_the_key(engine: Engine, tmp_path: Path) -> None:
    """Rows deleted, and all seals made anew over what is left, by somebody with a key of his own."""
    filled(engine, tmp_path)
    tamper(engine, "DELETE FROM audit WHERE id = 2", "TRUNCATE audit_seal, audit_sealed")
    forger = open_engine(engine.url.render_as_string(hide_password=False), audit_keys("x" * 40))
    Sealer(forger).seal(NOW)
    forger.dispose()
    assert kinds(engine) == {"broken_chain"}


def lines(witness: Witness) -> list[str]:
    return witness.path.read_text().splitlines(keepends=True)


def line(seal: int) -> str:
    return json.dumps({"seal": seal, "hash": "00" * 32}) + "\n"


WITNESSES: dict[str, tuple[Callable[[list[str]], list[str] | None], set[str]]] = {
    "gone": (lambda _: None, {"no_witness"}),
    "cut by two": (lambda said: said[:-2], {"shortened_witness"}),
    "emptied": (lambda _: [], {"broken_witness"}),
    "a line less": (lambda said: said[:2] + said[3:], {"shortened_witness"}),
    "first line gone": (lambda said: said[1:], {"broken_witness"}),
    "edited": (lambda said: [*said[:2], line(2), *said[3:]], {"broken_chain"}),
    "no line": (lambda said: [*said[:2], "nonsense\n", *said[3:]], {"broken_witness", "shortened_witness"}),
    "a made-up seal": (lambda said: [*said, line(5)], {"restored"}),
}


@pytest.mark.parametrize("how", WITNESSES)
def test_a_witness_that_was_touched_is_found(engine: Engine, tmp_path: Path, how: str) -> None:
    witness = filled(engine, tmp_path)
    change, expected = WITNESSES[how]
    said = change(lines(witness))
    if said is None:
        witness.path.unlink()
    else:
        witness.path.write_text("".join(said))
    assert kinds(engine, Witness(witness.path)) == expected


def test_a_witness_behind_by_whole_seals_is_caught_up(engine: Engine, tmp_path: Path) -> None:
    """A crash between a seal's commit and its line, a torn line, and seals of a process with another witness."""
    witness = filled(engine, tmp_path)
    whole = lines(witness)
    witness.path.write_text("".join(whole[:-1]) + whole[-1][:20])
    checked = VerificationProgress()
    with engine.connect() as conn:
        assert {f.kind for f in verify(conn, None, Witness(witness.path), checked)} == {"broken_witness"}
    assert checked.lag == 1
    Sealer(engine, Witness(witness.path)).seal(NOW)
    assert lines(witness) == whole
    other = Sealer(engine, Witness(tmp_path / "other.jsonl"))
    audited(engine, 1)
    other.seal(NOW)
    assert not (tmp_path / "other.jsonl").exists(), "a new witness is begun by somebody's act: the old one may be gone"
    assert len(lines(witness)) == 5
    Sealer(engine, witness).seal(NOW)
    assert len(lines(witness)) == 6
    assert kinds(engine, Witness(witness.path)) == set()


def test_seals_that_are_not_whole_are_not_witnessed(engine: Engine, tmp_path: Path) -> None:
    witness = filled(engine, tmp_path)
    witness.path.write_text("".join(lines(witness)[:-1]))
    tamper(engine, "UPDATE audit SET reason = 'other' WHERE id = 11")
    Sealer(engine, Witness(witness.path)).seal(NOW)
    assert len(lines(witness)) == 4


def test_a_database_behind_its_witness_is_restored_and_seals_nothing(engine: Engine, tmp_path: Path) -> None:
    witness = filled(engine, tmp_path)
    tamper(
        engine,
        "DELETE FROM audit WHERE id > 6",
        "DELETE FROM audit_sealed WHERE audit_id > 6",
        "DELETE FROM audit_seal WHERE number > 2",
    )
    assert kinds(engine, Witness(witness.path)) == {"restored"}
    audited(engine, 1)
    with pytest.raises(BehindWitness, match="seal 4 was witnessed"):
        Sealer(engine, Witness(witness.path)).seal(NOW)


def test_an_old_key_verifies(engine: Engine, tmp_path: Path) -> None:
    filled(engine, tmp_path)
    url = engine.url.render_as_string(hide_password=False)
    turned = open_engine(url, audit_keys("n" * 40, [KEYS.by_id[KEYS.current].decode()]))
    audited(turned, 2)
    Sealer(turned).seal(NOW)
    assert kinds(turned) == set()
    assert kinds(engine) == {"edited", "broken_chain"}, "without the new key its rows and its seal are unknown"
    turned.dispose()


def test_nothing_audited_is_written_without_a_key(engine: Engine) -> None:
    bare = open_engine(engine.url.render_as_string(hide_password=False), None)
    with pytest.raises(NoAuditKey), unit(bare, SYSTEM, Events(), NOW) as u:
        u.audit("test.act", "thing", 1)
    bare.dispose()


def test_the_key_is_given_or_kept_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = load_audit_keys(Settings(data_dir=tmp_path))
    file = tmp_path / "audit.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_audit_keys(Settings(data_dir=tmp_path)).current == kept.current
    file.write_text("a" * 40 + "\n" + file.read_text())
    turned = load_audit_keys(Settings(data_dir=tmp_path))
    assert turned.current != kept.current
    assert kept.current in turned.by_id
    monkeypatch.setenv("LOTWISE_AUDIT_KEY", "b" * 40 + "," + "c" * 40)
    given_one = load_audit_keys(Settings(data_dir=tmp_path))
    assert given_one.current not in turned.by_id
    assert len(given_one.by_id) == 4
    monkeypatch.setenv("LOTWISE_AUDIT_KEY", "short")
    with pytest.raises(ServerFailed, match="32 characters"):
        load_audit_keys(Settings(data_dir=tmp_path))


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.none() | st.dictionaries(TEXT, JSON, max_size=3),
    reason=st.none() | TEXT,
    since=st.timedeltas(timedelta(days=-9000), timedelta(days=20_000)),
)
def test_postgres_and_we_write_a_row_alike(
    engine: Engine, before: dict[str, Any] | None, reason: str | None, since: timedelta
) -> None:
    """The HMAC is taken here over our text and checked over PostgreSQL's: they are the same bytes."""
    row: dict[str, Any] = {
        "at": NOW + since,
        "actor": "a",
        "action": "b",
        "entity": "c",
        "entity_id": "1",
        "before": json_value(before),
        "after": None,
        "reason": reason,
        "nonce": 7,
    }
    query = text(f"""
        SELECT {MESSAGE_SQL} FROM jsonb_to_record(CAST(:row AS jsonb)) AS a(at timestamptz, actor text, action text,
            entity text, entity_id text, before jsonb, after jsonb, reason text, nonce bigint)
    """)
    with engine.connect() as conn:
        assert conn.scalar(query, {"row": json.dumps(json_value(row))}) == message(row)


def test_rows_that_commit_while_it_is_read(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A seal made between the opening of two cursors is no finding."""
    witness = filled(engine, tmp_path)
    from core.erp.kernel import audit_verification

    streamed = audit_verification._streamed

    def late(*arguments: Any) -> Any:
        audited(engine, 2)
        Sealer(engine, Witness(witness.path)).seal(NOW)
        return streamed(*arguments)

    monkeypatch.setattr(audit_verification, "_streamed", late)
    assert kinds(engine, Witness(witness.path)) == set()


def lotwise(engine: Engine, folder: Path, *words: str) -> tuple[int, str]:
    """The command on this test's database, with the tests' key."""
    clean: dict[str, str | None] = {key: None for key in os.environ if key.startswith("LOTWISE_")}
    done = CliRunner().invoke(
        app,
        words,
        env=clean
        | {
            "LOTWISE_DATABASE_URL": engine.url.render_as_string(hide_password=False),
            "LOTWISE_DATA_DIR": str(folder),
            "LOTWISE_AUDIT_KEY": KEYS.by_id[KEYS.current].decode(),
            "COLUMNS": "300",
        },
    )
    return done.exit_code, done.stdout


def test_the_command_verifies_and_the_doctor_too(engine: Engine, tmp_path: Path) -> None:
    filled(engine, tmp_path)
    (tmp_path / "heads.jsonl").rename(tmp_path / WITNESS_FILE)
    assert lotwise(engine, tmp_path, "audit", "verify") == (0, "12 audit rows in 4 seals: whole\n")
    assert "12 audit rows in 4 seals: whole" in lotwise(engine, tmp_path, "doctor")[1]
    tamper(engine, "DELETE FROM audit WHERE id = 2")
    code, said = lotwise(engine, tmp_path, "audit", "verify", "--json")
    assert code == 1
    told = json.loads(said)
    assert (told["whole"], told["rows"], told["seals"]) == (False, 11, 4)
    assert {finding["kind"] for finding in told["findings"]} == {"missing"}
    code, said = lotwise(engine, tmp_path, "doctor")
    assert code == 1
    assert "missing: audit rows [2] of seal 1 are gone" in said


def test_a_witness_is_begun_anew_by_an_act(engine: Engine, tmp_path: Path) -> None:
    filled(engine, tmp_path)
    assert lotwise(engine, tmp_path, "audit", "verify")[0] == 1, "no witness is a finding"
    code, said = lotwise(engine, tmp_path, "audit", "adopt", "--reason", "a new machine")
    assert code == 0, said
    assert lotwise(engine, tmp_path, "audit", "verify") == (0, "13 audit rows in 5 seals: whole\n")
    code, said = lotwise(engine, tmp_path, "audit", "adopt", "--reason", "again")
    assert (code, "there is a witness" in said) == (1, True)
    (tmp_path / WITNESS_FILE).unlink()
    tamper(engine, "UPDATE audit SET reason = 'other' WHERE id = 2")
    code, said = lotwise(engine, tmp_path, "audit", "adopt", "--reason", "again")
    assert (code, "not whole" in said) == (1, True)
