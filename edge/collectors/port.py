"""The port every collector fills: one source, run until cancelled, never a value re-stamped or repeated.

A collector hands readings to the keeper and may acknowledge its source only after the call has returned: then they
are on disk. What it cannot decode it puts aside with a reason; a silence it knows of it records as a gap.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Protocol, Self, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.telemetry.address import check_point, check_segment
from core.telemetry.batch import Gap
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading

PointAddress = Annotated[str, AfterValidator(check_point)]
Segment = Annotated[str, AfterValidator(check_segment)]


class SourceLost(Exception):
    """The source went away; the supervisor restarts the collector with back-off."""


class SourceMisconfigured(Exception):
    """The source refuses us for a reason that only the operator can mend (credentials, certificate, node)."""


class Keeper(Protocol):
    """Where readings become safe."""

    async def keep(self, readings: Sequence[Reading]) -> None:
        """Returns when the readings are on disk. Raises SpoolFull when the byte bound refuses them."""

    async def gap(self, gap: Gap) -> None:
        """Records a span for which the source is known to have nothing. Returns when it is on disk."""

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        """Counts a payload that could not be decoded and keeps it with its origin (topic, node, register)."""

    async def save_state(self, key: str, value: str) -> None:
        """Writes down a word of the source's own, for its next start. Raises SpoolFull."""

    async def load_state(self, key: str) -> str | None:
        """What an earlier start, or this one, wrote down under the key. Raises SpoolFull."""


class SpoolFull(Exception):
    """The spool's byte bound is reached and its policy is to refuse; do not acknowledge, try again later."""


class Collector(Protocol):
    """One source. Runs until cancelled; raises SourceLost to be restarted, SourceMisconfigured to be reported."""

    name: str

    @property
    def zones(self) -> frozenset[str]:
        """Addresses of every zone it speaks for (with wildcards: configured and seen so far)."""

    @property
    def connected(self) -> bool:
        """Whether the source is reachable now."""

    @property
    def behind(self) -> timedelta:
        """How far `live_upto` stays behind while all is well, by the configuration: the core allows for it before it
        calls the gateway silent.
        """

    def live_upto(self, now: datetime) -> datetime | None:
        """The watermark: every live reading judged at or before it has been kept. None while that cannot be said
        (disconnected, backfilling). Stays behind `now` by the device clock's tolerance where that clock judges.
        """

    async def run(self, keeper: Keeper) -> None:
        """Reads the source until cancelled."""


@runtime_checkable
class Counting(Protocol):
    """A collector that counts what happens to it."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often what happened since it was made."""


class Clock(StrEnum):
    """Which clock a source's readings are judged by."""

    DEVICE = "device"
    """The device's stamp; a reading without one is judged by the gateway's and is uncertain."""
    GATEWAY = "gateway"
    """The gateway's receipt, always; the device's stamp is kept beside it."""
    DEVICE_WITHIN = "device_within"
    """The device's stamp while it is within `tolerance` of the gateway's; outside it the reading is judged by
    the gateway's clock and is uncertain. A reading without a stamp is judged by the gateway's, and good."""


class SourceConfig(BaseModel):
    """What every source's configuration has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Segment
    clock: Clock = Clock.DEVICE_WITHIN
    tolerance: timedelta = Field(default=timedelta(minutes=5), gt=timedelta(0), le=timedelta(days=1))
    longest_silence: timedelta = Field(default=timedelta(minutes=5), gt=timedelta(0))
    """A stable value is read again (where the protocol can) after this long without a report."""
    simulated: bool = False
    """Marks every reading as simulated, indelibly. A live instance refuses them."""

    @property
    def clock_allowance(self) -> timedelta:
        """How old a live reading may look: by the tolerance, unless it is judged by the gateway's own clock."""
        return timedelta(0) if self.clock is Clock.GATEWAY else self.tolerance

    def of(self, gateway: str) -> Self:
        """The source as one of this gateway's, for what it is called by where several gateways come together."""
        del gateway
        return self

    @property
    def alone(self) -> str | None:
        """What two sources cannot have at once, in the operator's words; None if there is nothing of the kind."""
        return None


def judged_at(
    config: SourceConfig, source_at: datetime | None, edge_at: datetime, *, historical: bool = False
) -> tuple[datetime, Quality, str]:
    """The time a reading is judged by, and the quality its clock allows it: (at, quality, reason).

    `historical` readings (backfill, buffered by the device) are old by nature: only a stamp in the future counts
    against them.
    """
    if config.clock is Clock.GATEWAY:
        return edge_at, Quality.GOOD, Reason.NONE
    if source_at is None:
        if config.clock is Clock.DEVICE:
            return edge_at, Quality.UNCERTAIN, Reason.CLOCK
        return edge_at, Quality.GOOD, Reason.NONE
    off = source_at - edge_at
    if off > config.tolerance:
        return edge_at, Quality.UNCERTAIN, Reason.CLOCK
    if config.clock is Clock.DEVICE or historical or off >= -config.tolerance:
        return source_at, Quality.GOOD, Reason.NONE
    return edge_at, Quality.UNCERTAIN, Reason.CLOCK
