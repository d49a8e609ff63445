"""Alembic's environment: the connection handed in by `upgrade`, or LOTWISE_DATABASE_URL from the command line."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

from core.erp.kernel.schema import load_models
from core.settings import Settings

load_models()


def run(conn: Connection) -> None:
    """Runs the migrations in one transaction."""
    context.configure(connection=conn, target_metadata=SQLModel.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


handed_in = context.config.attributes.get("connection")
if handed_in is not None:
    run(handed_in)
else:
    url = Settings().database_url
    if url is None:
        raise SystemExit("set LOTWISE_DATABASE_URL, or run `lotwise migrate` for the embedded server")
    engine = create_engine(url, hide_parameters=True)
    with engine.connect() as connection:
        run(connection)
    engine.dispose()
