"""What the running application may do to each table, and why: its role owns nothing.

`lotwise_owner` owns and migrates. `lotwise_app` runs: SELECT and INSERT everywhere, and beyond that only what a
table's declaration says (`guarded`), which a life cycle or housekeeping needs. It can alter nothing, switch off no
trigger, truncate nothing; the partitions of readings are made and dropped, and ids passed over after a restore, by
functions of the owner's.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, text

from core.erp.kernel.guarded import EVERY, Guarded

APP, OWNER = "lotwise_app", "lotwise_owner"

_GRANT = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{app}')
            AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass('audit')), 'USAGE') THEN
        {statements}
    END IF;
END $$
"""


def grants(tables: Iterable[Guarded]) -> str:
    """One statement, to be run by the owner, after which the application's role has these rights and no others.

    It does nothing where there is no such role, or for somebody who does not own the tables.
    """
    found = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {APP}",
        f"GRANT USAGE ON SCHEMA public TO {APP}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APP}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP}",
        f"GRANT EXECUTE ON FUNCTION series_make_week(text, timestamptz, timestamptz) TO {APP}",
        f"GRANT EXECUTE ON FUNCTION series_drop_week(text, interval) TO {APP}",
        f"GRANT EXECUTE ON FUNCTION lotwise_skip_ids() TO {APP}",
    ]
    for one in sorted(tables, key=lambda one: one.name):
        found.append(f"GRANT INSERT ON {one.name} TO {APP}")
        if one.writable:
            columns = "" if one.writable == EVERY else f" ({', '.join(one.writable)})"
            found.append(f"GRANT UPDATE{columns} ON {one.name} TO {APP}")
        if one.removable:
            found.append(f"GRANT DELETE ON {one.name} TO {APP}")
    return _GRANT.format(app=APP, statements=";\n        ".join(found) + ";")


def give(conn: Connection, statement: str) -> None:
    """Runs what `grants` says."""
    conn.execute(text(statement.replace(":", r"\:")))
