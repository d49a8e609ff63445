"""What somebody says of a file's table: which column is which field, and how its values are written. Pure."""

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

from core.erp.kernel.tabular.fields import heading_key
from core.telemetry.readers.date_formats import DateOrder


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All of it is optional: what is not said is found out where the file proves it, and asked for where it does not.

    `columns`: heading → name of a field, or None for a column that is left out. `decimal` is what stands before the
    fractions of a text's numbers, `date_order` the order of day, month and year, `timezone` what times without an
    offset are in (IANA). `encoding` (utf-8, utf-16, gbk, windows-1252), `delimiter` and `sheet` say how to read it.
    """

    columns: dict[str, str | None] = {}
    decimal: Literal[".", ","] | None = None
    date_order: DateOrder | None = None
    timezone: str | None = None
    encoding: Literal["utf-8", "utf-16", "gbk", "windows-1252"] | None = None
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    sheet: str | None = None

    def over(self, remembered: "Mapping") -> "Mapping":
        """The mapping that says what this one does, and where it says nothing what the remembered one does."""
        values = {name: getattr(self, name) or getattr(remembered, name) for name in self.__struct_fields__}
        return Mapping(**(values | {"columns": {**remembered.columns, **self.columns}}))

    def field_of(self, heading: str) -> tuple[bool, str | None]:
        """(whether it says anything of the heading, the field's name or None for a column that is left out)."""
        by_key = {heading_key(name): field for name, field in self.columns.items()}
        key = heading_key(heading)
        return key in by_key, by_key.get(key)

    def digest(self) -> bytes:
        """SHA-256 of what it says, whatever the order."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()


def headings_digest(headings: Iterable[str]) -> bytes:
    """SHA-256 of a set of headings, by which a mapping is remembered: order and spelling aside."""
    keys = sorted({heading_key(heading) for heading in headings} - {""})
    return hashlib.sha256("\n".join(keys).encode()).digest()
