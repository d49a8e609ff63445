"""What the collector knows of one node, and what a report of it means. Pure but for the item's own memory."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncua import ua

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from edge.collectors.opcua_config import OpcUaNode, OpcUaSource
from edge.collectors.opcua_values import ReportedValue
from edge.collectors.port import Clock, judged_at

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Missed:
    """A span of one node that was not received: (after, upto] by the source's stamps, [start, stop) as a gap."""

    after: datetime
    upto: datetime
    start: datetime
    stop: datetime
    reason: str
    expected: bool
    """Whether there must have been something: a value newer than the last kept one is there."""


class Item:
    """One node across all connections."""

    def __init__(self, node: OpcUaNode, handle: int, last_kept: datetime | None) -> None:
        self.node = node
        self.handle = handle
        self.sampling = node.sampling
        """As the server revised it."""
        self.last_stamp = last_kept
        """Source stamp of the newest kept report."""
        self.last_at = last_kept
        """Time of the newest kept reading."""
        self.to_fill: list[Missed] = []
        """Spans still to be read from history."""
        self.held: list[tuple[Reading, ReportedValue]] = []
        """Live reports that wait for what lies before them."""
        self.of = node.of
        """How many elements the array has; None until it is first seen."""
        self.reported_size = False
        """Whether it was said that the array has another size."""
        self.node_id: ua.NodeId | None = None
        self.refused = ""
        """Why the server does not monitor it, if so."""
        self.has_history = False
        self.awaited = False
        """Its first report on this connection is still to come."""
        self.recheck = False
        """It is to be read at the server's clock."""
        self.seen = 0.0
        """Monotonic time of the last reading."""

    def attach(self) -> None:
        """Forgets what belonged to the last connection.

        What was owed is owed again: nothing later than it has been kept, so the next first report finds it missing.
        """
        self.to_fill.clear()
        self.held.clear()
        self.node_id = None
        self.refused = ""
        self.awaited = self.recheck = False

    @property
    def numbered(self) -> bool:
        """Whether it is an element of an array whose length is only known from the server."""
        return self.node.index is not None and self.node.of is None

    def resized(self, item_value: ReportedValue) -> bool:
        """Whether the array has another number of elements than the configured element was taken from."""
        if item_value.of is None or item_value.quality is Quality.BAD:
            return False
        if self.of is None:
            self.of = item_value.of
        if self.of != item_value.of and not self.reported_size:
            warning = "%s: an array of %d elements, not of %d: no value is taken until `of` says which"
            log.warning(warning, self.node.node, item_value.of, self.of)
        self.reported_size = self.of != item_value.of
        return self.reported_size

    def kept(self, reading: Reading, item_value: ReportedValue, seen: float, *, reported: bool) -> None:
        """Remembers a reading that is on disk.

        A value that was read again rather than `reported` counts as the newest report only if there was none yet:
        reports before it may still be on their way, and history is read from the newest report on.
        """
        self.last_at = max(self.last_at or reading.at, reading.at)
        if item_value.stamp is not None and (reported or self.last_stamp is None):
            self.last_stamp = max(self.last_stamp or item_value.stamp, item_value.stamp)
        self.seen = seen


def reading_of(
    item: Item,
    config: OpcUaSource,
    item_value: ReportedValue,
    edge_at: datetime,
    *,
    by: datetime | None,
    historical: bool = False,
) -> Reading:
    """The reading of what was told, judged by the stamp `by`; the worse of value's and clock's quality wins."""
    at, clock_quality, clock_reason = judged_at(config, by, edge_at, historical=historical)
    value, quality, reason = item_value.value, item_value.quality, item_value.reason
    if item.resized(item_value):
        value, quality, reason = None, Quality.BAD, Reason.IDENTITY
    if clock_quality > quality:
        quality, reason = clock_quality, clock_reason
    return Reading(
        point=item.node.point,
        at=at,
        value=value,
        unit=item.node.unit,
        edge_at=edge_at,
        source_at=item_value.stamp,
        quality=quality,
        reason=reason,
        simulated=config.simulated,
    )


def refusal(item: Item, config: OpcUaSource, edge_at: datetime) -> Reading:
    """The bad reading of a node that the server does not monitor."""
    return Reading(
        point=item.node.point,
        at=edge_at,
        value=None,
        unit=item.node.unit,
        edge_at=edge_at,
        quality=Quality.BAD,
        reason=Reason.CONFIGURATION,
        simulated=config.simulated,
    )


def first_report(
    item: Item, config: OpcUaSource, item_value: ReportedValue, edge_at: datetime
) -> tuple[Reading | None, Missed | None]:
    """What the first report after (re)connecting yields: a reading unless it is known or stale, and what was missed.

    Sets `recheck` where the value must be read at the server's clock instead or besides.
    """
    stamp = None if config.clock is Clock.GATEWAY else item_value.stamp
    if stamp is None:
        reading = reading_of(item, config, item_value, edge_at, by=item_value.stamp)
        return reading, _missed(item, reading, item.last_stamp, edge_at)
    if item.last_stamp is None:
        if abs(edge_at - stamp) > config.tolerance:
            item.recheck = True
            return None, None
        return reading_of(item, config, item_value, edge_at, by=stamp), None
    if stamp <= item.last_stamp:
        item.recheck = True
        return None, None
    reading = reading_of(item, config, item_value, edge_at, by=stamp, historical=True)
    item.recheck = edge_at - stamp > min(config.longest_silence, timedelta(seconds=2))
    return reading, _missed(item, reading, item.last_stamp, stamp)


def _missed(item: Item, reading: Reading, after: datetime | None, upto: datetime) -> Missed | None:
    if after is None or item.last_at is None:
        return None
    return Missed(after, upto, item.last_at, reading.at, "disconnected", expected=True)
