"""What happened, and who knew it when: the audit trail of excursions, their holds, alarms and silences of their zones,
signatures, field actions, on one axis of time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from core.erp.kernel.unit import Unit
from core.erp.kernel.words import from_json
from core.web.desks.excursions.cases import Case
from core.web.desks.excursions.effects import Stopped
from core.web.desks.limits import broken_look
from core.web.frame.templating import Words

Says = Callable[[Sequence[Row[Any]], Words], "Told"]
LONGEST = 400
"""Entries that are read; the newest are left out of more."""

# the moves of excursions are said by their audit rows; that one was signed by its signature
_HAPPENED = text("""
    WITH ours AS MATERIALIZED (
        SELECT id FROM hold WHERE excursion_id = ANY (CAST(:ids AS bigint[]))
    ), reached AS MATERIALIZED (
        SELECT h.*, to_jsonb((SELECT s.code FROM sublot s WHERE s.id = h.sublot_id)) AS code FROM hold h
        WHERE h.sublot_id IS NOT NULL AND h.id IN (
            SELECT id FROM ours UNION ALL SELECT i.id FROM hold i JOIN ours ON i.origin_hold_id = ours.id)
    )
    SELECT * FROM (
        SELECT a.at, a.action AS what, a.actor AS who, a.reason, a.after AS detail, a.id AS number FROM audit a
        WHERE a.entity = 'excursion' AND a.entity_id = ANY (CAST(:names AS text[]))
            AND a.action IN ('excursion.opened', 'excursion.end', 'excursion.reopen', 'excursion.assess',
                'excursion.certainty', 'excursion.close', 'excursion.supersede')
        UNION ALL
        SELECT g.at, 'signed', g.name, g.reason, COALESCE(g.meaning_message, to_jsonb(g.meaning)), g.id
        FROM signature g WHERE g.entity = 'excursion' AND g.entity_id = ANY (CAST(:names AS text[]))
        UNION ALL
        SELECT h.placed_at, CASE WHEN h.origin_hold_id IS NULL THEN 'held' ELSE 'inherited' END, h.placed_by, NULL,
            h.code, h.id
        FROM reached h
        UNION ALL
        SELECT h.lifted_at, 'lifted', h.lifted_by, h.lift_reason, h.code, h.id
        FROM reached h WHERE h.lifted_at IS NOT NULL
        UNION ALL
        SELECT h.placed_at, 'shipment_held', h.placed_by, NULL, to_jsonb(s.code), h.id
        FROM hold h JOIN shipment s ON s.id = h.shipment_id
        WHERE h.shipment_id = ANY (CAST(:shipments AS bigint[])) AND h.placed_at >= :since
        UNION ALL
        SELECT a.at, 'order_stopped', a.actor, NULL, to_jsonb(o.code), a.id
        FROM work_order o JOIN audit a ON a.entity = 'work_order' AND a.entity_id = o.id::text
        WHERE o.id = ANY (CAST(:orders AS bigint[])) AND a.at >= :since
            AND a.action IN ('work_order.hold', 'work_order.block')
        UNION ALL
        SELECT z.raised_at, 'alarm', NULL, NULL, jsonb_build_object('kind', z.kind, 'value', z.value,
            'since', z.started_at, 'by', z.acknowledged_by, 'acknowledged', z.acknowledged_at,
            'returned', z.returned_at), z.id
        FROM zone_alarm z WHERE z.zone_id = ANY (CAST(:zones AS bigint[])) AND z.started_at < :until
            AND COALESCE(z.returned_at, 'infinity') > :since
        UNION ALL
        SELECT g.start_at, 'silent', NULL, g.reason, jsonb_build_object('stop', g.stop_at), g.id
        FROM gap_standing g JOIN point p ON p.id = g.point_id AND p.role = 'required'
        WHERE g.zone_id = ANY (CAST(:zones AS bigint[])) AND g.start_at < :until
            AND COALESCE(g.stop_at, 'infinity') > :since
        UNION ALL
        SELECT f.known_at, 'field_action', NULL, NULL, jsonb_build_object('deadline', f.deadline), f.id
        FROM field_action f WHERE f.excursion_id = ANY (CAST(:ids AS bigint[]))
        UNION ALL
        SELECT c.notified_at, 'told', c.notified_by, NULL, to_jsonb(c.consignee), c.id
        FROM field_action_consignee c JOIN field_action f ON f.id = c.action_id
        WHERE f.excursion_id = ANY (CAST(:ids AS bigint[])) AND c.notified_at IS NOT NULL
    ) t ORDER BY t.at, t.number LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened: `look` is its tone and shape; `detail` says who knew or did it."""

    at: datetime
    look: str
    what: str
    detail: str = ""
    address: str = ""


def timeline(u: Unit, case: Case, stopped: Sequence[Stopped], words: Words) -> list[Told]:
    """In order of time, oldest first; the same thing that happened to several goods at once is one entry."""
    begun = min(one.started_at for one in case.excursions)
    ends = [one.ended_at for one in case.excursions]
    until = max((end for end in ends if end is not None), default=u.now) if None not in ends else u.now
    asked = {
        "ids": [one.id for one in case.excursions],
        "names": [str(one.id) for one in case.excursions],
        "zones": sorted({one.zone_id for one in case.excursions if one.zone_id is not None}),
        "shipments": [one.id for one in stopped if one.kind == "shipment"],
        "orders": [one.id for one in stopped if one.kind == "work_order"],
        "since": begun,
        "until": until,
        "most": LONGEST,
    }
    rows = u.conn.execute(_HAPPENED, asked).all()
    told = [*_of_data(case, words), *(_told(group, words) for group in _grouped(rows))]
    return sorted(told, key=lambda one: one.at)


def _of_data(case: Case, words: Words) -> list[Told]:
    """What the data say happened, which is not when it became known."""
    began = min(case.excursions, key=lambda one: one.started_at)
    broke = min(case.excursions, key=lambda one: one.broke_at)
    found = [
        Told(began.started_at, "warn", words.t("web.told_out", zone=began.zone or "–")),
        Told(
            broke.broke_at,
            "harm",
            words.t(broken_look(broke.certainty)[1]),
            words.t("web.told_known", at=words.clock(broke.known_at)),
        ),
    ]
    ends = [one.ended_at for one in case.excursions]
    if None not in ends:
        found.append(Told(max(ends), "ok", words.t("web.told_back")))
    return found


_WITHIN_A_SECOND = 1.0


def _grouped(rows: Sequence[Row[Any]]) -> list[list[Row[Any]]]:
    """What one act did to several records, together."""
    groups: list[list[Row[Any]]] = []
    for row in rows:
        last = next((one for one in reversed(groups[-6:]) if (one[0].what, one[0].who) == (row.what, row.who)), None)
        near = last is not None and (row.at - last[-1].at).total_seconds() <= _WITHIN_A_SECOND
        if last is not None and near and row.what not in _ALONE:
            last.append(row)
        else:
            groups.append([row])
    return groups


_ALONE = frozenset({"alarm", "silent", "field_action"})


def _told(group: Sequence[Row[Any]], words: Words) -> Told:
    return _SAYS[group[0].what](group, words)


def _move(look: str, what: str) -> Says:
    def says(group: Sequence[Row[Any]], words: Words) -> Told:
        row = group[0]
        said = words.t(what, count=len(group))
        return Told(row.at, look, said, _by(row, words, reason=row.what == "excursion.assess"))

    return says


def _by(row: Row[Any], words: Words, *, reason: bool = False) -> str:
    by = words.t("web.by_the_system") if str(row.who).startswith("system:") else str(row.who)
    return words.t("web.told_reason", who=by, reason=row.reason) if reason and row.reason else by


def _on_goods(look: str, what: str) -> Says:
    def says(group: Sequence[Row[Any]], words: Words) -> Told:
        codes = words.few([str(row.detail) for row in group])
        by = _by(group[0], words, reason=group[0].what == "lifted")
        return Told(group[0].at, look, words.t(what, codes=codes), by)

    return says


def _certainty(group: Sequence[Row[Any]], words: Words) -> Told:
    certainty = words.t(broken_look(group[0].detail["certainty"])[1])
    return Told(group[0].at, "warn", words.t("web.told_certainty", certainty=certainty))


def _signed(group: Sequence[Row[Any]], words: Words) -> Told:
    row = group[0]
    meaning = from_json(row.detail) if isinstance(row.detail, dict) else str(row.detail)
    return Told(
        row.at,
        "sig",
        words.t("web.told_signed", name=row.who, meaning=words.say(meaning)),
        words.t("web.told_quoted", reason=row.reason or ""),
    )


def _alarm(group: Sequence[Row[Any]], words: Words) -> Told:
    row, detail = group[0], group[0].detail
    parts = []
    if detail["acknowledged"] is not None:
        at = words.clock(datetime.fromisoformat(detail["acknowledged"]))
        parts.append(words.t("web.told_acknowledged", who=detail["by"] or "–", at=at))
    if detail["returned"] is not None:
        parts.append(words.t("web.told_returned", at=words.clock(datetime.fromisoformat(detail["returned"]))))
    kind = words.t(f"choice.kind.{detail['kind']}")
    value = words.measured(detail["value"], "°C") if detail["value"] is not None else ""
    said = words.t("web.told_alarm_value", kind=kind, value=value) if value else words.t("web.told_alarm", kind=kind)
    return Told(row.at, "warn", said, words.listed(parts) or words.t("web.told_nobody"), f"/alarms/{row.number}")


def _silent(group: Sequence[Row[Any]], words: Words) -> Told:
    row = group[0]
    stop = row.detail["stop"]
    if stop is None:
        return Told(row.at, "unknown", words.t("web.told_silent"))
    until = datetime.fromisoformat(stop)
    return Told(
        row.at,
        "unknown",
        words.t("web.told_silent_for", span=words.lasting(until - row.at), at=words.clock(until)),
    )


def _action(group: Sequence[Row[Any]], words: Words) -> Told:
    row = group[0]
    due = words.clock(datetime.fromisoformat(row.detail["deadline"]))
    return Told(row.at, "warn", words.t("web.told_field_action", at=due), address=f"/field-actions/{row.number}")


_SAYS: dict[str, Says] = {
    "excursion.opened": _move("warn", "web.told_opened"),
    "excursion.end": _move("ok", "web.told_ended"),
    "excursion.reopen": _move("harm", "web.told_reopened"),
    "excursion.assess": _move("wait", "web.told_assessed"),
    "excursion.close": _move("ok", "web.told_closed"),
    "excursion.supersede": _move("no", "web.told_superseded"),
    "excursion.certainty": _certainty,
    "signed": _signed,
    "held": _on_goods("hold", "web.told_held"),
    "inherited": _on_goods("hold", "web.told_inherited"),
    "lifted": _on_goods("ok", "web.told_lifted"),
    "shipment_held": _on_goods("hold", "web.told_shipment"),
    "order_stopped": _on_goods("hold", "web.told_order"),
    "alarm": _alarm,
    "silent": _silent,
    "field_action": _action,
    "told": _on_goods("ok", "web.told_consignee"),
}
