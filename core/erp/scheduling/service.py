"""The dispatch list of each work centre: remade whenever what is ready changes, in the transaction that changes it."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import text

from core.erp.kernel.errors import Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, render
from core.erp.lots.events import HoldPlaced
from core.erp.production import service as production
from core.erp.production.events import OrdersChanged, WorkCentresChanged
from core.erp.production.model import WorkOrderOperation
from core.erp.scheduling.rules import RANKED_BY

_LOCK = text("""
    INSERT INTO dispatch_plan (work_centre_id, version, made_at, cause, cause_message)
    SELECT c, 1, :now, :cause, CAST(:message AS jsonb) FROM unnest(CAST(:centres AS bigint[])) AS c ORDER BY c
    ON CONFLICT (work_centre_id) DO UPDATE
    SET version = dispatch_plan.version + 1, made_at = excluded.made_at, cause = excluded.cause,
        cause_message = excluded.cause_message
""")

_CLEAR = text("DELETE FROM dispatch_entry WHERE work_centre_id = ANY (CAST(:centres AS bigint[]))")

_COLUMNS = {"due_at": "o.due_at", "priority": "o.priority", "order_id": "o.id", "number": "p.number"}
_RANK = ", ".join(_COLUMNS[name] for name in RANKED_BY)

_MAKE = text(f"""
    INSERT INTO dispatch_entry (work_centre_id, rank, operation_id, order_id)
    SELECT w.id, row_number() OVER (PARTITION BY w.id ORDER BY {_RANK}), p.id, o.id
    FROM work_order_operation p
    JOIN work_order o ON o.id = p.order_id
    JOIN work_centre own ON own.id = p.work_centre_id
    JOIN work_centre w ON w.up AND (w.id = own.id OR (NOT own.up AND w.id = ANY (p.alternatives)))
    WHERE w.id = ANY (CAST(:centres AS bigint[]))
      AND p.state = 'waiting' AND o.state IN ('released', 'running')
      AND NOT EXISTS (
        SELECT FROM work_order_operation e WHERE e.order_id = p.order_id AND e.number < p.number AND e.state <> 'done'
      )
""")  # noqa: S608 - the columns come from our own table

_CENTRES_OF_ORDERS = text("""
    SELECT work_centre_id FROM work_order_operation WHERE order_id = ANY (CAST(:orders AS bigint[]))
    UNION
    SELECT unnest(alternatives) FROM work_order_operation WHERE order_id = ANY (CAST(:orders AS bigint[]))
""")

_CENTRES_TO_REPLAN = text("""
    SELECT DISTINCT d.work_centre_id FROM dispatch_entry d
    JOIN work_order_material m ON m.order_id = d.order_id AND m.sublot_id = ANY (CAST(:sublots AS bigint[]))
    JOIN work_order o ON o.id = d.order_id AND o.state NOT IN ('released', 'running')
""")


def replan(u: Unit, work_centre_ids: Iterable[int], cause: Message) -> None:
    """Remakes the lists of these work centres from what is ready now: by due date, then priority, then age.

    Set-based: three statements however many orders there are. An operation whose own work centre is down is on the
    lists of its alternatives. Two transactions that remake one list do so one after the other.
    """
    u.session.flush()
    centres = sorted(set(work_centre_ids))
    if not centres:
        return
    words = render(cause)
    given = {"centres": centres, "now": u.now, "cause": words, "message": json.dumps(cause.as_json())}
    u.conn.execute(_LOCK, given)
    u.conn.execute(_CLEAR, {"centres": centres})
    u.conn.execute(_MAKE, {"centres": centres})
    for centre in centres:
        u.outbox("dispatch_list.remade", centre, {"cause": words})


def on_orders(u: Unit, changed: OrdersChanged) -> None:
    """Remakes the lists that these orders are on, or belong on."""
    u.session.flush()
    replan(u, u.conn.scalars(_CENTRES_OF_ORDERS, {"orders": list(changed.order_ids)}), changed.cause)


def on_centres(u: Unit, changed: WorkCentresChanged) -> None:
    """Remakes the lists of work centres that went up or down, and of those that stand in for them."""
    replan(u, changed.work_centre_ids, changed.cause)


def on_hold(u: Unit, placed: HoldPlaced) -> None:
    """Makes sure that no list still names an order that this hold has stopped."""
    why = Message("production.material_held", holds=placed.hold_ids[:5])
    u.session.flush()
    replan(u, u.conn.scalars(_CENTRES_TO_REPLAN, {"sublots": list(placed.sublot_ids)}), why)


_LIST = text("""
    SELECT d.rank, d.operation_id, p.number, p.name, p.duration, o.id AS order_id, o.code AS order_code, o.amount,
           o.due_at, o.priority, o.state, i.code AS item
    FROM dispatch_entry d
    JOIN work_order_operation p ON p.id = d.operation_id
    JOIN work_order o ON o.id = d.order_id
    JOIN item i ON i.id = o.item_id
    WHERE d.work_centre_id = :centre ORDER BY d.rank
""")

_PLAN = text("SELECT version, made_at, cause, cause_message FROM dispatch_plan WHERE work_centre_id = :centre")

_RUNNING = text("""
    SELECT p.id AS operation_id, p.number, p.name, p.started_at, o.id AS order_id, o.code AS order_code
    FROM work_order_operation p JOIN work_order o ON o.id = p.order_id
    WHERE p.state = 'running' AND p.done_on_id = :centre
""")


def dispatch_list(u: Unit, centre_code: str) -> dict[str, Any]:
    """A work centre's list: what runs there, what is ready in order, when and why the list was last remade."""
    centre = production.work_centre(u, centre_code)
    one = {"centre": centre.id}
    plan = u.conn.execute(_PLAN, one).mappings().first()
    running = u.conn.execute(_RUNNING, one).mappings().first()
    return {
        "work_centre": centre.code,
        "name": centre.name,
        "up": centre.up,
        "state_since": centre.state_since,
        "state_reason": centre.state_reason,
        "version": plan["version"] if plan else 0,
        "made_at": plan["made_at"] if plan else None,
        "cause": plan["cause"] if plan else None,
        "cause_message": plan["cause_message"] if plan else None,
        "running": dict(running) if running else None,
        "entries": [dict(row) for row in u.conn.execute(_LIST, one).mappings()],
    }


def next_ready(u: Unit, centre_code: str) -> int | None:
    """The operation that the work centre should start next: the first on its list whose material may be used now.

    None if there is none, or the work centre is down.
    """
    for entry in dispatch_list(u, centre_code)["entries"]:
        if not production.material_obstacles(u, production.materials(u, entry["order_id"])):
            return int(entry["operation_id"])
    return None


def start_next(u: Unit, centre_code: str) -> WorkOrderOperation:
    """Starts what should go next. Refused if nothing is ready, or something runs there already."""
    chosen = next_ready(u, centre_code)
    if chosen is None:
        raise Refused("scheduling.nothing_ready", centre=centre_code)
    return production.start_operation(u, chosen, centre_code)
