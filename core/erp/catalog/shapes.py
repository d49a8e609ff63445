"""Wire shapes of the catalog. Lengths of time are ISO 8601 durations or seconds."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, FiniteFloat, model_validator

from core.erp.kernel.errors import UnfitValue
from core.erp.kernel.records import Link
from core.erp.kernel.shapes import Answer, Body, Duration, Moment, Ref, Text
from core.erp.kernel.strict import ABSOLUTE_ZERO, MAX_CELSIUS, Celsius
from core.telemetry.units import convert, convertible

Span = Annotated[Duration, Field(ge=timedelta(0), le=timedelta(days=3660), examples=["PT30M"])]
MasterState = Literal["active", "withdrawn"]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


Gtin = Annotated[str, Field(pattern=r"^[0-9]{8}([0-9]{4,6})?$", examples=["04012345678901"])]


class SiteIn(Body):
    """A place of business."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"code": "north", "name": "North plant", "timezone": "Europe/Berlin"}]}
    )
    code: Code
    name: Text
    timezone: Annotated[str, Field(max_length=64)] = "UTC"


class SiteOut(Answer):
    """A place of business."""

    id: int
    code: str
    name: str
    timezone: str
    state: MasterState


class ZoneIn(Body):
    """A zone; the band (°C) is the room's own, for its alarm."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site_id": 1,
                    "address": "north/store/cold-1",
                    "name": "Cold room 1",
                    "band_low": 2,
                    "band_high": 8,
                    "band_delay": "PT5M",
                    "allowed_gap": "PT30M",
                }
            ]
        }
    )
    site_id: Ref
    address: Annotated[str, Field(max_length=200, examples=["north/store/cold-1"])]
    name: Text
    kind: Annotated[str, Field(min_length=1, max_length=64)] = "room"
    accepts_held: bool = False
    worst_temperature: Celsius | None = None
    band_low: Celsius | None = None
    band_high: Celsius | None = None
    band_delay: Span = timedelta(0)
    band_hysteresis: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    allowed_gap: Span = timedelta(minutes=30)
    simulated: bool = False


class ZoneOut(Answer):
    """A zone."""

    id: int
    site_id: int
    address: str
    name: str
    kind: str
    accepts_held: bool
    worst_temperature: float | None
    band_low: float | None
    band_high: float | None
    band_delay: Duration
    band_hysteresis: float
    allowed_gap: Duration
    simulated: bool
    state: MasterState


class NestingIn(Body):
    """A zone stands in another."""

    zone_id: Ref
    parent_id: Ref
    from_at: Moment
    to_at: Moment | None = None


class EndIn(Body):
    """When something ended."""

    to_at: Moment


class NestingOut(Answer):
    """A zone stands in another, from-until."""

    id: int
    zone_id: int
    parent_id: int
    from_at: AwareDatetime
    to_at: AwareDatetime | None


PointRole = Literal["required", "spare", "machine"]
"""Whether its silence counts for the zone's goods: only a required point's does."""


class PointIn(Body):
    """One measured quantity, addressed site/area/zone/device/quantity; the unit is UCUM."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "zone_id": 1,
                    "address": "north/store/cold-1/probe-1/temperature",
                    "quantity": "temperature",
                    "unit": "Cel",
                    "role": "required",
                    "plausible_low": -40,
                    "plausible_high": 80,
                }
            ]
        }
    )
    zone_id: Ref
    address: Annotated[str, Field(max_length=400)]
    quantity: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    unit: Annotated[str, Field(max_length=32)]
    role: PointRole = "required"
    plausible_low: FiniteFloat | None = None
    plausible_high: FiniteFloat | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        _check_unit(self.unit, self.plausible_low, self.plausible_high)
        return self


class PointOut(Answer):
    """A point."""

    id: int
    zone_id: int
    address: str
    quantity: str
    unit: str
    role: PointRole
    plausible_low: float | None
    plausible_high: float | None
    state: MasterState


class SensorIn(Body):
    """A physical instrument."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"serial": "PT-10021", "model": "Pt100"}]})
    serial: Text
    model: Annotated[str, Field(max_length=200)] = ""


class SensorOut(Answer):
    """A physical instrument."""

    id: int
    serial: str
    model: str
    state: MasterState


class InstallationIn(Body):
    """A sensor speaks for a point."""

    sensor_id: Ref
    point_id: Ref
    from_at: Moment
    to_at: Moment | None = None


class InstallationOut(Answer):
    """A sensor speaks for a point, from-until."""

    id: int
    sensor_id: int
    point_id: int
    from_at: AwareDatetime
    to_at: AwareDatetime | None


class ProfileIn(Body):
    """A storage profile; its content is in its versions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "cold-2-8", "name": "2 to 8 °C"}]})
    code: Code
    name: Text


class ProfileOut(Answer):
    """A storage profile."""

    id: int
    code: str
    name: str
    state: MasterState


class LimitShape(Body):
    """One limit: when it is out, and how long it may be."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")
    key: Code
    quantity: Annotated[str, Field(max_length=64)] = "temperature"
    unit: Annotated[str, Field(max_length=32)] = "Cel"
    op: Literal[">", ">=", "<", "<="]
    threshold: FiniteFloat
    kind: Literal["instant", "consecutive", "cumulative"]
    delay: Span = timedelta(0)
    hysteresis: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    allowance: Annotated[str | None, Field(max_length=64)] = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        _check_unit(self.unit, self.threshold)
        return self


def _check_unit(unit: str, *values: float | None) -> None:
    """Raises ValueError for a temperature that nothing has."""
    if convertible(unit, "Cel"):
        for value in values:
            if value is not None and not ABSOLUTE_ZERO <= convert(value, unit, "Cel") <= MAX_CELSIUS:
                raise UnfitValue("value.no_temperature", value=f"{value:g}", unit=unit)


class VersionIn(Body):
    """A version of a profile; never changed once made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "allowed_gap": "PT30M",
                    "limits": [
                        {"key": "high", "op": ">", "threshold": 8, "kind": "consecutive", "delay": "PT1H"},
                        {"key": "low", "op": "<", "threshold": 2, "kind": "consecutive", "delay": "PT1H"},
                    ],
                }
            ]
        }
    )
    allowed_gap: Span
    limits: Annotated[list[LimitShape], Field(max_length=50)]
    shortest_event: Span = timedelta(0)
    probe_kind: Literal["air", "buffered", "product"] = "air"
    mkt_limit: Celsius | None = None
    mkt_window: Span | None = None
    activation_energy: Annotated[FiniteFloat, Field(gt=0)] = 83.14472


class VersionOut(Answer):
    """A version of a profile."""

    id: int
    profile_id: int
    version: int
    allowed_gap: Duration
    shortest_event: Duration
    probe_kind: str
    mkt_limit: float | None
    mkt_window: Duration | None
    activation_energy: float
    created_at: AwareDatetime
    limits: list[LimitShape] = Field(default_factory=list)


class ItemIn(Body):
    """A product or material; without a profile it has no storage conditions."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"code": "vaccine-10", "name": "Vaccine", "uom": "vial"}]}
    )
    code: Code
    name: Text
    uom: Annotated[str, Field(min_length=1, max_length=32)] = "each"
    profile_id: Ref | None = None
    kind: Annotated[str, Field(min_length=1, max_length=64)] = "product"
    gtin: Gtin | None = None
    shelf_life: Span | None = None


class ItemOut(Answer):
    """A product or material."""

    id: int
    code: str
    name: str
    uom: str
    profile_id: int | None
    kind: str
    gtin: str | None
    shelf_life: Duration | None
    state: MasterState


class AssignIn(Body):
    """By which profile version an item is judged, from when (now, if left out)."""

    version_id: Annotated[Ref, Link("profile_version")]
    from_at: Moment | None = None


class AssignOut(Answer):
    """By which profile version an item is judged, from when."""

    id: int
    item_id: int
    version_id: int
    from_at: AwareDatetime
