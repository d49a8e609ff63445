"""Retiring a source: one that was removed from its gateway would hold its zones' watermarks back for ever."""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import text

from core.erp.kernel.errors import Conflict, Invalid, NotFound
from core.erp.kernel.unit import Unit
from core.ingest.folding import Fold, hold_partitions
from core.telemetry.address import partition_of
from core.telemetry.batch import Watermark


def retire_source(u: Unit, judge: Fold, gateway: str, source: str, *, reason: str) -> list[str]:
    """From now on nobody waits for the source: its zones are known as far as their other sources say.

    A zone that has no other source stays where it is, and is silent from now on, like one whose gateway is: retiring
    makes no data good. A source that speaks again of a later time counts again by itself. Audited. Gives the zones'
    addresses. Raises Forbidden, NotFound, Conflict (retired already), Invalid (no reason).
    """
    u.need("ingest.manage")
    if not reason.strip():
        raise Invalid("to retire a source needs a reason")
    zones = _spoken_for(u, gateway, source)
    # as the ingest does: nobody folds these partitions meanwhile
    hold_partitions(u.conn, {partition_of(address) for address in zones})
    ended = u.conn.execute(
        text(
            "UPDATE source_watermark SET retired_at = :now WHERE gateway = :g AND source = :s AND retired_at IS NULL "
            "RETURNING zone_id, upto"
        ),
        {"now": u.now, "g": gateway, "s": source},
    ).all()
    if not ended:
        raise Conflict(f"source {source} of {gateway} is retired already")
    ids = sorted(row.zone_id for row in ended)
    # a fold in memory still counts it: the row written by another makes it load the zone anew
    u.conn.execute(text("UPDATE zone_judged SET version = version + 1 WHERE zone_id = ANY(:zones)"), {"zones": ids})
    u.audit(
        "source.retire", "source", f"{gateway}:{source}", reason=reason,
        before={"zones": zones, "spoken to": min(row.upto for row in ended)}, after={"retired_at": u.now},
    )  # fmt: skip
    judge.fold(u, [], [], _others(u, ids), [])
    return zones


def _spoken_for(u: Unit, gateway: str, source: str) -> list[str]:
    rows = u.conn.execute(
        text(
            "SELECT z.address FROM source_watermark w JOIN zone z ON z.id = w.zone_id "
            "WHERE w.gateway = :g AND w.source = :s ORDER BY 1"
        ),
        {"g": gateway, "s": source},
    )
    found = list(rows.scalars())
    if not found:
        raise NotFound(f"gateway {gateway} has no source {source} that ever spoke", gateway=gateway, source=source)
    return found


def _others(u: Unit, zone_ids: list[int]) -> list[tuple[str, Watermark]]:
    """What the other sources of the zones have said before, said once more: now it may count for more."""
    rows = u.conn.execute(
        text(
            "SELECT w.gateway, w.source, w.upto, z.address FROM source_watermark w JOIN zone z ON z.id = w.zone_id "
            "WHERE w.zone_id = ANY(:zones) AND w.retired_at IS NULL ORDER BY 1, 2, 3, 4"
        ),
        {"zones": zone_ids},
    )
    said: defaultdict[tuple[str, str, datetime], list[str]] = defaultdict(list)
    for row in rows:
        said[row.gateway, row.source, row.upto].append(row.address)
    return [(gateway, Watermark(source, upto, tuple(zones))) for (gateway, source, upto), zones in said.items()]
