"""Tables of lots: lots, sublots, holds, restrictions, genealogy, the ledger, reservations, how far zones are judged."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref
from core.erp.kernel.search_indexes import beginnings


def amount_column() -> Any:
    """A column for an amount: 18 digits, 6 of them decimals."""
    return Field(sa_column=Column(Numeric(18, 6), nullable=False))


def positive(column: str = "amount") -> CheckConstraint:
    """A quantity is more than nothing; PostgreSQL's NaN is more than any number and has to be named."""
    return CheckConstraint(f"{column} > 0 AND {column} <> 'NaN'")


class Lot(SQLModel, table=True):
    """A batch: item, number, maker, expiry.

    `maker` is as it was received, and part of what the lot is known by; `maker_id` the partner that is meant, once
    somebody has said so.
    """

    __tablename__ = "lot"
    __table_args__ = (
        UniqueConstraint("item_id", "maker", "number"),
        Index("lot_number", "number", "id"),
        beginnings("lot", "number"),
    )

    id: int = identity()
    item_id: int = ref(index=True)
    number: str
    maker: str = ""
    maker_id: int | None = ref(nullable=True, index=True)
    expiry: date | None = None
    created_at: datetime = moment()


class Sublot(SQLModel, table=True):
    """A quantity of one lot with one place or handling unit, one status and one history.

    States: expected, quarantine, released, rejected, reworked, returned, destroyed. `zone_id` is where it is now
    (written by custody; None: not with us), `site_id` that zone's site, or the last one while it is under way (trigger
    sublot_site): None only for what never stood anywhere. Quantity on hand is the ledger's sum, never a column here.
    """

    __tablename__ = "sublot"
    __table_args__ = (
        CheckConstraint(
            "state IN ('expected', 'quarantine', 'released', 'rejected', 'reworked', 'returned', 'destroyed')"
        ),
        Index("sublot_zone", "zone_id", "id"),
        beginnings("sublot", "code"),
        Index("sublot_site", "site_id", "id"),
        # lists by code and by age, within somebody's sites and beyond
        Index("sublot_site_code", "site_id", "code", "id"),
        Index("sublot_created", "created_at", "id"),
        Index("sublot_site_created", "site_id", "created_at", "id"),
        # what waits for release is few of many
        Index("sublot_quarantine", "created_at", "id", postgresql_where="state = 'quarantine'"),
    )

    id: int = identity()
    code: str = Field(unique=True)
    lot_id: int = ref(index=True)
    state: str = "quarantine"
    zone_id: int | None = ref(nullable=True)
    site_id: int | None = ref(nullable=True)
    handling_unit: str | None = None
    serial: str | None = None
    created_at: datetime = moment()


class Hold(SQLModel, table=True):
    """One reason why a lot, sublot or shipment may not move on. Many may stand at once.

    `kind`: exposure, quality, deviation, logger, manual. `certainty` of exposure holds: proven, uncertain, unproven.
    `since_at` is when the cause was so; `placed_at` when we learned it and held. Lifted once, by who may.
    """

    __tablename__ = "hold"
    __table_args__ = (
        CheckConstraint("num_nonnulls(lot_id, sublot_id, shipment_id) = 1"),
        CheckConstraint("num_nonnulls(lifted_at, lifted_by, lift_reason) IN (0, 3)"),
        CheckConstraint("kind IN ('exposure', 'quality', 'deviation', 'logger', 'manual')"),
        Index("hold_sublot_open", "sublot_id", postgresql_where="lifted_at IS NULL"),
        Index("hold_lot_open", "lot_id", postgresql_where="lifted_at IS NULL"),
        Index("hold_shipment_open", "shipment_id", postgresql_where="lifted_at IS NULL"),
        Index("hold_excursion", "excursion_id"),
        Index("hold_origin", "origin_hold_id", postgresql_where="origin_hold_id IS NOT NULL"),
    )

    id: int = identity()
    lot_id: int | None = ref(nullable=True)
    sublot_id: int | None = ref(nullable=True)
    shipment_id: int | None = ref(nullable=True)
    kind: str
    certainty: str | None = None
    reason: str
    reason_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    """What the system wrote, by id; None for people's words."""
    excursion_id: int | None = ref(nullable=True)
    origin_hold_id: int | None = ref(nullable=True)
    """The hold this one was inherited from (a parent's, at birth or by propagation)."""
    since_at: datetime = moment()
    placed_at: datetime = moment()
    placed_by: str
    lift_permit: str = "hold.lift"
    lifted_at: datetime | None = moment(nullable=True)
    lifted_by: str | None = None
    lift_reason: str | None = None


class Restriction(SQLModel, table=True):
    """A condition on use, tested where stock is picked and posted, inherited by descendants.

    `kind`: purpose, market, customer, use_by, remaining_life. `value` depends on the kind.
    """

    __tablename__ = "restriction"

    id: int = identity()
    sublot_id: int = ref(index=True)
    kind: str
    value: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    placed_at: datetime = moment()
    placed_by: str
    reason: str
    lifted_at: datetime | None = moment(nullable=True)
    lifted_by: str | None = None


class Genealogy(SQLModel, table=True):
    """Parent sublot → child sublot through a transformation. Acyclic; never deleted (rule 4)."""

    __tablename__ = "genealogy"
    __table_args__ = (
        UniqueConstraint("parent_id", "child_id", "transformation"),
        CheckConstraint("parent_id <> child_id"),
        positive(),
        Index("genealogy_child", "child_id"),
    )

    id: int = identity()
    parent_id: int = ref()
    child_id: int = ref()
    transformation: str
    """split:ID, merge:ID or work_order:ID."""
    amount: Decimal = amount_column()
    at: datetime = moment()


class StockMove(SQLModel, table=True):
    """A two-sided move of one sublot's quantity between accounts. Append-only; corrections are reversals (rule 3).

    Accounts: `stock` is on hand; `supplier`, `production`, `customer`, `scrap`, `sample`, `split`, `adjustment`
    are outside. On hand of a sublot = sum into stock minus sum out of stock, never negative (trigger).
    """

    __tablename__ = "stock_move"
    __table_args__ = (
        positive(),
        CheckConstraint("source <> target"),
        Index("stock_move_sublot", "sublot_id"),
        Index("stock_move_split_of", "reference", postgresql_where="purpose IN ('split', 'merge')"),
    )

    id: int = identity()
    sublot_id: int = ref()
    source: str
    target: str
    amount: Decimal = amount_column()
    at: datetime = moment()
    posted_at: datetime = moment()
    actor: str
    purpose: str
    reference: str = ""
    reason: str | None = None
    reason_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    reverses_id: int | None = ref(nullable=True)
    fact: bool = False
    """True for what has happened and is never refused; false for an intention, which the database checks again."""
    key: str | None = Field(default=None, unique=True)
    """The same key posts once (rule 9)."""


class Reservation(SQLModel, table=True):
    """An intention to take a quantity of a sublot. States: active, picked, suspended, consumed, cancelled."""

    __tablename__ = "reservation"
    __table_args__ = (
        positive(),
        CheckConstraint("state IN ('active', 'picked', 'suspended', 'consumed', 'cancelled')"),
        Index("reservation_sublot", "sublot_id"),
        Index("reservation_reference", "reference"),
    )

    id: int = identity()
    sublot_id: int = ref()
    amount: Decimal = amount_column()
    purpose: str
    reference: str
    """work_order:ID or shipment:ID."""
    state: str = "active"
    created_at: datetime = moment()


class StockTask(SQLModel, table=True):
    """Something a hold asks the warehouse or the planner to do: `put_back` picked goods, `reallocate` a reservation."""

    __tablename__ = "stock_task"
    __table_args__ = (
        CheckConstraint("kind IN ('put_back', 'reallocate')"),
        Index("stock_task_open", "kind", postgresql_where="done_at IS NULL"),
    )

    id: int = identity()
    kind: str
    reservation_id: int = ref(index=True)
    sublot_id: int = ref()
    reference: str
    amount: Decimal = amount_column()
    created_at: datetime = moment()
    done_at: datetime | None = moment(nullable=True)
    done_by: str | None = None


class ZoneJudged(SQLModel, table=True):
    """How far a zone is known, one row a zone; written by exposure, read by `movable`.

    `last_good_at`: the oldest, over required points, of the last good reading (a good spare may stand in).
    `judged_to`: all readings and watermarks up to here are folded. `watermark`: silence before this is real.
    `version` grows by one with each transaction that folds something into the zone.
    """

    __tablename__ = "zone_judged"

    zone_id: int = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    last_good_at: datetime | None = moment(nullable=True)
    judged_to: datetime | None = moment(nullable=True)
    watermark: datetime | None = moment(nullable=True)
    last_value: float | None = None
    silent_since: datetime | None = moment(nullable=True)
    version: int = 0
