"""Tables of production: work centres, bills of material, routings, work orders with their material and output."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Interval, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import ACTIVE_OR_WITHDRAWN, active_or_withdrawn, identity, moment, ref
from core.erp.kernel.search_indexes import beginnings
from core.erp.lots.model import amount_column, positive


def zero_amount() -> Decimal:
    """A column for an amount that begins at nothing."""
    return Field(default=Decimal(0), sa_column=Column(Numeric(18, 6), nullable=False))  # type: ignore[no-any-return]  # SQLModel's Field gives what the annotation says


def id_list() -> list[int]:
    """A column for several ids."""
    return Field(default_factory=list, sa_column=Column(ARRAY(BigInteger), nullable=False))  # type: ignore[no-any-return]  # SQLModel's Field gives what the annotation says


class WorkCentre(SQLModel, table=True):
    """A machine or bench that does one operation at a time. `zone_id` is the climate its goods stand in."""

    __tablename__ = "work_centre"
    __table_args__ = (CheckConstraint(ACTIVE_OR_WITHDRAWN), beginnings("work_centre", "code"))

    id: int = identity()
    code: str = Field(unique=True)
    name: str
    zone_id: int | None = ref(nullable=True)
    up: bool = True
    state_since: datetime = moment()
    state_reason: str = ""
    state: str = active_or_withdrawn()


class WorkCentreState(SQLModel, table=True):
    """A work centre went up or down: when it was so and when we learned it. Append-only."""

    __tablename__ = "work_centre_state"

    id: int = identity()
    work_centre_id: int = ref(index=True)
    up: bool
    at: datetime = moment()
    known_at: datetime = moment()
    actor: str
    reason: str


class Bom(SQLModel, table=True):
    """What `output_amount` of an item is made of; immutable once an order uses it.

    `tolerance` is the part by which what went in and what came out may differ (rule 4), 0.02 = 2 %.
    """

    __tablename__ = "bom"
    __table_args__ = (
        UniqueConstraint("item_id", "version"),
        positive("output_amount"),
        CheckConstraint("tolerance >= 0 AND tolerance < 1"),
    )

    id: int = identity()
    item_id: int = ref(index=True)
    version: int = 1
    output_amount: Decimal = amount_column()
    tolerance: Decimal = zero_amount()


class BomLine(SQLModel, table=True):
    """One material of a bill: `amount` of the item goes into the bill's `output_amount`."""

    __tablename__ = "bom_line"
    __table_args__ = (UniqueConstraint("bom_id", "item_id"), positive())

    id: int = identity()
    bom_id: int = ref(index=True)
    item_id: int = ref()
    amount: Decimal = amount_column()


class RoutingStep(SQLModel, table=True):
    """One step of how a bill's item is made. `alternatives` are work centres that may stand in while it is down."""

    __tablename__ = "routing_step"
    __table_args__ = (UniqueConstraint("bom_id", "number"),)

    id: int = identity()
    bom_id: int = ref(index=True)
    number: int
    name: str
    work_centre_id: int = ref()
    alternatives: list[int] = id_list()
    duration: timedelta = Field(default=timedelta(0), sa_column=Column(Interval, nullable=False))


class WorkOrder(SQLModel, table=True):
    """An order to make `amount` of an item by `due_at`. A lower `priority` number is more urgent.

    States: planned, material_ok, released, running, held, blocked, completed, reconciled, closed, cancelled.
    `held` stops a running order, `blocked` one that has not started; both say why in `stopped_reason`.
    """

    __tablename__ = "work_order"
    __table_args__ = (
        beginnings("work_order", "code"),
        positive(),
        CheckConstraint(
            "state IN ('planned', 'material_ok', 'released', 'running', 'held', 'blocked', 'completed', 'reconciled',"
            " 'closed', 'cancelled')"
        ),
        Index("work_order_state", "state"),
        Index("work_order_due", "due_at", "id"),
    )

    id: int = identity()
    code: str = Field(unique=True)
    item_id: int = ref(index=True)
    bom_id: int = ref()
    amount: Decimal = amount_column()
    due_at: datetime = moment()
    priority: int = 100
    state: str = "planned"
    stopped_reason: str | None = None
    stopped_reason_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    output_lot_id: int | None = ref(nullable=True)
    scrap: Decimal = zero_amount()
    created_at: datetime = moment()
    started_at: datetime | None = moment(nullable=True)
    completed_at: datetime | None = moment(nullable=True)


class WorkOrderOperation(SQLModel, table=True):
    """A step of one order. States: waiting, running, done. `done_on_id` is the work centre that really did it."""

    __tablename__ = "work_order_operation"
    __table_args__ = (
        UniqueConstraint("order_id", "number"),
        CheckConstraint("state IN ('waiting', 'running', 'done')"),
        Index("work_order_operation_centre", "work_centre_id", postgresql_where="state <> 'done'"),
    )

    id: int = identity()
    order_id: int = ref(index=True)
    number: int
    name: str
    work_centre_id: int = ref()
    alternatives: list[int] = id_list()
    duration: timedelta = Field(default=timedelta(0), sa_column=Column(Interval, nullable=False))
    state: str = "waiting"
    started_at: datetime | None = moment(nullable=True)
    done_at: datetime | None = moment(nullable=True)
    done_on_id: int | None = ref(nullable=True)


class WorkOrderLine(SQLModel, table=True):
    """What an order needs of one material: the bill's line, scaled to the order's amount."""

    __tablename__ = "work_order_line"
    __table_args__ = (UniqueConstraint("order_id", "item_id"), positive("needed"))

    id: int = identity()
    order_id: int = ref(index=True)
    item_id: int = ref()
    needed: Decimal = amount_column()


class WorkOrderMaterial(SQLModel, table=True):
    """An amount of one sublot that an order takes: reserved, picked (issued) and consumed through its reservation.

    A fact (used up without a reservation) has none. `consumed` left stock for the order; `returned` came back as a
    sublot of its own.
    """

    __tablename__ = "work_order_material"
    __table_args__ = (
        CheckConstraint("consumed >= 0 AND consumed <> 'NaN' AND returned >= 0 AND returned <= consumed"),
        Index("work_order_material_sublot", "sublot_id"),
    )

    id: int = identity()
    order_id: int = ref(index=True)
    line_id: int = ref()
    sublot_id: int = ref()
    reservation_id: int | None = ref(nullable=True)
    amount: Decimal = amount_column()
    consumed: Decimal = zero_amount()
    returned: Decimal = zero_amount()


class WorkOrderOutput(SQLModel, table=True):
    """A sublot that an order brought forth, in quarantine."""

    __tablename__ = "work_order_output"

    id: int = identity()
    order_id: int = ref(index=True)
    sublot_id: int = ref(index=True)
    amount: Decimal = amount_column()
    at: datetime = moment()
