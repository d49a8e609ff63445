"""Zones and the goods in them, as an alert names them: read for many at once."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text

from core.erp.kernel.unit import Unit

_ZONES = text("SELECT id, address, site_id FROM zone WHERE id = ANY (:ids)")
_ITEMS = text("""
    SELECT DISTINCT s.zone_id, l.item_id FROM sublot s JOIN lot l ON l.id = s.lot_id WHERE s.zone_id = ANY (:ids)
""")


@dataclass(frozen=True, slots=True)
class ZonePlace:
    """A zone by its address, and the site it is at."""

    address: str
    site_id: int


class Places:
    """These zones."""

    def __init__(self, u: Unit, zones: Collection[int]) -> None:
        ids = {"ids": sorted(zones)}
        self._zones = {row.id: ZonePlace(row.address, row.site_id) for row in u.conn.execute(_ZONES, ids)}
        self._items: dict[int, set[int]] = defaultdict(set)
        for zone, item in u.conn.execute(_ITEMS, ids):
            self._items[zone].add(item)

    def zone(self, zone_id: int) -> ZonePlace:
        """One of them."""
        return self._zones[zone_id]

    def items_in(self, zone_id: int) -> frozenset[int]:
        """The items of the goods that stand there now."""
        return frozenset(self._items.get(zone_id, ()))
