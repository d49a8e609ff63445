"""A reading as a row of the landing table, and back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from core.telemetry.quality import Quality
from core.telemetry.reading import Reading


class Kind(IntEnum):
    """Which column has the value."""

    NONE = 0
    NUM = 1
    WHOLE = 2
    FLAG = 3
    TEXT = 4


COLUMNS = (
    "point_id",
    "at",
    "edge_at",
    "source_at",
    "batch_id",
    "num",
    "whole",
    "kind",
    "quality",
    "simulated",
    "unit",
    "reason",
    "txt",
)
TYPES = (
    "int8",
    "timestamptz",
    "timestamptz",
    "timestamptz",
    "int8",
    "float8",
    "int8",
    "int2",
    "int2",
    "bool",
    "text",
    "text",
    "text",
)
VALUE_COLUMNS = "at, edge_at, source_at, num, whole, kind, quality, simulated, unit, reason, txt"
"""What `from_row` takes, in its order."""


def to_row(reading: Reading, point_id: int, batch_id: int | None) -> tuple[Any, ...]:
    """The row, in the order of COLUMNS."""
    value = reading.value
    num = whole = txt = None
    if value.__class__ is float:
        kind, num = Kind.NUM, value
    elif value is None:
        kind = Kind.NONE
    elif value is True or value is False:
        kind, whole = Kind.FLAG, int(value)
    elif isinstance(value, int):
        kind, whole = Kind.WHOLE, value
    else:
        kind, txt = Kind.TEXT, value
    return (
        point_id,
        reading.at,
        reading.edge_at,
        reading.source_at,
        batch_id,
        num,
        whole,
        int(kind),
        int(reading.quality),
        reading.simulated,
        reading.unit,
        reading.reason,
        txt,
    )


_QUALITIES = {int(quality): quality for quality in Quality}


def from_row(point: str, row: Sequence[Any]) -> Reading:
    """The reading of a row of VALUE_COLUMNS."""
    at, edge_at, source_at, num, whole, kind, quality, simulated, unit, reason, txt = row
    if kind == Kind.NUM:
        value: bool | int | float | str | None = num
    elif kind == Kind.WHOLE:
        value = whole
    elif kind == Kind.FLAG:
        value = bool(whole)
    else:
        value = txt
    return Reading(
        point=point,
        at=_utc(at),
        value=value,
        unit=unit,
        edge_at=_utc(edge_at),
        source_at=_utc(source_at) if source_at is not None else None,
        quality=_QUALITIES[quality],
        reason=reason,
        simulated=simulated,
    )


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
