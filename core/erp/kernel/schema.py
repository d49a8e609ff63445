"""The whole schema: every module's tables, and the triggers, functions and views their `ddl.py` files declare."""

from importlib import import_module
from importlib.util import find_spec

from sqlalchemy import Connection, Engine, text
from sqlmodel import SQLModel

from core.erp.kernel.ddl import FUNCTIONS, append_only, keeps, no_removal, only
from core.erp.kernel.rights import give, grants

MODULES = (
    "core.erp.kernel",
    "core.erp.kernel.numbering",
    "core.erp.catalog",
    "core.erp.lots",
    "core.erp.custody",
    "core.erp.exposure",
    "core.erp.quality",
    "core.erp.production",
    "core.erp.shipments",
    "core.erp.scheduling",
    "core.erp.recall",
    "core.series",
    "core.ingest",
    "core.outbound",
    "core.web",
)
"""Rooms that may bring tables, by name: the kernel imports none of them, it only asks them to load."""

APPEND_ONLY = (
    "audit",
    "audit_seal",
    "audit_sealed",
    "outbox",
    "signature",
    "stock_move",
    "custody_fact",
    "genealogy",
    "disposition",
    "batch_release",
    "gap_record",
    "item_profile",
    "profile_limit",
    "profile_version",
    "calibration",
)
"""Tables whose rows are never changed or removed (design, rules 3, 4 and 5). `reading` guards itself in core.series."""

KEPT = (
    "app_user",
    "number_counter",
    "site",
    "zone",
    "zone_nesting",
    "point",
    "sensor",
    "installation",
    "item",
    "storage_profile",
    "work_centre",
    "bom",
    "routing_step",
    "work_order_line",
    "work_order_material",
    "work_order_operation",
    "reservation",
    "stock_task",
    "shipment_leg",
    "shipment_line",
    "shipment_logger",
    "handling_unit",
    "handling_unit_content",
    "zone_alarm",
    "field_action_consignee",
)
"""Tables whose rows change, and are never removed: what is signed, judged or shipped goes on naming them."""

IDENTITIES = {
    "app_user": ("login",),
    "site": ("code",),
    "zone": ("address", "site_id"),
    "point": ("address", "zone_id"),
    "sensor": ("serial",),
    "item": ("code",),
    "lot": ("item_id", "number", "maker", "expiry"),
    "work_order": ("code", "item_id"),
    "shipment": ("code", "kind"),
    "reservation": ("sublot_id", "amount", "purpose", "reference"),
}
"""By what, beside its id, a row is known for ever (a zone's address is its identity: design §2.5)."""

DATED = ("zone_nesting", "installation", "handling_unit_content")
"""From-until facts, of which only the end is written later (design, rule 8: judged again, they say the same)."""


def load_models() -> None:
    """Imports every room's tables, so that the metadata is whole."""
    for module in MODULES:
        if find_spec(f"{module}.model") is not None:
            import_module(f"{module}.model")


def statements() -> tuple[str, ...]:
    """All DDL beyond tables, in an order that works on tables just created."""
    load_models()
    found: list[str] = list(FUNCTIONS)
    for name in APPEND_ONLY:
        if name in SQLModel.metadata.tables:
            found += append_only(name)
    for name in KEPT:
        found += no_removal(name)
    found += [keeps(name, "id", *columns) for name, columns in IDENTITIES.items()]
    found += [only(name, "to_at") for name in DATED]
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
    give_rights(conn)


def give_rights(conn: Connection) -> None:
    """The application's role gets what `rights` says, after each migration too. As the owner of the tables."""
    load_models()
    give(conn, grants(frozenset(KEPT), frozenset(SQLModel.metadata.tables)))


def create_schema(engine: Engine) -> None:
    """Creates the whole schema in an empty database, in one transaction."""
    with engine.begin() as conn:
        create_on(conn)
