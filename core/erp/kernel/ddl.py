"""What the database itself guards in the kernel: how its rows change, and outbox tasks made as rows arrive."""

from core.erp.kernel.guarded import EVERY, Guarded
from core.erp.kernel.model import (
    AuditRow,
    AuditSeal,
    AuditSealed,
    Heartbeat,
    IdempotencyKey,
    LoginAttempt,
    OutboxRow,
    OutboxSubscription,
    OutboxTask,
    Restoration,
    RevokedToken,
    Signature,
    User,
)
from core.erp.kernel.triggers import only, signed

TABLES = (
    Guarded(AuditRow, append_only=True),
    Guarded(AuditSeal, append_only=True),
    Guarded(AuditSealed, append_only=True),
    Guarded(OutboxRow, append_only=True),
    Guarded(Signature, append_only=True),
    Guarded(User, kept=True, identity=("login",)),
    Guarded(Restoration, kept=True, changes=("signature_id", "signed_at", "record")),
    Guarded(
        OutboxTask,
        changes=("attempts", "next_at", "done_at", "last_error"),
        why="work in hand; what is told is in outbox",
    ),
    Guarded(OutboxSubscription, changes=EVERY, removable=True, why="who is told: written at each start from the code"),
    Guarded(Heartbeat, changes=EVERY, removable=True, why="signs of life: what counts is the newest of each part"),
    Guarded(
        IdempotencyKey,
        changes=("status", "response"),
        removable=True,
        why="an answer is written once (idempotency_key_once), kept 7 days",
    ),
    Guarded(
        LoginAttempt,
        changes=("at",),
        removable=True,
        why="what the throttle counts, kept 90 days: signing in is no record",
    ),
    Guarded(
        RevokedToken, changes=("until",), removable=True, why="kept until its session could not be renewed any more"
    ),
)

_ONCE = """
CREATE TRIGGER idempotency_key_once BEFORE UPDATE ON idempotency_key
FOR EACH ROW WHEN (OLD.status <> 0) EXECUTE FUNCTION lotwise_forbid_change()
"""

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

_FOLDED = """
CREATE OR REPLACE FUNCTION lotwise_folded(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(normalize(words, NFKC) COLLATE "pg_c_utf8")
"""

_BIGRAMS = """
CREATE OR REPLACE FUNCTION lotwise_bigrams(words text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    letters text[] := string_to_array(lower(normalize(words, NFKC) COLLATE "pg_c_utf8"), NULL);
    found text[] := '{}';
BEGIN
    FOR place IN 1 .. coalesce(array_length(letters, 1), 0) LOOP
        IF place > 1 THEN
            found := found || (letters[place - 1] || letters[place]);
        END IF;
        IF ascii(letters[place]) >= 11904 THEN  -- U+2E80: one character is a word there
            found := found || letters[place];
        END IF;
    END LOOP;
    RETURN found;
END $$
"""

BEFORE: tuple[str, ...] = (_FOLDED.strip(), _BIGRAMS.strip())
"""What indexes call (records/search), and so is there before the tables."""

_RESTORED_ONCE = """
CREATE TRIGGER restoration_once BEFORE UPDATE ON restoration
FOR EACH ROW WHEN (OLD.signature_id IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
"""

_SKIP_IDS = """
CREATE OR REPLACE FUNCTION lotwise_skip_ids() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    one regclass;
BEGIN
    FOR one IN
        SELECT d.objid FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            AND c.relnamespace = 'public'::regnamespace
    LOOP
        PERFORM setval(one, nextval(one) + 1000000);
    END LOOP;
END $$
"""
"""Every id that comes next is a million on: more than were given between a backup and the loss of what it is put back
for. A receiver that has seen event 7 ignores another one of that number, and a hold would never be told.
"""

_RESTORATION = (
    _SKIP_IDS,
    "REVOKE ALL ON FUNCTION lotwise_skip_ids() FROM PUBLIC",
    only("restoration", "signature_id", "signed_at", "record"),
    signed("restoration", "restoration", "id"),
    _RESTORED_ONCE,
)

DDL: tuple[str, ...] = (*_RESTORATION, _TASKS, _TASKS_TRIGGER, _ONCE)
