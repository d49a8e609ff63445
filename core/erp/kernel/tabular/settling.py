"""How a file writes its dates and numbers: proved by all of its rows, said by somebody, or asked for. Pure.

One value often does not tell: 03/04/2026 is two days, 1,234 two numbers. The whole column may prove an order of dates
(some row has a 13th). What stands before the fractions is never concluded: it is said.
"""

from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from unicodedata import normalize

from core.erp.kernel.tabular.faults import Fault, shown
from core.erp.kernel.tabular.fields import Kind
from core.erp.kernel.tabular.headings import Column, Head
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.sheets import Cell, Row, Stamp
from core.erp.kernel.tabular.values import Forms, has_own_order, iso_moment, number_in
from core.erp.kernel.words import Message
from core.telemetry.readers.date_formats import DateOrder, orders_of, when
from core.telemetry.readers.text import BadFile
from core.telemetry.readers.wall_time import zone_named

_DATED = frozenset({Kind.DATE, Kind.MOMENT})
_COUNTED = frozenset({Kind.INTEGER, Kind.DECIMAL})


@dataclass(frozen=True)
class Settled:
    """How the values are written, what must be said before anything can be read, and what is to be told."""

    forms: Forms
    faults: tuple[Fault, ...] = ()
    notes: tuple[Message, ...] = ()


@dataclass(slots=True)
class _Dates:
    """What the dates of one column leave possible. `doubtful` is the first that is another day in another order."""

    column: Column
    orders: frozenset[DateOrder] = frozenset(DateOrder)
    first: tuple[int, str] | None = None
    doubtful: tuple[int, str] | None = None
    last: tuple[int, str] | None = None
    dotted: bool = True

    def see(self, line: int, text: str) -> None:
        """One cell of the column."""
        text = normalize("NFKC", text).strip()
        orders = orders_of(text)
        if not orders or has_own_order(text):
            return
        self.first, self.last = self.first or (line, text), (line, text)
        self.orders &= orders
        self.dotted = self.dotted and "." in text
        if self.doubtful is None and len({when(text, order).replace(tzinfo=None) for order in orders}) > 1:
            self.doubtful = (line, text)


@dataclass(slots=True)
class _Seen:
    """What all rows say."""

    dates: dict[int, _Dates] = field(default_factory=dict)
    fraction: tuple[int, Column, str] | None = None
    wall: tuple[int, Column, str] | None = None
    numbers: dict[int, tuple[Column, int]] = field(default_factory=dict)


def settle(rows: Iterable[Row], head: Head, mapping: Mapping, form: str) -> Settled:
    """Looks at every row below the headings. Raises nothing: what is not settled is a fault of the file."""
    columns = [column for column in head.columns if column.field is not None]
    zones = _zones(columns)
    seen = _look(rows, head, columns, zones)
    faults: list[Fault] = []
    notes: list[Message] = []
    zone = _zone(mapping, faults)
    orders: dict[int, DateOrder] = {}
    for place, dates in seen.dates.items():
        order = mapping.date_order or _order(dates, faults, notes)
        if order is not None:
            orders[place] = order
    if seen.fraction is not None and mapping.decimal is None:
        faults.append(_name_decimal(*seen.fraction))
    if seen.wall is not None and mapping.timezone is None:
        line, column, text = seen.wall
        faults.append(Fault(line, column.heading, text, Message("tabular.say_timezone", value=text)))
    notes += [
        Message("tabular.numbers_as_text", column=column.heading, count=count)
        for column, count in seen.numbers.values()
    ]
    return Settled(Forms(mapping.decimal, orders, zone, form == "csv", zones), tuple(faults), tuple(notes))


def _zones(columns: list[Column]) -> dict[int, tzinfo]:
    """The zones that headings name, by the column's place: `Since (UTC)`. What is none there is none."""
    found = {}
    for column in columns:
        name = column.field.zone_in(column.heading) if column.field is not None else None
        if name is not None:
            with suppress(BadFile):
                found[column.place] = zone_named(name)
    return found


def _look(rows: Iterable[Row], head: Head, columns: list[Column], zones: Container[int]) -> _Seen:
    seen = _Seen()
    for line, cells in rows:
        if line <= head.line or line in head.skipped:
            continue
        for column in columns:
            if column.place < len(cells) and (cell := cells[column.place]) is not None:
                _look_at(seen, line, column, cell, zoned=column.place in zones)
    return seen


def _look_at(seen: _Seen, line: int, column: Column, cell: Cell, *, zoned: bool) -> None:
    assert column.field is not None
    kind, text = column.field.kind, cell.strip() if isinstance(cell, str) else None
    if text is not None and kind in _DATED:
        seen.dates.setdefault(column.place, _Dates(column)).see(line, text)
    if text is not None and kind in _COUNTED and seen.fraction is None and _needs_decimal(text):
        seen.fraction = (line, column, shown(text))
    if kind is Kind.MOMENT and seen.wall is None and not zoned and _has_no_zone(cell):
        seen.wall = (line, column, shown(cell.iso if isinstance(cell, Stamp) else cell))
    if kind is Kind.TEXT and isinstance(cell, float):
        _, count = seen.numbers.get(column.place, (column, 0))
        seen.numbers[column.place] = (column, count + 1)


def _needs_decimal(text: str) -> bool:
    return number_in(text, None) is None and any(number_in(text, decimal) is not None for decimal in (".", ","))


def _has_no_zone(cell: Cell) -> bool:
    if isinstance(cell, Stamp):
        return True
    if not isinstance(cell, str) or iso_moment(cell) is not None:
        return False
    orders = orders_of(cell)
    return bool(orders) and when(cell, min(orders)).tzinfo is None


def _zone(mapping: Mapping, faults: list[Fault]) -> tzinfo | None:
    if mapping.timezone is None:
        return None
    try:
        return zone_named(mapping.timezone)
    except BadFile:
        faults.append(Fault(0, "", mapping.timezone, Message("tabular.no_such_timezone")))
        return None


def _order(dates: _Dates, faults: list[Fault], notes: list[Message]) -> DateOrder | None:
    """The order that the column's dates leave, if only one; a fault of the file where they leave several, or none."""
    if dates.first is None or dates.last is None:
        return None
    heading = dates.column.heading
    if not dates.orders:
        message = Message("tabular.dates_of_several_orders", first=dates.first[1], last=dates.last[1])
        faults.append(Fault(dates.last[0], heading, dates.last[1], message, tuple(DateOrder)))
        return None
    if len(dates.orders) == 1 or dates.doubtful is None:
        return min(dates.orders)
    if dates.dotted and dates.orders == {DateOrder.DMY, DateOrder.MDY}:
        # no country writes month.day.year (no short date of Unicode's CLDR does)
        notes.append(Message("tabular.dots_are_day_first", column=heading, value=dates.first[1]))
        return DateOrder.DMY
    line, text = dates.doubtful
    choices = sorted(dates.orders)
    days = [f"{when(text, order):%Y-%m-%d} ({order})" for order in choices if order in orders_of(text)]
    faults.append(Fault(line, heading, text, Message("tabular.ambiguous_dates", days=days), tuple(choices)))
    return None


def _name_decimal(line: int, column: Column, text: str) -> Fault:
    readings = [f"{number:f} ({decimal})" for decimal in (".", ",") if (number := number_in(text, decimal)) is not None]
    return Fault(line, column.heading, text, Message("tabular.say_decimal", numbers=readings), (".", ","))
