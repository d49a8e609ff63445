"""Zone alarms with the states of ISA-18.2, and incidents of silent gateways. Shelving never silences the judge."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.catalog.model import Zone
from core.erp.exposure.events import SensorStates, ZoneState, ZoneStates
from core.erp.exposure.model import SourceWatermark
from core.erp.kernel.errors import Invalid, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, render
from core.erp.quality.model import Incident, ZoneAlarm, ZoneAlarmMode
from core.erp.quality.workflow import ACKNOWLEDGED, ALARM, NORMAL, RETURNED, UNACKNOWLEDGED

_ALARM, _MODE, _INCIDENT = table(ZoneAlarm), table(ZoneAlarmMode), table(Incident)

SENSOR_KINDS = frozenset({"sensor_stuck", "sensor_jumps", "sensor_drifts", "sensor_no_defrost"})
"""Of one sensor: it is not to be trusted, whatever its zone is like."""
KINDS = frozenset({"high", "low", "stale", "silent_gateway"}) | SENSOR_KINDS
MAX_SHELVE_TIME = timedelta(hours=24)
"""Nobody shelves an alarm for longer than a day at a time (ISA-18.2: shelving is bounded)."""


def apply_condition(u: Unit, state: ZoneState) -> None:
    """Raises or returns the zone's alarm as the judge says; a silent gateway also opens or ends its one incident."""
    if state.active:
        raise_alarm(u, state.zone_id, state.kind, state.at, state.value)
    else:
        return_alarm(u, state.zone_id, state.kind, state.at)
    if state.kind == "silent_gateway":
        _update_gateway_incident(u, state)


def apply_conditions(u: Unit, states: ZoneStates) -> None:
    """Follows each, in order. That a condition is over of which no alarm stands says nothing, as most do: every
    zone that is judged for the first time by a process says so of all its conditions.
    """
    c = _ALARM.c
    zones = sorted({state.zone_id for state in states.items})
    rows = u.conn.execute(
        select(c.zone_id, c.kind).where(c.zone_id == func.any(bindparam("zones", zones)), *_is_standing())
    )
    standing = {(row.zone_id, row.kind) for row in rows}
    for state in states.items:
        if state.active or state.kind == "silent_gateway" or (state.zone_id, state.kind) in standing:
            apply_condition(u, state)
        if state.active:
            standing.add((state.zone_id, state.kind))


def apply_sensor_conditions(u: Unit, states: SensorStates) -> None:
    """Raises an alarm of each sensor that is not to be trusted, and returns those of sensors that are again."""
    c = _ALARM.c
    points = sorted({state.point_id for state in states.items})
    rows = u.conn.execute(
        select(c.point_id, c.kind).where(c.point_id == func.any(bindparam("points", points)), *_is_standing())
    )
    standing = {(row.point_id, row.kind) for row in rows}
    for state in states.items:
        stands = (state.point_id, state.kind) in standing
        if state.active and not stands:
            raise_alarm(u, state.zone_id, state.kind, state.at, None, state.point_id, state.detail)
        elif stands and not state.active:
            return_alarm(u, state.zone_id, state.kind, state.at, state.point_id)


def raise_alarm(
    u: Unit,
    zone_id: int,
    kind: str,
    started_at: datetime,
    value: float | None,
    point_id: int | None = None,
    detail: Message | None = None,
) -> int:
    """Raises the alarm, or answers the one that stands. Returns its id. What is shelved, suppressed or out of service
    is recorded all the same and marked so; only its annunciation differs (`annunciate` in the outbox row).
    """
    standing = u.conn.scalar(select(_ALARM.c.id).where(*_active(zone_id, kind, point_id)))
    if standing is not None:
        return int(standing)
    mode = u.conn.execute(select(_MODE).where(_MODE.c.zone_id == zone_id, _MODE.c.kind == kind)).mappings().first()
    shelved = mode["shelved_until"] if mode and mode["shelved_until"] and mode["shelved_until"] > u.now else None
    row = {
        "zone_id": zone_id,
        "kind": kind,
        "state": UNACKNOWLEDGED,
        "started_at": started_at,
        "raised_at": u.now,
        "shelved_until": shelved,
        "shelve_reason": mode["reason"] if mode and shelved else None,
        "suppressed": bool(mode and mode["suppressed"]),
        "out_of_service": bool(mode and mode["out_of_service"]),
        "value": value,
        "point_id": point_id,
        "detail": None if detail is None else render(detail),
        "detail_message": None if detail is None else detail.as_json(),
    }
    made = u.conn.scalar(insert(_ALARM).values(row).returning(_ALARM.c.id))
    assert made is not None
    annunciate = not (shelved or row["suppressed"] or row["out_of_service"])
    u.audit("alarm.raised", "alarm", made, after=row)
    u.outbox("alarm.raised", made, {**row, "annunciate": annunciate})
    return int(made)


def return_alarm(u: Unit, zone_id: int, kind: str, at: datetime, point_id: int | None = None) -> int | None:
    """The condition is over at `at`: acknowledged becomes normal, unacknowledged waits for its acknowledgement.

    Returns the alarm's id, or None if none stood.
    """
    found = u.conn.scalar(select(_ALARM.c.id).where(*_active(zone_id, kind, point_id)))
    if found is None:
        return None
    alarm = _get(u, int(found))
    alarm.returned_at = at  # with the move: between them it would stand, and be over
    ALARM.apply(u, alarm, "return" if alarm.state == UNACKNOWLEDGED else "clear")
    return alarm.id


def acknowledge(u: Unit, alarm_id: int, *, reason: str) -> ZoneAlarm:
    """Somebody has seen it, and says what is done. An alarm that has returned becomes normal. It releases nothing."""
    alarm = _get(u, alarm_id)
    with u.session.no_autoflush:  # with the move: a comment without it would be nobody's
        alarm.acknowledged_at, alarm.acknowledged_by, alarm.comment = u.now, u.actor.login, reason.strip() or None
        ALARM.apply(u, alarm, "acknowledge_returned" if alarm.state == RETURNED else "acknowledge", reason=reason)
    return alarm


def shelve(u: Unit, zone_id: int, kind: str, until: datetime, reason: str) -> None:
    """Takes the zone's alarms of a kind off the operator's list until then; the judge goes on.

    Raises Invalid unless `until` lies ahead and within MAX_SHELVE_TIME, or without a reason.
    """
    if not u.now < until <= u.now + MAX_SHELVE_TIME:
        raise Invalid("quality.shelve_time", hours=MAX_SHELVE_TIME // timedelta(hours=1))
    _set_mode(u, zone_id, kind, reason, "shelve", shelved_until=until)


def unshelve(u: Unit, zone_id: int, kind: str, reason: str) -> None:
    """Puts the zone's alarms of a kind back on the list now."""
    _set_mode(u, zone_id, kind, reason, "unshelve", shelved_until=None)


def suppress(u: Unit, zone_id: int, kind: str, *, on: bool, reason: str) -> None:
    """Suppresses the alarm by design (an empty room being defrosted), or stops doing so."""
    _set_mode(u, zone_id, kind, reason, "suppress" if on else "unsuppress", suppressed=on)


def out_of_service(u: Unit, zone_id: int, kind: str, *, on: bool, reason: str) -> None:
    """Takes the alarm out of service (its equipment is under repair), or puts it back."""
    _set_mode(u, zone_id, kind, reason, "out_of_service" if on else "in_service", out_of_service=on)


def _set_mode(u: Unit, zone_id: int, kind: str, reason: str, action: str, **values: datetime | bool | None) -> None:
    u.need("alarm.shelve")
    if kind not in KINDS:
        raise Invalid("quality.no_alarm_kind", kind=kind, kinds=sorted(KINDS))
    if not reason.strip():
        raise Invalid("quality.alarm_without_reason", action=Message(f"alarm_mode.{action}"))
    if u.conn.scalar(select(table(Zone).c.id).where(table(Zone).c.id == zone_id)) is None:
        raise absent("zone", zone_id)
    values_with_author = {"reason": reason, "by": u.actor.login, "at": u.now, **values}
    fresh = {"shelved_until": None, "suppressed": False, "out_of_service": False, **values_with_author}
    u.conn.execute(
        upsert(_MODE)
        .values(zone_id=zone_id, kind=kind, **fresh)
        .on_conflict_do_update(index_elements=["zone_id", "kind"], set_=values_with_author)
    )
    shown = {**values, "shelve_reason": reason} if "shelved_until" in values else values
    c = _ALARM.c  # those that have returned and wait for somebody to acknowledge them are heard too
    u.conn.execute(update(_ALARM).where(c.zone_id == zone_id, c.kind == kind, c.state != NORMAL).values(**shown))
    u.audit(f"alarm.{action}", "zone", zone_id, after={"kind": kind, **values}, reason=reason)
    u.outbox(f"alarm.{action}", zone_id, {"kind": kind, **values, "reason": reason})


def _active(zone_id: int, kind: str, point_id: int | None) -> tuple[ColumnElement[bool], ...]:
    c = _ALARM.c
    return c.zone_id == zone_id, c.kind == kind, c.point_id.is_not_distinct_from(point_id), *_is_standing()


def _is_standing() -> tuple[ColumnElement[bool], ...]:
    return _ALARM.c.state.in_((UNACKNOWLEDGED, ACKNOWLEDGED)), _ALARM.c.returned_at.is_(None)


def _get(u: Unit, alarm_id: int) -> ZoneAlarm:
    alarm = u.get(ZoneAlarm, alarm_id, lock=True)
    if alarm is None:
        raise absent("alarm", alarm_id)
    return alarm


_STILL_SILENT = text("""
    SELECT EXISTS (
        SELECT FROM zone_alarm a JOIN source_watermark w ON w.zone_id = a.zone_id
        WHERE w.gateway = :gateway AND a.kind = 'silent_gateway' AND a.returned_at IS NULL AND a.state <> 'normal'
    )
""")


def _update_gateway_incident(u: Unit, state: ZoneState) -> None:
    """One incident for a gateway that is silent, however many zones it speaks for; no hold (design §2.3)."""
    mark = table(SourceWatermark).c
    gateway = u.conn.scalar(
        select(mark.gateway).where(mark.zone_id == state.zone_id).order_by(mark.received_at.desc()).limit(1)
    )
    name = gateway or f"of zone {state.zone_id}"
    c = _INCIDENT.c
    if state.active:
        title = Message("quality.gateway_silent", gateway=name)
        row = {
            "zone_id": None,
            "kind": "silent_gateway",
            "started_at": state.at,
            "known_at": u.now,
            "gateway": name,
            "title": render(title),
            "title_message": title.as_json(),
            "ended_at": None,
        }
        made = u.conn.scalar(
            upsert(_INCIDENT)
            .values(row)
            .on_conflict_do_nothing(
                index_elements=["gateway"], index_where=text("kind = 'silent_gateway' AND ended_at IS NULL")
            )
            .returning(c.id)
        )
        if made is not None:
            u.audit("incident.opened", "incident", made, after=row)
            u.outbox("incident.opened", made, row)
    elif not u.conn.scalar(_STILL_SILENT, {"gateway": name}):
        # it was nobody's zone for as long as no gateway had ever spoken of it
        names = (name, f"of zone {state.zone_id}")
        ended = u.conn.scalars(
            update(_INCIDENT)
            .where(c.kind == "silent_gateway", c.gateway.in_(names), c.ended_at.is_(None))
            .values(ended_at=state.at)
            .returning(c.id)
        ).all()
        for incident in ended:
            u.audit("incident.ended", "incident", incident, after={"ended_at": state.at})
            u.outbox("incident.ended", incident, {"ended_at": state.at})
