"""Wire shapes of production."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field, PlainSerializer

from core.erp.kernel.http import Amount, Answer, Body, Moment, Quantity, Ref, Sentence, Text

Seconds = Annotated[timedelta, PlainSerializer(timedelta.total_seconds, return_type=float)]
"""A length of time, in seconds on the wire."""
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._/-]+$", examples=["FILL-1"])]


class CentreIn(Body):
    """A new work centre."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "FILL-1", "name": "Filling line 1"}]})
    code: Code
    name: Text
    zone_id: Ref | None = None


class CentreOut(Answer):
    """A work centre."""

    id: int
    code: str
    name: str
    zone_id: int | None
    up: bool
    state_since: AwareDatetime
    state_reason: str
    state: Literal["active", "withdrawn"]


class StateIn(Body):
    """A machine went up or down: a fact with its true time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"up": False, "reason": "filling needle blocked"}]})
    up: bool
    reason: Text
    at: Moment | None = None


class BomLineIn(Body):
    """A material of a bill."""

    item_id: Ref
    amount: Amount


class StepIn(Body):
    """A step of a routing."""

    number: Annotated[int, Field(ge=1, le=9999, examples=[10])]
    name: Text
    work_centre: Code
    alternatives: list[Code] = Field(default_factory=list)
    duration: Seconds = Field(timedelta(0), description="seconds planned")


class BomIn(Body):
    """A new version of how an item is made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item_id": 3,
                    "output_amount": "100",
                    "tolerance": "0.02",
                    "lines": [{"item_id": 1, "amount": "100"}],
                    "steps": [{"number": 10, "name": "fill", "work_centre": "FILL-1", "alternatives": ["FILL-2"]}],
                }
            ]
        }
    )
    item_id: Ref
    output_amount: Amount
    tolerance: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)
    lines: Annotated[list[BomLineIn], Field(min_length=1)]
    steps: Annotated[list[StepIn], Field(min_length=1)]


class BomLineOut(Answer):
    """A material of a bill."""

    item_id: int
    item: str
    amount: Quantity


class StepOut(Answer):
    """A step of a routing. Alternatives are work centres that may stand in."""

    number: int
    name: str
    work_centre: str
    alternatives: list[int]
    duration: Seconds


class BomOut(Answer):
    """A version of how an item is made."""

    id: int
    item_id: int
    version: int
    output_amount: Quantity
    tolerance: Quantity


class OrderIn(Body):
    """A new work order. A lower priority number is more urgent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "WO-1", "bom_id": 1, "amount": "100", "due_at": "2026-03-03T12:00:00Z"}]
        }
    )
    code: Code
    bom_id: Ref
    amount: Amount
    due_at: Moment
    priority: Annotated[int, Field(ge=0, le=9999)] = 100


class OrderOut(Answer):
    """A work order."""

    id: int
    code: str
    item_id: int
    item: str
    bom_id: int
    amount: Quantity
    due_at: AwareDatetime
    priority: int
    state: str
    stopped_reason: str | None
    stopped_reason_message: Sentence
    output_lot_id: int | None
    scrap: Quantity
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    completed_at: AwareDatetime | None


class LineOut(Answer):
    """What an order needs of one material."""

    id: int
    item_id: int
    item: str
    needed: Quantity


class OperationOut(Answer):
    """A step of an order."""

    id: int
    order_id: int
    order: str
    number: int
    name: str
    work_centre_id: int
    work_centre: str
    state: str
    started_at: AwareDatetime | None
    done_at: AwareDatetime | None
    done_on: str | None


class MaterialOut(Answer):
    """What of one sublot an order has reserved and used. `state` is its reservation's (none for a fact)."""

    id: int
    order_id: int
    line_id: int
    sublot_id: int
    sublot: str
    reservation_id: int | None
    amount: Quantity
    consumed: Quantity
    returned: Quantity
    state: str | None


class OutputOut(Answer):
    """A sublot that an order brought forth."""

    sublot_id: int
    sublot: str
    amount: Quantity
    at: AwareDatetime


class BalanceOut(Answer):
    """The mass balance of one material."""

    item: str
    consumed: Quantity
    expected: Quantity
    tolerance: Quantity
    holds: bool = Field(description="whether it balances within the tolerance")


class ReserveIn(Body):
    """An amount of a sublot for an order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sublot_id": 1, "amount": "100"}]})
    sublot_id: Ref
    amount: Amount


class UsedUpIn(ReserveIn):
    """A fact: this was used up at that time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"sublot_id": 1, "amount": "100", "at": "2026-03-02T02:58:00Z", "reason": "posted after the shift"}
            ]
        }
    )
    at: Moment
    reason: Text


class ReturnIn(Body):
    """What came back from the line, and where it stands."""

    amount: Amount
    zone_id: Ref | None = None


class OutputIn(Body):
    """A new sublot of the order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": "98", "zone_id": 1}]})
    amount: Amount
    zone_id: Ref | None = None
    at: Moment | None = None
    code: Code | None = None
    serial: str | None = None


class ScrapIn(Body):
    """Output that is no good."""

    amount: Amount
    reason: Text


class StartIn(Body):
    """Where to start an operation; its own work centre if not said."""

    work_centre: Code | None = None


class SublotCreatedOut(Answer):
    """A sublot that was born."""

    id: int
    code: str
    lot_id: int
    state: str
    zone_id: int | None
