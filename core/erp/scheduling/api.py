"""Routes of scheduling: what each work centre does next."""

from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Answer, Body, Door, Id, Quantity, Ref, Sentence
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.shown import detail, shown
from core.erp.kernel.unit import Unit
from core.erp.production import service as production
from core.erp.production.records import OPERATIONS, WORK_CENTRES, WORK_ORDERS
from core.erp.production.shapes import Seconds
from core.erp.scheduling import service

router = routes(tags=["scheduling"])

Order = detail(WORK_ORDERS)
"""A work order as its own record answers it."""


class EntryOut(Answer):
    """A ready operation; rank 1 goes next."""

    rank: int
    operation_id: int
    number: int
    name: str
    duration: Seconds
    order_id: int
    order_code: str
    item: str
    amount: Quantity
    due_at: AwareDatetime
    priority: int
    state: str


class RunningOut(Answer):
    """What runs there now."""

    operation_id: int
    number: int
    name: str
    started_at: AwareDatetime
    order_id: int
    order_code: str


class DispatchListOut(Answer):
    """A work centre's list, and when and why it was last remade."""

    work_centre: str
    name: str
    up: bool
    state_since: AwareDatetime
    state_reason: str
    version: int = Field(description="grows by one whenever the list is remade")
    made_at: AwareDatetime | None
    cause: str | None
    cause_message: Sentence
    running: RunningOut | None
    entries: list[EntryOut]


class StartIn(Body):
    """Which operation of the list to start; the first whose material may be used now if not said."""

    operation_id: Ref | None = Field(None, examples=[12])


def _code(u: Unit, record_id: int) -> str:
    """The work centre's code, if the actor may know of it. Raises NotFound."""
    return str(row_of(u, WORK_CENTRES, record_id).code)


@router.get("/work-centres/{record_id}/dispatch-list")
@needs("schedule.read")
def dispatch_list(record_id: Id, door: Door) -> DispatchListOut:
    """Ready orders of a work centre, by due date and priority."""

    def work(u: Unit) -> DispatchListOut:
        found = service.dispatch_list(u, _code(u, record_id))
        return DispatchListOut.model_validate(found).in_language(u.language)

    return door.read(work)


@router.post("/work-centres/{record_id}/start", response_model=Order)
@needs("production.report")
def start(record_id: Id, body: StartIn, door: Door) -> JSONResponse:
    """Starts what should go next there, or the operation named."""

    def work(u: Unit) -> BaseModel:
        code = _code(u, record_id)
        if body.operation_id is None:
            step = service.start_next(u, code)
        else:
            row_of(u, OPERATIONS, body.operation_id)
            step = production.start_operation(u, body.operation_id, code)
        return shown(u, WORK_ORDERS, step.order_id)

    return door.post(work, status=200)
