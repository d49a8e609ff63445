"""What was missed: history where the node has it, a gap where it has not, and either before anything later.

The order is what makes a second failure harmless. While a span is being read from history, the point's live reports
are held; should the connection or the process end meanwhile, the last kept reading still lies before the hole, and the
next start reads from there.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from asyncua import ua

from core.telemetry.batch import Gap
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_items import Item, Missed, reading_of
from edge.collectors.opcua_keeping import Keeping, Report
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import history
from edge.collectors.opcua_values import reported_value
from edge.collectors.port import Clock, SourceLost

log = logging.getLogger(__name__)

_TICK = 0.25
_STARTED = "server started"
_HISTORY_LAG = 1.0
"""Seconds a server may take to file a value it has already reported."""


class Backfill:
    """Goes through all items for as long as the connection lasts."""

    def __init__(
        self,
        config: OpcUaSource,
        client: StrictClient,
        items: Sequence[Item],
        safe: Keeping,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._client = client
        self._items = items
        self._safe = safe
        self._clock = clock
        self._settled = asyncio.Event()
        self.server_started: datetime | None = None

    @property
    def held(self) -> int:
        """Reports that wait."""
        return sum(len(item.held) for item in self._items)

    async def schedule(self, item: Item, missed: Missed) -> None:
        """Notes a span to be read from history, or records it as a gap at once where there is none to be read."""
        # By the gateway's clock a value of the past has no time: the gateway was not there.
        if self._config.history and item.has_history and self._config.clock is not Clock.GATEWAY:
            item.to_fill.append(missed)
        else:
            await self._gap(item, missed, missed.stop)

    async def run(self) -> None:
        """Settles one item after the other for as long as the connection lasts. Raises SourceLost."""
        while True:
            for item in self._items:
                while item.to_fill:
                    await self._fill_item(item)
            if not any(item.awaited for item in self._items):
                self._config.remembered[_STARTED] = self.server_started
            self._settled.set()
            await asyncio.sleep(_TICK)

    async def all_settled(self) -> None:
        """Waits until every item has been gone through once more."""
        self._settled.clear()
        await self._settled.wait()

    async def _fill_item(self, item: Item) -> None:
        """Pays the oldest span; after the last, lets go what was held. The span is struck off at the very end."""
        await self._fill(item, item.to_fill[0])
        while item.held and len(item.to_fill) == 1:
            held = list(item.held)
            await self._safe.reports([(item, reading, word) for reading, word in held])
            del item.held[: len(held)]
        item.to_fill.pop(0)

    async def _fill(self, item: Item, missed: Missed) -> None:
        config = self._config
        after = max(missed.after, missed.upto - config.history_limit)
        try:
            if after > missed.after:
                await self._gap(item, missed, after)
            first = await self._backfill(item, after, missed.upto)
            if first is None and missed.expected:
                await asyncio.sleep(_HISTORY_LAG)
                first = await self._backfill(item, after, missed.upto)
        except ua.UaError as error:
            log.warning("%s: history of %s: %s", config.name, item.node.node, error)
            await self._gap(item, missed, missed.stop)
            return
        if first is None and missed.expected:
            await self._gap(item, missed, missed.stop)
        elif first is not None and self._was_away(after, first):
            await self._gap(item, missed, first)

    def _was_away(self, after: datetime, first: datetime) -> bool:
        """Whether the server was started anew between two instants: history does not reach across that."""
        started, before = self.server_started, self._config.remembered.get(_STARTED)
        return started is not None and before is not None and started != before and after < started < first

    async def _backfill(self, item: Item, after: datetime, upto: datetime) -> datetime | None:
        """Keeps what history has over (after, upto]; the time of the first. Raises ua.UaError, SourceLost."""
        found = 0
        first: datetime | None = None
        try:
            async for page in history(self._client, item.node_id, after, upto):
                received = self._clock()
                reports: list[Report] = []
                for value in page:
                    word = reported_value(value, item.node.index)
                    if word.stamp is None or not after < word.stamp <= upto:
                        continue
                    reading = reading_of(item, self._config, word, received, by=word.stamp, historical=True)
                    reports.append((item, reading, word))
                await self._safe.reports(reports)
                found += len(reports)
                first = min([reading.at for _, reading, _ in reports] + ([first] if first else []), default=None)
        except (OSError, TimeoutError) as error:
            raise SourceLost(f"{self._config.endpoint}: while reading history: {error}") from error
        if found:
            log.info("%s: %d values of %s from history", self._config.name, found, item.node.node)
        return first

    async def _gap(self, item: Item, missed: Missed, stop: datetime) -> None:
        await self._safe.gap(Gap(item.node.point, missed.start, stop, missed.reason))
