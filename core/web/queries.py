"""What pages show, as the database has it: one function a question, each inside a transaction someone opened."""

# ruff: noqa: S608 - the parts of these queries are constants of this file

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text

from core.erp.kernel.unit import Unit
from core.erp.kernel.words import render
from core.erp.lots import service as lots
from core.erp.lots.rules import Purpose

Rows = list[dict[str, Any]]
MAX_ROWS = 200
"""Rows of a list; a page says when there are more."""


def _rows(u: Unit, query: TextClause, **parameters: object) -> Rows:
    u.session.flush()
    return [dict(row) for row in u.conn.execute(query, parameters).mappings()]


_ZONES = text("""
    SELECT z.id, z.address, z.name, z.allowed_gap, z.band_low, z.band_high, z.accepts_held, z.simulated,
        z.worst_temperature, j.last_value, j.last_good_at, j.judged_to, j.silent_since,
        EXISTS (SELECT FROM point p WHERE p.zone_id = z.id AND p.role = 'required') AS watched,
        (SELECT count(*) FROM sublot s WHERE s.zone_id = z.id) AS sublots,
        (SELECT count(*) FROM sublot s WHERE s.zone_id = z.id AND EXISTS (
            SELECT FROM hold h WHERE h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id))) AS held
    FROM zone z LEFT JOIN zone_judged j ON j.zone_id = z.id ORDER BY z.address
""")


def zones(u: Unit) -> Rows:
    """Every zone as it stands."""
    return _rows(u, _ZONES)


_ALARMS = text("""
    SELECT a.id, a.zone_id, z.address AS zone, a.kind, a.state, a.value, a.started_at, a.returned_at, a.acknowledged_by,
        a.shelved_until
    FROM zone_alarm a JOIN zone z ON z.id = a.zone_id
    WHERE a.state <> 'normal' AND NOT a.suppressed AND NOT a.out_of_service
        AND (a.shelved_until IS NULL OR a.shelved_until <= :now)
    ORDER BY a.raised_at DESC, a.id DESC LIMIT :most
""")
_SILENCED = text("""
    SELECT m.zone_id, z.address AS zone, m.kind, m.reason, m.by, m.at, m.suppressed, m.out_of_service,
        CASE WHEN m.shelved_until > :now THEN m.shelved_until END AS shelved_until,
        (SELECT count(*) FROM zone_alarm a WHERE a.zone_id = m.zone_id AND a.kind = m.kind
            AND a.state <> 'normal') AS standing
    FROM zone_alarm_mode m JOIN zone z ON z.id = m.zone_id
    WHERE m.shelved_until > :now OR m.suppressed OR m.out_of_service ORDER BY z.address, m.kind
""")


def alarms(u: Unit) -> Rows:
    """Zone alarms that are not yet normal and that somebody should hear, newest first."""
    return _rows(u, _ALARMS, most=MAX_ROWS, now=u.now)


def silenced(u: Unit) -> Rows:
    """What is shelved, suppressed or out of service now, by zone and kind, and how many alarms of it stand."""
    return _rows(u, _SILENCED, now=u.now)


_EXCURSIONS = """
    SELECT e.id, s.code AS sublot, l.number AS lot, i.code AS item, z.address AS zone, e.limit_key, e.kind,
        e.certainty, e.state, e.started_at, e.broke_at, e.ended_at, e.known_at, e."out" AS out_for,
        e.lowest, e.highest, e.sublot_id, e.zone_id, e.incident_id, n.title AS incident, n.known_at AS incident_known,
        e.accepted, e.accepted_before, e.assessed_by, e.assessment, e.replaces_id,
        p.op, p.threshold, p.delay, p.quantity, v.allowed_gap, v.version AS profile_version, t.code AS profile
    FROM excursion e JOIN sublot s ON s.id = e.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
    JOIN profile_version v ON v.id = e.version_id JOIN storage_profile t ON t.id = v.profile_id
    LEFT JOIN profile_limit p ON p.version_id = e.version_id AND p.key = e.limit_key
    LEFT JOIN zone z ON z.id = e.zone_id LEFT JOIN incident n ON n.id = e.incident_id
"""
_OPEN = text(
    f"{_EXCURSIONS} WHERE e.state IN ('open', 'ended', 'assessed') ORDER BY e.incident_id DESC, e.id LIMIT :most"
)
_ONE = text(f"{_EXCURSIONS} WHERE e.id = :id")
_OF_INCIDENT = text(f"{_EXCURSIONS} WHERE e.incident_id = :id ORDER BY e.id")
_INCIDENT = text("""
    SELECT n.id, n.title, n.kind, n.started_at, n.ended_at, n.known_at, n.gateway, z.address AS zone
    FROM incident n LEFT JOIN zone z ON z.id = n.zone_id WHERE n.id = :id
""")
_OF_SUBLOT = text(f"{_EXCURSIONS} WHERE e.sublot_id = :id ORDER BY e.id DESC LIMIT :most")


def excursions(u: Unit) -> Rows:
    """Excursions that wait for somebody, those of one incident together, the newest incident first."""
    return _rows(u, _OPEN, most=MAX_ROWS)


def excursion(u: Unit, excursion_id: int) -> dict[str, Any] | None:
    """One excursion, whatever its state; None if there is none."""
    found = _rows(u, _ONE, id=excursion_id)
    return found[0] if found else None


def incident(u: Unit, incident_id: int) -> dict[str, Any] | None:
    """One incident, with `excursions`: all of them, whatever their state; None if there is none."""
    found = _rows(u, _INCIDENT, id=incident_id)
    return {**found[0], "excursions": _rows(u, _OF_INCIDENT, id=incident_id)} if found else None


def excursions_of(u: Unit, sublot_id: int) -> Rows:
    """Every excursion of a sublot, newest first."""
    return _rows(u, _OF_SUBLOT, id=sublot_id, most=MAX_ROWS)


_SIGNED = text("""
    SELECT d.decision, d.reason, d.accepted, d.hold_ids, g.name, g.at, g.meaning
    FROM disposition d JOIN signature g ON g.id = d.signature_id WHERE d.excursion_id = :id ORDER BY d.id
""")
_RELEASED = text("""
    SELECT b.at, b.automatic, g.name, g.meaning, g.reason FROM batch_release b
    LEFT JOIN signature g ON g.id = b.signature_id WHERE b.sublot_id = :id ORDER BY b.id
""")
_SIGNED_BEFORE = text("SELECT EXISTS (SELECT FROM signature WHERE session = :session AND user_id = :user)")


def dispositions(u: Unit, excursion_id: int) -> Rows:
    """What was decided on an excursion, with its signature: printed name, time, meaning."""
    return _rows(u, _SIGNED, id=excursion_id)


def releases(u: Unit, sublot_id: int) -> Rows:
    """How a sublot left quarantine; without a name where it was automatic."""
    return _rows(u, _RELEASED, id=sublot_id)


def signed_before(u: Unit) -> bool:
    """Whether this session has signed: if not, the next signature needs the login as well (11.200)."""
    return bool(u.conn.scalar(_SIGNED_BEFORE, {"session": u.actor.session, "user": u.actor.user_id}))


_HOLDS = """
    SELECT h.id, coalesce('sublot ' || s.code, 'shipment ' || sh.code, 'lot ' || l.number) AS target, l.number AS lot,
        s.id AS sublot_id, h.kind, h.certainty, h.reason, h.since_at, h.placed_at, h.placed_by, h.lift_permit,
        h.excursion_id, z.address AS zone, h.origin_hold_id, h.lifted_at, h.lifted_by, h.lift_reason,
        e.state AS excursion_state
    FROM hold h LEFT JOIN excursion e ON e.id = h.excursion_id
    LEFT JOIN sublot s ON s.id = h.sublot_id LEFT JOIN lot l ON l.id = coalesce(s.lot_id, h.lot_id)
    LEFT JOIN shipment sh ON sh.id = h.shipment_id LEFT JOIN zone z ON z.id = s.zone_id
"""
_ALL_HOLDS = text(f"{_HOLDS} WHERE h.lifted_at IS NULL ORDER BY h.placed_at DESC, h.id DESC LIMIT :most")
_ONE_HOLD = text(f"{_HOLDS} WHERE h.id = :id")
_SUBLOT_HOLDS = text(
    f"{_HOLDS} WHERE h.lifted_at IS NULL"
    " AND (h.sublot_id = :id OR h.lot_id = (SELECT lot_id FROM sublot WHERE id = :id)) ORDER BY h.id"
)


def holds(u: Unit) -> Rows:
    """Holds that stand, newest first."""
    return _rows(u, _ALL_HOLDS, most=MAX_ROWS)


def hold(u: Unit, hold_id: int) -> dict[str, Any] | None:
    """One hold, lifted or not; None if there is none."""
    found = _rows(u, _ONE_HOLD, id=hold_id)
    return found[0] if found else None


def holds_of(u: Unit, sublot_id: int) -> Rows:
    """Holds that stand on a sublot or its lot."""
    return _rows(u, _SUBLOT_HOLDS, id=sublot_id)


_RESTRICTIONS = text("""
    SELECT id, kind, value, reason, placed_at, placed_by FROM restriction
    WHERE sublot_id = :id AND lifted_at IS NULL ORDER BY id
""")


def restrictions(u: Unit, sublot_id: int) -> Rows:
    """Conditions on use that stand on a sublot."""
    return _rows(u, _RESTRICTIONS, id=sublot_id)


_SUBLOTS = """
    SELECT s.id, s.code, l.number AS lot, i.code AS item, s.state, l.expiry, z.address AS zone,
        lotwise_on_hand(s.id) AS on_hand
    FROM sublot s JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id LEFT JOIN zone z ON z.id = s.zone_id
"""
_FOUND = text(
    f"{_SUBLOTS} WHERE strpos(lower(s.code || ' ' || l.number || ' ' || i.code), lower(:words)) > 0"
    " ORDER BY l.number, s.id LIMIT :most"
)
_SUBLOT = text(f"{_SUBLOTS} WHERE s.id = :id")
_QUARANTINE = text(f"{_SUBLOTS} WHERE s.state = 'quarantine' ORDER BY s.id LIMIT :most")


def sublots(u: Unit, words: str) -> Rows:
    """Sublots whose code, lot or item contains the words, each with `against`: purpose → what stands in its way."""
    found = _rows(u, _FOUND, words=words.strip(), most=MAX_ROWS)
    against = obstacles(u, [row["id"] for row in found])
    return [{**row, "against": against[row["id"]]} for row in found]


def sublot(u: Unit, sublot_id: int) -> dict[str, Any] | None:
    """One sublot, with `against`; None if there is none."""
    found = _rows(u, _SUBLOT, id=sublot_id)
    return {**found[0], "against": obstacles(u, [sublot_id])[sublot_id]} if found else None


def quarantine(u: Unit) -> Rows:
    """Sublots that wait for their release."""
    return _rows(u, _QUARANTINE, most=MAX_ROWS)


def obstacles(u: Unit, sublot_ids: Sequence[int]) -> dict[int, dict[str, list[str]]]:
    """What stands against taking each sublot, by purpose, in words; market and customer are not known here."""
    found: dict[int, dict[str, list[str]]] = defaultdict(dict)
    for purpose in Purpose:
        for sublot_id, against in lots.obstacles(u, sublot_ids, purpose).items():
            found[sublot_id][str(purpose)] = [f"{one.kind}: {render(one.message)}" for one in against]
    return found


_SHIPMENTS = text("""
    SELECT s.id, s.code, s.kind, s.consignee, s.market, s.state, s.due_at, s.departed_at, s.arrived_at,
        (SELECT count(*) FROM shipment_line n WHERE n.shipment_id = s.id) AS lines,
        (SELECT string_agg(h.reason, '; ' ORDER BY h.id) FROM hold h
            WHERE h.shipment_id = s.id AND h.lifted_at IS NULL) AS held,
        (SELECT min(h.since_at) FROM hold h WHERE h.shipment_id = s.id AND h.lifted_at IS NULL) AS held_since
    FROM shipment s ORDER BY s.state IN ('accepted', 'refused', 'cancelled'), s.due_at NULLS LAST, s.id DESC LIMIT :most
""")
_CENTRES = text("SELECT code FROM work_centre ORDER BY code")


def shipments(u: Unit) -> Rows:
    """Shipments, open ones first, with why they are held."""
    return _rows(u, _SHIPMENTS, most=MAX_ROWS)


def work_centres(u: Unit) -> list[str]:
    """Codes of the work centres."""
    return [str(row["code"]) for row in _rows(u, _CENTRES)]


def standing(zone: dict[str, Any], now: datetime) -> str:
    """How a zone of `zones` stands in one word.

    unknown (nothing watches it, or nothing good was ever read), stale (no good reading for longer than its allowed
    gap), warm or cold (its last good value is out of its own band), good, or `no band` where it has none.
    """
    if zone["last_good_at"] is None or zone["last_value"] is None:
        return "unknown"
    if now - zone["last_good_at"] > zone["allowed_gap"]:
        return "stale"
    low, high, value = zone["band_low"], zone["band_high"], zone["last_value"]
    if high is not None and value > high:
        return "warm"
    if low is not None and value < low:
        return "cold"
    return "no band" if low is None and high is None else "good"
