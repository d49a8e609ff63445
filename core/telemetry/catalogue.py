"""Texts of messages: how a catalogue (`words/<language>.po`) is read, and the English of what is told here.

Who reads in another language is told by the core, which has the catalogues of all modules (`kernel.words`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.telemetry.message import Message, Parameter

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)(?::(time|date|number|or))?\}")
"""`{code}`; `{since:time}` where a parameter that was kept as text is a time, a date or a number; `{states:or}` for a
list of which one does.
"""


@dataclass(frozen=True, slots=True)
class Template:
    """One message's text in one language: `forms` is one text, or one for each plural (chosen by `count`)."""

    forms: tuple[str, ...]

    @property
    def placeholders(self) -> Mapping[str, str]:
        """Name → kind (`time`, `date`, `number`, `or`, or nothing) of every parameter."""
        return {name: kind for form in self.forms for name, kind in PLACEHOLDER.findall(form)}


def read(path: Path, language: str) -> Iterator[tuple[str, Template]]:
    """(id, text) of one file, in its order. Raises PoFileError for what is no catalogue."""
    from babel.messages.pofile import read_po  # a gateway that finds nothing wrong needs no texts

    with path.open("rb") as file:
        found = read_po(file, locale=language, abort_invalid=True)
    for entry in found:
        if entry.id and entry.string:
            name = entry.id if isinstance(entry.id, str) else entry.id[0]
            forms = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string)
            yield name, Template(forms)


def english(said: str | Message) -> str:
    """The English text of a message of this room, where nobody's language is known; other words as they are."""
    if isinstance(said, str):
        return said
    text = _texts()[said.id].forms[-1]
    return PLACEHOLDER.sub(lambda found: _written(said.params[found[1]], found[2] or ""), text)


def _written(value: Parameter, kind: str) -> str:
    if isinstance(value, Message):
        return english(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        between = " or " if kind == "or" else "; " if any(isinstance(one, Message) for one in value) else ", "
        return between.join(_written(one, "") for one in value)
    return str(value)


@cache
def _texts() -> Mapping[str, Template]:
    return dict(read(Path(__file__).parent / "words" / "en.po", "en"))
