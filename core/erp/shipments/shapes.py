"""Wire shapes of shipments."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from core.erp.kernel.http import Amount, Answer, Body, Moment, Quantity, Ref, Sentence, SignIn, Text

TaskKind = Literal["put_back", "reallocate"]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._/-]+$", examples=["SH-1"])]
Serial = Annotated[str, Field(min_length=1, max_length=64, examples=["130500109088"])]
Kind = Literal["sale", "transfer", "inbound"]


class LineIn(Body):
    """An amount of a sublot."""

    sublot_id: Ref
    amount: Amount


class LegIn(Body):
    """One stretch of the way in one vehicle."""

    origin: Text
    destination: Text
    carrier: str = ""
    vehicle_zone_id: Ref | None = Field(None, description="the zone of the truck's box")
    to_zone_id: Ref | None = Field(None, description="where the goods stand after it, if we watch that place")


class LoggerIn(Body):
    """A logger that must be read before the receipt leaves quarantine."""

    serial: Serial
    zone_id: Ref | None = Field(None, description="the zone whose climate it records")


class ShipmentIn(Body):
    """A new shipment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "SH-1",
                    "consignee": "C-100",
                    "market": "DE",
                    "receiving_zone_id": None,
                    "lines": [{"sublot_id": 1, "amount": "400"}],
                    "legs": [{"origin": "dock", "destination": "C-100", "vehicle_zone_id": 5}],
                    "loggers": [{"serial": "130500109088", "zone_id": 5}],
                }
            ]
        }
    )
    code: Code
    kind: Kind = "sale"
    consignee: Text
    consignee_id: Ref | None = None
    market: str = ""
    receiving_zone_id: Ref | None = None
    due_at: Moment | None = None
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=500)]
    legs: Annotated[list[LegIn], Field(min_length=1, max_length=20)]
    loggers: list[LoggerIn] = Field(default_factory=list)


class ShipmentOut(Answer):
    """A shipment. `held`: a hold stands on it."""

    id: int
    code: str
    kind: Kind
    consignee: str
    consignee_id: int | None
    market: str
    receiving_zone_id: int | None
    state: str
    held: bool
    created_at: AwareDatetime
    due_at: AwareDatetime | None
    picked_at: AwareDatetime | None
    dispatched_at: AwareDatetime | None
    departed_at: AwareDatetime | None
    arrived_at: AwareDatetime | None
    closed_at: AwareDatetime | None


class LineOut(Answer):
    """A line with its sublot as it stands."""

    id: int
    shipment_id: int
    sublot_id: int
    sublot: str
    lot: str
    item: str
    sublot_state: str
    sublot_zone_id: int | None
    amount: Quantity
    state: str
    sscc: str | None
    reservation_id: int | None
    from_zone_id: int | None


class LegOut(Answer):
    """A leg and how far it is."""

    number: int
    origin: str
    destination: str
    carrier: str
    vehicle_zone_id: int | None
    to_zone_id: int | None
    departed_at: AwareDatetime | None
    arrived_at: AwareDatetime | None


class LoggerOut(Answer):
    """A required logger."""

    id: int
    shipment_id: int
    serial: str
    zone_id: int | None
    state: str
    read_at: AwareDatetime | None
    reason: str | None


class HoldOut(Answer):
    """A hold on the shipment, or on goods in it."""

    id: int
    on: str = Field(description="`shipment`, or the sublot's code")
    kind: str
    certainty: str | None
    reason: str
    reason_message: Sentence
    since_at: AwareDatetime
    placed_at: AwareDatetime


class FactIn(Body):
    """Something that has happened, with its true time."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"at": "2026-03-02T02:58:00Z", "reason": "driver's paper, keyed at 03:05"}]}
    )
    at: Moment
    reason: Text
    leg: Annotated[int, Field(ge=1, le=20)] | None = None


class PackIn(Body):
    """Which handling unit a line goes into."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sscc": "340123450000000000", "kind": "shipper"}]})
    sscc: Annotated[str, Field(min_length=18, max_length=24)]
    kind: Annotated[str, Field(min_length=1, max_length=40)] = "pallet"
    zone_id: Ref | None = Field(None, description="the unit's own climate, where it is monitored itself")


class UnitOut(Answer):
    """A handling unit."""

    id: int
    sscc: str
    kind: str
    zone_id: int | None


class PutBackIn(Body):
    """Where the goods go; where they stood if not said."""

    zone_id: Ref | None = None


class LoggerReadIn(Body):
    """Which of its loggers was read out, and when; now if not said."""

    serial: Serial
    at: Moment | None = None


class WaiveIn(SignIn):
    """QA does without a logger, by signature."""

    serial: Serial
    reason: Text


class ReturnIn(Body):
    """Goods that came back from the consignee."""

    amount: Amount
    zone_id: Ref
    at: Moment
    reason: Text


class ReturnOut(Answer):
    """The sublot that a return began, in quarantine."""

    id: int
    code: str
    state: str
    zone_id: int | None


class HandOverIn(SignIn):
    """Who takes the goods, and what was seen when they changed hands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "taken_by": "driver of the carrier",
                    "vehicle": "B-LW 42",
                    "temperature": 4.6,
                    "login": "lou",
                    "password": "••••••••••",
                }
            ]
        }
    )
    taken_by: Text
    vehicle: Annotated[str, Field(max_length=64)] = ""
    temperature: Annotated[float, Field(ge=-273.15, le=200, allow_inf_nan=False)] | None = None
    remark: Annotated[str, Field(max_length=2000)] = ""


class HandOverOut(Answer):
    """Goods that changed hands. `given_by` signed for it."""

    id: int
    taker: Literal["carrier", "consignee"]
    taken_by: str
    vehicle: str
    temperature: float | None
    remark: str
    at: AwareDatetime
    given_by: str


class ConsigneeOut(Answer):
    """Who must be told, of how much."""

    id: int
    consignee: str
    shipment_id: int | None
    amount: Quantity
    notified_at: AwareDatetime | None
    notified_by: str | None


class NotifiedIn(Body):
    """Which consignee has been told."""

    consignee_id: Ref


class FieldActionOut(Answer):
    """An excursion that became known after goods had left."""

    id: int
    excursion_id: int
    sublot_id: int
    happened_at: AwareDatetime
    known_at: AwareDatetime
    deadline: AwareDatetime
    overdue: bool
    state: str
    conclusion: str | None
    closed_at: AwareDatetime | None
    closed_by: str | None


class ConclusionIn(Body):
    """How it ended."""

    conclusion: Text


class TaskOut(Answer):
    """Something the warehouse or the planner must do because of a hold."""

    id: int
    kind: str
    sublot_id: int
    reservation_id: int
    reference: str
    line_id: int | None
    amount: Quantity
    zone_id: int | None = Field(description="where picked goods stood before")
    created_at: AwareDatetime
    done_at: AwareDatetime | None
    done_by: str | None
