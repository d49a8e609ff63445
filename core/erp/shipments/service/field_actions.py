"""Field actions: an excursion became known after goods had left; consignees must be told in time."""

from datetime import timedelta

from sqlalchemy import insert, text

from core.erp.kernel.errors import absent
from core.erp.kernel.unit import Unit
from core.erp.quality.events import DepartedGoods, ExcursionAfterDeparture
from core.erp.quality.rules import FIELD_ACTION_DAYS
from core.erp.shipments.model import FieldAction, FieldActionConsignee
from core.erp.shipments.workflow import FIELD_ACTION

_CONSIGNEES = text("""
    WITH RECURSIVE made(id) AS (
        SELECT CAST(:sublot AS bigint)
        UNION
        SELECT g.child_id FROM genealogy g JOIN made m ON g.parent_id = m.id
        WHERE g.transformation LIKE 'work\\_order:%' AND g.at >= :since
    )
    SELECT s.id AS shipment_id, COALESCE(s.consignee, v.reference) AS consignee,
           sum(CASE v.target WHEN 'customer' THEN v.amount ELSE -v.amount END) AS amount
    FROM made m JOIN stock_move v ON v.sublot_id = m.id AND 'customer' IN (v.source, v.target)
    LEFT JOIN shipment s ON v.reference = 'shipment:' || s.id
    GROUP BY s.id, COALESCE(s.consignee, v.reference)
    HAVING sum(CASE v.target WHEN 'customer' THEN v.amount ELSE -v.amount END) > 0
    ORDER BY 1, 2
""")


def open_field_actions(u: Unit, gone: ExcursionAfterDeparture) -> None:
    """Opens a field action for each excursion of goods that have left: consignees, quantities, times, deadline."""
    for item in gone.items:
        _open(u, item)


def _open(u: Unit, item: DepartedGoods) -> None:
    u.session.flush()
    consignees = u.conn.execute(_CONSIGNEES, {"sublot": item.sublot_id, "since": item.happened_at}).mappings().all()
    if not consignees:
        return
    action = FieldAction(
        excursion_id=item.excursion_id,
        sublot_id=item.sublot_id,
        happened_at=item.happened_at,
        known_at=item.known_at,
        deadline=item.known_at + timedelta(days=FIELD_ACTION_DAYS[item.certainty]),
    )
    u.session.add(action)
    u.session.flush()
    u.conn.execute(insert(FieldActionConsignee), [{"action_id": action.id, **dict(row)} for row in consignees])
    after = {
        "excursion_id": item.excursion_id,
        "sublot_id": item.sublot_id,
        "happened_at": item.happened_at,
        "known_at": item.known_at,
        "deadline": action.deadline,
        "consignees": [dict(row) for row in consignees],
    }
    u.audit("field_action.opened", "field_action", action.id, after=after)
    u.outbox("field_action.opened", action.id, after)


def notify_consignee(u: Unit, consignee_id: int, action_id: int | None = None) -> FieldActionConsignee:
    """The consignee has been notified. Notifying twice keeps the first time."""
    u.need("shipment.report", "excursion.disposition")
    found = u.get(FieldActionConsignee, consignee_id, lock=True)
    if found is None or action_id not in {None, found.action_id}:
        raise absent("field_action_consignee", consignee_id)
    if found.notified_at is None:
        found.notified_at, found.notified_by = u.now, u.actor.login
        u.session.add(found)
        u.session.flush()
        u.audit("field_action.notified", "field_action", found.action_id, after={"consignee": found.consignee})
    return found


def close_field_action(u: Unit, action_id: int, conclusion: str) -> FieldAction:
    """QA concludes a field action once everybody has been told."""
    found = u.get(FieldAction, action_id, lock=True)
    if found is None:
        raise absent("field_action", action_id)
    found.conclusion, found.closed_at, found.closed_by = conclusion, u.now, u.actor.login
    FIELD_ACTION.apply(u, found, "close", reason=conclusion)
    return found
