"""Routes of scheduling: what each work centre does next."""

from datetime import timedelta
from typing import Annotated

from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field, PlainSerializer

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Answer, Body, Door, Quantity, Ref
from core.erp.kernel.unit import Unit
from core.erp.production import service as production
from core.erp.production.shapes import OrderDetail
from core.erp.production.views import detail
from core.erp.scheduling import service

router = routes(tags=["scheduling"], responses=PROBLEMS)

Seconds = Annotated[timedelta, PlainSerializer(timedelta.total_seconds, return_type=float)]


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
    running: RunningOut | None
    entries: list[EntryOut]


class StartIn(Body):
    """Which operation of the list to start; the first whose material may be used now if not said."""

    operation_id: Ref | None = Field(None, examples=[12])


@router.get("/work-centres/{code}/dispatch-list")
@needs("schedule.read")
def dispatch_list(code: str, door: Door) -> DispatchListOut:
    """Ready orders of a work centre, by due date and priority."""
    return door.read(lambda u: DispatchListOut.model_validate(service.dispatch_list(u, code)))


@router.post("/work-centres/{code}/start", response_model=OrderDetail)
@needs("production.report")
def start(code: str, body: StartIn, door: Door) -> JSONResponse:
    """Starts what should go next there, or the operation named."""

    def work(u: Unit) -> OrderDetail:
        if body.operation_id is None:
            step = service.start_next(u, code)
        else:
            step = production.start_operation(u, body.operation_id, code)
        return detail(u, step.order_id)

    return door.post(work, status=200)
