"""Writes the first revision from the models and the modules' DDL: `python -m core.erp.migrations.generate URL`.

The URL names an empty PostgreSQL database (nothing is left in it). Later revisions are written by
`alembic revision --autogenerate`, with changed triggers and functions added by hand; the fresh-versus-migrated test
says what was forgotten.
"""

import sys
from pathlib import Path
from typing import Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import PrimaryKeyConstraint, create_engine
from sqlmodel import SQLModel

from core.erp.kernel.ddl import BEFORE
from core.erp.kernel.schema import load_models, statements

FIRST = Path(__file__).parent / "versions" / "0001_the_whole_schema.py"

_HEAD = '''"""The whole schema: every module's tables, and the triggers, functions and views that guard them.

Written by `python -m core.erp.migrations.generate`.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

'''


def first_revision(url: str) -> str:
    """The source of the first revision."""
    load_models()
    engine = create_engine(url, hide_parameters=True)
    with engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        migrations = produce_migrations(context, SQLModel.metadata)
        assert migrations.upgrade_ops is not None
        tables = render_python_code(migrations.upgrade_ops, render_item=_covering_key, migration_context=context)
    engine.dispose()
    run = "    for statement in {}:\n        op.execute(sa.text(statement.replace(':', '\\\\:')))\n"
    return (
        f"{_HEAD}BEFORE = (\n{_listed(BEFORE)}\n)\n\nGUARDS = (\n{_listed(statements())}\n)\n\n\n"
        f"def upgrade() -> None:\n{run.format('BEFORE')}    {tables.strip()}\n{run.format('GUARDS')}\n\n"
        "def downgrade() -> None:\n"
        '    raise NotImplementedError("records are never unmade: restore a backup instead")\n'
    )


def _covering_key(kind: str, thing: object, context: object) -> str | Literal[False]:
    """A primary key that carries other columns too, which Alembic would leave out; False leaves the rest to Alembic."""
    del context
    if kind != "primary_key" or not isinstance(thing, PrimaryKeyConstraint):
        return False
    carried = thing.dialect_options["postgresql"]["include"]
    names = ", ".join(repr(column.name) for column in thing.columns)
    return f"sa.PrimaryKeyConstraint({names}, postgresql_include={carried!r})" if carried else False


def _listed(found: tuple[str, ...]) -> str:
    return "\n".join(f"    r'''\n{statement}\n    '''," for statement in found)


if __name__ == "__main__":
    FIRST.write_text(first_revision(sys.argv[1]), encoding="utf-8")
