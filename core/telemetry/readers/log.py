"""A report's log: which columns hold values and which the device's marks, and every line of it. Pure.

The heads are in the language the device was set to, so that a column of marks is known by its cells as well.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.telemetry.message import Message
from core.telemetry.readers.report import Sample
from core.telemetry.readers.text import BadFile, number, of_key, what_of
from core.telemetry.readers.tree import Node
from core.telemetry.readers.values import Values

_BETWEEN = re.compile(r" *[\t;] *| {2,}")
_AFTER_CLOCK = re.compile(r"(?<=\d:\d\d)\s+")
_MARKS = ("out of", "alarm", "mark")
"""How columns begin that hold the device's mark, not a value."""
_MARK = "x"
_NO_HEAD = ["yyyy-MM-dd hh:mm", "T", "Out of limits"]


@dataclass(frozen=True, slots=True)
class Log:
    """The log: its columns of values, by name, and its lines in the file's order."""

    columns: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()

    def judged(self, *, external: bool) -> int:
        """The column that the device judges: the external sensor's where one is used, else the first temperature."""
        outer = [index for index, name in enumerate(self.columns) if external and "ext" in name.lower()]
        temperatures = [index for index, name in enumerate(self.columns) if name.lower().startswith("t")]
        return next(iter((*outer, *temperatures)), 0)


def read_log(sections: Sequence[Node], values: Values) -> Log:
    """The lines of the sections (there is one, as a rule). Raises BadFile for a log without a column of values.

    What cannot be read is a doubt of `values`.
    """
    found = Log()
    for section in sections:
        if not section.rows:
            continue
        log = _read(section, values)
        if found.columns and log.columns != found.columns:
            said = Message("telemetry.second_log_of_others", columns=log.columns, first=found.columns)
            values.doubt(section.line, "second", said, damage=True)
            continue
        found = Log(log.columns, found.samples + log.samples)
    return found


def _read(section: Node, values: Values) -> Log:
    rows = [(line, _cells(text)) for line, text in section.rows]
    line, head = rows[0]
    if head[0][:1].isdecimal():
        head = _NO_HEAD
    else:
        rows = rows[1:]
    places = _value_places(head, [cells for _, cells in rows])
    if not places:
        raise BadFile(Message("telemetry.log_without_values", text=section.rows[0][1].strip()), line)
    samples = (_sample(line, cells, places, values) for line, cells in rows)
    return Log(tuple(head[place] for place in places), tuple(sample for sample in samples if sample is not None))


def _cells(text: str) -> list[str]:
    """A row's cells: between tabs, semicolons or wide spaces; by a time's single space where there is no other."""
    cells = _BETWEEN.split(text.strip())
    return _AFTER_CLOCK.split(cells[0]) if len(cells) == 1 else cells


def _value_places(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Where the values are. A further column in which nothing but marks stands holds none, whatever it is called."""
    named = [place for place in range(1, len(head)) if head[place] and not head[place].lower().startswith(_MARKS)]
    return [place for index, place in enumerate(named) if index == 0 or not _only_marks(place, rows)]


def _only_marks(place: int, rows: Iterable[Sequence[str]]) -> bool:
    return all(len(cells) <= place or cells[place].lower() in ("", _MARK) for cells in rows)


def _sample(line: int, cells: Sequence[str], places: Sequence[int], values: Values) -> Sample | None:
    """The line; None where it has no time, or not all its values."""
    try:
        at = values.stamp(cells[0])
    except ValueError as error:
        values.doubt(line, "malformed", what_of(error), damage=True)
        return None
    if len(cells) <= places[-1]:
        said = Message("telemetry.values_missing", time=cells[0], wanted=len(places), there=len(cells) - 1)
        values.doubt(line, "malformed", said, damage=True)
        return None
    marks = (cell for place, cell in enumerate(cells) if place not in places)
    found = tuple(_values(line, cells, places, values))
    return Sample(line, at, found, flagged=any(cell.lower() == _MARK for cell in marks))


def _values(line: int, cells: Sequence[str], places: Sequence[int], values: Values) -> Iterator[float | None]:
    for place in places:
        try:
            yield number(cells[place])
        except ValueError as error:
            values.doubt(line, "malformed", of_key(cells[0], error), damage=True)
            yield None
