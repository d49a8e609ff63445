"""Retiring a source: one that was removed from its gateway would hold its zones' watermarks back for ever.

A gateway says with each start which sources its configuration names. One that its newest start no longer names is
retired by itself, zone by zone, once all that was cut before that start is confirmed there: until then it may still
have something to tell. One that is named and cannot be reached is not: its silence is silence.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Engine, select, text

from core.erp.catalog.model import Zone
from core.erp.catalog.scopes import ZONES
from core.erp.exposure.model import SourceWatermark
from core.erp.kernel.errors import Conflict, Invalid, NotFound
from core.erp.kernel.events import Events
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, When, system, transact
from core.erp.kernel.words import Message, kept
from core.ingest.chain import Key, load_chain
from core.ingest.transaction import JudgePort, hold_partitions
from core.telemetry.address import partition_of
from core.telemetry.batch import Watermark

_spoken, _zone = table(SourceWatermark), table(Zone)
_UNNAMED = text("""
    WITH newest AS (
        SELECT e.gateway, e.epoch, e.sources, e.config, count(*) OVER (PARTITION BY e.gateway) AS starts
        FROM gateway_epoch e
        WHERE NOT EXISTS (SELECT FROM gateway_epoch n WHERE n.gateway = e.gateway AND n.previous = e.epoch)
        AND NOT EXISTS (SELECT FROM epoch_closed c WHERE c.gateway = e.gateway AND c.epoch = e.epoch)
    )
    SELECT w.gateway, w.source, n.epoch, n.config, array_agg(z.address ORDER BY z.address) AS zones
    FROM source_watermark w JOIN newest n ON n.gateway = w.gateway JOIN zone z ON z.id = w.zone_id
    WHERE n.starts = 1 AND w.retired_at IS NULL AND w.source <> ALL (n.sources)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
""")


@dataclass(frozen=True, slots=True)
class UnnamedSource:
    """A source that its gateway's newest start, under a configuration of that hash, does not name; and the zones
    for which nothing of it can still come.
    """

    gateway: str
    source: str
    epoch: str
    config: str
    zones: tuple[str, ...]


def unnamed_sources(conn: Connection) -> list[UnnamedSource]:
    """Sources to retire. None of a gateway whose starts do not follow one another: a lost epoch is to be closed first.

    A start that says nothing of its sources, or of which not yet enough is heard, retires none.
    """
    found = []
    for row in conn.execute(_UNNAMED).all():
        partitions = {zone: partition_of(zone) for zone in row.zones}
        chain = load_chain(conn, {row.gateway}, set(partitions.values()), {})
        zones = tuple(z for z, p in partitions.items() if chain.earlier_complete(Key(row.gateway, row.epoch, p)))
        if zones:
            found.append(UnnamedSource(row.gateway, row.source, row.epoch, row.config, zones))
    return found


def retire_unnamed(engine: Engine, judge: JudgePort, events: Events, now: When = None) -> list[UnnamedSource]:
    """Retires them, each in a transaction of its own; gives which. Raises StoreUnavailable as `transact` does."""
    with engine.connect() as conn:
        found = unnamed_sources(conn)
    for each in found:
        reason = Message("ingest.source_unnamed", config=each.config[:12], epoch=each.epoch[:12])
        retire = partial(
            retire_source, judge=judge, gateway=each.gateway, source=each.source, reason=reason, only=each.zones
        )
        transact(engine, system("ingest"), events, retire, now)
    return found


def retire_source(
    u: Unit, judge: JudgePort, gateway: str, source: str, *, reason: str | Message, only: Collection[str] | None = None
) -> list[str]:
    """From now on nobody waits for the source, in all zones or in `only` these: they are known as far as their other
    sources say.

    A zone that has no other source stays where it is, and is silent from now on, like one whose gateway is: retiring
    makes no data good. A source that speaks again of a later time counts again by itself. Audited. Gives the zones'
    addresses: a person retires it for those that they see. Raises Forbidden, NotFound, Conflict (retired already),
    Invalid (no reason).
    """
    u.need("ingest.manage")
    if not kept(reason)[0].strip():
        raise Invalid("ingest.retire_without_reason")
    zones = [zone for zone in _zones_of_source(u, gateway, source) if only is None or zone in only]
    # as the ingest does: nobody folds these partitions meanwhile
    hold_partitions(u.conn, {partition_of(address) for address in zones})
    ended = u.conn.execute(
        text(
            "UPDATE source_watermark SET retired_at = :now WHERE gateway = :g AND source = :s AND retired_at IS NULL "
            "AND zone_id IN (SELECT id FROM zone WHERE address = ANY(:zones)) RETURNING zone_id, upto"
        ),
        {"now": u.now, "g": gateway, "s": source, "zones": zones},
    ).all()
    if not ended:
        raise Conflict("ingest.source_retired", gateway=gateway, source=source)
    ids = sorted(row.zone_id for row in ended)
    # a fold in memory still counts it: the row written by another makes it load the zone anew
    u.conn.execute(text("UPDATE zone_judged SET version = version + 1 WHERE zone_id = ANY(:zones)"), {"zones": ids})
    u.audit(
        "source.retire",
        "source",
        f"{gateway}:{source}",
        reason=reason,
        before={"zones": zones, "spoken to": min(row.upto for row in ended)},
        after={"retired_at": u.now},
    )
    judge.fold(u, [], [], _others(u, ids), [])
    return zones


def _zones_of_source(u: Unit, gateway: str, source: str) -> list[str]:
    named = (_spoken.c.gateway == gateway, _spoken.c.source == source)
    addresses = select(_zone.c.address).join(_spoken, _spoken.c.zone_id == _zone.c.id).where(*named)
    found = list(u.conn.scalars(scoped(addresses, ZONES, u.actor).order_by(_zone.c.address)))
    if not found:
        raise NotFound("ingest.no_source", gateway=gateway, source=source)
    return found


def _others(u: Unit, zone_ids: list[int]) -> list[tuple[str, Watermark]]:
    """What the other sources of the zones have said before, said once more: now it may count for more."""
    rows = u.conn.execute(
        text(
            "SELECT w.gateway, w.source, w.upto, w.behind, w.redundancy_group, z.address"
            " FROM source_watermark w JOIN zone z ON z.id = w.zone_id "
            "WHERE w.zone_id = ANY(:zones) AND w.retired_at IS NULL ORDER BY 1, 2, 3, 4"
        ),
        {"zones": zone_ids},
    )
    zones_of: defaultdict[tuple[str, str, datetime, timedelta, str], list[str]] = defaultdict(list)
    for row in rows:
        zones_of[row.gateway, row.source, row.upto, row.behind, row.redundancy_group].append(row.address)
    return [(of[0], Watermark(*of[1:3], tuple(zones), *of[3:])) for of, zones in zones_of.items()]
