"""What a column of a table holds: its name, its label in each language, its type. Pure.

One description serves both ways: headings and values that an export writes are those that an import takes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from unicodedata import normalize

ENGLISH, CHINESE = "en", "zh"
LONGEST = 4000
"""Letters that a text takes where its field says nothing else."""


class Kind(StrEnum):
    """The type of a field's values."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLAG = "flag"
    DATE = "date"
    MOMENT = "moment"
    """An instant: a date and a time of day with its zone."""
    CHOICE = "choice"
    """One of a few words, each with its label."""


@dataclass(frozen=True)
class Choice:
    """One of a field's words: `value` is what is kept, `labels` what people read, by language."""

    value: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, language: str) -> str:
        """As people read it in that language; the value itself where there is no label."""
        return self.labels.get(language) or self.labels.get(ENGLISH) or self.value


@dataclass(frozen=True)
class Field:
    """A column: `name` as programs call it, `labels` as people read it, by language ("en", "zh").

    `required`: there must be a column; `filled`: its cells are never empty, as of a required one. `aliases` are other
    headings that files give it. `many`: several texts or choices in one cell, a semicolon between them. `longest`
    counts the letters of a text; `digits` and `decimals` are those of a number in all and behind the point; `least` and
    `most` bound a number, both included. `secret`: what stands in its cells is shown and kept nowhere.
    """

    name: str
    labels: Mapping[str, str]
    kind: Kind = Kind.TEXT
    required: bool = False
    filled: bool = False
    many: bool = False
    choices: tuple[Choice, ...] = ()
    aliases: tuple[str, ...] = ()
    longest: int = LONGEST
    digits: int = 18
    decimals: int = 6
    least: Decimal | None = None
    most: Decimal | None = None
    secret: bool = False

    def __post_init__(self) -> None:
        if not self.name or any(not label.strip() for label in self.labels.values()):
            raise ValueError(f"field {self.name!r}: a name and labels that are not empty")
        if (self.kind is Kind.CHOICE) != bool(self.choices):
            raise ValueError(f"field {self.name!r}: choices belong to a choice, and a choice has some")
        if self.many and self.kind not in {Kind.TEXT, Kind.CHOICE}:
            raise ValueError(f"field {self.name!r}: only texts and choices stand several in a cell")

    def label(self, language: str) -> str:
        """The heading in that language; the name where there is no label."""
        return self.labels.get(language) or self.labels.get(ENGLISH) or self.name

    @cached_property
    def headings(self) -> frozenset[str]:
        """Every heading that means this field, as `heading_key` writes it."""
        return frozenset(heading_key(text) for text in (self.name, *self.labels.values(), *self.aliases))

    def zone_in(self, heading: str) -> str | None:
        """The zone that an instant's heading names behind, as headings of an export and of a template do; else None."""
        bare = normalize("NFKC", heading)
        found = _ZONE.search(bare) if self.kind is Kind.MOMENT and heading_key(heading) not in self.headings else None
        return found[1].strip() if found is not None and heading_key(bare[: found.start()]) in self.headings else None

    def is_headed(self, heading: str) -> bool:
        """Whether the heading means this field; an instant's may name its zone behind: `Received (Asia/Shanghai)`."""
        key = heading_key(heading)
        return key in self.headings or (self.kind is Kind.MOMENT and _ZONE.sub("", key) in self.headings)

    @cached_property
    def labels_of_choices(self) -> Mapping[str, str]:
        """The value behind each way to write a choice, as `heading_key` writes it."""
        return {
            heading_key(text): choice.value
            for choice in self.choices
            for text in (*choice.labels.values(), choice.value)  # the value last: it is never another one's label
        }


_ASIDE = re.compile(r"[*\s]+$|\((?:required|必填)\)\s*$")

_ZONE = re.compile(r" *\(([a-z0-9_/+: -]+)\)[*\s]*$", re.IGNORECASE)


def heading_key(text: str) -> str:
    """A heading as it is compared: full-width letters, case, spaces, underscores and a mark of what is required aside.

    `Lot No. *`, `lot no.` and `LOT_NO.` are one; so are `批号（必填）` and `批号`.
    """
    bare = normalize("NFKC", text).strip().lower()
    while (shorter := _ASIDE.sub("", bare)) != bare:
        bare = shorter
    return re.sub(r"[\s_]+", " ", bare)
