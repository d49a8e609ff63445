"""The records of production: work centres, bills of material, work orders with their operations and material."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import select

from core.erp.catalog.withdrawal import ACTIVE
from core.erp.kernel.records import Column, Create, Entity, Filter, Hidden, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.production import queries, scopes, service
from core.erp.production.model import Bom, WorkCentre, WorkOrder, WorkOrderMaterial, WorkOrderOperation
from core.erp.production.shapes import (
    BalanceOut,
    BomIn,
    BomLineIn,
    BomLineOut,
    BomOut,
    CentreIn,
    CentreOut,
    LineOut,
    MaterialOut,
    OperationOut,
    OrderIn,
    OrderOut,
    OutputIn,
    OutputOut,
    ReserveIn,
    ReturnIn,
    ScrapIn,
    StartIn,
    StateIn,
    StepIn,
    StepOut,
    SublotCreatedOut,
    UsedUpIn,
)
from core.erp.production.workflow import MAKING, OPERATION, TAKING, WORK_CENTRE, WORK_ORDER

_material = table(WorkOrderMaterial).c


def _takes_from(sublot: Any) -> Any:
    return table(WorkOrder).c.id.in_(select(_material.order_id).where(_material.sublot_id == sublot))


def _move(name: str, form: type[ReasonIn] | None = None) -> Verb:
    """A move of an order: with the locks of its material, and what follows for reservations and dispatch lists."""
    return Verb(name, form, partial(service.move_order, move=name))


def _report_state(u: Unit, record_id: int, *, up: bool, reason: str, at: datetime | None) -> WorkCentre:
    """A machine went up or down. Dispatch lists are remade in the same transaction."""
    return service.report_centre_state(u, u.get_one(WorkCentre, record_id).code, up=up, reason=reason, at=at)


def _create_bom(
    u: Unit,
    *,
    item_id: int,
    output_amount: Decimal,
    tolerance: Decimal,
    lines: Sequence[BomLineIn],
    steps: Sequence[StepIn],
) -> Bom:
    return service.create_bom(
        u,
        item_id,
        output_amount,
        [(line.item_id, line.amount) for line in lines],
        [service.Step(s.number, s.name, s.work_centre, tuple(s.alternatives), s.duration) for s in steps],
        tolerance=tolerance,
    )


def _start(u: Unit, operation_id: int, *, work_centre: str | None) -> WorkOrderOperation:
    """Starts an operation; the order's material is tested again in the same transaction."""
    return service.start_operation(u, operation_id, work_centre)


WORK_CENTRES = Entity(
    name="work_centre",
    path="work-centres",
    table=WorkCentre,
    read="production.read",
    scope=scopes.WORK_CENTRES,
    cycle=WORK_CENTRE,
    answer=CentreOut,
    label="code",
    columns=(
        Column("code", filter="eq", sort=True, search=True),
        Column("zone_id", filter="eq", link="zone"),
        Column("state", filter="in"),
    ),
    hidden=Hidden(table(WorkCentre).c.state == ACTIVE, unless="state"),
    create=Create("production.plan", CentreIn, act=service.create_work_centre, undo="withdraw"),
    verbs=(
        Verb("state", StateIn, _report_state, permit="machine.state"),
        Verb("withdraw"),
        Verb("reinstate"),
    ),
    order="id",
)

BOMS = Entity(
    name="bom",
    path="boms",
    table=Bom,
    read="production.read",
    scope=scopes.BOMS,
    answer=BomOut,
    columns=(Column("item_id", filter="eq", link="item"),),
    create=Create("production.bills", BomIn, act=_create_bom),
    order="id",
    sections=(
        Section("lines", queries.bom_lines, list[BomLineOut]),
        Section("steps", queries.bom_steps, list[StepOut]),
    ),
)

WORK_ORDERS = Entity(
    name="work_order",
    path="work-orders",
    table=WorkOrder,
    read="production.read",
    scope=scopes.WORK_ORDERS,
    cycle=WORK_ORDER,
    statement=queries.ORDERS,
    answer=OrderOut,
    label="code",
    columns=(
        Column("code", filter="eq", sort=True, search=True),
        Column("state", filter="in"),
        Column("item_id", filter="eq", link="item"),
        Column("bom_id", link="bom"),
        Column("due_at", filter="range", sort=True),
    ),
    filters=(Filter("sublot_id", int, _takes_from),),
    create=Create("production.plan", OrderIn, act=service.plan, undo="cancel"),
    verbs=(
        _move("check_material"),
        _move("release"),
        _move("resume"),
        _move("unblock"),
        _move("complete"),
        _move("abort", ReasonIn),
        _move("cancel", ReasonIn),
        _move("reconcile"),
        _move("close"),
        Verb(
            "reserve", ReserveIn, service.reserve, permit="stock.reserve", states=TAKING, path="materials", status=201
        ),
        Verb("used_up", UsedUpIn, service.report_used_up, permit="fact.post", status=201),
        Verb(
            "output",
            OutputIn,
            service.report_output,
            permit="production.report",
            states=MAKING,
            path="outputs",
            answer=SublotCreatedOut,
            status=201,
        ),
        Verb("scrap", ScrapIn, service.report_scrap, permit="production.report", states=MAKING),
    ),
    sections=(
        Section("lines", queries.lines, list[LineOut]),
        Section("operations", queries.operations, list[OperationOut]),
        Section("materials", queries.materials, list[MaterialOut]),
        Section("outputs", queries.outputs, list[OutputOut]),
        Section("balance", lambda u, row: service.balances(u, row.id), list[BalanceOut]),
    ),
)

OPERATIONS = Entity(
    name="work_order_operation",
    path="operations",
    table=WorkOrderOperation,
    read="production.read",
    scope=scopes.OPERATIONS,
    cycle=OPERATION,
    statement=queries.OPERATIONS,
    answer=OperationOut,
    columns=(
        Column("order_id", filter="eq", link="work_order"),
        Column("work_centre_id", filter="eq", link="work_centre"),
        Column("state", filter="in"),
    ),
    verbs=(
        Verb("start", StartIn, _start),
        Verb("finish", None, service.finish_operation),
    ),
)

MATERIALS = Entity(
    name="work_order_material",
    path="work-order-materials",
    table=WorkOrderMaterial,
    read="production.read",
    scope=scopes.MATERIALS,
    statement=queries.MATERIALS,
    answer=MaterialOut,
    columns=(
        Column("order_id", filter="eq", link="work_order"),
        Column("sublot_id", filter="eq", link="sublot"),
    ),
    verbs=(
        Verb("issue", None, service.issue, permit=("production.report", "stock.pick")),
        Verb("consume", None, service.consume, permit="production.report"),
        Verb(
            "return",
            ReturnIn,
            service.return_material,
            permit="production.report",
            answer=SublotCreatedOut,
            status=201,
        ),
    ),
)

ENTITIES = (WORK_CENTRES, BOMS, WORK_ORDERS, OPERATIONS, MATERIALS)
