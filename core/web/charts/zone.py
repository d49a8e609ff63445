"""A zone's own chart: what its points measured over as long as anybody knows, its band, and what its goods tolerate."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text

from core.erp.exposure.readings.profiles import load_profiles
from core.erp.exposure.readings.zone_setup import ZoneSetup, load_setups
from core.erp.exposure.rules.profile import Profile
from core.erp.kernel.errors import absent
from core.erp.kernel.scope import visible
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality.model import Excursion
from core.web.charts import bounds, goods
from core.web.charts.axis import INSTANT, SHORTEST, Asked, Window, time_axis, window
from core.web.charts.curves import Stretch, declared, ms
from core.web.charts.document import ChartDoc, Interval, Mark, Row
from core.web.charts.history import point_label, points_of
from core.web.charts.key import chart_words
from core.web.charts.plan import Plan
from core.web.frame.templating import Words

OPENS_WITH = timedelta(days=7)
MOST_EXCURSIONS = 50

_ZONE = text("""
    SELECT z.id, z.name, z.address, z.band_low, z.band_high, z.allowed_gap, z.worst_temperature, j.watermark,
        j.last_good_at
    FROM zone z LEFT JOIN zone_judged j ON j.zone_id = z.id WHERE z.id = :id
""")
# the oldest that is still here, or was shipped away
_FIRST = text("""
    SELECT min(first) FROM series_point s CROSS JOIN LATERAL (
        SELECT least(
            (SELECT r.at FROM reading r WHERE r.point_id = s.id ORDER BY r.at LIMIT 1),
            (SELECT min(d.day) FROM reading_shipped d WHERE d.point_id = s.id AND EXISTS (SELECT FROM series_dropped))
        ) AS first) f
    WHERE s.address = ANY(:points)
""")
# profile versions that were in force for goods of the zone at any time in the window
_VERSIONS = text("""
    SELECT DISTINCT p.version_id FROM zone_profile p JOIN item_profile i ON i.version_id = p.version_id
    WHERE p.zone_id = :zone AND p.from_at < :stop AND i.from_at < :stop AND NOT EXISTS (
        SELECT FROM item_profile n WHERE n.item_id = i.item_id AND n.from_at > i.from_at AND n.from_at <= :start)
    ORDER BY 1
""")
_ALARMS = text("""
    SELECT a.id, a.kind, a.state, a.started_at, a.returned_at FROM zone_alarm a
    WHERE a.zone_id = :zone AND a.started_at < :stop AND coalesce(a.returned_at, :stop) > :start
    ORDER BY a.started_at, a.id
""")

_ALARM_KINDS = {
    "high": "web.chart_alarm_high",
    "low": "web.chart_alarm_low",
    "stale": "web.chart_alarm_stale",
    "silent_gateway": "web.chart_alarm_silent_gateway",
    "sensor_stuck": "web.chart_alarm_sensor",
    "sensor_jumps": "web.chart_alarm_sensor",
    "sensor_drifts": "web.chart_alarm_sensor",
    "sensor_no_defrost": "web.chart_alarm_sensor",
}


def zone_chart(u: Unit, words: Words, zone_id: int, asked: Asked, quantity: str = "temperature") -> Plan:
    """The chart of a zone that the actor may see: the last seven days first, all that is known beyond.

    Raises NotFound.
    """
    zone = u.conn.execute(_ZONE, {"id": zone_id}).one_or_none()
    seen = visible()["zone"].keys(u.actor).where(visible()["zone"].key == zone_id)
    if zone is None or u.conn.execute(seen).first() is None:
        raise absent("zone", zone_id)
    setup = load_setups(u.conn, [zone_id])[zone_id]
    points = [point for point in setup.points if point.quantity == quantity]
    first = u.conn.execute(_FIRST, {"points": [point.address for point in points]}).scalar() or u.now - OPENS_WITH
    first = min(first, u.now - SHORTEST)
    last = u.now + INSTANT
    shown = window(asked, Window(max(first, last - OPENS_WITH), last, first, last))
    known_to = min(max((at for at in (zone.watermark, zone.last_good_at) if at is not None), default=u.now), u.now)
    lines = bounds.limits(words, _profiles(u, zone_id, shown), quantity)
    if quantity == "temperature":
        lines += bounds.band(words, zone.band_low, zone.band_high)
    doc = ChartDoc(
        title=words.t("web.chart_of_zone", zone=zone.name),
        description="",
        language=words.language,
        unit=bounds.unit_of(quantity, points[0].unit if points else ""),
        axis=time_axis(words, shown, u.now),
        curves=[],
        bounds=bounds.drawn(lines),
        shades=[],
        instants=_excursions(u, words, zone_id, shown),
        rows=_alarms(u, words, zone_id, shown),
        steps=None,
        words=chart_words(words),
        table=f"/charts/zones/{zone_id}/readings",
    )
    stretches = _stretches(words, setup, quantity, shown, known_to)
    said = []
    if not points and zone.worst_temperature is not None and quantity == "temperature":
        label = words.t("web.chart_declared", zone=zone.name)
        said = [declared(zone.address, zone.worst_temperature, shown.start, shown.stop, label)]
    return Plan(words, doc, shown, stretches, said, asked.columns, hatched=True)


def _profiles(u: Unit, zone_id: int, shown: Window) -> Sequence[Profile]:
    versions = u.conn.scalars(_VERSIONS, {"zone": zone_id, "start": shown.start, "stop": shown.stop}).all()
    return [profile for _, profile in sorted(load_profiles(u.conn, versions).items())]


def _stretches(words: Words, setup: ZoneSetup, quantity: str, shown: Window, known_to: datetime) -> list[Stretch]:
    gap = timedelta(microseconds=setup.allowed_gap)
    return [
        Stretch(one, point_label(words, one.address, required=one.required), shown.start, shown.stop, gap, known_to)
        for one in points_of(setup, quantity)
    ]


def _excursions(u: Unit, words: Words, zone_id: int, shown: Window) -> list[Mark]:
    """Where goods in the zone broke their limits: those that the actor may see, one mark for each incident."""
    if not u.actor.may("quality.read"):
        return []
    e = table(Excursion).c
    rows = u.conn.execute(
        select(
            func.min(e.id).label("id"),
            e.incident_id,
            func.min(e.broke_at).label("broke_at"),
            func.count().label("some"),
        )
        .where(
            e.zone_id == zone_id,
            e.state != "superseded",
            e.broke_at >= shown.start,
            e.broke_at < shown.stop,
            e.id.in_(visible()["excursion"].keys(u.actor)),
        )
        .group_by(e.incident_id)
        .order_by(func.min(e.broke_at).desc())
        .limit(MOST_EXCURSIONS)
    )
    return [_excursion(words, row) for row in rows]


def _excursion(words: Words, row: Any) -> Mark:
    label = words.t("web.chart_excursion", number=row.id)
    if row.some > 1:
        label = words.t("web.chart_incident", number=row.incident_id, count=row.some)
    href = f"/excursions/{row.id}" if row.some == 1 else f"/incidents/{row.incident_id}"
    return Mark(at=ms(row.broke_at), kind="excursion", label=label, short=str(row.id), value=None, href=href)


def _alarms(u: Unit, words: Words, zone_id: int, shown: Window) -> list[Row]:
    if not u.actor.may("quality.read"):
        return []
    bars = [
        Interval(
            start=ms(row.started_at),
            stop=max(ms(row.returned_at or u.now), ms(row.started_at) + 1),
            kind="alarm",
            label=words.t(_ALARM_KINDS[row.kind]),
            href=f"/zone-alarms/{row.id}",
        )
        for row in u.conn.execute(_ALARMS, {"zone": zone_id, "start": shown.start, "stop": shown.stop})
    ]
    return goods.stacked(words.t("web.chart_alarms"), bars)
