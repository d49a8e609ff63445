"""From what happened, as the outbox tells it, to alerts: many rows at once, each with the state of things as it is now.

Whether a condition is over is asked of the records themselves and not concluded from the order of what was told.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, text

from core.erp.alerting.service import alerts, taking
from core.erp.alerting.service.alerts import Raise
from core.erp.alerting.service.places import Places
from core.erp.kernel.outbox import OutboxMessage
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.lots.model import Hold
from core.erp.quality.model import Excursion, Incident, ZoneAlarm, ZoneAlarmMode
from core.erp.quality.service.alarms import SENSOR_KINDS

FOR_EVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
"""Until when what is suppressed or out of service is silenced: until somebody says otherwise."""
_KINDS = {"high": "zone_high", "low": "zone_low", "stale": "zone_stale"} | dict.fromkeys(SENSOR_KINDS, "sensor")
"""Zone alarms by kind; a silent gateway's are told once, by its incident."""
_VALUED = frozenset({"zone_high", "zone_low"})


def from_alarms(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """Zone alarms: raised, returned, shown otherwise."""
    a = table(ZoneAlarm).c
    ids = sorted({int(one.key) for one in rows if one.topic not in _MODES})
    if ids:
        found = u.conn.execute(
            select(table(ZoneAlarm)).where(a.id == func.any(bindparam("ids", ids))).order_by(a.id)
        ).all()
        known = [row for row in found if row.kind in _KINDS]
        places = Places(u, zones={row.zone_id for row in known})
        raised = {int(one.key) for one in rows if one.topic == "alarm.raised"}
        alerts.raise_all(u, [_zone_alarm(u, row, places) for row in known if row.id in raised])
        standing = _standing(u, known)
        over = {_cause(row): row.returned_at for row in known if row.returned_at and _cause(row) not in standing}
        alerts.condition_over(u, over)
        seen = {int(one.key) for one in rows if one.topic.startswith("alarm.acknowledge")}
        taking.follow_alarms(u, [row for row in known if row.id in seen])
    _modes(u, [one for one in rows if one.topic in _MODES])


def _cause(alarm: Any) -> str:
    """Of a zone's kind; of a sensor each by itself: what is wrong with one says nothing of another."""
    of = f"zone:{alarm.zone_id}:{alarm.kind}"
    return of if alarm.point_id is None else f"{of}:{alarm.point_id}"


def _standing(u: Unit, alarms: Iterable[Any]) -> set[str]:
    a = table(ZoneAlarm).c
    here = (a.zone_id == func.any(bindparam("zones", sorted({one.zone_id for one in alarms}))), a.returned_at.is_(None))
    wanted = select(a.zone_id, a.kind, a.point_id).where(*here, a.state != "normal")
    return {_cause(row) for row in u.conn.execute(wanted)}


def _zone_alarm(u: Unit, alarm: Any, places: Places) -> Raise:
    zone = places.zone(alarm.zone_id)
    event = _KINDS[alarm.kind]
    value = {"value": alarm.value} if event in _VALUED and alarm.value is not None else {}
    said = f"{event}_unread" if event in _VALUED and not value else event
    title: Message | str = Message(f"alert_title.{said}", zone=zone.address, **value)
    if event == "sensor" and alarm.detail is not None:
        title = sentence(alarm.detail, alarm.detail_message)  # by which figures it was found
    silenced = FOR_EVER if alarm.suppressed or alarm.out_of_service else alarm.shelved_until
    return Raise(
        event,
        _cause(alarm),
        title,
        alarm.started_at,
        entity="alarm",
        entity_id=alarm.id,
        site_id=zone.site_id,
        zone_id=alarm.zone_id,
        items=places.items_in(alarm.zone_id),
        parts=(("alarm", alarm.id),),
        silenced_until=silenced if silenced is not None and silenced > u.now else None,
    )


_MODES = frozenset(
    {
        "alarm.shelve",
        "alarm.unshelve",
        "alarm.suppress",
        "alarm.unsuppress",
        "alarm.out_of_service",
        "alarm.in_service",
    }
)
"""What is told of alarms with a zone's number: how its alarms of a kind are shown."""


def _modes(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    m = table(ZoneAlarmMode).c
    for zone, kind in sorted({(int(one.key), str(one.payload["kind"])) for one in rows}):
        mode = u.conn.execute(select(table(ZoneAlarmMode)).where(m.zone_id == zone, m.kind == kind)).first()
        if mode is not None:
            until = FOR_EVER if mode.suppressed or mode.out_of_service else mode.shelved_until
            alerts.silence(u, f"zone:{zone}:{kind}", until if until is not None and until > u.now else None)


def from_excursions(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """Excursions: one alert an incident, however many goods it has; over when none of them goes on."""
    e = table(Excursion).c
    ids = sorted({int(one.key) for one in rows})
    found = u.conn.execute(_EXCURSIONS, {"ids": ids}).all()
    opened = {int(one.key) for one in rows if one.topic in {"excursion.opened", "excursion.reopen"}}
    going_on = set(
        u.conn.scalars(
            select(e.incident_id).where(
                e.incident_id == func.any(bindparam("incidents", sorted({row.incident_id for row in found}))),
                e.state == "open",
            )
        )
    )
    alerts.raise_all(
        u, [_excursion(row, going_on) for row in found if row.id in opened and row.state in {"open", "ended"}]
    )
    ended = {f"incident:{row.incident_id}": row.ended_at or u.now for row in found if row.incident_id not in going_on}
    alerts.condition_over(u, ended)


_EXCURSIONS = text("""
    SELECT e.id, e.incident_id, e.zone_id, e.started_at, e.ended_at, e.state, z.site_id, l.item_id,
        i.title, i.title_message, i.kind AS incident_kind
    FROM excursion e JOIN incident i ON i.id = e.incident_id
    JOIN sublot s ON s.id = e.sublot_id JOIN lot l ON l.id = s.lot_id
    LEFT JOIN zone z ON z.id = e.zone_id WHERE e.id = ANY (:ids) ORDER BY e.id
""")


def _excursion(row: Any, going_on: set[int]) -> Raise:
    return Raise(
        "excursion",
        f"incident:{row.incident_id}",
        sentence(row.title, row.title_message),
        row.started_at,
        entity="incident",
        entity_id=row.incident_id,
        site_id=row.site_id,
        zone_id=row.zone_id,
        items=frozenset({row.item_id}),
        parts=(("excursion", row.id),),
        over_at=None if row.incident_id in going_on else row.ended_at,
    )


def from_incidents(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """Silent gateways: one alert for all their zones. Those of excursions are told with their goods."""
    i = table(Incident).c
    ids = sorted({int(one.key) for one in rows})
    here = (i.id == func.any(bindparam("ids", ids)), i.kind == "silent_gateway")
    found = u.conn.execute(select(table(Incident)).where(*here).order_by(i.id)).all()
    opened = {int(one.key) for one in rows if one.topic == "incident.opened"}
    alerts.raise_all(u, [_gateway(u, row) for row in found if row.id in opened])
    alerts.condition_over(u, {f"incident:{row.id}": row.ended_at for row in found if row.ended_at is not None})


_GATEWAY_SITE = text("""
    SELECT min(z.site_id) FROM source_watermark w JOIN zone z ON z.id = w.zone_id WHERE w.gateway = :gateway
    HAVING count(DISTINCT z.site_id) = 1
""")


def _gateway(u: Unit, row: Any) -> Raise:
    return Raise(
        "silent_gateway",
        f"incident:{row.id}",
        sentence(row.title, row.title_message),
        row.started_at,
        entity="incident",
        entity_id=row.id,
        site_id=u.conn.scalar(_GATEWAY_SITE, {"gateway": row.gateway}),
    )


def from_holds(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """Holds that no excursion has placed: of one reason and moment they are one alert, over with the last."""
    found = u.conn.execute(_HOLDS, {"ids": sorted({int(one.key) for one in rows})}).all()
    alerts.raise_all(u, [_hold(row) for row in found if row.lifted_at is None])
    lifted = {_hold_cause(row): row.lifted_at for row in found if row.lifted_at is not None}
    h = table(Hold).c
    for cause, at in lifted.items():
        mine = [row for row in found if _hold_cause(row) == cause]
        same = (h.kind == mine[0].kind, h.placed_at == mine[0].placed_at, h.reason == mine[0].reason)
        if u.conn.scalar(select(func.count()).where(*same, h.lifted_at.is_(None))) == 0:
            alerts.condition_over(u, {cause: at})


_HOLDS = text("""
    SELECT h.id, h.kind, h.reason, h.reason_message, h.since_at, h.placed_at, h.lifted_at, s.code AS sublot,
        coalesce(l.number, sl.number) AS lot, sh.code AS shipment, z.site_id, z.id AS zone_id,
        coalesce(l.item_id, sl.item_id) AS item_id, CASE WHEN z.id IS NULL THEN ARRAY(
            SELECT DISTINCT o.site_id FROM sublot g JOIN zone o ON o.id = g.zone_id WHERE g.lot_id = h.lot_id
            UNION SELECT o.site_id FROM shipment_line i JOIN sublot g ON g.id = i.sublot_id
            JOIN zone o ON o.id = coalesce(g.zone_id, i.from_zone_id) WHERE i.shipment_id = h.shipment_id
        ) END AS sites
    FROM hold h
    LEFT JOIN lot l ON l.id = h.lot_id
    LEFT JOIN sublot s ON s.id = h.sublot_id LEFT JOIN lot sl ON sl.id = s.lot_id LEFT JOIN zone z ON z.id = s.zone_id
    LEFT JOIN shipment sh ON sh.id = h.shipment_id
    WHERE h.id = ANY (:ids) AND h.kind <> 'exposure' AND h.origin_hold_id IS NULL ORDER BY h.id
""")


def _hold_cause(row: Any) -> str:
    return f"hold:{row.kind}:{row.placed_at.isoformat()}:{row.reason[:80]}"


def _hold(row: Any) -> Raise:
    about = row.sublot or row.lot or row.shipment
    why = sentence(row.reason, row.reason_message)
    sites = frozenset(row.sites or ())
    return Raise(
        "hold",
        _hold_cause(row),
        Message("alerting.hold", about=about, reason=why),
        row.since_at,
        entity="hold",
        entity_id=row.id,
        site_id=next(iter(sites)) if len(sites) == 1 else row.site_id,
        zone_id=row.zone_id,
        sites=sites,
        items=frozenset({row.item_id} - {None}),
        parts=(("hold", row.id),),
    )


def from_ingest(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """What stops or troubles the way of the readings, and that it goes on."""
    for one in rows:
        cause = _ingest_cause(one)
        if one.topic in _GOING:
            alerts.condition_over(u, {cause: one.at})
        else:
            event = _INGEST.get(one.topic, "ingest_stopped")
            alerts.raise_all(u, [Raise(event, cause, Message(f"alert_title.{event}", **_detail(one)), one.at)])


_INGEST = {"ingest.alarm": "ingest_trouble", "ingest.dead_letters": "readings_refused"}
_GOING = frozenset({"ingest.going", "ingest.shipping"})


def _ingest_cause(one: OutboxMessage) -> str:
    if one.topic in {"ingest.unshipped", "ingest.shipping"}:
        return "ingest:unshipped"
    if one.topic == "ingest.dead_letters":
        return f"readings:{one.payload['gateway']}:{one.key}"
    return f"ingest:{one.payload.get('kind', 'stopped')}:{one.key}"


def _detail(one: OutboxMessage) -> dict[str, str]:
    of = str(one.payload["gateway"]) if one.topic == "ingest.dead_letters" else one.key
    return {"of": of, "said": str(one.payload.get("detail", ""))}


def from_imports(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """Files that a program has sent and that were refused: told where a route asks for it. A person sees it anyway."""
    for one in rows:
        title = Message("alert_title.import_refused", file=one.key, said=str(one.payload["detail"]))
        what = Raise("import_refused", f"import:{one.key[:200]}", title, one.at)
        if alerts.wanted(u, what):
            alerts.raise_all(u, [what])


def from_backups(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """A backup that could not be made, until one is."""
    for one in rows:
        if one.topic == "backup.made":
            alerts.condition_over(u, {BACKUP: one.at})
        else:
            title = Message("alert_title.backup_failed", said=str(one.payload["detail"]))
            alerts.raise_all(u, [Raise("backup_failed", BACKUP, title, one.at)])


def from_verifications(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """What a verification of the audit trail has found, until one finds nothing."""
    for one in rows:
        if one.topic == "audit.whole":
            alerts.condition_over(u, {TRAIL: one.at})
        else:
            said = {"count": one.payload["findings"], "said": str(one.payload["detail"])}
            alerts.raise_all(u, [Raise("audit_finding", TRAIL, Message("alert_title.audit_finding", **said), one.at)])


BACKUP, TRAIL = "backup", "audit trail"
"""Causes of which there is one."""


def from_deadlines(u: Unit, rows: Sequence[OutboxMessage]) -> None:
    """What is due soon or overdue: told where a route asks for it; its people have their tasks anyway."""
    for one in rows:
        said = one.payload
        if one.topic not in {"deadline.warn", "deadline.due", "deadline.escalate"} or said.get("entity") is None:
            alerts.condition_over(u, {f"deadline:{one.key}": one.at})
            continue
        about = sentence(str(said["about"]), said.get("about_message"))
        title = Message("alerting.deadline", term=Message(f"term.{said['term']}"), about=about, due=str(said["due_at"]))
        what = Raise(
            "deadline",
            f"deadline:{one.key}",
            title,
            one.at,
            entity=str(said["entity"]),
            entity_id=int(said["entity_id"]),
            site_id=said.get("site_id"),
        )
        if alerts.wanted(u, what):
            alerts.raise_all(u, [what])


SOURCES: dict[str, Callable[[Unit, Sequence[OutboxMessage]], None]] = {
    "excursion.%": from_excursions,
    "hold.%": from_holds,
    "incident.%": from_incidents,
    "alarm.%": from_alarms,
    "ingest.%": from_ingest,
    "deadline.%": from_deadlines,
    "import.%": from_imports,
    "backup.%": from_backups,
    "audit.%": from_verifications,
}
"""Topics of the outbox, and what makes alerts of them: harm to goods first, whatever else floods."""
