"""Words of scenario files: durations, names, figures, each checked at birth.

All times are real time since the scenario began: "500ms", "10s", "2m", "1h", or a number of seconds.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import ErrorDetails

from core.telemetry.address import check_segment, check_zone

_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(value: object) -> float:
    """A duration in seconds, from "90s", "1.5m", "1h" or a number. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a duration such as 10s")  # noqa: TRY004 - pydantic collects ValueError
    if isinstance(value, int | float):
        return float(value)
    found = _DURATION.match(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is not a duration such as 500ms, 10s, 2m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


CENTURY_S = 3.2e9
Moment = Annotated[float, BeforeValidator(seconds), Field(ge=0, le=CENTURY_S, allow_inf_nan=False)]
Span = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=CENTURY_S, allow_inf_nan=False)]
Step = Annotated[float, BeforeValidator(seconds), Field(ge=-CENTURY_S, le=CENTURY_S, allow_inf_nan=False)]
ZoneName = Annotated[str, AfterValidator(check_zone)]
DeviceName = Annotated[str, AfterValidator(check_segment)]
UnitId = Annotated[int, Field(ge=1, le=247)]
"""Addresses of units on a Modbus line (application protocol over serial line 1.02, §2.2)."""
Port = Annotated[int, Field(ge=1, le=65535)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Quantities = tuple[Literal["temperature", "humidity"], ...]
"""Temperature always; humidity where it is named."""


class Strict(BaseModel):
    """A part of a scenario: nothing unknown in it, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


def wording(found: ErrorDetails) -> str:
    """Pydantic's finding; a single wrong value is quoted, unless it is a password."""
    text = found["msg"].removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        return "unknown key"
    given = found["input"]
    secret = "password" in found["loc"]
    quoted = isinstance(given, str | int | float) and not secret and repr(given) not in text
    return f"{text} (found {given!r})" if quoted else text
