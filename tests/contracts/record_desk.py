"""Somebody who makes records of one kind, has them exported, imports others like them and takes them back."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import text

from core.erp.kernel.permits import declared
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.fields import Kind
from core.erp.kernel.tabular.record_import import importable_of
from tests.contracts.office import Office, body_of, with_own_links
from tests.contracts.record_acts import FREE, Fitted, Value, login
from tests.contracts.record_rows import SEEN_BY_ALL_INSIDE, Rows


def keeper(rows: Rows, place: str) -> str:
    """The login of who makes records there, as a user that there is."""
    rows.fit("app_user", place, login=place)
    rows.row("app_user", place)
    return place


# Written by hand: what of the description's example does not fit the place.
FITTING: dict[str, Mapping[str, Value | Any]] = {
    "capa_action": {"owner": login},
    "absence": {"login": keeper, "deputy": lambda rows, place: login(rows, f"{place}-deputy")},
    "alert_route": {"steps": [{"after_minutes": 0, "role": "qa"}], "zone_id": None, "item_id": None},
    "contact_way": {"login": keeper},
    "on_call_rota": {"logins": lambda rows, place: [login(rows, place)]},
    "on_call_swap": {"login": login},
    "installation": {"from_at": "2026-04-01T00:00:00Z", "to_at": "2026-04-02T00:00:00Z"},
    "item": {"code": lambda _, place: place},
    "partner": {"gln": ""},
    "point": {"address": lambda _, place: f"{place}/a/room/probe-1/temperature"},
    "role": {"permits": ["stock.read"], "outside": False},
    "user": {"password": "a good one 73", "roles": ["warehouse"], "place": {"site_ids": []}},
    "work_centre": {"code": lambda _, place: place},
    "work_order": {"code": lambda _, place: place},
    "zone": {"address": lambda _, place: f"site-code-{place}/a/cold-1"},
    "zone_nesting": {
        "parent_id": lambda rows, place: rows.row("zone", f"{place}-parent"),
        "from_at": "2026-04-01T00:00:00Z",
        "to_at": "2026-04-02T00:00:00Z",
    },
}
# Written by hand: what must be there before.
BESIDE: dict[str, Fitted] = {"shipment": FREE | {"stock_move": {"amount": 10_000}}}
# Written by hand: the fields of every form in which people write as they like; not those of a shape within.
FREE_TEXTS: dict[str, tuple[str, ...]] = {
    "bom": (),
    "calibration": ("certificate",),
    "calibration_plan": (),
    "capa": ("title", "problem", "reference"),
    "capa_action": ("what",),
    "absence": (),
    "alert_route": ("name",),
    "contact_way": ("name",),
    "on_call_rota": ("name",),
    "on_call_swap": ("note",),
    "hold": ("reason",),
    "installation": (),
    "item": ("name", "kind"),
    "lot": ("number", "maker"),
    "partner": ("name", "registration", "note"),
    "partner_contact": ("name", "note"),
    "partner_site": ("name", "street", "city", "region"),
    "point": (),
    "role": ("name",),
    "sensor": ("serial", "model"),
    "shipment": ("consignee",),
    "site": ("name",),
    "storage_profile": ("name",),
    "supplier_certificate": ("number", "issuer", "note"),
    "task": ("title",),
    "user": ("name",),
    "work_centre": ("name",),
    "work_order": (),
    "zone": ("name",),
    "zone_nesting": (),
}
# Written by hand: what makes one more record another one, by its number.
ANOTHER_CODE = {
    "item": "code",
    "partner": "code",
    "partner_site": "code",
    "role": "code",
    "shipment": "code",
    "site": "code",
    "storage_profile": "code",
    "user": "login",
    "work_centre": "code",
    "zone": "address",
}
# Written by hand: what an import asks for and no export tells, or two records may not share.
ANOTHER: dict[str, dict[str, str]] = {
    "installation": {"from_at": "2026-04-03T00:00:00+00:00", "to_at": ""},
    "point": {"address": "again-point/a/room/probe-2/temperature"},
    "role": {"code": "day_storekeeper"},
    "user": {"password": "a good one 74"},
    "zone_nesting": {"from_at": "2026-04-03T00:00:00+00:00", "to_at": ""},
}
# Written by hand: whose imports are not undone, and why.
NEVER_UNDONE = {
    "calibration": "what was measured stays; a wrong one is refused by a second person, or corrected by the next",
    "installation": "readings were judged by it from then on; it ends",
    "lot": "a batch is known for ever; what was never received holds nothing",
    "user": "who was let in is on record; they are made inactive",
    "zone_nesting": "it ends",
}


class Desk:
    """They may just that, at a place of their own; its `reader` sees all of it."""

    def __init__(self, office: Office, entity: Entity, label: str) -> None:
        assert entity.create is not None
        self.office, self.entity, self.body, self.place = office, entity, entity.create.body, f"{label}-{entity.name}"
        self.undone_by = entity.create.undo
        undo = next((verb for verb in entity.verbs if verb.name == self.undone_by), None)
        permits = {*as_permits(entity.read), *as_permits(entity.create.permit), "import.undo", "import.read"}
        permits |= set(entity.permits(undo)) if undo is not None else set()
        for table, values in BESIDE.get(entity.name, {}).items():
            office.rows.fit(table, self.place, **values)
            office.rows.row(table, self.place)
        where = {"sites": None} if entity.name in {"site", "user", "zone_nesting"} else office.where(entity)
        self.who = office.person(self.place, *permits, place=self.place, **where)
        self.reader = office.person(f"reader-{self.place}", *declared(), place=self.place, **where)

        self.sees_all_of = SEEN_BY_ALL_INSIDE | ({"site", "zone"} if self.who.sites is None else set())

    @staticmethod
    def links(entity: Entity) -> dict[str, str | None]:
        """The kind of record that each field of the form names, None for one that names none."""
        assert entity.create is not None
        fields = entity.create.body.model_fields
        return {name: record_columns.link_of(entity, name, info) for name, info in fields.items()}

    def another(self, number: int) -> dict[str, str]:
        """The field that makes one more record another one."""
        field = ANOTHER_CODE.get(self.entity.name)
        if field is None:
            return {}
        if field == "address":
            return {field: f"site-code-{self.place}/a/room-{number}"}
        return {field: f"{self.entity.name}_{'abc'[number]}"}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.office.ask(self.who, method, f"/{self.entity.path}{path}", **more)

    def make(self, **more: Any) -> int:
        """A record of the description's example, with links of this place."""
        answer = self.try_to_make(**more)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def try_to_make(self, **more: Any) -> httpx.Response:
        """What is answered to the description's example with these fields."""
        given = body_of(self.office.description["paths"][f"/api/v1/{self.entity.path}"]["post"])["json"]
        rows, fitting = self.office.rows, FITTING.get(self.entity.name, {})
        fitted = {name: value(rows, self.place) if callable(value) else value for name, value in fitting.items()}
        return self.ask("POST", "", json=with_own_links(self.office, given, self.place) | fitted | more)

    def exported(self, record_id: int) -> dict[str, str]:
        """A record's line of an export, by the names of fields."""
        answer = self.ask("GET", "/export", params={"names": True, "sort": "-id"})
        assert answer.status_code == 200, answer.text
        _, names, *lines = csv.reader(io.StringIO(answer.text, newline=""))
        found = [dict(zip(names, line, strict=True)) for line in lines]
        return next(one for one in found if one["id"] == str(record_id))

    def template(self) -> tuple[list[str], list[str]]:
        """The headings of an import, and the names of its fields."""
        answer = self.ask("GET", "/import-template", params={"names": True})
        heads, names = csv.reader(io.StringIO(answer.text, newline=""))
        return heads, names

    def called(self, name: str, value: str) -> str:
        """What people call the record that a cell names by its id; any other cell as it is."""
        kind = self.links(self.entity)[name]
        if kind is None or not value:
            return value
        return str(self.office.shown(self.reader, entities()[kind], int(value))[entities()[kind].label])

    def line_like(self, before: Mapping[str, str], names: list[str]) -> list[str]:
        """A line for another record that has all values of one that was exported but those that are its own."""
        importable = importable_of(self.entity)
        assert importable is not None
        texts = {field.name for field in importable.fields if field.kind is Kind.TEXT}
        own = {one for one in importable.key if one in texts and self.links(self.entity)[one] is None}
        given = {name: f"{before[name]}2" if name in own else before.get(name, "") for name in names}
        given |= ANOTHER.get(self.entity.name, {})
        return [self.called(name, given[name]) for name in names]

    def hand_in(self, heads: list[str], line: list[str], *, dry_run: bool) -> dict[str, Any]:
        """The report of a line that is good."""
        report = self.report(heads, line, dry_run=dry_run)
        assert (report["refused"], report["made"], report["faults"]) == (False, 1, []), report
        return report

    def report(self, heads: list[str], line: list[str], *, dry_run: bool) -> dict[str, Any]:
        """What a table of one line is answered."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([heads, line])
        answer = self.ask(
            "POST",
            "/import",
            files={"file": ("again.csv", text.getvalue().encode())},
            data={"dry_run": str(dry_run).lower(), "mapping": '{"decimal": "."}'},
        )
        assert answer.status_code == (200 if dry_run else 201), answer.text
        report: dict[str, Any] = answer.json()
        return report

    def records_of(self, run_id: int) -> list[int]:
        """The records that a run has made."""
        with self.office.engine.connect() as conn:
            asked = "SELECT record_id FROM import_line WHERE run_id = :run"
            return [int(one) for one in conn.scalars(text(asked), {"run": run_id})]

    def undo(self, run_id: int, made: int) -> None:
        """Undoes a run as often as that goes: once, or never."""

        def ask() -> httpx.Response:
            return self.office.ask(self.who, "POST", f"/import-runs/{run_id}/undo", json={"reason": "wrong file"})

        if self.entity.name in NEVER_UNDONE:
            assert (self.undone_by, ask().json()["id"]) == (None, "tabular.never_undone")
            return
        answer = ask()
        assert answer.status_code == 200, answer.text
        record = self.office.shown(self.reader, self.entity, made)
        if self.entity.cycle is not None:
            assert self.undone_by is not None
            assert record["state"] == self.entity.cycle.moves[self.undone_by].target
        else:
            assert record["lifted_by"] == self.who.login
        assert ask().json()["id"] == "tabular.undone_before"
