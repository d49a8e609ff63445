"""In-transaction events of the judge: what goods went through, and what zones are at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from core.erp.kernel.events import Event
from core.erp.kernel.words import Message


@dataclass(frozen=True)
class Breach:
    """A limit of a profile broken by what one sublot went through.

    `started_at` is when its count began, `broke_at` when it reached the delay, `ended_at` when the limit was no
    longer out (None: still is). `out` is the time out, at this certainty. `zone_id` is the zone where it broke.
    """

    limit_key: str
    kind: str
    started_at: datetime
    broke_at: datetime
    ended_at: datetime | None
    certainty: Literal["proven", "uncertain", "unproven"]
    out: timedelta
    lowest: float | None
    highest: float | None
    zone_id: int


@dataclass(frozen=True)
class Judged:
    """All breaches of one sublot under one profile version, as the data stand: a function of the data."""

    sublot_id: int
    version_id: int
    breaches: tuple[Breach, ...]


@dataclass(frozen=True)
class SublotsJudged(Event):
    """These sublots were judged again."""

    items: tuple[Judged, ...]
    required: ClassVar[tuple[str, ...]] = ("quality.sync",)


@dataclass(frozen=True)
class ZoneState(Event):
    """A zone came into, or went out of, a condition of its own, whatever stands in it."""

    zone_id: int
    kind: Literal["high", "low", "stale", "silent_gateway"]
    active: bool
    at: datetime
    value: float | None
    required: ClassVar[tuple[str, ...]] = ("quality.alarm",)


@dataclass(frozen=True)
class SensorState:
    """A sensor came into, or is not in, a condition of its own: it is not to be trusted. `detail` says by what."""

    zone_id: int
    point_id: int
    kind: str
    active: bool
    at: datetime
    detail: Message | None


@dataclass(frozen=True)
class SensorStates(Event):
    """How the sensors of some zones are now, each condition of each."""

    items: tuple[SensorState, ...]
    required: ClassVar[tuple[str, ...]] = ("quality.sensor_alarms",)


@dataclass(frozen=True)
class ZoneStates(Event):
    """The conditions that zones came into or went out of in one fold, in order."""

    items: tuple[ZoneState, ...]
    required: ClassVar[tuple[str, ...]] = ("quality.alarms",)
