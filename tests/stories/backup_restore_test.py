"""Last night's backup is restored, and what came after it is missing: goods stay until QA has signed what that is."""

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.background import compare_with_witness
from core.erp.kernel import restorations, signatures
from core.erp.kernel.access import users
from core.erp.kernel.attachments import service as attachments
from core.erp.kernel.attachments.files import FILES, FileStore
from core.erp.kernel.audit import BehindWitness, Sealer
from core.erp.kernel.audit_journal import JOURNAL_FILE
from core.erp.kernel.audit_verification import verify
from core.erp.kernel.errors import Refused
from core.erp.kernel.events import Events
from core.erp.kernel.instance import Instance, serve
from core.erp.kernel.permits import Role
from core.erp.kernel.rights import APP, OWNER
from core.erp.kernel.unit import Actor, unit
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.erp.lots import service as lots
from core.erp.migrations import upgrade
from core.settings import Settings
from lotwise.attachment_checking import examine as compare
from lotwise.backup.attached_files import copy_files
from lotwise.backup.backing_up import BASE, BackupFailed, make_backup
from lotwise.backup.restoring import _why, newest, restore
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerFailed
from tests.keys import opened
from tests.services.lots_world import World, build

PASSWORD = "correct horse battery"


@dataclass
class Site:
    """An installation's data folder, its backup of last night, and what was done since."""

    data: Path
    backups: Path
    place: Path
    world: World
    sublot: int
    evening: datetime
    """After the backup; before anything was done."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    for place in (folder, *folder.parents[:2]):
        place.chmod(0o755)  # PostgreSQL runs as nobody under root
    data = folder / "data"
    server = EmbeddedPostgres(data / "postgres", settings={"archive_timeout": "1s"})
    server.start()
    migrating = opened(server.url_as(OWNER))
    upgrade(migrating)
    migrating.dispose()
    engine = opened(server.url_as(APP))
    try:
        world = build(engine)
        now = datetime.now(UTC)
        world.good_until(world.cold, now + timedelta(days=1))
        sublot = world.stock()
        with unit(engine, Actor("system:test", system=True), world.events) as u:
            users.create_user(u, "quality", "Quality", PASSWORD, [Role.QA])
            u.flush()
            u.conn.execute(text("UPDATE app_user SET one_time_until = NULL"))
        Sealer(engine, Witness(data / WITNESS_FILE)).seal(datetime.now(UTC))
        _attach(engine, data, b"before the backup")
        (data / "edge" / "gw").mkdir(parents=True)
        (data / "edge" / "gw" / "spool.sqlite").write_bytes(b"of a gateway that runs")
        place = make_backup(server, data, folder / "backups").place
        evening = datetime.now(UTC)
        with unit(engine, Actor("system:test", system=True), world.events) as u:
            lots.place_hold(u, kind="manual", reason="broken seal", since_at=evening, sublot_id=sublot)
            lots.post_fact(
                u, sublot, Decimal(2), "scrap", purpose="destruction", reference="D-1", at=evening, reason="fell"
            )
            users.create_user(u, "newcomer", "Newcomer", PASSWORD, [Role.WAREHOUSE])
        Sealer(engine, Witness(data / WITNESS_FILE)).seal(datetime.now(UTC))
        _attach(engine, data, b"after the backup")
        _archived(server, folder / "backups" / "wal")
    finally:
        engine.dispose()
        server.stop()
    return Site(data, folder / "backups", place, world, sublot, evening)


def _attach(engine: Engine, data: Path, content: bytes) -> None:
    stored = FileStore(data / FILES).keep(io.BytesIO(content), "note.txt")
    with unit(engine, Actor("system:test", system=True), Events()) as u:
        attachments.attach(u, "shipment", 1, stored)


def _archived(server: EmbeddedPostgres, wal: Path) -> None:
    """The log up to now is in the archive."""
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        row = conn.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        conn.execute("SELECT pg_switch_wal()")
    assert row is not None
    server.stop()  # a stopping server archives what it has
    assert (wal / row[0]).exists()


@dataclass
class Restored:
    engine: Engine
    data: Path

    def users(self) -> set[str]:
        with self.engine.connect() as conn:
            return set(conn.execute(text("SELECT login FROM app_user")).scalars())


@pytest.fixture
def again(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Restored]]:
    """Restores into a new data folder, with the witness of the old one if asked, and starts its server."""
    servers: list[tuple[EmbeddedPostgres, Engine]] = []

    def bring(to: datetime | None, *, witness: bool) -> Restored:
        folder = tmp_path_factory.mktemp("again")
        folder.chmod(0o755)
        if witness:
            for name in (WITNESS_FILE, JOURNAL_FILE):
                shutil.copy(site.data / name, folder / name)
        archive = {path.name: path.stat().st_mtime_ns for path in (site.backups / "wal").iterdir()}
        restore(newest(site.backups, to), folder, to)
        left = {path.name: path.stat().st_mtime_ns for path in (site.backups / "wal").iterdir()}
        assert left == archive, "the archive is the old server's, which may still run"
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        engine = opened(server.url_as(APP))
        servers.append((server, engine))
        return Restored(engine, folder)

    yield bring
    for server, engine in servers:
        engine.dispose()
        server.stop()


def test_all_there_is_comes_back_from_base_and_log(site: Site, again: Callable[..., Restored]) -> None:
    found = again(None, witness=True)
    assert found.users() == {"quality", "newcomer"}
    with found.engine.connect() as conn:
        assert verify(conn, None, Witness(found.data / WITNESS_FILE)) == []
    with unit(found.engine, Actor("x"), site.world.events) as u:
        assert {o.kind.value for o in lots.movable(u, site.sublot, "use")} == {"held"}


def test_attachments_come_back_as_far_as_the_backup_has_them(site: Site, again: Callable[..., Restored]) -> None:
    """The log knows of a file that came after the backup: it is as lost as the disk, and is named."""
    found = again(None, witness=False)
    store = FileStore(found.data / FILES)
    lost = hashlib.sha256(b"after the backup").hexdigest()
    verdict = compare(found.engine, store, read=True)
    assert (verdict.count, verdict.missing, verdict.damaged) == (2, (lost,), ())
    copy_files(site.data / FILES, store.folder)
    assert compare(found.engine, store, read=True).whole
    path = store.folder / hashlib.sha256(b"before the backup").hexdigest()
    path.write_bytes(b"before the backuq")
    assert compare(found.engine, store).whole
    assert compare(found.engine, store, read=True).damaged == (path.name,)
    assert copy_files(store.folder, found.data / "another").damaged == (path.name,)
    assert [one.name for one in (found.data / "another").iterdir()] == [lost]


def test_last_night_comes_back_and_goods_stay(site: Site, again: Callable[..., Restored]) -> None:
    """A hold, a scrap fact and a user are gone; nothing moves until QA has signed the list of them."""
    found = again(site.evening, witness=True)
    assert found.users() == {"quality"}
    events = site.world.events
    serve(found.engine, Instance(live=False, data_dir=found.data))
    with pytest.raises(BehindWitness):
        Sealer(found.engine, Witness(found.data / WITNESS_FILE)).compare(datetime.now(UTC))
    store = Actor("storekeeper", frozenset({Role.WAREHOUSE}), 1)
    with unit(found.engine, store, events) as u:
        against = lots.movable(u, site.sublot, "use")
    assert [o.kind.value for o in against] == ["restored"]
    assert against[0].message.id == "lots.database_restored"
    with pytest.raises(Refused), unit(found.engine, store, events) as u:
        lots.move(u, site.sublot, Decimal(1), "production", purpose="use", reference="WO-1")
    with found.engine.connect() as conn:
        user = conn.execute(text("SELECT id FROM app_user WHERE login = 'quality'")).scalar_one()
    quality, now = Actor("quality", frozenset({Role.QA}), user, session="s1"), datetime.now(UTC)
    act = restorations.signing(1, reason="hold placed again, scrap posted again")
    proof = signatures.prove(found.engine, quality, act.act, PASSWORD, login="quality", now=now)
    with unit(found.engine, quality, events) as u:
        lots.place_hold(u, kind="manual", reason="broken seal", since_at=site.evening, sublot_id=site.sublot)
        lots.post_fact(
            u, site.sublot, Decimal(2), "scrap", purpose="destruction", reference="D-1", at=site.evening, reason="fell"
        )
        signed = act.work(u, proof)
    assert signed.record is not None
    assert {"hold.place", "stock.fact", "user.create"} <= {entry["action"] for entry in signed.record["missing"]}
    with unit(found.engine, store, events) as u:
        assert [o.kind.value for o in lots.movable(u, site.sublot, "use")] == ["held"]
    assert Sealer(found.engine, Witness(found.data / WITNESS_FILE)).seal(datetime.now(UTC)) > 0
    with found.engine.connect() as conn:
        assert verify(conn, None, Witness(found.data / WITNESS_FILE)) == []


def _found(found: Restored) -> list[tuple[int, int]]:
    """The restorations after a start of the core, by the seals that are there and that were witnessed."""
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=found.data)
    compare_with_witness(settings, found.engine)
    compare_with_witness(settings, found.engine)  # the next start
    with found.engine.connect() as conn:
        rows = conn.execute(text("SELECT database_seal, witnessed_seal FROM restoration ORDER BY id"))
        return [tuple(row) for row in rows]


def test_after_the_loss_of_the_disk_goods_stay_until_qa_has_signed_that_nobody_knows(
    site: Site, again: Callable[..., Restored]
) -> None:
    """The witness is the backup's own, and agrees with it."""
    found = again(site.evening, witness=False)
    serve(found.engine, Instance(live=False, data_dir=found.data))
    restored = _found(found)
    assert len(restored) == 1
    assert restored[0][0] == restored[0][1]
    events, store = site.world.events, Actor("storekeeper", frozenset({Role.WAREHOUSE}), 1)
    with unit(found.engine, store, events) as u:
        assert [o.kind.value for o in lots.movable(u, site.sublot, "use")] == ["restored"]
        assert restorations.record_of(u, 1)["later_unknown"]
    with found.engine.connect() as conn:
        user = conn.execute(text("SELECT id FROM app_user WHERE login = 'quality'")).scalar_one()
    quality, now = Actor("quality", frozenset({Role.QA}), user, session="s1"), datetime.now(UTC)
    witness = Witness(found.data / WITNESS_FILE)
    Sealer(found.engine, witness).seal(now)
    act = restorations.signing(1, reason="asked everybody")
    proof = signatures.prove(found.engine, quality, act.act, PASSWORD, login="quality", now=now)
    with unit(found.engine, quality, events) as u:
        act.work(u, proof)
    with unit(found.engine, store, events) as u:
        assert lots.movable(u, site.sublot, "use") == []
    Sealer(found.engine, witness).seal(datetime.now(UTC))
    with found.engine.connect() as conn:
        assert verify(conn, None, Witness(found.data / WITNESS_FILE)) == []
    assert len(_found(found)) == 1


def test_a_witness_that_is_as_new_proves_that_nothing_is_missing(again: Callable[..., Restored]) -> None:
    found = again(None, witness=True)
    serve(found.engine, Instance(live=False, data_dir=found.data))
    assert _found(found) == []
    assert not (found.data / restorations.RESTORED_MARK).exists()


def test_a_witness_that_is_older_than_the_backup_proves_nothing(again: Callable[..., Restored]) -> None:
    found = again(None, witness=True)
    (found.data / restorations.RESTORED_MARK).write_text(restorations.WITNESS_STAYED)
    lines = (found.data / WITNESS_FILE).read_text().splitlines(keepends=True)
    (found.data / WITNESS_FILE).write_text("".join(lines[:-1]))
    serve(found.engine, Instance(live=False, data_dir=found.data))
    restored = _found(found)
    assert [seal for seal, _ in restored] == [seal for _, seal in restored]
    assert len(restored) == 1


def test_what_is_there_is_not_rewound(site: Site, tmp_path: Path) -> None:
    """Restored in place: the gateway's spool has readings that no backup has, and keys may have come since."""
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    assert not list(site.backups.rglob("spool.sqlite*")), "a spool copied while it is written is none"
    spool, key = tmp_path / "edge" / "gw" / "spool.sqlite", tmp_path / "audit.key"
    spool.parent.mkdir(parents=True)
    spool.write_bytes(b"what was measured since")
    key.write_text("a newer key beside the old one")
    backup = shutil.copytree(site.place, tmp_path / "backups" / site.place.name)
    shutil.copytree(site.backups / "wal", backup.with_name("wal"))
    (backup / "data" / "edge" / "gw").mkdir(parents=True, exist_ok=True)
    (backup / "data" / "edge" / "gw" / "spool.sqlite").write_bytes(b"an older one")
    (backup / "data" / "audit.key").write_text("the old key")
    restore(backup, tmp_path)
    assert spool.read_bytes() == b"what was measured since"
    assert key.read_text() == "a newer key beside the old one"


def test_the_servers_own_reason_is_found_among_its_answers_to_who_asks() -> None:
    starting = "2026-12-01 02:12:25.211 UTC [22120] FATAL:  the database system is starting up\n"
    refused = f"{starting * 18}2026-12-01 02:12:25.225 UTC [21896] PANIC:  could not open file: Permission denied\n"
    assert "(could not open file: Permission denied)" in _why(ServerFailed(refused), Path("wal"), None, Path("log"))
    assert _why(ServerFailed(starting), Path("wal"), None, Path("log")) == starting


def test_what_cannot_be_restored_says_why(site: Site, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(BackupFailed, match="holds no backup"):
        newest(tmp_path)
    with pytest.raises(BackupFailed, match="the oldest backup"):
        newest(site.backups, site.evening - timedelta(days=1))
    (tmp_path / "taken" / "postgres" / "cluster").mkdir(parents=True)
    with pytest.raises(BackupFailed, match="nothing is overwritten"):
        restore(site.place, tmp_path / "taken")
    copy = shutil.copytree(site.place, tmp_path / "backups" / site.place.name)
    (copy / BASE / "PG_VERSION").write_text("16\n")
    with pytest.raises(BackupFailed, match="PostgreSQL 16"):
        restore(copy, tmp_path / "major")
    (copy / BASE / "PG_VERSION").write_text("18\n")
    (copy / BASE / "global" / "pg_control").write_bytes(b"x")
    with pytest.raises(BackupFailed, match="pg_control has 1 bytes"):
        restore(copy, tmp_path / "damaged")
    assert not (tmp_path / "damaged").exists()


def test_a_time_that_the_log_does_not_reach(site: Site, tmp_path: Path) -> None:
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    with pytest.raises(BackupFailed, match=r"does not reach as far as .* are in \S+postgres\.log$") as told:
        restore(site.place, tmp_path / "later", datetime.now(UTC) + timedelta(days=1))
    assert "LOG:" not in str(told.value)
