"""The core's own timer: gateways that fall silent, and zones that nobody measures.

An overdue watermark, and one that never came, is a silent gateway: one alarm, goods there are unjudged, no sensor is
blamed and no hold placed for a grace time, since its spool may still tell. Then the timer stands in and the worst case
runs. Goods in zones without points run on this timer from the start (design §2.3).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from core.erp.exposure.events import SublotsJudged, ZoneState
from core.erp.exposure.handlers import judge_items
from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.history.logger_zones import LOGGER_ZONE
from core.erp.exposure.judge.due import judged_events
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.rules.assess import MAX_RECHECK
from core.erp.exposure.times import micros
from core.erp.kernel.unit import Unit

NextLook = dict[int, tuple[int, int]]
"""By sublot that stands where nobody measures: its zone, and until when (microseconds) it need not be looked at."""


@dataclass(frozen=True, slots=True)
class SilenceLimits:
    """`overdue`: a watermark this much older than its source stays behind anyway is a silent gateway. `grace`: from
    then on silence counts as out, unless the source is just telling what it kept.
    """

    overdue: timedelta = timedelta(minutes=2)
    grace: timedelta = timedelta(hours=24)


# where all sources are retired nobody speaks any more: that is silence too. Of a source that the gateways of one group
# all read, the furthest counts (watermarks.complete_to)
_OVERDUE = text("""
    WITH voice AS (
        SELECT zone_id, max(upto) FILTER (WHERE retired_at IS NULL) AS upto, max(upto) AS ever,
            max(upto + behind) FILTER (WHERE retired_at IS NULL) AS live, max(upto + behind) AS ever_live,
            max(advanced_at) FILTER (WHERE retired_at IS NULL) AS advanced
        FROM source_watermark
        GROUP BY zone_id, source, redundancy_group, CASE redundancy_group WHEN '' THEN gateway ELSE '' END
    )
    SELECT zone_id, upto, coalesce(advanced >= CAST(:before AS timestamptz), false) AS telling FROM (
        SELECT zone_id, coalesce(min(upto), max(ever)) AS upto, coalesce(min(live), max(ever_live)) AS live,
            min(coalesce(advanced, '-infinity')) FILTER (WHERE live < CAST(:before AS timestamptz)) AS advanced
        FROM voice GROUP BY zone_id
    ) z WHERE live < CAST(:before AS timestamptz)
""")
# a logger says all it has to say when it is read out: nothing is expected of it before
_NEVER_HEARD = text("""
    WITH RECURSIVE inside(root, id, since, until) AS (
        SELECT z.id, z.id, CAST('-infinity' AS timestamptz), CAST('infinity' AS timestamptz) FROM zone z
        WHERE z.kind <> :logger AND NOT EXISTS (SELECT FROM source_watermark w WHERE w.zone_id = z.id)
            AND EXISTS (SELECT FROM point p WHERE p.zone_id = z.id AND p.role = 'required')
        UNION
        SELECT i.root, n.zone_id, greatest(i.since, n.from_at), least(i.until, coalesce(n.to_at, 'infinity'))
        FROM zone_nesting n JOIN inside i ON n.parent_id = i.id AND n.from_at < i.until
            AND coalesce(n.to_at, 'infinity') > i.since
        WHERE NOT EXISTS (SELECT FROM point p WHERE p.zone_id = n.zone_id AND p.role = 'required')
    )
    SELECT i.root AS zone_id, min(greatest(f.at, i.since)) AS upto, false AS telling
    FROM inside i JOIN custody_fact f ON f.zone_id = i.id AND f.at < i.until
    WHERE coalesce((SELECT min(n.at) FROM custody_fact n WHERE n.sublot_id = f.sublot_id AND n.at > f.at), 'infinity')
        > i.since
    GROUP BY i.root HAVING min(greatest(f.at, i.since)) < CAST(:before AS timestamptz)
""")
_UNMONITORED = text(
    "SELECT s.id, s.zone_id FROM sublot s WHERE s.zone_id IS NOT NULL AND NOT EXISTS ("
    " SELECT FROM point p WHERE p.zone_id = s.zone_id AND p.role = 'required')"
    " AND s.state NOT IN ('destroyed', 'returned') ORDER BY s.id"
)
_SILENT = text("SELECT zone_id FROM zone_judged WHERE silent_since IS NOT NULL")
_CREATE = text(
    "INSERT INTO zone_judged (zone_id, version) SELECT z, 0 FROM unnest(CAST(:zones AS bigint[])) z"
    " ON CONFLICT DO NOTHING"
)
_LOCK = text("SELECT FROM zone_judged WHERE zone_id = ANY(:zones) ORDER BY zone_id FOR UPDATE")
_SET_SILENT = text(
    "UPDATE zone_judged z SET silent_since = n.upto"
    " FROM unnest(CAST(:zones AS bigint[]), CAST(:uptos AS timestamptz[])) n(zone_id, upto)"
    " WHERE z.zone_id = n.zone_id AND z.silent_since IS NULL RETURNING z.zone_id"
)
_CLEAR_SILENT = text(
    "UPDATE zone_judged SET silent_since = NULL WHERE zone_id = ANY(:zones) AND silent_since IS NOT NULL"
    " RETURNING zone_id"
)


def tick(u: Unit, judge: Judge, rules: SilenceLimits, known: NextLook | None = None) -> NextLook:
    """One tick of the timer, all in one transaction.

    Gives what `judge_unmonitored` does, to be handed in at the next tick; without it all goods are looked at.
    """
    advance_silent_zones(u, judge, rules, update_silent_gateways(u, rules))
    return judge_unmonitored(u, known)


def update_silent_gateways(u: Unit, rules: SilenceLimits) -> list[int]:
    """Raises and ends the alarms of silent gateways; gives the zones where the grace time is over, ascending.

    Who is silent stands with the zones, so that a restart forgets nobody.
    """
    quiet = {row.zone_id: row.upto for row in _silent_zones(u, rules)}
    standing = set(u.conn.execute(_SILENT).scalars())
    fallen, risen = sorted(quiet.keys() - standing), sorted(standing - quiet.keys())
    zones = sorted({*fallen, *risen})
    if zones:
        u.conn.execute(_CREATE, {"zones": zones})
        u.lock(_LOCK, {"zones": zones})
    # of several timers that see it at once, one says so
    if fallen:
        uptos = [quiet[zone] for zone in fallen]
        for zone in sorted(u.conn.execute(_SET_SILENT, {"zones": fallen, "uptos": uptos}).scalars()):
            u.emit(ZoneState(zone, "silent_gateway", active=True, at=quiet[zone], value=None))
    if risen:
        for zone in sorted(u.conn.execute(_CLEAR_SILENT, {"zones": risen}).scalars()):
            u.emit(ZoneState(zone, "silent_gateway", active=False, at=u.now, value=None))
    return _past_grace(u, rules)


def advance_silent_zones(u: Unit, judge: Judge, rules: SilenceLimits, zones: Sequence[int]) -> None:
    """Takes the watermarks of those zones forward of which, looked at again under their locks, still nobody tells."""
    if not zones:
        return
    u.conn.execute(_CREATE, {"zones": list(zones)})
    u.lock(_LOCK, {"zones": list(zones)})
    still = set(_past_grace(u, rules)).intersection(zones)
    judge.advance(u, dict.fromkeys(sorted(still), micros(u.now - rules.overdue)))


def _past_grace(u: Unit, rules: SilenceLimits) -> list[int]:
    """Zones that are silent for longer than the grace time, and whose gateway is not just telling what it kept.

    A gateway that is back after a day tells of yesterday first: the worst case beside it would hold goods that its
    next words clear, and would make the judge fold the same hours twice.
    """
    return sorted(row.zone_id for row in _silent_zones(u, rules) if row.upto < u.now - rules.grace and not row.telling)


def _silent_zones(u: Unit, rules: SilenceLimits) -> list[Row[Any]]:
    """Zones of which nobody has spoken for too long, since when (`upto`), and whether somebody is catching up.

    One that is measured and of which no gateway ever spoke is silent since goods have stood in it.
    """
    before = u.now - rules.overdue
    spoken = u.conn.execute(_OVERDUE, {"before": before}).all()
    mute = u.conn.execute(_NEVER_HEARD, {"before": before, "logger": LOGGER_ZONE}).all()
    return [*spoken, *mute]


def judge_new_profiles(u: Unit, since: datetime | None) -> None:
    """Judges the goods of items whose next profile came into force after `since`, as if it had been assigned now.

    None: since the core may have been down, which is since a gateway was last heard of.
    """
    if since is None:
        since = u.conn.execute(text("SELECT min(received_at) FROM source_watermark")).scalar() or u.now
    items = u.conn.execute(
        text("SELECT DISTINCT item_id FROM item_profile WHERE from_at > :since AND from_at <= :now ORDER BY 1"),
        {"since": since, "now": u.now},
    ).scalars()
    judge_items(u, items.all())


def judge_unmonitored(u: Unit, known: NextLook | None = None) -> NextLook:
    """Judges the goods that stand where nobody measures, up to now: those that `known` does not put off.

    Gives until when each may wait: until its next count could be full, and a minute at most, for what becomes known
    of where it was before may bring that forward. Its zones are locked, since others judge it too.
    """
    rows = u.conn.execute(_UNMONITORED).all()
    now = micros(u.now)
    later = {row.id: (known or {}).get(row.id, (0, 0)) for row in rows}
    later = {row.id: later[row.id] if later[row.id][0] == row.zone_id else (row.zone_id, 0) for row in rows}
    ids = [sublot for sublot, (_, at) in later.items() if at <= now]
    by_version: dict[int, list[int]] = defaultdict(list)
    for sublot, version in versions_of(u.conn, ids, u.now).items():
        by_version[version].append(sublot)
    paths = ExposureHistory(u.conn, u.now).judged_paths(ids)
    u.conn.execute(_LOCK, {"zones": sorted({zone for some in paths.values() for path in some for zone, _, _ in path})})
    history = ExposureHistory(u.conn, u.now)
    verdicts = history.verdicts(by_version)
    items = judged_events(history, verdicts)
    if items:
        u.emit(SublotsJudged(tuple(items)))
    due = dict.fromkeys(ids, now + MAX_RECHECK) | {sublot: verdict.due for (sublot, _), verdict in verdicts.items()}
    return later | {sublot: (later[sublot][0], min(due[sublot], now + MAX_RECHECK)) for sublot in ids}
