"""What a line of the front page is, and how its sources read lists: under the reader's scope."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from core.erp.kernel.records import read
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.web.frame.states import Tone
from core.web.frame.visit import Visit

Row = dict[str, Any]
"""A row of a list, by its columns."""
MOST = 8
"""Lines of one source; how many more there are is said beside its heading."""
MOST_TOLD = 3
"""Lines of what is another's work."""


@dataclass(frozen=True, slots=True)
class Need:
    """One line: how bad it is (shape and word), what it is, what it touches, and the act that is next."""

    look: Tone
    word: str
    what: Markup | str
    address: str
    act: str
    detail: Markup | str = ""
    aside: Markup | str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of need: the id of its heading, the permits of which one shows it, and how it is read."""

    heading: str
    permits: tuple[str, ...]
    read: Callable[[Unit, Visit], "Found"]
    all: str
    """Where the whole list is."""
    own: tuple[str, ...] = ()
    """Permits of which one makes it the reader's work; others are told of the worst. None: everybody's work."""


@dataclass(frozen=True, slots=True)
class Found:
    """Lines, worst first, and how many there are."""

    needs: Sequence[Need]
    total: int
    capped: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One source with something in it."""

    heading: str
    all: str
    found: Found
    own: bool = True
    """Whether it is its reader's work, or only told them."""


def page_of(u: Unit, name: str, limit: int = MOST, /, **filters: Any) -> tuple[list[dict[str, Any]], int, bool]:
    """(the first rows of an entity's list under the reader's scope, how many there are, whether that is capped)."""
    sort = filters.pop("sort", None)
    found = read.page(u, entities()[name], read.Asked(filters, sort=sort, limit=limit, count=True))
    rows = [values_of(row) for row in found.rows]
    return rows, found.total or 0, found.capped


def listed(name: str, need: Callable[[Visit, Row, datetime], Need], **filters: Any) -> Callable[[Unit, Visit], Found]:
    """A source that is the first page of an entity's list, a line a row."""

    def read_here(u: Unit, visit: Visit) -> Found:
        rows, total, capped = page_of(u, name, **filters)
        return Found([need(visit, row, u.now) for row in rows], total, capped)

    return read_here


def said(row: Mapping[str, Any], name: str) -> str | Message:
    """A sentence of a row, as it is to be said."""
    return sentence(row[name], row.get(f"{name}_message"))


def ago(visit: Visit, at: datetime, now: datetime) -> str:
    """How long something has been so."""
    return visit.words.t("web.since_for", span=visit.words.lasting(max(now - at, timedelta(0))))
