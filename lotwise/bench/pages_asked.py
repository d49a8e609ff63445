"""What `bench pages` opens: lists, desks and records, as people do who come by a link, a filter or a search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from lotwise.bench.volume import Loaded

Dice = np.random.Generator
Address = Callable[[Dice], str]


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids that pages are opened of."""

    sublots: Sequence[int]
    lots: Sequence[int]
    shipments: Sequence[int]
    excursions: Sequence[int]
    incidents: Sequence[int]
    zones: Sequence[int]
    holds: Sequence[int]
    items: Sequence[int]


SAMPLE = 500
"""So many of each are opened at most."""


_HERE = "WITH here AS (SELECT id FROM sublot WHERE site_id = (SELECT min(id) FROM site)) "
"""Goods of the first site, which both readers see."""


def ids_of(conn: Connection, loaded: Loaded) -> Ids:
    """Some of each kind: anywhere in the books, and of what is decided what waits."""
    dice, books = np.random.default_rng(2), loaded.books

    def some(ids: Sequence[int]) -> list[int]:
        return [ids[int(at)] for at in dice.integers(0, len(ids), SAMPLE)]

    def all_of(statement: str) -> Sequence[int]:
        return conn.scalars(text(_HERE + statement)).all()

    return Ids(
        some(books.sublots),
        some(books.lots),
        some(books.shipments),
        some(all_of("SELECT e.id FROM excursion e JOIN here ON here.id = e.sublot_id WHERE e.state <> 'closed'")),
        some(
            all_of("SELECT e.incident_id FROM excursion e JOIN here ON here.id = e.sublot_id WHERE e.state <> 'closed'")
        ),
        books.zones,
        some(all_of("SELECT h.id FROM hold h JOIN here ON here.id = h.sublot_id WHERE h.lifted_at IS NULL")),
        all_of("SELECT id FROM item"),
    )


def _always(address: str) -> Address:
    return lambda _: address


def _searched(path: str, prefix: str) -> Address:
    return lambda dice: f"{path}?q={prefix}{dice.integers(100, 1000)}"


def _of(path: str, ids: Sequence[int]) -> Address:
    return lambda dice: f"{path}/{ids[int(dice.integers(len(ids)))]}"


LISTS: dict[str, Address] = {
    "sublots": _always("/sublots"),
    "sublots_released_newest": _always("/sublots?state=released&sort=-created_at"),
    "sublots_searched": _searched("/sublots", "BBL"),
    "lots": _always("/lots?sort=-number"),
    "lots_searched": _searched("/lots", "BL"),
    "shipments_planned": _always("/shipments?state=planned&sort=-created_at"),
    "shipments_searched": _searched("/shipments", "BS"),
    "holds": _always("/holds"),
    "moves": _always("/moves"),
    "incidents": _always("/incidents"),
    "alarms": _always("/alarms"),
    "batch_releases": _always("/batch-releases"),
    "find": _always("/find?q=Zone+1"),
}
DESKS: dict[str, Address] = {
    "front": _always("/"),
    "excursions": _always("/excursions"),
    "plant": _always("/plant"),
    "release": _always("/release"),
    "logistics": _always("/logistics"),
    "wall": _always("/wall"),
}


def records(ids: Ids) -> dict[str, Address]:
    """A record each."""
    return {
        "sublot": _of("/sublots", ids.sublots),
        "lot": _of("/lots", ids.lots),
        "shipment": _of("/shipments", ids.shipments),
        "excursion": _of("/excursions", ids.excursions),
        "incident": _of("/incidents", ids.incidents),
        "zone": _of("/zones", ids.zones),
        "hold": _of("/holds", ids.holds),
        "item": _of("/items", ids.items),
    }
