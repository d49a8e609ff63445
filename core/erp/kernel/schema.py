"""The whole schema: every module's tables, and the triggers, functions and views that guard them."""

from sqlalchemy import Connection, Engine, text
from sqlmodel import SQLModel

from core.erp.kernel import guarded, modules
from core.erp.kernel.ddl import BEFORE
from core.erp.kernel.rights import give, grants
from core.erp.kernel.triggers import FUNCTIONS, life_cycle
from core.erp.kernel.workflow import workflows


def load_models() -> None:
    """Imports every module's tables, so that the metadata is whole."""
    modules.found("model")


def statements() -> tuple[str, ...]:
    """All DDL beyond tables, in an order that works on tables just created.

    Raises Unguarded where a table's declaration is missing or wrong.
    """
    load_models()
    found: list[str] = list(FUNCTIONS)
    for one in guarded.declared().values():
        found += one.triggers()
    found += [life_cycle(workflow) for workflow in workflows().values()]
    for module in modules.found("ddl"):
        found += getattr(module, "DDL", ())
    return tuple(statement.strip() for statement in found)


def create_on(conn: Connection) -> None:
    """Creates the whole schema in this transaction, in an empty database."""
    load_models()
    for statement in BEFORE:
        conn.execute(text(statement.replace(":", r"\:")))
    SQLModel.metadata.create_all(conn)
    for statement in statements():
        conn.execute(text(statement.replace(":", r"\:")))
    give_rights(conn)


def give_rights(conn: Connection) -> None:
    """The application's role gets what `rights` says, after each migration too. As the owner of the tables."""
    give(conn, grants(guarded.declared().values()))


def create_schema(engine: Engine) -> None:
    """Creates the whole schema in an empty database, in one transaction."""
    with engine.begin() as conn:
        create_on(conn)
