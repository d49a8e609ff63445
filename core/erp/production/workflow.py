"""The life cycle of a work order (design §5). A hold stops a running order (held) and one not yet begun (blocked)."""

from typing import Any

from sqlalchemy import select, text

from core.erp.catalog.withdrawal import life_cycle
from core.erp.kernel.errors import Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Move, Workflow
from core.erp.production.material import require_balance, require_material
from core.erp.production.model import WorkOrderMaterial, WorkOrderOperation, WorkOrderOutput

PLANNED, MATERIAL_OK, RELEASED, RUNNING, HELD = "planned", "material_ok", "released", "running", "held"
BLOCKED, COMPLETED, RECONCILED, CLOSED = "blocked", "completed", "reconciled", "closed"
CANCELLED = "cancelled"
OVER = frozenset({CLOSED, CANCELLED})
"""States in which an order asks for nothing any more."""
TAKING = frozenset({PLANNED, MATERIAL_OK, RELEASED, RUNNING, HELD, BLOCKED})
"""States in which an order may still reserve material."""
MAKING = frozenset({RUNNING, HELD, COMPLETED})
"""States in which an order may bring something forth."""


def nothing_used(u: Unit, order: Any) -> None:
    """Refused once the order has used or made anything: it is completed and reconciled then, never cancelled."""
    u.session.flush()
    m, o = table(WorkOrderMaterial).c, table(WorkOrderOutput).c
    used = select(m.id).where(m.order_id == order.id, m.consumed > 0)
    made = select(o.id).where(o.order_id == order.id)
    if u.conn.scalar(used.union_all(made).limit(1)) is not None:
        raise Refused("production.used_or_made", code=order.code)


def nothing_running(u: Unit, order: Any) -> None:
    """Refused while an operation of the order is under way."""
    c = table(WorkOrderOperation).c
    busy = u.conn.scalar(select(c.name).where(c.order_id == order.id, c.state == "running"))
    if busy is not None:
        raise Refused("production.still_at", code=order.code, step=busy)


WORK_CENTRE = life_cycle("work_centre", "production.plan")

WAITING, DONE = "waiting", "done"

_IN_THE_WAY = text("""
    SELECT o.code, p.number, p.name, p.order_id = :order AND p.number < :number AS before FROM work_order_operation p
    JOIN work_order o ON o.id = p.order_id
    WHERE (p.order_id = :order AND p.number < :number AND p.state <> 'done')
       OR (p.state = 'running' AND p.done_on_id = :centre)
    ORDER BY p.order_id = :order DESC, p.number LIMIT 1
""")


def nothing_in_the_way(u: Unit, step: Any) -> None:
    """Refused while an earlier operation of the order is not done, or another runs on the work centre that is to do it
    (`done_on_id`).
    """
    u.session.flush()
    asked = {"order": step.order_id, "number": step.number, "centre": step.done_on_id}
    other = u.conn.execute(_IN_THE_WAY, asked).first()
    if other is not None:
        blocker = {"order": other.code, "number": other.number, "name": other.name}
        raise Refused("production.operation_not_done" if other.before else "production.work_centre_busy", **blocker)


OPERATION = Workflow(
    "work_order_operation",
    (
        Move("start", frozenset({WAITING}), RUNNING, permit="production.report", guard=nothing_in_the_way),
        # its order is held, or its machine is down: it waits again, there or on an alternative
        Move("interrupt", frozenset({RUNNING}), WAITING, system=True),
        Move("finish", frozenset({RUNNING}), DONE, permit="production.report"),
    ),
    begins=(WAITING,),
)

WORK_ORDER = Workflow(
    "work_order",
    (
        Move("check_material", frozenset({PLANNED}), MATERIAL_OK, permit="production.plan", guard=require_material),
        Move("release", frozenset({MATERIAL_OK}), RELEASED, permit="production.release", guard=require_material),
        Move("start", frozenset({RELEASED}), RUNNING, permit="production.report", guard=require_material),
        Move("hold", frozenset({RUNNING}), HELD, system=True),
        Move("block", frozenset({MATERIAL_OK, RELEASED}), BLOCKED, system=True),
        Move("resume", frozenset({HELD}), RUNNING, permit="production.release", guard=require_material),
        Move("unblock", frozenset({BLOCKED}), MATERIAL_OK, permit="production.release", guard=require_material),
        Move("complete", frozenset({RUNNING}), COMPLETED, permit="production.report", guard=nothing_running),
        # An order whose material was rejected never resumes: it ends with what it has made.
        Move("abort", frozenset({HELD}), COMPLETED, permit="production.release", reasoned=True),
        # Nothing was begun: an order that has used or made anything must account for it.
        Move(
            "cancel",
            frozenset({PLANNED, MATERIAL_OK, RELEASED, BLOCKED}),
            CANCELLED,
            permit="production.plan",
            guard=nothing_used,
            reasoned=True,
        ),
        Move("reconcile", frozenset({COMPLETED}), RECONCILED, permit="production.release", guard=require_balance),
        Move("close", frozenset({RECONCILED}), CLOSED, permit="production.release"),
    ),
    begins=(PLANNED,),
)
