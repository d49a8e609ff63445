"""A restored backup frees nothing: behind its witness, what a hold would stop is refused until QA has signed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel import restorations, signatures
from core.erp.kernel.access import users
from core.erp.kernel.audit import BehindWitness, Sealer
from core.erp.kernel.audit_journal import JOURNAL_FILE, Journal
from core.erp.kernel.audit_verification import verify
from core.erp.kernel.errors import Conflict, Forbidden, Refused
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, unit
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.erp.lots import service as lots
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.keys import opened
from tests.services.lots_world import NOON, World, build

PASSWORD = "correct horse battery"
LATER = NOON + timedelta(hours=8)
PLAIN = text("""
    INSERT INTO stock_move (sublot_id, source, target, amount, at, posted_at, actor, purpose, reference, fact)
    VALUES (:s, 'stock', 'production', 1, now(), now(), 'x', 'use', 'x', false)
""")


def sealer(engine: Engine, folder: Path) -> Sealer:
    return Sealer(engine, Witness(folder / WITNESS_FILE))


def copied(postgres: EmbeddedPostgres, source: Engine, name: str) -> str:
    """A backup of the database: a copy that nobody writes to."""
    source.dispose()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source.url.database}" STRATEGY FILE_COPY'.encode())
    return postgres.url(name)


class After:
    """A world restored to noon, of which the evening is missing: a hold, a scrap fact, a user."""

    def __init__(self, world: World, engine: Engine, folder: Path, held: int, sublot: int) -> None:
        self.world, self.engine, self.folder, self.held, self.sublot = world, engine, folder, held, sublot
        self.journal = Journal(folder / JOURNAL_FILE)

    def take(self) -> None:
        with unit(self.engine, Actor("storekeeper", frozenset({Role.WAREHOUSE}), 1), self.world.events, LATER) as u:
            lots.move(u, self.sublot, Decimal(1), "production", purpose="use", reference="WO-1")

    def kinds(self) -> set[str]:
        with unit(self.engine, Actor("x"), self.world.events, LATER) as u:
            return {o.kind.value for o in lots.movable(u, self.sublot, "use")}


@pytest.fixture
def after(engine: Engine, postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[After]:
    world = build(engine)
    world.good_until(world.cold, LATER + timedelta(hours=1))
    sublot = world.stock()
    with world.unit() as u:
        users.create_user(u, "quality", "Quality", PASSWORD, [Role.QA])
    with engine.begin() as conn:
        conn.execute(text("UPDATE app_user SET one_time_until = NULL"))
    sealer(engine, tmp_path).seal(NOON)
    url = copied(postgres, engine, f"{engine.url.database}_backup")
    with world.unit(now=LATER) as u:
        held = lots.place_hold(u, kind="manual", reason="broken seal", since_at=NOON, sublot_id=sublot)[0].id
        lots.post_fact(u, sublot, Decimal(2), "scrap", purpose="destruction", reference="D-1", at=NOON, reason="fell")
        users.create_user(u, "newcomer", "Newcomer", PASSWORD, [Role.WAREHOUSE])
    sealer(engine, tmp_path).seal(LATER)
    back = opened(url)
    made = After(world, back, tmp_path, held, sublot)
    yield made
    back.dispose()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{engine.url.database}_backup" WITH (FORCE)'.encode())


def signer(engine: Engine) -> Actor:
    with engine.connect() as conn:
        user_id = conn.execute(text("SELECT id FROM app_user WHERE login = 'quality'")).scalar_one()
    return Actor("quality", frozenset({Role.QA}), user_id, session="s1")


def sign(after: After, now: datetime = LATER) -> None:
    actor = signer(after.engine)
    act = restorations.signing(1, "hold placed and scrap posted again", after.journal)
    proof = signatures.prove(after.engine, actor, act.act, PASSWORD, login="quality", now=now)
    with unit(after.engine, actor, after.world.events, now) as u:
        act.work(u, proof)


def test_without_its_witness_held_goods_are_free(after: After) -> None:
    """What was found in the field: nothing in the restored database says that the goods are held."""
    assert after.kinds() == set()


def test_intentions_are_refused_until_qa_signs(after: After) -> None:
    with pytest.raises(BehindWitness):
        sealer(after.engine, after.folder).compare(LATER)
    assert after.kinds() == {"restored"}
    with pytest.raises(Refused, match="restored"):
        after.take()
    with pytest.raises(DBAPIError) as refused, after.engine.begin() as conn:
        conn.execute(PLAIN, {"s": after.sublot})
    assert "restored" in str(refused.value.orig), "nor by plain SQL"
    with unit(after.engine, Actor("system:test", system=True), after.world.events, LATER) as u:
        lots.post_fact(
            u,
            after.sublot,
            Decimal(2),
            "scrap",
            purpose="destruction",
            reference="D-1",
            at=NOON,
            reason="fell, posted again",
        )
        record = restorations.record_of(u, 1, after.journal)
    assert record["restored_to"] == NOON.isoformat()
    missing = {(entry["action"], entry["entity"]) for entry in record["missing"]}
    assert {("hold.place", "hold"), ("stock.fact", "sublot"), ("user.create", "user")} <= missing
    assert record["missing_seals"] == [2, 2]
    assert record["missing_unlisted"] == []
    sign(after)
    assert after.kinds() == set()
    after.take()
    with pytest.raises(Conflict):
        sign(after, LATER + timedelta(minutes=1))


def test_the_trail_goes_on_where_it_was_restored_to(after: After) -> None:
    with pytest.raises(BehindWitness):
        sealer(after.engine, after.folder).seal(LATER)
    sign(after)
    assert sealer(after.engine, after.folder).seal(LATER) > 0
    with after.engine.connect() as conn:
        assert verify(conn, None, Witness(after.folder / WITNESS_FILE)) == []
    with pytest.raises(DBAPIError), after.engine.begin() as conn:
        conn.execute(text("UPDATE restoration SET signature_id = NULL"))


@pytest.mark.as_owner
def test_a_second_restore_is_told_again(after: After, engine: Engine) -> None:
    with pytest.raises(BehindWitness):
        sealer(after.engine, after.folder).seal(LATER)
    sign(after)
    for number in range(3):
        after.take()
        sealer(after.engine, after.folder).seal(LATER + timedelta(seconds=number))
    with engine.begin() as conn:  # the evening's database is brought back to noon too
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in ("DELETE FROM audit_sealed WHERE seal > 1", "DELETE FROM audit_seal WHERE number > 1"):
            conn.execute(text(statement))
    with pytest.raises(BehindWitness):
        sealer(engine, after.folder).compare(LATER)


def test_an_unsigned_line_in_the_witness_is_found(after: After) -> None:
    witness = Witness(after.folder / WITNESS_FILE)
    witness.restored(1, 7, LATER)
    with after.engine.connect() as conn:
        assert {finding.kind for finding in verify(conn, None, witness)} == {"broken_witness"}


def test_who_may_sign(after: After) -> None:
    with pytest.raises(BehindWitness):
        sealer(after.engine, after.folder).compare(LATER)
    actor = Actor("storekeeper", frozenset({Role.WAREHOUSE}), 1, session="s1")
    proof = signatures.Proof(1, "s1", "x", 0, restorations.signing(1, "r", after.journal).act, LATER)
    with pytest.raises(Forbidden), unit(after.engine, actor, after.world.events, LATER) as u:
        restorations.signing(1, "r", after.journal).work(u, proof)
