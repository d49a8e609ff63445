"""What the database itself guards in the kernel: append-only tables, and outbox tasks made as rows arrive.

Errors raised by our triggers have a SQLSTATE of class `LW`; the door turns them into refusals.
"""

FORBID_CHANGE = """
CREATE OR REPLACE FUNCTION lotwise_forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is forbidden: its rows are never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'LW005';
END $$
"""


def _forbid(name: str, trigger: str, operation: str, each: str) -> str:
    on = f"CREATE TRIGGER {name}_{trigger} BEFORE {operation} ON {name}"
    return f"{on} FOR EACH {each} EXECUTE FUNCTION lotwise_forbid_change()"


def append_only(name: str) -> tuple[str, ...]:
    """Triggers that forbid UPDATE, DELETE and TRUNCATE of a table (row triggers do not fire on TRUNCATE)."""
    return (
        _forbid(name, "append_only", "UPDATE OR DELETE", "ROW"),
        _forbid(name, "no_truncate", "TRUNCATE", "STATEMENT"),
    )


def no_removal(name: str) -> tuple[str, ...]:
    """Triggers that forbid DELETE and TRUNCATE; another trigger says what may be updated."""
    return _forbid(name, "no_delete", "DELETE", "ROW"), _forbid(name, "no_truncate", "TRUNCATE", "STATEMENT")


_TASKS = """
CREATE OR REPLACE FUNCTION lotwise_outbox_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox_task (outbox_id, handler, attempts, next_at)
    SELECT n.id, s.handler, 0, n.at FROM fresh n JOIN outbox_subscription s ON n.topic LIKE s.pattern;
    RETURN NULL;
END $$
"""

_TASKS_TRIGGER = """
CREATE TRIGGER outbox_tasks AFTER INSERT ON outbox REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION lotwise_outbox_tasks()
"""

_NO_ADMIN = """
CREATE OR REPLACE FUNCTION lotwise_guard_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM app_user WHERE id = NEW.user_id AND 'admin' = ANY (roles)) THEN
        RAISE EXCEPTION 'administrators sign no quality decision' USING ERRCODE = 'LW001';
    END IF;
    RETURN NEW;
END $$
"""

_NO_ADMIN_TRIGGER = (
    "CREATE TRIGGER signature_guard BEFORE INSERT ON signature FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signature()"
)

DDL: tuple[str, ...] = (_TASKS, _TASKS_TRIGGER, _NO_ADMIN, _NO_ADMIN_TRIGGER)
