"""Searching for what people type: the beginning of a code, or any part of a name, whatever the writing or script.

Both sides are folded (compatibility forms, lower case: `lotwise_folded`). A beginning is found in an ordered index; a
part is found by its pairs of letters (`lotwise_bigrams`; of Chinese and its neighbours by single characters too) in an
inverted one, and then looked at. One searched column is one branch of a UNION, so that each uses its own index.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, Table, func, select, union

from core.erp.kernel.errors import Invalid

SEARCHED_MOST = 100
"""Characters of a search."""
_FIRST_IDEOGRAPH = 0x2E80
_LAST, _SURROGATES, _AFTER = 0x10FFFF, 0xD800, 0xE000


@dataclass(frozen=True, slots=True)
class Search:
    """A text that finds records: of the entity's own table, or of another that the entity's `key` column names.

    `within` finds any part of it (index `bigrams`), else its beginning (index `beginnings`).
    """

    column: ColumnElement[Any]
    key: ColumnElement[Any] | None = None
    within: bool = False


def folded(words: str) -> str:
    """As the database folds it: compatibility forms, lower case."""
    return unicodedata.normalize("NFKC", words).lower()


def behind(beginning: str) -> str | None:
    """The least text that comes after all that begin so, in order of code points; None if there is none."""
    for place in range(len(beginning) - 1, -1, -1):
        code = ord(beginning[place])
        if code < _LAST:
            after = _AFTER if code + 1 == _SURROGATES else code + 1
            return beginning[:place] + chr(after)
    return None


def begins(column: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """The folded column begins with these words. Uses the index `beginnings` whatever plan there is."""
    wanted = folded(words)
    found = func.lotwise_folded(column)
    after = behind(wanted)
    low: ColumnElement[bool] = found.op("~>=~", is_comparison=True)(wanted)
    return low if after is None else low & found.op("~<~", is_comparison=True)(after)


def holds(column: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """The folded column holds these words in one piece. Uses the index `bigrams`."""
    pairs = func.lotwise_bigrams(column).op("@>", is_comparison=True)(func.lotwise_bigrams(words))
    return pairs & (func.strpos(func.lotwise_folded(column), folded(words)) > 0)


def found(rows: Table, searches: Sequence[Search], words: str) -> CompoundSelect[Any] | Select[Any]:
    """Ids of the table's records that the words find. Raises Invalid for words that are too short to be looked for."""
    wanted = words.strip()
    short = len(folded(wanted)) == 1 and ord(wanted[0]) < _FIRST_IDEOGRAPH
    branches = [_branch(rows, search, wanted) for search in searches if not (search.within and short)]
    if not wanted or not branches:
        raise Invalid("kernel.search_too_short")
    return branches[0] if len(branches) == 1 else union(*branches)


def _branch(rows: Table, search: Search, words: str) -> Select[Any]:
    condition = holds(search.column, words) if search.within else begins(search.column, words)
    if search.key is None:
        return select(rows.c.id).where(condition)
    others = search.column.table
    return select(rows.c.id).where(search.key.in_(select(others.c.id).where(condition)))
