"""The list of every entity: filters, search, sort, columns and page in its address; rows read as the API's list is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Response
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams

from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.records import read
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.filters import Parameter, parameters
from core.erp.kernel.records.registry import entities
from core.erp.kernel.shapes import Ref, id_in, names_person
from core.erp.kernel.tables import values_of
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import CHINESE, ENGLISH, Message, catalogue
from core.web.frame.visit import Visit, Visiting
from core.web.records.inputs import choices_of
from core.web.records.many import MOST, offered_on_many
from core.web.records.many import address as many_address
from core.web.records.parsing import NoSuchValue, moment
from core.web.records.people import logins_of
from core.web.records.pickers import find
from core.web.records.record import verb_name
from core.web.records.shown import Cells, Shown, columns, labels, named, usual, word_of
from core.web.records.views import tabs

BEGINS = {
    "alarm": "zone",
    "alert": "alert_route",
    "alert_message": "alert_route",
    "batch_release": "sublot",
    "capa_action": "capa",
    "disposition": "excursion",
    "excursion": "storage_profile",
    "incident": "storage_profile",
    "reservation": "shipment",
    "restriction": "sublot",
    "shipment_line": "shipment",
    "shipment_logger": "shipment",
    "sublot": "lot",
    "work_order_material": "work_order",
    "work_order_operation": "work_order",
}
"""Where that begins which nobody makes at its own list."""
ROWS = (25, 50, 100, 200, 500)
"""Rows of a page that one may ask for."""


@dataclass(frozen=True, slots=True)
class FilterField:
    """One filter as the bar shows it."""

    name: str
    label: str
    kind: str
    value: str
    choices: tuple[tuple[str, str], ...] = ()
    link: str = ""
    values: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """One column's heading: where a click sorts by it, and how it is sorted now."""

    column: Shown
    sort_address: str | None
    sorted: str | None


class Listing:
    """What a list is asked for by its address, and what that says of it."""

    def __init__(self, entity: Entity, visit: Visit) -> None:
        self.entity, self.visit = entity, visit
        self.query: QueryParams = visit.request.query_params
        self.errors: dict[str, str] = {}
        self.rows = int(self.query.get("rows", "25")) if self.query.get("rows", "25") in map(str, ROWS) else ROWS[0]
        asked = self.query.get("sort", entity.order)
        self.sort = asked if asked.removeprefix("-") in read.sortable(entity) else entity.order
        self.search = self.query.get("q", "").strip()

    def columns(self) -> list[Shown]:
        """Those asked for, or else the usual ones."""
        chosen = [one for text in self.query.getlist("columns") for one in text.split(",")]
        wanted = set(chosen) or set(usual(self.entity))
        return [one for one in columns(self.entity) if one.name in wanted or one.name == self.entity.label]

    def asked(self, u: Unit) -> read.Asked:
        """The API's question; what a filter cannot be is left out, and said beside it."""
        filters: dict[str, Any] = {}
        for name, parameter in parameters(self.entity).items():
            texts = [text.strip() for text in self.query.getlist(name) if text.strip()]
            if not texts:
                continue
            try:
                filters[name] = self._value(u, parameter, texts)
            except (NoSuchValue, ValidationError) as error:
                what = getattr(error, "message", None)
                self.errors[name] = self.visit.words.say(what) if what else self.visit.words.t("web.no_such_filter")
        return read.Asked(
            filters, self.sort, self.search or None, self.query.get("cursor") or None, self.rows, count=True
        )

    def _value(self, u: Unit, parameter: Parameter, texts: list[str]) -> Any:
        if self._of_person(parameter.name):  # by name or login; who is not found, or is one of several, is nobody's
            found = logins_of(u, texts[-1])
            texts = [found[0] if len(found) == 1 else texts[-1]]
        if parameter.an_id and parameter.many is False:
            link = self._link(parameter.name)
            number = whole(texts[-1])
            if link is not None and number is None:
                ids = find(u, entities()[link], texts[-1])
                return ids[0] if ids else 0
            return TypeAdapter(Ref).validate_python(number) if number is not None else 0
        if "AwareDatetime" in str(parameter.kind):
            return moment(texts[-1], self.visit.zone)
        kind: Any = list[parameter.kind] if parameter.many else parameter.kind  # type: ignore[name-defined]  # known when run
        return TypeAdapter(kind).validate_python(texts if parameter.many else texts[-1])

    def _of_person(self, name: str) -> bool:
        field = self.entity.shape.model_fields.get(name)
        return field is not None and names_person(field)

    def _link(self, name: str) -> str | None:
        declared = self.entity.by_name.get(name)
        return declared.link if declared is not None else None

    def bar(self, known: Mapping[tuple[str, int], str]) -> list[FilterField]:
        """The filters as fields: those that are set first, then states and links, halves of ranges last."""
        made = [self._bar_field(parameter, known) for parameter in parameters(self.entity).values()]
        order = {"choices": 0, "choice": 1, "link": 2, "text": 3}
        searched = self.entity.label if self.entity.searches else None
        shown = [one for one in made if one.name != searched or one.value]
        return sorted(shown, key=lambda one: (not one.values, one.name != "state", order.get(one.kind, 4)))

    def _bar_field(self, parameter: Parameter, known: Mapping[tuple[str, int], str]) -> FilterField:
        name, words = parameter.name, self.visit.words
        texts = tuple(text for text in self.query.getlist(name) if text.strip())
        value, link = (texts[-1] if texts else ""), self._link(name)
        kind, choices = _bar_kind(self.entity, parameter, words)
        person = self._of_person(name)
        if link is not None and (number := whole(value)) is not None:
            value = known.get((link, number), value)
        return FilterField(
            name,
            self._label(name),
            "link" if link or person else kind,
            value,
            choices,
            link or ("person" if person else ""),
            texts,
            self.errors.get(name, ""),
        )

    def _label(self, name: str) -> str:
        words, half = self.visit.words, half_of(self.entity, name)
        if half is not None:
            return words.label(Message(half[0], what=self.entity.field(half[1])))
        message = self.entity.field(name)
        return words.label(message) if message.id in catalogue(ENGLISH) else words.t(f"filter.{name}")

    def linked(self) -> dict[str, set[int]]:
        """Records that filters name by id, so that the bar can call them by name."""
        found: dict[str, set[int]] = {}
        for name in parameters(self.entity):
            link = self._link(name)
            number = id_in(self.query.get(name, ""))
            if link is not None and number is not None:
                found.setdefault(link, set()).add(number)
        return found

    def filtered(self) -> int:
        """How many filters are set; what is searched for is none of them."""
        return sum(1 for name in parameters(self.entity) if any(text.strip() for text in self.query.getlist(name)))

    def active(self) -> int:
        """How many filters are set, and whether something is searched for."""
        return self.filtered() + bool(self.search)

    def address(self, **changed: str | None) -> str:
        """The address of this list with something changed; the page's cursor is left out unless it is given."""
        parts = [(name, value) for name, value in self.query.multi_items() if name not in {"cursor", "all", *changed}]
        parts = [(name, value) for name, value in parts if value]
        parts += [(name, value) for name, value in changed.items() if value is not None]
        return f"/{self.entity.path}" + (f"?{urlencode(parts)}" if parts else "")

    @property
    def here(self) -> str:
        """What of its address leads back to this page of the list."""
        return self.address(cursor=self.query.get("cursor")).partition("?")[2]

    def headings(self) -> list[Heading]:
        """Every column's heading."""
        sortable, (name, descending) = read.sortable(self.entity), (self.sort.removeprefix("-"), self.sort[0] == "-")
        made = []
        for column in self.columns():
            if column.name not in sortable:
                made.append(Heading(column, None, None))
                continue
            here = column.name == name
            towards = column.name if not here or descending else f"-{column.name}"
            made.append(
                Heading(
                    column, self.address(sort=towards), ("descending" if descending else "ascending") if here else None
                )
            )
        return made

    def export_address(self, kind: str) -> str:
        """What the list shows, as a file: all of it, or as JSON page by page."""
        names = {*parameters(self.entity), "sort", "q"}
        parts = [(name, value) for name, value in self.query.multi_items() if name in names and value]
        return f"/{self.entity.path}.{kind}" + (f"?{urlencode(parts)}" if parts else "")


def half_of(entity: Entity, name: str) -> tuple[str, str] | None:
    """(id of what the half of a range is called, the field) of a filter like `expiry_from`; None for any other."""
    for suffix, message in (("_from", "web.filter_from"), ("_before", "web.filter_before")):
        base = name.removesuffix(suffix)
        if base != name and base in entity.shape.model_fields:
            return message, base
    return None


def _bar_kind(entity: Entity, parameter: Parameter, words: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind = parameter.kind
    if kind is bool:
        return "choice", (("true", words.t("web.yes")), ("false", words.t("web.no")))
    values = choices_of(kind)
    if values:
        if parameter.name == "state" and entity.cycle is not None:
            named_states = tuple((value, words.t(f"state.{entity.cycle.noun}.{value}")) for value in values)
            return "choices" if parameter.many else "choice", named_states
        return "choices" if parameter.many else "choice", tuple(
            (one, word_of(parameter.name, one, words)) for one in values
        )
    text = f"{kind} {get_args(kind)}"
    if "AwareDatetime" in text:
        return "time", ()
    return ("date", ()) if "date" in text else ("text", ())


def add(made: APIRouter, entity: Entity) -> None:
    """The list's page."""

    @needs(*as_permits(entity.read))
    def listed(visit: Visiting) -> Response:
        return visit.read(lambda u: list_page(u, entity, visit))

    made.add_api_route(f"/{entity.path}", listed, methods=["GET"], name=f"list_{entity.name}")


def may_import(entity: Entity, visit: Visit) -> bool:
    """Whether the reader may make such records of a table."""
    made = entity.create
    return made is not None and importable_of(entity) is not None and visit.may(*as_permits(made.permit))


def _rest(found: read.Listed, listing: Listing) -> str | None:
    """Where all that is found is shown and chosen: if that is more than this page, and no more than one act does."""
    if found.total is None or found.capped or not len(found.rows) < found.total <= MOST:
        return None
    return listing.address(all="1", rows=str(next(one for one in ROWS if one >= found.total)))


def _begins(entity: Entity, visit: Visit) -> Entity | None:
    """The list at which what comes into this one begins, where the reader may see that."""
    found = entities().get(BEGINS.get(entity.name, ""))
    return found if found is not None and visit.may(*as_permits(found.read)) else None


def list_page(u: Unit, entity: Entity, visit: Visit) -> Response:
    """One page of the list."""
    listing, refused = Listing(entity, visit), ""
    asked = listing.asked(u)
    try:
        found = read.page(u, entity, asked)
    except LotwiseError as error:
        found, refused = read.Listed((), None, 0), error.text(visit.language)
    rows = [values_of(row) for row in found.rows]
    known = {} if refused else labels(u, entity, rows)
    found_by = {key: text for link, ids in listing.linked().items() for key, text in named(u, link, ids).items()}
    cells = Cells(entity, visit.words, known, brief=True)
    shown = [(column, visit.words.label(column.label)) for column in listing.columns()]
    return visit.page(
        "records/list.html",
        422 if refused else 200,
        entity=entity,
        listing=listing,
        bar=listing.bar(found_by),
        headings=listing.headings(),
        rows=[(row, [(column, said, cells.cell(column, row)) for column, said in shown]) for row in rows],
        found=found,
        every=columns(entity),
        chosen={column.name for column, _ in shown},
        refused=refused,
        may_create=entity.create is not None and visit.may(*as_permits(entity.create.permit)),
        many=[
            (many_address(entity, verb), verb_name(entity, verb, visit), verb)
            for verb in offered_on_many(entity, visit)
        ],
        views=tabs(u, entity, visit),
        may_import=may_import(entity, visit),
        view_address=f"/{entity.path}/views/new?{listing.here}",
        every_row="all" in listing.query,
        rest=_rest(found, listing),
        begins=_begins(entity, visit),
        chinese=visit.language == CHINESE,
    )
