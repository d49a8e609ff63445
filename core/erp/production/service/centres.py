"""Work centres: made, up, down."""

from datetime import datetime

from sqlalchemy import ColumnElement, select, text

from core.erp.catalog.service import active, require_zones
from core.erp.kernel.errors import Conflict, Invalid, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.production.events import WorkCentresChanged
from core.erp.production.model import WorkCentre, WorkCentreState, WorkOrderOperation
from core.erp.production.workflow import OPERATION, RUNNING


def create_work_centre(u: Unit, code: str, name: str, zone_id: int | None = None) -> WorkCentre:
    """A new work centre, up from now on. Raises Conflict if the code is taken, NotFound."""
    if u.conn.scalar(select(table(WorkCentre).c.id).where(table(WorkCentre).c.code == code)) is not None:
        raise Conflict("production.centre_exists", code=code)
    require_zones(u, zone_id)
    made = WorkCentre(code=code, name=name, zone_id=zone_id, state_since=u.now)
    u.session.add(made)
    u.session.flush()
    u.audit("work_centre.create", "work_centre", made.id, after={"code": code, "name": name, "zone_id": zone_id})
    return made


def work_centre(u: Unit, code: str, *, lock: bool = False) -> WorkCentre:
    """The work centre of that code. Raises NotFound."""
    c = table(WorkCentre).c
    found = u.conn.scalar(select(c.id).where(c.code == code))
    if found is None:
        raise absent("work_centre", code)
    return u.get_one(WorkCentre, found, lock=lock)


def active_centre(u: Unit, code: str) -> WorkCentre:
    """The work centre of that code, for work to come. Raises NotFound, Refused where it is withdrawn."""
    return active(u, WorkCentre, work_centre(u, code).id)


def interrupt(u: Unit, where: ColumnElement[bool]) -> None:
    """Those of the operations that run wait again."""
    op = table(WorkOrderOperation).c
    running = u.conn.scalars(select(op.id).where(where, op.state == RUNNING)).all()
    OPERATION.apply_many(u, WorkOrderOperation, running, "interrupt")


_AFFECTED = text("""
    SELECT DISTINCT c FROM (
        SELECT CAST(:id AS bigint) AS c
        UNION ALL
        SELECT unnest(p.alternatives) FROM work_order_operation p
        WHERE p.work_centre_id = :id AND p.state <> 'done'
    ) t ORDER BY c
""")


def report_centre_state(u: Unit, code: str, *, up: bool, reason: str, at: datetime | None = None) -> WorkCentre:
    """A machine went up or down at `at` (now): a fact, recorded with when we learned it.

    Down interrupts what runs on it: the operation waits again, here or on an alternative. Lists are remade in the
    same transaction. Raises Invalid without a reason or for a time to come.
    """
    at = at or u.now
    if not reason.strip():
        raise Invalid("production.machine_state_without_reason")
    if at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    centre = work_centre(u, code, lock=True)
    u.session.add(
        WorkCentreState(work_centre_id=centre.id, up=up, at=at, known_at=u.now, actor=u.actor.login, reason=reason)
    )
    if at < centre.state_since or centre.up == up:  # learned late, or nothing new: recorded, and that is all
        u.session.flush()
        return centre
    before = centre.up
    centre.up, centre.state_since, centre.state_reason = up, at, reason
    u.session.add(centre)
    u.session.flush()
    if not up:
        interrupt(u, table(WorkOrderOperation).c.done_on_id == centre.id)
    u.audit("work_centre.state", "work_centre", centre.id, before={"up": before}, after={"up": up}, reason=reason)
    u.outbox("work_centre.state", centre.id, {"code": code, "up": up, "at": at, "reason": reason})
    affected = tuple(u.conn.scalars(_AFFECTED, {"id": centre.id}))
    cause = "production.centre_up" if up else "production.centre_down"
    u.emit(WorkCentresChanged(affected, Message(cause, code=code, reason=reason)))
    return centre
