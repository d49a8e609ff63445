"""The triggers that every module's tables are guarded by: append-only, kept, identity, life cycle, signature.

Errors raised by our triggers have a SQLSTATE of class `LW`, an English text, and as their detail the message by id
(`lotwise_message`); the door turns them into refusals.
"""

from core.erp.kernel.workflow import Workflow

MESSAGE = """
CREATE OR REPLACE FUNCTION lotwise_message(id text, params jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object('id', id, 'params', params)
$$
"""
"""A message as the wire and the tables carry it (`words.Message.as_json`)."""

FORBID_CHANGE = """
CREATE OR REPLACE FUNCTION lotwise_forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is forbidden: its rows are never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'LW005', DETAIL = lotwise_message('kernel.rows_never_change',
            jsonb_build_object('operation', TG_OP, 'table', TG_TABLE_NAME))::text;
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


_ONLY = """
CREATE OR REPLACE FUNCTION lotwise_guard_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV) THEN
        RAISE EXCEPTION 'of % only % may be written', TG_TABLE_NAME, array_to_string(TG_ARGV, ', ')
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('kernel.only_these_written',
                jsonb_build_object('table', TG_TABLE_NAME, 'columns', to_jsonb(TG_ARGV)))::text;
    END IF;
    RETURN NEW;
END $$
"""

_KEEPS = """
CREATE OR REPLACE FUNCTION lotwise_guard_identity() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV LOOP
        IF to_jsonb(OLD) -> name IS DISTINCT FROM to_jsonb(NEW) -> name THEN
            RAISE EXCEPTION 'the % of a % never changes', name, TG_TABLE_NAME
                USING ERRCODE = 'LW005', DETAIL = lotwise_message('kernel.identity_never_changes',
                    jsonb_build_object('column', name, 'table', TG_TABLE_NAME))::text;
        END IF;
    END LOOP;
    RETURN NEW;
END $$
"""

_CYCLE = """
CREATE OR REPLACE FUNCTION lotwise_guard_cycle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- arguments: the noun, the states it may begin in, and each legal pair of states
    IF TG_OP = 'INSERT' THEN
        IF NOT NEW.state = ANY (string_to_array(TG_ARGV[1], ' ')) THEN
            RAISE EXCEPTION 'no % begins as %', replace(TG_ARGV[0], '_', ' '), NEW.state
                USING ERRCODE = 'LW003', DETAIL = lotwise_message('workflow.no_such_beginning', jsonb_build_object(
                    'record', lotwise_message('record.' || TG_ARGV[0]),
                    'state', lotwise_message('state.' || TG_ARGV[0] || '.' || NEW.state)))::text;
        END IF;
    ELSIF NEW.state <> OLD.state AND NOT OLD.state || '>' || NEW.state = ANY (TG_ARGV) THEN
        RAISE EXCEPTION 'a % % cannot become %', OLD.state, replace(TG_ARGV[0], '_', ' '), NEW.state
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('workflow.no_such_way', jsonb_build_object(
                'record', lotwise_message('record.' || TG_ARGV[0]),
                'before', lotwise_message('state.' || TG_ARGV[0] || '.' || OLD.state),
                'after', lotwise_message('state.' || TG_ARGV[0] || '.' || NEW.state)))::text;
    END IF;
    RETURN NEW;
END $$
"""

_SIGNED = """
CREATE OR REPLACE FUNCTION lotwise_guard_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.signature_id IS NOT NULL AND NOT EXISTS (SELECT FROM signature s WHERE s.id = NEW.signature_id
            AND s.entity = TG_ARGV[0] AND s.entity_id = to_jsonb(NEW) ->> TG_ARGV[1]) THEN
        RAISE EXCEPTION 'signature % does not sign this %', NEW.signature_id, TG_ARGV[0]
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('kernel.signature_of_another',
                jsonb_build_object('signature_id', NEW.signature_id, 'record', TG_ARGV[0]))::text;
    END IF;
    RETURN NEW;
END $$
"""


def only(name: str, *columns: str) -> str:
    """A trigger by which nothing but these columns of a row may be written."""
    return _before_update(name, "only", "lotwise_guard_only", columns)


def keeps(name: str, *columns: str) -> str:
    """A trigger by which a row keeps these columns as they were born."""
    return _before_update(name, "identity", "lotwise_guard_identity", columns)


def _before_update(name: str, trigger: str, function: str, arguments: tuple[str, ...]) -> str:
    quoted = ", ".join(f"'{argument}'" for argument in arguments)
    return f"CREATE TRIGGER {name}_{trigger} BEFORE UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION {function}({quoted})"


def life_cycle(workflow: Workflow) -> str:
    """A trigger by which a row begins in one of the workflow's states to begin in and goes its legal ways only.

    It comes before the table's own guard (`NAME_guard`): triggers fire by name.
    """
    quoted = ", ".join(
        f"'{argument}'"
        for argument in (
            workflow.noun,
            " ".join(workflow.begins),
            *(f"{source}>{target}" for source, target in workflow.pairs()),
        )
    )
    on = f"CREATE TRIGGER {workflow.table}_cycle BEFORE INSERT OR UPDATE ON {workflow.table}"
    return f"{on} FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle({quoted})"


def signed(name: str, entity: str, column: str) -> str:
    """A trigger by which a row's signature is of that very record (21 CFR 11.70: it cannot be moved to another).

    That it is of no other row too, the table's own unique index on `signature_id` sees to.
    """
    on = f"CREATE TRIGGER {name}_signed BEFORE INSERT OR UPDATE ON {name}"
    return f"{on} FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('{entity}', '{column}')"


FUNCTIONS: tuple[str, ...] = (MESSAGE, FORBID_CHANGE, _ONLY, _KEEPS, _CYCLE, _SIGNED)
"""What the guards of every room call."""
