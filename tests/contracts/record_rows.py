"""A row of every kind of record at each of two places: made column by column, by hand only where a value must fit."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin
from zlib import crc32

from sqlalchemy import CheckConstraint, Column, Engine, insert, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import table, value_type
from core.erp.kernel.workflow import workflows

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
OWN, FOREIGN = "own", "foreign"
"""Of the actor's own site and partner, or of another. A test that changes its records makes a place of its own."""
FIRST = 100_000
"""Ids of the first place begin here, those of the next at twice as much: no number is met by chance."""

# Written by hand: what everybody inside sees, and so is foreign to outside people only.
SEEN_BY_ALL_INSIDE = {
    "item",
    "storage_profile",
    "partner",
    "partner_site",
    "partner_contact",
    "supplier_certificate",
    "role",
    "user",
    "session",
    "bom",
    "restoration",
    "absence",
}
# Written by hand: what a column's name and type do not tell. A callable is given the place.
FITTING: dict[str, dict[str, Any]] = {
    "app_user": {"password_hash": "x", "roles": ["warehouse"], "active": True, "token_epoch": 0},
    "role": {"permits": ["stock.read"], "edition": 1},
    "zone": {"address": lambda place: f"{place}/a/room", "band_delay": timedelta(0)},
    "point": {"address": lambda place: f"{place}/a/room/p/temperature", "role": "required", "unit": "Cel"},
    "site": {"timezone": "UTC"},
    "partner": {"roles": ["supplier", "customer", "maker"], "country": "DE", "gln": ""},
    "partner_site": {"country": "DE", "timezone": "UTC", "gln": ""},
    "partner_contact": {"email": "a@example.com", "timezone": "UTC", "hours": []},
    "supplier_certificate": {"kind": "gmp", "valid_until": date(2199, 1, 1)},
    "batch_release": {"automatic": True},
    "restriction": {"kind": "market", "value": {"allowed": ["DE"]}},
    "hold": {"lift_permit": "hold.lift"},
    "reservation": {"purpose": "sale"},
    "stock_move": {"source": "supplier", "target": "stock", "purpose": "sale"},
    "work_order": {"priority": 1},
    "bom": {"tolerance": Decimal("0.02")},
    "import_run": {"entity": "lot", "mode": "all", "faults": []},
    "import_line": {"entity": "lot"},
    "profile_version": {"version": 1},
    "task": {"permit": "stock.read", "assignee": None},
    "work_centre": {"up": True},
    "work_calendar": {"days": [], "timezone": "UTC", "week": {"mon": ["08:00-17:00"]}},
    "capa": {"source": "complaint"},
    # one that nobody has signed would stop the stock of all places
    "restoration": {
        "database_seal": lambda place: crc32(place.encode()),
        "signature_id": lambda place: crc32(place.encode()),
        "signed_at": NOW,
    },
    "on_call_swap": {"to_at": NOW + timedelta(hours=1)},
    "on_call_rota": {"handover": "08:00", "days": 7},
    "absence": {"to_at": NOW + timedelta(hours=1), "login": lambda place: f"app_user-login-{place}"},
    "alert_route": {"events": ["hold"], "steps": [{"after_minutes": 0, "role": "qa"}], "repeat_minutes": 0},
    "contact_way": {"login": None, "kind": "mail", "address": "a@example.com", "quiet": ""},
    "alert": {"event": "hold"},
    "alert_message": {"channel": "page", "kind": "told", "alert_ids": []},
    "dead_letter": {"point": lambda place: f"{place}/a/room/p/temperature"},
    "audit": {"entity": "zone"},
    "signature": {"entity": "zone"},
}
FORCED: dict[str, tuple[str, ...]] = {
    "hold": ("sublot_id",),
    "deviation": ("sublot_id",),
    "task": ("site_id",),
    "deadline": ("site_id",),
    "work_centre": ("zone_id",),
    "sublot": ("zone_id", "site_id"),
    "work_calendar": ("site_id",),
    "incident": ("zone_id",),
    "alert": ("site_id",),
    "alert_message": ("site_id",),
    "alert_route": ("site_id",),
    "contact_way": ("site_id",),
}
"""Columns that may be empty and are not, since what is seen goes by them."""


ALSO: dict[str, tuple[str, ...]] = {
    "absence": ("app_user",),
    "sensor": ("installation",),
    "lot": ("sublot",),
    "shipment": ("shipment_line",),
    "bom": ("bom_line", "routing_step"),
    "work_order": ("work_order_operation",),
    "work_order_operation": ("work_centre",),
    "dead_letter": ("point",),
    "import_run": ("import_line",),
}
"""Rows by which one of another table is seen: an instrument where it is installed, an order where it is made."""


class Rows:
    """Makes rows as the owner of the tables, triggers off, and remembers them: one of each table at each place."""

    def __init__(self, owner: Engine) -> None:
        self.owner = owner
        self.ids: dict[tuple[str, str], int] = {}
        self._places: list[str] = []
        self._fitted: dict[tuple[str, str], dict[str, Any]] = {}
        self._tables = {str(table(model).name): model for model in _models()}
        self._named = {entity.name: str(entity.rows.name) for entity in entities().values()}

    def of(self, entity: Entity, place: str) -> int:
        """The id of that entity's record at the place."""
        return self.row(str(entity.rows.name), place)

    def linked(self, name: str, place: str) -> int:
        """The id of a record by the name that links have."""
        return self.row(self._named.get(name, name), place)

    def fit(self, name: str, place: str, **values: Any) -> None:
        """What the row of that table at the place is to hold (a callable is given the rows and the place); before it
        is made.
        """
        self._fitted[name, place] = values

    def known(self, name: str) -> bool:
        """Whether there are records of that name."""
        return name in self._named or name in self._tables

    def row(self, name: str, place: str) -> int:
        """The id of that table's row at the place, made when it is first asked for."""
        if (name, place) not in self.ids:
            values = self._values(name, place)
        if (name, place) not in self.ids:  # nor made on the way, by what it names
            self.ids[name, place] = self._insert(name, values, self._next_id(place))
            for beside in ALSO.get(name, ()):
                self.row(beside, place)
        return self.ids[name, place]

    def _next_id(self, place: str) -> int:
        if place not in self._places:
            self._places.append(place)
        return FIRST * (self._places.index(place) + 1) + len(self.ids)

    def _insert(self, name: str, values: dict[str, Any], number: int) -> int:
        rows = table(self._tables[name])
        values = values | {"id": number} if "id" in rows.c else values
        with self.owner.begin() as conn:
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            first = next(iter(rows.primary_key))
            return int(conn.execute(insert(rows).values(values).returning(first)).scalar_one())

    def change(self, entity: Entity, place: str, **values: Any) -> None:
        """Writes columns of a row, whatever guards say."""
        with self.owner.begin() as conn:
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            where = entity.rows.c.id == self.of(entity, place)
            conn.execute(entity.rows.update().where(where).values(**values))

    def _values(self, name: str, place: str) -> dict[str, Any]:
        fitting = {key: value(place) if callable(value) else value for key, value in FITTING.get(name, {}).items()}
        asked = self._fitted.get((name, place), {})
        fitting |= {key: value(self, place) if callable(value) else value for key, value in asked.items()}
        found: dict[str, Any] = {}
        if fitting.get("entity") == "zone":  # seen by what it names
            fitting["entity_id"] = str(self._trailed_zone(place))
        for column in table(self._tables[name]).c:
            if column.name in fitting:
                found[column.name] = fitting[column.name]
            elif column.name == "id" or column.server_default is not None or column.computed is not None:
                continue
            elif not column.nullable or column.name in FORCED.get(name, ()):
                found[column.name] = self._value(name, column, place)
        return found

    def _trailed_zone(self, place: str) -> int:
        """A zone of the place that rows of the trail are about: no other record's history is theirs."""
        trailed = f"{place}-trailed"
        if ("zone", trailed) not in self.ids:
            self.fit("zone", trailed, site_id=self.row("site", place))
        return self.row("zone", trailed)

    def _value(self, name: str, column: Column[Any], place: str) -> Any:
        if column.name == "state":
            return workflows()[name].begins[0]
        kind = target_of(column.name)
        target = self._named.get(kind, kind) if kind is not None else None
        if target is not None and target in self._tables and target != name:
            one = self.row(target, place)
            return [one] if isinstance(column.type, ARRAY) else one
        if isinstance(column.type, JSONB):
            return {}
        if (allowed := allowed_in(column)) is not None:
            return allowed
        return _MADE[value_type(column)](f"{name}-{column.name}-{place}")


_MADE: dict[type, Callable[[str], Any]] = {
    str: lambda text: text,
    int: lambda _: 1,
    float: lambda _: 1.0,
    Decimal: lambda _: Decimal(1),
    bool: lambda _: False,
    datetime: lambda _: NOW,
    date: lambda _: NOW.date(),
    timedelta: lambda _: timedelta(hours=1),
    list: lambda _: [],
    dict: lambda _: {},
    bytes: lambda text: text.encode(),
}

TARGETS = {
    "run_id": "import_run",
    "record_id": "lot",
    "profile_id": "storage_profile",
    "version_id": "profile_version",
    "maker_id": "partner",
    "consignee_id": "partner",
    "order_id": "work_order",
    "centre_id": "work_centre",
    "parent_id": "zone",
    "receiving_zone_id": "zone",
    "vehicle_zone_id": "zone",
    "to_zone_id": "zone",
    "from_zone_id": "zone",
    "product_id": "item",
    "action_id": "field_action",
    "rota_id": "on_call_rota",
    "way_id": "contact_way",
}
"""Which table a column's ids are of, where its name does not say."""


def allowed_in(column: Column[Any]) -> str | None:
    """The first of the words that the table's checks or its answer allow in a column; None where any will do."""
    for entity in entities().values():
        shown = entity.shape.model_fields.get(column.name) if entity.rows is column.table else None
        if shown is not None and get_origin(shown.annotation) is Literal:
            return str(get_args(shown.annotation)[0])
    checks = (str(one.sqltext) for one in column.table.constraints if isinstance(one, CheckConstraint))
    found = (re.search(rf"\b{column.name} IN \('([^']+)'", check) for check in checks)
    return next((one[1] for one in found if one), None)


def target_of(column: str) -> str | None:
    """The table whose ids a column or a field of a body holds; None for one that holds no ids."""
    if not column.endswith(("_id", "_ids")):
        return None
    return TARGETS.get(column, column.removesuffix("s").removesuffix("_id"))


def _models() -> list[type[SQLModel]]:
    return [mapper.class_ for mapper in SQLModel._sa_registry.mappers]


__all__ = ["FOREIGN", "OWN", "SEEN_BY_ALL_INSIDE", "DBAPIError", "Rows", "target_of"]
