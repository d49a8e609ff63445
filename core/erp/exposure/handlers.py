"""What the judge does when others change where goods were."""

from sqlalchemy import text

from core.erp.custody.events import CustodyChanged
from core.erp.exposure.events import SublotsJudged
from core.erp.exposure.look_again import judged
from core.erp.exposure.places import versions_of
from core.erp.exposure.ways import Ways
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit


def register(events: Events) -> None:
    """Says which events this module answers."""
    events.on(CustodyChanged, "exposure.rejudge", rejudge)


def rejudge(u: Unit, event: CustodyChanged) -> None:
    """Late custody is like late data: the zones are locked and the sublot is judged from all of its custody.

    The zones' rows are bumped, so that a live fold learns of goods whose threshold may now be the nearest.
    """
    version = versions_of(u.conn, [event.sublot_id], u.now).get(event.sublot_id)
    if version is None:
        return
    lock_zones(u, event.zone_ids)
    ways = Ways(u.conn, u.now)
    u.emit(SublotsJudged(tuple(judged(ways, ways.verdicts({version: [event.sublot_id]})))))


def lock_zones(u: Unit, zone_ids: tuple[int, ...]) -> None:
    """Locks zones ascending and bumps their versions."""
    zones = {"zones": sorted(zone_ids)}
    u.conn.execute(
        text(
            "INSERT INTO zone_judged (zone_id, version) SELECT z, 0 FROM unnest(CAST(:zones AS bigint[])) z"
            " ON CONFLICT DO NOTHING"
        ),
        zones,
    )
    u.conn.execute(text("SELECT 1 FROM zone_judged WHERE zone_id = ANY(:zones) ORDER BY zone_id FOR UPDATE"), zones)
    u.conn.execute(text("UPDATE zone_judged SET version = version + 1 WHERE zone_id = ANY(:zones)"), zones)
