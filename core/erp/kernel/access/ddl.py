"""What the database guards of access: an approved role stays as it is, and whoever manages users signs nothing."""

from core.erp.kernel.access.model import ComposedRole
from core.erp.kernel.guarded import Guarded
from core.erp.kernel.permits import MANAGES_USERS, PERMITS

TABLES = (
    Guarded(
        ComposedRole,
        kept=True,
        identity=("code", "edition", "created_at"),
        changes=("name", "permits", "outside", "state"),
    ),
)

_APPROVED = """
CREATE OR REPLACE FUNCTION lotwise_guard_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (NEW.name, NEW.permits, NEW.outside) IS DISTINCT FROM
            (OLD.name, OLD.permits, OLD.outside) THEN
        RAISE EXCEPTION 'role % is % and stays as it is: compose a new edition', OLD.code, OLD.state
            USING ERRCODE = 'LW005',
                DETAIL = lotwise_message('access.role_stays', jsonb_build_object('code', OLD.code))::text;
    END IF;
    RETURN NEW;
END $$
"""
_ON_APPROVED = "CREATE TRIGGER role_guard BEFORE UPDATE ON role FOR EACH ROW EXECUTE FUNCTION lotwise_guard_role()"

_MANAGERS = ", ".join(f"'{role}'" for one in PERMITS if one.name == MANAGES_USERS for role in sorted(one.roles))
_SIGNER = f"""
CREATE OR REPLACE FUNCTION lotwise_guard_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM app_user u WHERE u.id = NEW.user_id AND (u.roles && ARRAY[{_MANAGERS}] OR EXISTS (
            SELECT FROM role r WHERE r.state = 'approved' AND r.code = ANY (u.roles)
            AND '{MANAGES_USERS}' = ANY (r.permits)))) THEN
        RAISE EXCEPTION 'administrators sign no quality decision'
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('kernel.administrators_sign_nothing')::text;
    END IF;
    RETURN NEW;
END $$
"""  # noqa: S608 - the names are constants of the permits
_ON_SIGNER = (
    "CREATE TRIGGER signature_guard BEFORE INSERT ON signature FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signature()"
)

DDL = (_APPROVED, _ON_APPROVED, _SIGNER, _ON_SIGNER)
