"""How far holds reach: all sublots of their lots, and what was made from them, with every row locked."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import text

from core.erp.kernel.errors import absent
from core.erp.kernel.unit import Unit
from core.erp.lots.hold_rows import NewHold, PlacedHold
from core.erp.lots.model import Hold
from core.erp.lots.predicate import lock_sublots
from core.erp.lots.rules import HISTORY_KINDS

_LOTS = text("SELECT id FROM lot WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
_MISSING = text("SELECT i FROM unnest(CAST(:ids AS bigint[])) i WHERE NOT EXISTS (SELECT FROM sublot WHERE id = i)")
_OF_LOTS = text("SELECT lot_id, id FROM sublot WHERE lot_id = ANY(:ids)")
_REACHED = text("""
    WITH RECURSIVE reach(root, id, since) AS (
        SELECT r.root, r.id, r.since FROM unnest(
            CAST(:indices AS int[]), CAST(:roots AS bigint[]), CAST(:sinces AS timestamptz[])) AS r(root, id, since)
        UNION
        SELECT reach.root, g.child_id, reach.since FROM reach JOIN genealogy g
            ON g.parent_id = reach.id AND (reach.since IS NULL OR g.at >= reach.since)
    )
    SELECT root, id FROM reach
""")

Root = tuple[int, int, datetime | None]
"""Index of a hold, sublot it starts from, since when that one's descendants count; None: all of them."""


def lock_lots(u: Unit, lot_ids: Iterable[int]) -> None:
    """Locks lots ascending. Raises NotFound."""
    ids = sorted(set(lot_ids))
    if ids and (missing := set(ids) - {row.id for row in u.lock(_LOTS, {"ids": ids})}):
        raise absent("lot", min(missing))


def require_sublots(u: Unit, wanted: Iterable[NewHold]) -> None:
    """Raises NotFound for a hold on a sublot that nobody knows."""
    ids = sorted({hold.sublot_id for hold in wanted if hold.sublot_id is not None})
    missing = list(u.conn.execute(_MISSING, {"ids": ids}).scalars()) if ids else []
    if missing:
        raise absent("sublot", min(missing))


def sublots_of(u: Unit, holds: Iterable[NewHold | PlacedHold | Hold]) -> set[int]:
    """The sublots of the lots these holds are on."""
    ids = [hold.lot_id for hold in holds if hold.lot_id is not None]
    return {row.id for row in u.conn.execute(_OF_LOTS, {"ids": ids})} if ids else set()


def reach(u: Unit, wanted: Sequence[NewHold]) -> set[tuple[int, int]]:
    """(index of the hold, descendant it reaches), with all rows locked: repeated until nothing new appears."""
    locked: set[int] = set()
    while True:
        roots = _roots(u, wanted)
        reached = _descend(u, roots)
        everything = {sublot for _, sublot in reached}
        if everything <= locked:
            return reached - {(index, sublot) for index, sublot, _ in roots}
        lock_sublots(u, sorted(everything - locked))
        locked |= everything


def _roots(u: Unit, wanted: Sequence[NewHold]) -> list[Root]:
    lots: dict[int, list[int]] = {}
    lot_ids = [hold.lot_id for hold in wanted if hold.lot_id is not None]
    if lot_ids:
        for row in u.conn.execute(_OF_LOTS, {"ids": lot_ids}):
            lots.setdefault(row.lot_id, []).append(row.id)
    found: list[Root] = []
    for index, hold in enumerate(wanted):
        since = hold.since_at if hold.kind in HISTORY_KINDS else None
        if hold.sublot_id is not None:
            found.append((index, hold.sublot_id, since))
        elif hold.lot_id is not None:
            found += [(index, sublot, since) for sublot in lots.get(hold.lot_id, [])]
    return found


def _descend(u: Unit, roots: Sequence[Root]) -> set[tuple[int, int]]:
    """(index of the hold, sublot): the roots themselves, and all that was made from them."""
    if not roots:
        return set()
    indices, ids, sinces = zip(*roots, strict=True)
    rows = u.conn.execute(_REACHED, {"indices": list(indices), "roots": list(ids), "sinces": list(sinces)})
    return {(row.root, row.id) for row in rows}
