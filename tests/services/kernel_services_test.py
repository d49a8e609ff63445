"""The kernel on a real PostgreSQL: append-only tables, the audit's chain, the outbox, signatures, users."""

import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel import audit, audit_verification, auth, passwords
from core.erp.kernel.access import users
from core.erp.kernel.audit import Sealer
from core.erp.kernel.audit_verification import verify
from core.erp.kernel.errors import Conflict, Forbidden, Invalid
from core.erp.kernel.events import Event, Events, MissingHandlers
from core.erp.kernel.guarded import declared
from core.erp.kernel.outbox import Outbox, OutboxMessage, RetryLater
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, Unit, system, transact, unit
from tests.services.lots_world import World, build

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SYSTEM = system("test")
PASSWORD = "correct horse battery"


@contextmanager
def work(engine: Engine, actor: Actor = SYSTEM, now: datetime = NOW) -> Iterator[Unit]:
    with unit(engine, actor, Events(), now) as u:
        yield u


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same algorithm with little memory and one pass: these tests try many passwords."""
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)


# Written by hand: what the design says is never updated, deleted or truncated.
NEVER_CHANGED = (
    "audit",
    "audit_seal",
    "audit_sealed",
    "alert_part",
    "outbox",
    "signature",
    "attachment_version",
    "capa_check",
    "capa_plan",
    "confirmation_lost",
    "stock_move",
    "custody_fact",
    "genealogy",
    "shipment_hand_over",
    "disposition",
    "batch_release",
    "gap_record",
    "reading",
    "item_profile",
    "profile_limit",
    "profile_version",
    "calibration",
    "calibration_review",
    "work_centre_state",
    "work_order_output",
    "bom_line",
    "epoch_closed",
    "import_line",
)
NEVER_REMOVED = (
    "hold",
    "restriction",
    "sublot",
    "lot",
    "excursion",
    "deviation",
    "incident",
    "shipment",
    "work_order",
    "app_user",
    "attachment",
    "number_counter",
    "site",
    "zone",
    "zone_nesting",
    "point",
    "sensor",
    "calibration_plan",
    "installation",
    "item",
    "storage_profile",
    "reservation",
    "stock_task",
    "shipment_line",
    "shipment_leg",
    "shipment_logger",
    "work_order_material",
    "handling_unit",
    "handling_unit_content",
    "zone_alarm",
    "field_action",
    "work_centre",
    "work_order_operation",
    "restoration",
    "dead_letter",
    "ingest_alarm",
    "import_run",
    "import_mapping",
)
IDENTITIES = (
    ("app_user", "login = 'other'"),
    ("site", "code = 'other'"),
    ("zone", "address = 'a/b/other'"),
    ("point", "zone_id = 2"),
    ("sensor", "serial = 'other'"),
    ("calibration_plan", "sensor_id = 2"),
    ("item", "code = 'other'"),
    ("lot", "number = 'other'"),
    ("lot", "item_id = 2"),
    ("sublot", "lot_id = 2"),
    ("sublot", "serial = 'other'"),
    ("shipment", "kind = 'inbound'"),
    ("work_order", "item_id = 2"),
    ("zone_nesting", "parent_id = 2"),
    ("zone_nesting", "from_at = now()"),
    ("installation", "sensor_id = 2"),
    ("handling_unit_content", "sublot_id = 2"),
)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """A row in every table that is never changed, put there with triggers of insertion off."""
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("CREATE TABLE reading_rest PARTITION OF reading DEFAULT"))
        for table in (*NEVER_CHANGED, *NEVER_REMOVED):
            checks = text("SELECT conname FROM pg_constraint WHERE conrelid = CAST(:t AS regclass) AND contype = 'c'")
            for name in conn.execute(checks, {"t": table}).scalars().all():
                conn.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
            columns = conn.execute(
                text(
                    "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = :t "
                    "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
                ),
                {"t": table},
            ).all()
            literal = {
                "bigint": "1",
                "integer": "1",
                "smallint": "1",
                "text": "'x'",
                "character varying": "'x'",
                "timestamp with time zone": "now()",
                "numeric": "1",
                "bytea": "'\\x00'",
                "boolean": "false",
                "jsonb": "'{}'",
                "ARRAY": "'{1}'",
                "interval": "interval '0'",
                "double precision": "1.0",
            }
            names = [c.column_name for c in columns]
            values = [literal[c.data_type] for c in columns]
            conn.execute(text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"))
    return engine


@pytest.mark.as_owner
def test_what_is_never_changed(filled: Engine) -> None:
    assert {one.name for one in declared().values() if one.append_only} | {"reading"} == set(NEVER_CHANGED)
    for table in NEVER_CHANGED:
        with filled.connect() as conn:
            assert conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 1, table
            column = conn.execute(
                text("SELECT column_name FROM information_schema.columns WHERE table_name = :t LIMIT 1"), {"t": table}
            ).scalar_one()
        for sql in (f'UPDATE {table} SET "{column}" = "{column}"', f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(DBAPIError) as refused, filled.begin() as conn:
                conn.execute(text(sql))
            assert getattr(refused.value.orig, "sqlstate", None) == "LW005", sql


@pytest.mark.as_owner
def test_what_is_never_removed(filled: Engine) -> None:
    for table in NEVER_REMOVED:
        for sql in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(DBAPIError) as refused, filled.begin() as conn:
                conn.execute(text(sql))
            assert getattr(refused.value.orig, "sqlstate", None) == "LW005", sql


@pytest.mark.as_owner
def test_what_keeps_its_identity(filled: Engine) -> None:
    for table, change in IDENTITIES:
        sql = f"UPDATE {table} SET {change}"
        with pytest.raises(DBAPIError) as refused, filled.begin() as conn:
            conn.execute(text(sql))
        assert getattr(refused.value.orig, "sqlstate", None) == "LW005", sql
    for table in ("zone_nesting", "installation", "handling_unit_content"):
        with filled.begin() as conn:
            conn.execute(text(f"UPDATE {table} SET to_at = now()"))


def audited(engine: Engine, count: int, now: datetime = NOW) -> None:
    for number in range(count):
        with work(engine, now=now) as u:
            u.audit("test.act", "thing", number, before={"x": 1.5}, after={"x": "ä", "at": NOW}, reason="why")


def seal(engine: Engine, now: datetime = NOW) -> int:
    return Sealer(engine).seal(now)


def findings(engine: Engine, **options: object) -> set[str]:
    with engine.connect() as conn:
        return {finding.kind for finding in verify(conn, **options)}  # type: ignore[arg-type]  # keywords of several types


def tamper(engine: Engine, *statements: str) -> None:
    """As somebody would who owns the database: triggers off."""
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            conn.execute(text(statement))


def test_a_whole_trail_is_whole(engine: Engine) -> None:
    assert findings(engine) == set()
    audited(engine, 3)
    assert seal(engine) == 3
    audited(engine, 2)
    assert seal(engine) == 2
    assert seal(engine) == 0
    assert findings(engine, now=NOW + timedelta(hours=1)) == set()


TAMPERING = {
    "edited": ("UPDATE audit SET reason = 'other' WHERE id = 2",),
    "edited with its hash": ("UPDATE audit SET hash = '\\x00' WHERE id = 2",),
    "actor changed": ("UPDATE audit SET actor = 'somebody' WHERE id = 2",),
    "deleted": ("DELETE FROM audit WHERE id = 2",),
    "deleted with its seal's note": ("DELETE FROM audit WHERE id = 2", "DELETE FROM audit_sealed WHERE audit_id = 2"),
    "reordered": ("UPDATE audit_seal SET row_ids = ARRAY[2, 1, 3] WHERE number = 1",),
    "swapped": (
        "UPDATE audit SET id = -1 WHERE id = 1",
        "UPDATE audit SET id = 1 WHERE id = 2",
        "UPDATE audit SET id = 2 WHERE id = -1",
    ),
    "first seal gone": ("DELETE FROM audit_seal WHERE number = 1",),
    "rows truncated": ("TRUNCATE audit",),
    "all truncated": ("TRUNCATE audit, audit_seal, audit_sealed",),
    "moved to another seal": ("UPDATE audit_sealed SET seal = 2 WHERE audit_id = 1",),
    "seal rewritten": ("UPDATE audit_seal SET hash = '\\x00' WHERE number = 1",),
}


@pytest.mark.as_owner
def test_tampering_is_found(engine: Engine) -> None:
    audited(engine, 3)
    seal(engine)
    audited(engine, 2)
    seal(engine)
    assert findings(engine) == set()
    for how, statements in TAMPERING.items():
        with engine.connect() as conn, conn.begin() as undone:
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                conn.execute(text(statement))
            assert verify(conn), how
            undone.rollback()
    assert findings(engine) == set()


@pytest.mark.as_owner
def test_a_long_trail_is_read_in_batches(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five times the rows, the same memory: nothing is loaded whole."""
    monkeypatch.setattr(audit, "MAX_ROWS_PER_SEAL", 25)
    monkeypatch.setattr(audit_verification, "BATCH", 25)
    monkeypatch.setattr(audit_verification, "MAX_FINDINGS", 20)

    def peak() -> int:
        with work(engine) as u:
            for number in range(150):
                u.audit("test.act", "thing", number, after={"text": "x" * 2000})
        Sealer(engine).seal(NOW)
        with engine.connect() as conn:
            assert verify(conn) == []  # what is made once and kept is made now
            tracemalloc.start()
            assert verify(conn) == []
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return used

    few = peak()
    many = [peak() for _ in range(4)][-1]
    assert many < 2 * few, f"{few} bytes for 150 rows, {many} for 750"
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("UPDATE audit SET reason = 'other'"))
    with engine.connect() as conn:
        assert len(verify(conn)) == 20


def test_old_unsealed_rows_are_an_alarm(engine: Engine) -> None:
    audited(engine, 1)
    assert findings(engine, now=NOW + timedelta(seconds=9)) == set()
    assert findings(engine, now=NOW + timedelta(seconds=11)) == {"unsealed"}


def test_a_row_that_commits_late_is_sealed_later(engine: Engine) -> None:
    with engine.connect() as slow, slow.begin():
        u = Unit(slow, SYSTEM, NOW, Events())
        u.audit("slow", "thing", 0)
        u.flush()
        audited(engine, 2)
        sealer = Sealer(engine)
        assert sealer.seal(NOW) == 2
        u.session.close()
    assert sealer.seal(NOW) == 1, "its id is lower than those sealed before"
    assert findings(engine, now=NOW + timedelta(hours=1)) == set()


def test_sealers_side_by_side(engine: Engine) -> None:
    audited(engine, 20)
    done: list[int] = []

    def run() -> None:
        done.append(seal(engine))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 20
    assert findings(engine) == set()


def emit(engine: Engine, topic: str = "hold.placed") -> None:
    with work(engine) as u:
        u.outbox(topic, 1, {"n": 1})


def test_inside_handlers_run_exactly_once(engine: Engine) -> None:
    outbox, seen = Outbox(), list[str]()

    def handle(u: Unit, message: OutboxMessage) -> None:
        u.audit("heard", "outbox", message.id)
        seen.append(message.topic)

    outbox.on_internal("hold.%", "test.holds", handle)
    outbox.subscribe(engine)
    emit(engine)
    emit(engine, "other")
    threads = [threading.Thread(target=lambda: outbox.run(engine, Events(), NOW)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["hold.placed"]
    assert outbox.run(engine, Events(), NOW + timedelta(days=1)) == 0
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM audit WHERE action = 'heard'")).scalar_one() == 1


def test_a_failing_handler_is_tried_again_and_costs_no_other(engine: Engine) -> None:
    outbox, seen, broken = Outbox(), list[str](), [True]

    def fails(u: Unit, _: OutboxMessage) -> None:
        u.audit("half", "outbox", 0)
        u.flush()
        if broken:
            raise ValueError("not now")
        seen.append("late")

    outbox.on_internal("%", "test.fails", fails)
    outbox.on_internal("%", "test.works", lambda u, m: seen.append("works"))  # noqa: ARG005 - the handler's signature
    outbox.subscribe(engine)
    emit(engine)
    outbox.run(engine, Events(), NOW)
    assert seen == ["works"]
    with engine.connect() as conn:
        row = conn.execute(
            text("SELECT attempts, last_error, next_at, done_at FROM outbox_task WHERE handler = 'test.fails'")
        ).one()
        assert conn.execute(text("SELECT count(*) FROM audit WHERE action = 'half'")).scalar_one() == 0
    assert (row.attempts, row.last_error, row.done_at) == (1, "ValueError: not now", None)
    assert row.next_at == NOW + timedelta(seconds=1)
    assert outbox.run(engine, Events(), NOW) == 0, "it waits"
    broken.clear()
    assert outbox.run(engine, Events(), NOW + timedelta(seconds=1)) == 1
    assert seen == ["works", "late"]


def test_outward_handlers_hold_no_lock_and_back_off(engine: Engine) -> None:
    outbox, calls = Outbox(), list[int]()

    def call(message: OutboxMessage) -> None:
        with engine.begin() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '500ms'"))
            conn.execute(text("SELECT FROM outbox_task FOR UPDATE"))
        calls.append(message.id)
        if len(calls) < 3:
            raise RetryLater("grafana is away")

    outbox.on_external("hold.%", "test.annotate", call)
    outbox.subscribe(engine)
    emit(engine)
    now = NOW
    for wait in (1, 2, 4):
        assert outbox.run(engine, Events(), now) == 1
        assert outbox.run(engine, Events(), now) == 0
        now += timedelta(seconds=wait)
    assert len(calls) == 3
    assert outbox.run(engine, Events(), now + timedelta(days=1)) == 0


def test_a_rolled_back_transaction_tells_nobody(engine: Engine) -> None:
    def refused(u: Unit) -> None:
        u.outbox("hold.placed", 1, {})
        u.audit("x", "y", 1)
        u.flush()
        u.need("nothing")

    with pytest.raises(Forbidden):
        transact(engine, Actor("nobody"), Events(), refused, NOW)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM audit)")).scalar() == 0


def test_deadlocks_are_retried(engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(text("INSERT INTO site (code, name, timezone) VALUES ('a', 'a', 'UTC'), ('b', 'b', 'UTC')"))
    gate = threading.Barrier(2, timeout=5)

    def both(first: str, second: str) -> None:
        tries: list[int] = []

        def step(u: Unit) -> None:
            tries.append(1)
            u.conn.execute(text("UPDATE site SET name = name || '.' WHERE code = :c"), {"c": first})
            if len(tries) == 1:
                gate.wait()
            u.conn.execute(text("UPDATE site SET name = name || '.' WHERE code = :c"), {"c": second})

        transact(engine, SYSTEM, Events(), step)

    threads = [threading.Thread(target=both, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as conn:
        assert set(conn.execute(text("SELECT name FROM site")).scalars()) == {"a..", "b.."}


def person(engine: Engine, login: str, *roles: Role, session: str | None = "s1") -> Actor:
    with work(engine) as u:
        user = users.create_user(u, login, login.title(), PASSWORD, roles)
    return Actor(login, frozenset(roles), user.id, session=session)


def test_an_administrator_signs_nothing_even_in_sql(engine: Engine) -> None:
    admin = person(engine, "root", Role.ADMIN)
    with pytest.raises(DBAPIError) as refused, engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO signature (user_id, name, at, meaning, entity, entity_id, record_hash) "
                "VALUES (:u, 'Root', now(), 'accepted', 'disposition', '1', '\\x00')"
            ),
            {"u": admin.user_id},
        )
    assert getattr(refused.value.orig, "sqlstate", None) == "LW001"


def test_users(engine: Engine) -> None:
    person(engine, "quality", Role.QA)
    with work(engine) as u:
        for login, password, roles in (
            ("a", "short", ["qa"]),
            ("a", PASSWORD, []),
            ("a", PASSWORD, ["king"]),
            (" ", PASSWORD, ["qa"]),
        ):
            with pytest.raises(Invalid):
                users.create_user(u, login, "Name", password, roles)
        with pytest.raises(Conflict):
            users.create_user(u, "quality", "Name", PASSWORD, ["qa"])
    with engine.connect() as conn:
        assert conn.execute(text("SELECT password_hash FROM app_user")).scalar_one().startswith("$argon2id$")
    assert auth.check_password(engine, "quality", PASSWORD, "addr", NOW).login == "quality"


def test_an_event_without_its_handlers_does_not_start() -> None:
    class Bang(Event):
        required = ("production.stop",)

    with pytest.raises(MissingHandlers, match=r"production\.stop"):
        Events().check(Bang)


@pytest.fixture
def world(engine: Engine) -> World:
    return build(engine)


def test_the_time_of_a_unit_is_the_same_throughout(world: World) -> None:
    sublot = world.stock()
    with world.engine.connect() as conn:
        times = set(
            conn.execute(
                text("SELECT at FROM audit WHERE entity_id = :s AND entity = 'sublot'"), {"s": str(sublot)}
            ).scalars()
        )
    assert len(times) == 1
