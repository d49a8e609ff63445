"""Paying what items are owed: history where the node has it, a gap where it has not."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from asyncua import ua

from core.telemetry.batch import Gap
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_items import Item, Missed, reading_of
from edge.collectors.opcua_safe import Report, Safe
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import history
from edge.collectors.opcua_values import told
from edge.collectors.port import Clock, SourceLost

log = logging.getLogger(__name__)

_TICK = 0.25
_HISTORY_LAG = 1.0
"""Seconds a server may take to file a value it has already reported."""


class Filling:
    """Goes through all items for as long as the connection lasts."""

    def __init__(
        self,
        config: OpcUaSource,
        client: StrictClient,
        items: Sequence[Item],
        safe: Safe,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._client = client
        self._items = items
        self._safe = safe
        self._clock = clock

    async def run(self) -> None:
        """One span after the other; a span is struck off only when what it held is on disk. Raises SourceLost."""
        while True:
            for item in self._items:
                while item.owed:
                    await self._pay(item, item.owed[0])
                    item.owed.pop(0)
            await asyncio.sleep(_TICK)

    async def _pay(self, item: Item, missed: Missed) -> None:
        config = self._config
        # By the gateway's clock a value of the past has no time: the gateway was not there.
        if not config.history or not item.has_history or config.clock is Clock.GATEWAY:
            await self._gap(item, missed, missed.stop)
            return
        after = max(missed.after, missed.upto - config.history_limit)
        try:
            found = await self._backfill(item, after, missed.upto)
            if not found and missed.expected:
                await asyncio.sleep(_HISTORY_LAG)
                found = await self._backfill(item, after, missed.upto)
        except ua.UaError as error:
            log.warning("%s: history of %s: %s", config.name, item.node.node, error)
            await self._gap(item, missed, missed.stop)
            return
        if found:
            log.info("%s: %d values of %s from history", config.name, found, item.node.node)
        if not found and missed.expected:
            await self._gap(item, missed, missed.stop)
        elif after > missed.after:
            await self._gap(item, missed, after)

    async def _backfill(self, item: Item, after: datetime, upto: datetime) -> int:
        """Keeps what history has over (after, upto]; how many. Raises ua.UaError, SourceLost."""
        found = 0
        try:
            async for page in history(self._client, item.node_id, after, upto):
                received = self._clock()
                reports: list[Report] = []
                for value in page:
                    word = told(value, item.node.index)
                    if word.stamp is None or not after < word.stamp <= upto:
                        continue
                    reading = reading_of(item, self._config, word, received, by=word.stamp, historical=True)
                    reports.append((item, reading, word))
                await self._safe.reports(reports)
                found += len(reports)
        except (OSError, TimeoutError) as error:
            raise SourceLost(f"{self._config.endpoint}: while reading history: {error}") from error
        return found

    async def _gap(self, item: Item, missed: Missed, stop: datetime) -> None:
        await self._safe.gap(Gap(item.node.point, missed.start, stop, missed.reason))
