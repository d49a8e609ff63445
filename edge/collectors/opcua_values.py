"""From a DataValue to value, quality and time. Pure.

Status codes (OPC 10000-4 §7.39): the top two bits are the severity, 00 good, 01 uncertain, 10 bad, 11 bad (reserved);
the upper half names the condition; in the lower half, info type 01 with bit 7 says that the queue overflowed.
"""

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
from asyncua import ua
from asyncua.ua import status_codes

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import INT_MAX, INT_MIN, TEXT_MAX

UNSUPPORTED = "unsupported_type"
"""The node's value is of a type that a reading cannot carry (bad)."""

_SEVERITY = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)
_CONDITION = 0xFFFF0000
_INFO_BITS = 0x0C80
_OVERFLOW = 0x0480
_NULL_YEAR, _ENDLESS_YEAR = 1601, 9999
"""OPC UA counts time from 1601-01-01; zero means that there is no time, and so does the last instant of 9999
(OPC 10000-6 §5.2.2.5), which some servers send where they have none."""

Scalar = bool | int | float | str


class Unsupported(ValueError):
    """The value cannot be a reading's; the text says why."""


class ReportedValue(msgspec.Struct, frozen=True, gc=False):
    """What a DataValue says."""

    value: Scalar | None
    quality: Quality
    reason: str
    source_at: datetime | None
    server_at: datetime | None
    overflow: bool
    aside: str = ""
    """Why the value could not be taken, if it could not."""
    of: int | None = None
    """How many elements the array has that it was taken from."""

    @property
    def stamp(self) -> datetime | None:
        """The source's time, or the server's where the source gave none."""
        return self.source_at or self.server_at


def severity(status: int) -> tuple[Quality, str]:
    """Quality and the symbolic name of the condition; no name for plain Good, hexadecimal for an unknown one."""
    condition = status & _CONDITION
    quality = _SEVERITY[status >> 30 & 3]
    if condition == 0:
        return quality, Reason.NONE
    name, _ = status_codes.get_name_and_doc(condition)
    known = getattr(status_codes.StatusCodes, name, None) == condition
    return quality, name if known else f"0x{condition:08X}"


def overflowed(status: int) -> bool:
    """Whether the server says that values before this one were dropped from its queue."""
    return status & _INFO_BITS == _OVERFLOW


def moment(stamp: datetime | None) -> datetime | None:
    """A stamp in UTC, None for either of OPC UA's times that are none. The binding's naive times are UTC."""
    if stamp is None or not _NULL_YEAR < stamp.year < _ENDLESS_YEAR:
        return None
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


def reported_value(data: ua.DataValue, index: int | None) -> ReportedValue:
    """What a DataValue says. A bad status comes without a value: the server tells us not to use it."""
    status = int(data.StatusCode.value) if data.StatusCode is not None else 0
    quality, reason = severity(status)
    value: Scalar | None = None
    aside = ""
    if quality is not Quality.BAD:
        try:
            value = scalar(data.Value, index)
        except Unsupported as error:
            quality, reason, aside = Quality.BAD, UNSUPPORTED, str(error)
        else:
            if value is None:
                quality, reason = Quality.BAD, Reason.NO_VALUE
            elif isinstance(value, float) and not math.isfinite(value):
                value, quality, reason = None, Quality.BAD, Reason.NOT_A_NUMBER
    return ReportedValue(
        value=value,
        quality=quality,
        reason=reason,
        source_at=moment(data.SourceTimestamp),
        server_at=moment(data.ServerTimestamp),
        overflow=overflowed(status),
        aside=aside,
        of=len(data.Value.Value) if data.Value is not None and isinstance(data.Value.Value, list) else None,
    )


def scalar(variant: ua.Variant | None, index: int | None) -> Scalar | None:
    """The value as a reading carries it. Raises Unsupported."""
    if variant is None or variant.Value is None:
        return None
    value: Any = variant.Value
    if isinstance(value, list):
        if index is None:
            raise Unsupported("an array, and no index is configured")
        if index >= len(value):
            raise Unsupported(f"an array of {len(value)} elements, none at index {index}")
        value = value[index]
        if isinstance(value, list):
            raise Unsupported("an array of more than one dimension")
    elif index is not None:
        raise Unsupported("no array, though an index is configured")
    return _plain(value, variant.VariantType)


def _plain(value: Any, kind: ua.VariantType) -> Scalar | None:
    if isinstance(value, ua.LocalizedText):
        value = value.Text
    if isinstance(value, datetime):
        value = (moment(value) or value).isoformat()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):  # enumerations included
        if not INT_MIN <= value <= INT_MAX:
            raise Unsupported(f"integer {value} outside 64 bits signed")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        if len(value) > TEXT_MAX:
            raise Unsupported(f"text of {len(value)} characters, at most {TEXT_MAX}")
        return str(value)
    raise Unsupported(f"type {kind.name if isinstance(kind, ua.VariantType) else kind}")
