"""What a number looks like, and that no two can look alike. Pure."""

import re
from dataclasses import dataclass
from string import Formatter

_FIELDS = frozenset({"site", "year", "n"})
_DIGITS = re.compile(r"0[1-9]d?")
FIRST_YEAR, LAST_YEAR = 2000, 2199


@dataclass(frozen=True, slots=True)
class Series:
    """A series of numbers: `Series("capa", "CAPA-{year}-{n:04}")`.

    `pattern` holds `{n}` once (`{n:04}`: at least four digits), and may hold `{site}` and `{year}` (four digits): the
    series then counts from 1 in each. A `gapless` series has no hole and no double; who takes a number holds the
    series until the transaction ends. Any other is one sequence for all sites and years, which never begins anew: fast,
    with a hole for each transaction that was undone; its module's DDL makes it (`numbering.ddl.sequence`).

    Raises ValueError for a pattern by which two numbers could look alike.
    """

    name: str
    pattern: str
    gapless: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", self.name):
            raise ValueError(f"{self.name!r} names no series: small letters, digits and _")
        fault = _fault(self.pattern)
        if fault is not None:
            raise ValueError(f"series {self.name}: {self.pattern!r} {fault}")

    @property
    def fields(self) -> frozenset[str]:
        """Which of site, year and n stand in the pattern."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.pattern) if name)

    def scope(self, site: str, year: int) -> tuple[str, int]:
        """(site, year) within which its numbers count; "" and 0 where the pattern does not say them.

        Raises ValueError for a site or year that is missing or cannot be meant.
        """
        fields = self.fields
        if "site" in fields and not site.strip():
            raise ValueError(f"series {self.name} counts by site: say which")
        if "year" in fields and not FIRST_YEAR <= year <= LAST_YEAR:
            raise ValueError(f"series {self.name}: no year {year}")
        return (site if "site" in fields else ""), (year if "year" in fields else 0)

    def render(self, n: int, *, site: str = "", year: int = 0) -> str:
        """The number as people read it. Raises ValueError as `scope`, and for an n below 1."""
        if n < 1:
            raise ValueError(f"series {self.name} counts from 1")
        at, of = self.scope(site, year)
        return self.pattern.format(n=n, site=at, year=of)


def _fault(pattern: str) -> str | None:
    """Why two numbers of this pattern could look alike, or why it is none."""
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        return f"is no pattern: {error}"
    names = [name for _, name, _, _ in parts if name is not None]
    unknown = sorted(set(names) - _FIELDS)
    if unknown:
        return f"holds {', '.join(unknown) or 'an unnamed field'}: only site, year and n are known"
    if names.count("n") != 1 or len(set(names)) != len(names):
        return "must hold {n} once, and {site} and {year} at most once"
    for _, name, form, conversion in parts:
        if conversion or (form and not (name == "n" and _DIGITS.fullmatch(form))):
            return "may say the digits of n ({n:04}) and no other form"
    if _touch(parts, names):
        return "needs a character that is no digit between {n} and {site}"
    return None


def _touch(parts: list[tuple[str, str | None, str | None, str | None]], names: list[str]) -> bool:
    """Whether a site's last digit could pass for the number's first (A1 and 1, A and 11)."""
    if "site" not in names:
        return False
    first, last = sorted((names.index("site"), names.index("n")))
    fields = [index for index, part in enumerate(parts) if part[1] is not None]
    between = "".join(parts[index][0] for index in fields[first + 1 : last + 1])
    return not re.search(r"\D", between)
