"""The texts of all modules, read from their `words/<language>.po` and kept in memory."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from core.erp.kernel import modules

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


def folders() -> list[Path]:
    """Where the modules keep their words (`words/` of each that has any), lower modules first."""
    return [words for folder in modules.folders().values() if (words := folder / "words" / "en.po").is_file()]


def read(path: Path, language: str) -> Iterator[tuple[str, Template]]:
    """(id, text) of one file, in its order. Raises PoFileError for what is no catalogue."""
    with path.open("rb") as file:
        found = read_po(file, locale=language, abort_invalid=True)
    for entry in found:
        if entry.id and entry.string:
            name = entry.id if isinstance(entry.id, str) else entry.id[0]
            forms = (entry.string,) if isinstance(entry.string, str) else tuple(entry.string)
            yield name, Template(forms)


@cache
def catalogue(language: str) -> Mapping[str, Template]:
    """Every message of every module in the language, by id. Raises ValueError for an id that two modules have."""
    found: dict[str, Template] = {}
    for english in folders():
        for name, template in read(english.with_name(f"{language}.po"), language):
            if name in found:
                raise ValueError(f"{english.parent}: {name} is written down twice")
            found[name] = template
    return found
