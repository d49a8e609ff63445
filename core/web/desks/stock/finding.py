"""Goods that are there, page by page, with what stands against taking each for one purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.erp.kernel.records import read
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots

ROWS, PARTS = 50, 8
"""Sublots that are read at a time, and how often for one page, where only some of them are wanted."""
SHOWN = {"all": "web.stock_all", "free": "web.stock_free", "stopped": "web.stock_stopped"}
"""Which of them are wanted, and the ids of the words."""


@dataclass(frozen=True, slots=True)
class Good:
    """One sublot, and what stands against taking it."""

    row: Mapping[str, Any]
    against: Sequence[lots.Obstacle]


@dataclass(frozen=True, slots=True)
class Goods:
    """Those of one page, the cursor of the next, and how many were looked at to find them."""

    found: Sequence[Good]
    next: str | None
    looked_at: int


def goods(u: Unit, asked: read.Asked, purpose: str, context: Mapping[str, str], shown: str, *, empty: bool) -> Goods:
    """Sublots of which something is on hand (`empty`: used up ones too) and that are as wanted (`shown`).

    Whether one is free is known of it alone, so they are read in order and told apart until there are half a page of
    them or more. Where hardly any is wanted, ROWS × PARTS are looked at, and the next page goes on behind these.
    """
    found: list[Good] = []
    cursor, looked_at = asked.cursor, 0
    for _ in range(PARTS):
        part = read.page(u, entities()["sublot"], replace(asked, cursor=cursor, limit=ROWS, count=False))
        rows = [values_of(row) for row in part.rows]
        cursor, looked_at = part.next, looked_at + len(rows)
        here = rows if empty else [row for row in rows if row["on_hand"] > 0]
        against = lots.obstacles(u, [row["id"] for row in here], purpose, context=context)
        found += [Good(row, against[row["id"]]) for row in here if _wanted(shown, against[row["id"]])]
        if cursor is None or len(found) * 2 >= ROWS:
            break
    return Goods(found, cursor, looked_at)


def _wanted(shown: str, against: Sequence[lots.Obstacle]) -> bool:
    return shown == "all" or (shown == "free") == (not against)
