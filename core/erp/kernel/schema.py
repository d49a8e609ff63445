"""The whole schema: every module's tables, and the triggers, functions and views their `ddl.py` files declare."""

from importlib import import_module
from importlib.util import find_spec

from sqlalchemy import Connection, Engine, text
from sqlmodel import SQLModel

from core.erp.kernel.ddl import FORBID_CHANGE, append_only

MODULES = (
    "core.erp.kernel", "core.erp.catalog", "core.erp.lots", "core.erp.custody", "core.erp.exposure",
    "core.erp.quality", "core.erp.production", "core.erp.shipments", "core.erp.scheduling", "core.erp.recall",
    "core.series", "core.ingest", "core.outbound", "core.web",
)  # fmt: skip
"""Rooms that may bring tables, by name: the kernel imports none of them, it only asks them to load."""

APPEND_ONLY = (
    "audit", "audit_seal", "audit_sealed", "outbox", "signature", "stock_move", "custody_fact", "genealogy",
    "disposition", "batch_release", "gap_record", "item_profile", "profile_limit", "profile_version",
)  # fmt: skip
"""Tables whose rows are never changed or removed (design, rules 3, 4 and 5). `reading` guards itself in core.series."""


def load_models() -> None:
    """Imports every room's tables, so that the metadata is whole."""
    for module in MODULES:
        if find_spec(f"{module}.model") is not None:
            import_module(f"{module}.model")


def statements() -> tuple[str, ...]:
    """All DDL beyond tables, in an order that works on tables just created."""
    load_models()
    found: list[str] = [FORBID_CHANGE]
    for name in APPEND_ONLY:
        if name in SQLModel.metadata.tables:
            found += append_only(name)
    for module in MODULES:
        if find_spec(f"{module}.ddl") is not None:
            found += import_module(f"{module}.ddl").DDL
    return tuple(statement.strip() for statement in found)


def create_on(conn: Connection) -> None:
    """Creates the whole schema in this transaction, in an empty database."""
    load_models()
    SQLModel.metadata.create_all(conn)
    for statement in statements():
        conn.execute(text(statement.replace(":", r"\:")))


def create_schema(engine: Engine) -> None:
    """Creates the whole schema in an empty database, in one transaction."""
    with engine.begin() as conn:
        create_on(conn)
