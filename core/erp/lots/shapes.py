"""Wire shapes of lots, sublots, holds and the ledger."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from core.erp.kernel.http import Amount, Answer, Body, Moment, Quantity, Ref, Sentence, Text
from core.erp.kernel.problems import message_fields
from core.erp.kernel.strict import Day
from core.erp.lots.rules import Obstacle, ObstacleKind, Purpose, restriction_fault

Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,64}$")]
Reference = Annotated[str, Field(min_length=1, max_length=200, examples=["shipment:7"])]


RestrictionKind = Literal["purpose", "market", "customer", "use_by", "remaining_life"]
TaskKind = Literal["put_back", "reallocate"]
HoldKind = Literal["exposure", "quality", "deviation", "logger", "manual"]


class LotIn(Body):
    """A new lot."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"item_id": 1, "number": "A213B1", "maker": "us", "expiry": "2027-07-31"}]}
    )
    item_id: Ref
    number: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
    maker: Annotated[str, Field(max_length=200)] = ""
    expiry: Day | None = None
    maker_id: Ref | None = None


class LotChange(Body):
    """Which partner the lot's maker is."""

    maker_id: Ref | None


class LotOut(Answer):
    """A lot."""

    id: int
    item_id: int
    number: str
    maker: str
    maker_id: int | None
    expiry: date | None
    created_at: AwareDatetime


class ReceiveIn(Body):
    """Goods of a lot came in. They begin in quarantine."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"amount": "600", "zone_id": 1, "reason": "delivery note 4711"}]}
    )
    amount: Amount
    zone_id: Ref | None
    at: Moment | None = None
    source: Literal["supplier", "production", "customer", "adjustment"] = "supplier"
    code: Code | None = None
    state: Literal["quarantine", "expected"] = "quarantine"
    reason: Annotated[str, Field(max_length=2000)] = ""
    serial: Annotated[str | None, Field(max_length=100)] = None
    handling_unit: Annotated[str | None, Field(max_length=100)] = None
    reference: Annotated[str, Field(max_length=200)] = ""


class HoldOut(Answer):
    """One reason why something may not move on."""

    id: int
    lot_id: int | None
    sublot_id: int | None
    shipment_id: int | None
    kind: HoldKind
    certainty: str | None
    reason: str
    reason_message: Sentence
    excursion_id: int | None
    origin_hold_id: int | None
    since_at: AwareDatetime
    placed_at: AwareDatetime
    placed_by: str
    lift_permit: str
    lifted_at: AwareDatetime | None
    lifted_by: str | None
    lift_reason: str | None


class SublotOut(Answer):
    """A sublot with what is on hand and what stands on it."""

    id: int
    code: str
    lot_id: int
    lot_number: str
    item_id: int
    item_code: str
    expiry: date | None
    state: str
    zone_id: int | None
    handling_unit: str | None
    serial: str | None
    created_at: AwareDatetime
    on_hand: Quantity
    held: bool
    hold_ids: list[int]


class ObstacleOut(Answer):
    """One reason against taking a sublot: `detail` in the language asked for, and the same as a message."""

    kind: ObstacleKind
    detail: str
    id: str
    params: dict[str, Any]
    hold_id: int | None

    @classmethod
    def of(cls, obstacle: Obstacle, language: str) -> "ObstacleOut":
        """As the reader sees it."""
        return cls(kind=obstacle.kind, hold_id=obstacle.hold_id, **message_fields(obstacle.message, language))


class MovableOut(Answer):
    """Whether a sublot may be taken for a purpose now, and if not, everything that stands against it."""

    sublot_id: int
    purpose: Purpose
    movable: bool
    obstacles: list[ObstacleOut]


class SplitIn(Body):
    """Part of a sublot becomes one of its own."""

    amount: Amount
    code: Code | None = None


class MergeIn(Body):
    """Sublots of one lot, status and place become one."""

    sublot_ids: Annotated[list[Ref], Field(min_length=2, max_length=500)]
    code: Code | None = None


class ArriveIn(Body):
    """An expected sublot is here."""

    amount: Amount
    zone_id: Ref | None
    at: Moment | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class Context(Body):
    """What restrictions ask for."""

    market: Annotated[str | None, Field(max_length=64)] = None
    customer: Annotated[str | None, Field(max_length=200)] = None


class ContextIn(Context):
    """What restrictions ask for, where it is known."""


class MoveIn(Body):
    """Takes stock out, for a purpose: an intention, refused for what stands against it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "amount": "10",
                    "target": "customer",
                    "purpose": "sale",
                    "reference": "shipment:7",
                }
            ]
        }
    )
    amount: Amount
    target: Literal["customer", "production", "supplier", "scrap", "sample"]
    purpose: Purpose
    reference: Reference
    reason: Annotated[str | None, Field(max_length=2000)] = None
    context: Context | None = None


class FactIn(Body):
    """What has happened: never refused, posted with its true time."""

    amount: Amount
    target: Literal["customer", "production", "supplier", "scrap", "sample"]
    purpose: Purpose
    reference: Reference
    at: Moment
    reason: Text


class MoveOut(Answer):
    """One row of the ledger."""

    id: int
    sublot_id: int
    source: str
    target: str
    amount: Quantity
    at: AwareDatetime
    posted_at: AwareDatetime
    actor: str
    purpose: str
    reference: str
    reason: str | None
    reason_message: Sentence
    reverses_id: int | None
    fact: bool


class CountIn(Body):
    """Stock that was found or is missing (a fact)."""

    amount: Amount
    at: Moment
    reason: Text


class ReserveIn(Body):
    """Keeps a quantity for a work order or shipment."""

    amount: Amount
    purpose: Purpose
    reference: Reference
    context: Context | None = None


class ReservationOut(Answer):
    """A reservation."""

    id: int
    sublot_id: int
    amount: Quantity
    purpose: str
    reference: str
    state: str
    created_at: AwareDatetime


class HoldIn(Body):
    """A hold on one lot, sublot or shipment, by hand."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lot_id": 1, "reason": "complaint 12: cracked vials"}]})
    lot_id: Ref | None = None
    sublot_id: Ref | None = None
    shipment_id: Ref | None = None
    kind: Literal["quality", "manual", "logger"] = "quality"
    reason: Text
    since_at: Moment | None = None
    lift_permit: Literal["hold.lift", "batch.release", "logger.waive"] = "hold.lift"


class SublotHoldIn(Body):
    """A hold on one sublot, by hand."""

    kind: Literal["quality", "manual", "logger"] = "quality"
    reason: Text
    since_at: Moment | None = None
    lift_permit: Literal["hold.lift", "batch.release", "logger.waive"] = "hold.lift"


class RestrictionIn(Body):
    """A condition on use, inherited by what is made of the sublot."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "market",
                    "value": {"only": ["DE"]},
                    "reason": "registered there only",
                }
            ]
        }
    )
    kind: RestrictionKind
    value: dict[str, Any]
    reason: Text

    @model_validator(mode="after")
    def _fits(self) -> Self:
        fault = restriction_fault(self.kind, self.value)
        if fault is not None:
            raise ValueError(str(fault))
        return self


class RestrictionOut(Answer):
    """A condition on use."""

    id: int
    sublot_id: int
    kind: RestrictionKind
    value: dict[str, Any]
    placed_at: AwareDatetime
    placed_by: str
    reason: str
    lifted_at: AwareDatetime | None
    lifted_by: str | None


class EdgeOut(Answer):
    """Parent → child through a transformation, by a quantity of the parent."""

    id: int
    parent_id: int
    child_id: int
    transformation: str
    amount: Quantity
    at: AwareDatetime


class TaskOut(Answer):
    """Something a hold asks somebody to do."""

    id: int
    kind: TaskKind
    reservation_id: int
    sublot_id: int
    reference: str
    amount: Quantity
    created_at: AwareDatetime
    done_at: AwareDatetime | None
    done_by: str | None
