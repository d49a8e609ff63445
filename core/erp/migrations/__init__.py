"""Alembic migrations of the whole schema, run from the package itself (no ini file needed)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from core.erp.kernel.schema import give_rights

HERE = Path(__file__).parent


def config(conn: Connection | None = None) -> Config:
    """Alembic's configuration; with a connection, migrations run on it."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.attributes["connection"] = conn
    return made


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Brings the database to a revision, in one transaction; servers that start side by side wait for one another."""
    with engine.begin() as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('lotwise.migrations'))"))
        command.upgrade(config(conn), revision)
        give_rights(conn)
