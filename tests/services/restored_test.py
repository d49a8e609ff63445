"""A restored backup frees nothing: behind its witness, what a hold would stop is refused until QA has signed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel import restorations, signatures
from core.erp.kernel.access import users
from core.erp.kernel.audit import BehindWitness, Sealer
from core.erp.kernel.audit_verification import verify
from core.erp.kernel.errors import Conflict, Forbidden, Refused
from core.erp.kernel.instance import Instance, serve
from core.erp.kernel.outbox import Outbox, OutboxMessage
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, unit
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.erp.lots import service as lots
from core.ingest.confirmation import ConsumerState, answer
from core.ingest.transaction import IngestTransaction, StreamMessage
from core.telemetry.address import partition_of
from core.telemetry.batch import ConfirmRequest, pack
from core.telemetry.reading import Reading
from core.wiring import build_events
from edge.forwarder import question
from edge.spool import SentMark, Spool, SpoolOptions
from edge.spool.records import Outstanding, Settled
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.keys import opened
from tests.services.ingest_support import RecordingJudge, fold
from tests.services.lots_world import NOON, World, build

PASSWORD = "correct horse battery"
LATER = NOON + timedelta(hours=8)
ZONE = "s1/store/cold"
PARTITION = partition_of(ZONE)
SLOW = SpoolOptions(cut_every=timedelta(hours=1))
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

    def take(self) -> None:
        with unit(self.engine, Actor("storekeeper", frozenset({Role.WAREHOUSE}), 1), self.world.events, LATER) as u:
            lots.move(u, self.sublot, Decimal(1), "production", purpose="use", reference="WO-1")

    def kinds(self) -> set[str]:
        with unit(self.engine, Actor("x"), self.world.events, LATER) as u:
            return {o.kind.value for o in lots.movable(u, self.sublot, "use")}


def morning(engine: Engine, folder: Path) -> tuple[World, int]:
    """A world with one sublot, sealed at noon."""
    world = build(engine)
    world.good_until(world.cold, LATER + timedelta(hours=1))
    sublot = world.stock()
    with world.unit() as u:
        users.create_user(u, "quality", "Quality", PASSWORD, [Role.QA])
    with engine.begin() as conn:
        conn.execute(text("UPDATE app_user SET one_time_until = NULL"))
    sealer(engine, folder).seal(NOON)
    return world, sublot


def evening(world: World, sublot: int, folder: Path) -> int:
    """What the backup will not have: a hold, whose id it gives, a scrap fact, a user."""
    with world.unit(now=LATER) as u:
        held = lots.place_hold(u, kind="manual", reason="broken seal", since_at=NOON, sublot_id=sublot)[0].id
        lots.post_fact(u, sublot, Decimal(2), "scrap", purpose="destruction", reference="D-1", at=NOON, reason="fell")
        users.create_user(u, "newcomer", "Newcomer", PASSWORD, [Role.WAREHOUSE])
    sealer(world.engine, folder).seal(LATER)
    return held


@contextmanager
def put_back(postgres: EmbeddedPostgres, url: str, folder: Path) -> Iterator[Engine]:
    """The backup in place of the database, with that data folder; gone afterwards."""
    back = opened(url)
    serve(back, Instance(live=False, data_dir=folder))
    try:
        yield back
    finally:
        back.dispose()
        name = back.url.database
        with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
            conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def after(engine: Engine, postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[After]:
    world, sublot = morning(engine, tmp_path)
    url = copied(postgres, engine, f"{engine.url.database}_backup")
    held = evening(world, sublot, tmp_path)
    with put_back(postgres, url, tmp_path) as back:
        yield After(world, back, tmp_path, held, sublot)


def signer(engine: Engine) -> Actor:
    with engine.connect() as conn:
        user_id = conn.execute(text("SELECT id FROM app_user WHERE login = 'quality'")).scalar_one()
    return Actor("quality", frozenset({Role.QA}), user_id, session="s1")


def sign(after: After, now: datetime = LATER) -> None:
    actor = signer(after.engine)
    act = restorations.signing(1, reason="hold placed and scrap posted again")
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
        record = restorations.record_of(u, 1)
    assert record["restored_to"] == NOON.isoformat()
    missing = {(entry["action"], entry["entity"]) for entry in record["missing"]}
    assert {("hold.place", "hold"), ("stock.fact", "sublot"), ("user.create", "user")} <= missing
    assert record["missing_seals"] == [2, 2]
    assert record["missing_unlisted"] == []
    assert (record["receivers"], record["gateways"]) == ([], [])
    sign(after)
    assert after.kinds() == set()
    after.take()
    with pytest.raises(Conflict):
        sign(after, LATER + timedelta(minutes=1))


def record_of(engine: Engine) -> dict[str, Any]:
    with unit(engine, Actor("x"), build_events(), LATER) as u:
        return restorations.record_of(u, 1)


def test_receivers_are_named_with_the_newest_delivery_that_is_known(
    engine: Engine, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """Who is told by message keeps what was sent after the backup; and no id of that time is given again."""
    world, sublot = morning(engine, tmp_path)
    other = world.stock(number="L2")
    sent: list[OutboxMessage] = []
    outbox = Outbox()
    outbox.on_external("hold.%", "webhook", sent.append)
    outbox.on_external("excursion.opened", "grafana:excursion.opened", sent.append)
    outbox.on_internal("hold.%", "our own tasks", lambda *_: None)
    outbox.subscribe(engine)

    def hold(engine: Engine, reason: str, now: datetime) -> int:
        with unit(engine, Actor("system:test", system=True), world.events, now) as u:
            return lots.place_hold(u, kind="manual", reason=reason, since_at=NOON, sublot_id=other)[0].id

    first = hold(engine, "dented", NOON)
    outbox.run(engine, world.events, NOON)
    hold(engine, "wet", NOON)
    sealer(engine, tmp_path).seal(NOON)
    url = copied(postgres, engine, f"{engine.url.database}_backup")
    lost = evening(world, sublot, tmp_path)
    outbox.run(engine, world.events, LATER)
    assert [message.topic for message in sent] == ["hold.placed"] * 3
    with put_back(postgres, url, tmp_path) as back:
        with pytest.raises(BehindWitness):
            sealer(back, tmp_path).compare(LATER)
        receivers = record_of(back)["receivers"]
        assert receivers == [
            {
                "receiver": "grafana:excursion.opened",
                "topics": "excursion.opened",
                "newest_delivered": None,
                "waiting": 0,
            },
            {
                "receiver": "webhook",
                "topics": "hold.%",
                "newest_delivered": {
                    "event": sent[0].id,
                    "topic": "hold.placed",
                    "key": str(first),
                    "at": NOON.isoformat(),
                    "delivered_at": NOON.isoformat(),
                },
                "waiting": 1,
            },
        ]
        assert hold(back, "opened", LATER) > lost
        before, sent[:] = {message.id for message in sent}, []
        outbox.run(back, world.events, LATER)
        again, new = sent
        assert again.id in before, "what waited is told once more"
        assert new.id > max(before)
        assert record_of(back)["receivers"] == receivers, "what is told now was not known then"


@pytest.mark.parametrize("first", ["core", "ingest"])
def test_gateways_tell_how_far_they_had_been_confirmed(
    engine: Engine, postgres: EmbeddedPostgres, tmp_path: Path, first: str
) -> None:
    """Three batches are in the backup and five were confirmed: two come again, and QA sees which, and when they did;
    also where the gateway is back before the core has compared the database with its witness.
    """

    async def story() -> None:
        world, sublot = morning(engine, tmp_path)
        early, late = NOON - timedelta(minutes=1), LATER + timedelta(minutes=1)
        add_heard(engine, world.cold, early)
        async with await Spool.open(tmp_path / "spool", "gw", "s1", SLOW) as spool:
            third = await confirmed_by(engine, spool, early, 0, 1, 2)
            url = copied(postgres, engine, f"{engine.url.database}_backup")
            await confirmed_by(engine, spool, LATER, 3, 4)
            assert lost_of(engine) == [], "a core that knows all it confirmed has nothing to write down"
            evening(world, sublot, tmp_path)
            with put_back(postgres, url, tmp_path) as back:
                away = {"gateway": "gw", "confirmed_to": early.isoformat(), "heard_since": None}
                if first == "core":
                    compare(back, tmp_path)
                    assert record_of(back)["gateways"] == [{**away, "lost_batches": 0, "lost": []}]
                settled = await asked(back, spool, await spool.replayable())
                assert settled.taken_back == 2
                run = {"epoch": spool.epoch, "partition": PARTITION, "confirmed": 3, "once_confirmed": 5}
                run |= {"confirmed_cut_at": third.isoformat(), "cannot_come": 0}
                if first == "core":
                    lost = [{**run, "come_again": 0}]
                    assert record_of(back)["gateways"] == [{**away, "lost_batches": 2, "lost": lost}]
                await confirmed_by(back, spool, late, 5)
                add_heard(back, world.cold, late)
                if first == "ingest":
                    compare(back, tmp_path)
                (gateway,) = record_of(back)["gateways"]
                assert (gateway["confirmed_to"], gateway["heard_since"]) == (early.isoformat(), late.isoformat())
                assert gateway["lost"] == [{**run, "come_again": 2}]
                await asked(back, spool, await spool.replayable())
                assert len(lost_of(back)) == 1, "told once"

    asyncio.run(story())


def compare(engine: Engine, folder: Path) -> None:
    """What the core does at its start."""
    with pytest.raises(BehindWitness):
        sealer(engine, folder).compare(LATER)


def test_what_a_gateway_no_longer_has_is_counted_as_what_cannot_come(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Of ten that were confirmed it has only those above the sixth, and the core not one."""
    ask = ConfirmRequest("gw", (("e1", 3, 12), ("e1", 4, 7)), since=(6, 0), confirmed=(10, 0))
    for _ in range(2):
        answer(engine, ask, ConsumerState())
    assert lost_of(engine) == [("gw", "e1", 3, 0, 10, 6)]
    assert [record.args for record in caplog.records] == [("gw", 1)], "once, with how many partitions"
    with pytest.raises(DBAPIError), engine.begin() as conn:
        conn.execute(text("DELETE FROM confirmation_lost"))


def test_a_loss_of_an_earlier_restore_is_not_told_again(after: After) -> None:
    with after.engine.begin() as conn:
        conn.execute(
            text("INSERT INTO confirmation_lost VALUES ('gw', 'e0', 3, 1, 9, 0, :at)"),
            {"at": NOON - timedelta(minutes=1)},
        )
    with pytest.raises(BehindWitness):
        sealer(after.engine, after.folder).compare(LATER)
    assert record_of(after.engine)["gateways"] == []


def add_heard(engine: Engine, zone: int, at: datetime) -> None:
    """The gateway's source has spoken for the zone."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO source_watermark (zone_id, gateway, source, redundancy_group, upto, received_at)"
                " VALUES (:zone, 'gw', 'probes', '', :at, :at)"
                " ON CONFLICT (zone_id, gateway, source) DO UPDATE SET upto = :at, received_at = :at"
            ),
            {"zone": zone, "at": at},
        )


async def confirmed_by(engine: Engine, spool: Spool, now: datetime, *numbers: int) -> datetime:
    """Readings, a batch each, and whatever else is unsent: sent, folded and confirmed by the database. When the last of
    them was cut.
    """
    for number in numbers:
        at = NOON + timedelta(minutes=number)
        await spool.keep([Reading(f"{ZONE}/probe/temperature", at, 5.0, "Cel", at)])
        await spool.flush()
    batches = await spool.unsent(100)
    folding = IngestTransaction(judge=RecordingJudge(), live=False)
    fold(engine, folding, *(StreamMessage(PARTITION, pack(one.header, one.body)) for one in batches), now=now)
    await spool.mark_sent([SentMark(one.row, one.attempt, one.row, "s1") for one in batches])
    await asked(engine, spool, await spool.outstanding())
    assert await spool.outstanding() == []
    return batches[-1].header.cut_at


async def asked(engine: Engine, spool: Spool, asks: list[Outstanding]) -> Settled:
    """The gateway's question and the core's answer, as both are made, without the stream between."""
    return await spool.settle(asks, answer(engine, question("gw", asks), ConsumerState("s1")), {})


def lost_of(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as conn:
        query = "SELECT gateway, epoch, partition, confirmed, once_confirmed, gone FROM confirmation_lost"
        return [tuple(row) for row in conn.execute(text(query))]


def test_a_gateway_that_had_been_told_more_is_confirmed_opens_a_restoration(after: After) -> None:
    """Where no witness tells of the restore; asked again it is the same one."""
    assert after.kinds() == set()
    for _ in range(2):
        answer(after.engine, ConfirmRequest("gw-9", (("e1", 3, 5),), confirmed=(4,)), ConsumerState("s1"))
        restorations.look_at_gateways(after.engine, LATER)
        with after.engine.connect() as conn:
            found = conn.execute(text("SELECT database_seal, witnessed_seal FROM restoration")).all()
        assert [tuple(row) for row in found] == [(1, 1)]
    assert after.kinds() == {"restored"}


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
    proof = signatures.Proof(1, "s1", "x", 0, restorations.signing(1, reason="r").act, LATER)
    with pytest.raises(Forbidden), unit(after.engine, actor, after.world.events, LATER) as u:
        restorations.signing(1, reason="r").work(u, proof)
