"""What is asked of an import, and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.erp.catalog.model import Zone
from core.erp.kernel.words import Message
from core.erp.shipments.service.logger_zones import TogetherSpan
from core.telemetry.compact import State, Values, micros_of
from core.telemetry.quality import Quality, Reason


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the file. `at` is aware; a missing value has quality bad."""

    at: datetime
    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = Reason.NONE


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity the logger measured, in a UCUM unit."""

    quantity: str
    unit: str
    values: Sequence[Value] | Values
    simulated: bool = False
    """No device measured them: never judged on a live instance."""


def compact(values: Iterable[Value], unit: str) -> Values:
    """The values in little memory. A missing one is bad, whatever is said of it."""
    out = Values()
    for one in values:
        quality = Quality.BAD if one.value is None else one.quality
        reason = (one.reason or Reason.NO_VALUE) if one.value is None else one.reason
        out.add(micros_of(one.at), one.value, State(quality, reason, unit))
    return out


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, and what it was with: exactly one of shipment, lot, sublot, zone (ids, or codes as text).

    `start` and `stop` narrow, or for a lot name, when logger and goods were together.
    """

    serial: str
    series: Sequence[Series]
    shipment: int | str | None = None
    lot: int | str | None = None
    sublot: int | str | None = None
    zone: int | str | None = None
    start: datetime | None = None
    stop: datetime | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    """What the readings were read from (a file's name, hash, signature), for the audit."""


@dataclass(slots=True)
class ImportResult:
    """What came of it. `counted` readings were taken while goods were there; `before` and `after` are kept only."""

    bound_to: str
    zone: Zone
    points: list[str]
    spans: list[TogetherSpan]
    landed: int = 0
    duplicates: int = 0
    conflicts: int = 0
    counted: int = 0
    before: int = 0
    after: int = 0
    between: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    details: list[Message] = field(default_factory=list)
    logger: str | None = None
    """The state of the required logger of that number: read, required (the journey goes on); None if not required."""
    sublots: list[int] = field(default_factory=list)
    source: Mapping[str, Any] = field(default_factory=dict)
    """As the order's."""
