"""A logger's zone is there only while goods are with the logger: what it saw at other times was around others.

So a reading from before they came together (a warm office) says nothing of the goods, although it is the one carried
in; the first reading afterwards speaks back to when they did, at most over the zone's allowed gap.
"""

from collections.abc import Collection

from sqlalchemy import Connection, text

from core.erp.custody.service import intervals
from core.erp.exposure.rules.assess import NEVER
from core.erp.exposure.rules.runs import Runs, union
from core.erp.exposure.times import micros

LOGGER_ZONE = "logger"
"""The kind of a zone that is where a logger was, and nowhere else."""


def goods_present(conn: Connection, zone_id: int) -> Runs:
    """When any goods stood in the zone, as known now; a stay that goes on ends at NEVER."""
    been = text("SELECT DISTINCT sublot_id FROM custody_fact WHERE zone_id = :zone ORDER BY sublot_id")
    ids = list(conn.execute(been, {"zone": zone_id}).scalars())
    found = [
        (micros(start), NEVER if stop is None else micros(stop))
        for spans in (intervals(conn, ids) if ids else {}).values()
        for zone, start, stop in spans
        if zone == zone_id
    ]
    return union([found])


def logger_zones_among(conn: Connection, zone_ids: Collection[int]) -> list[int]:
    """Those of the zones that are loggers', ascending."""
    query = text("SELECT id FROM zone WHERE id = ANY(:zones) AND kind = :kind ORDER BY id")
    return list(conn.execute(query, {"zones": sorted(zone_ids), "kind": LOGGER_ZONE}).scalars())
