"""Wire shapes of calibration: plans, what was found and left, and the second person's word."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, ConfigDict, Field, FiniteFloat

from core.erp.catalog.change_shapes import Change
from core.erp.kernel.shapes import Answer, Body, Duration, Moment, Ref, SignIn, Text

Every = Annotated[Duration, Field(ge=timedelta(days=1), le=timedelta(days=3660), examples=["P365D"])]
Tolerance = Annotated[FiniteFloat, Field(gt=0, le=1000, description="the largest error, either way, that is none")]
Error = Annotated[FiniteFloat, Field(ge=-1000, le=1000)]
CalibrationState = Literal["recorded", "to_sign", "signed", "refused"]


class PlanIn(Body):
    """How often a sensor is calibrated, and within which error (in its point's unit)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sensor_id": 1, "interval": "P365D", "tolerance": 0.5}]})
    sensor_id: Ref
    interval: Every
    tolerance: Tolerance
    guarded: Annotated[bool, Field(description="the calibration's uncertainty is added to its error")] = False
    sign_off: Annotated[bool, Field(description="counts once a second person has signed it")] = False


class PlanChange(Change):
    """What is other about a plan, for calibrations to come."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"interval": "P180D"}]})
    may_be_null: ClassVar[frozenset[str]] = frozenset()
    interval: Every | None = None
    tolerance: Tolerance | None = None
    guarded: bool | None = None
    sign_off: bool | None = None


class PlanOut(Answer):
    """A sensor's calibration plan, and when its next calibration is due."""

    id: int
    sensor_id: int
    interval: Duration
    tolerance: float
    guarded: bool
    sign_off: bool
    due_at: AwareDatetime
    state: Literal["active", "withdrawn"]


class CalibrationIn(Body):
    """A calibration: what was found before adjustment, and what was left after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sensor_id": 1,
                    "done_at": "2026-03-02T09:00:00Z",
                    "due_at": "2027-03-02T00:00:00Z",
                    "as_found_error": 0.4,
                    "as_found_tolerance": 0.5,
                    "as_left_error": 0.1,
                    "uncertainty": 0.05,
                    "certificate": "K-2026-0131",
                }
            ]
        }
    )
    sensor_id: Ref
    done_at: Moment
    due_at: Annotated[Moment | None, Field(description="default: as the sensor's plan says")] = None
    as_found_ok: Annotated[
        bool | None,
        Field(description="default: as error and tolerance say"),
    ] = None
    as_found_error: Annotated[
        Error, Field(description="reading minus reference, before adjustment: 0.4 read too high")
    ] = 0.0
    as_found_tolerance: Annotated[Tolerance | None, Field(description="default: the plan's")] = None
    as_left_error: Annotated[Error | None, Field(description="reading minus reference, after adjustment")] = None
    uncertainty: Annotated[FiniteFloat | None, Field(ge=0, le=1000, description="expanded, k = 2")] = None
    certificate: Annotated[str, Field(max_length=200)] = ""


class CalibrationOut(Answer):
    """A calibration. One that is to be signed makes no reading good before."""

    id: int
    sensor_id: int
    done_at: AwareDatetime
    due_at: AwareDatetime
    as_found_ok: bool
    as_found_error: float
    as_found_tolerance: float | None
    as_left_error: float | None
    as_left_ok: bool
    uncertainty: float | None
    certificate: str
    recorded_by: str
    known_at: AwareDatetime
    state: CalibrationState
    reviewed_by: str | None
    reviewed_at: AwareDatetime | None


class SignOffIn(SignIn):
    """A second person's signature on a calibration."""

    reason: Text = "result and certificate reviewed"
