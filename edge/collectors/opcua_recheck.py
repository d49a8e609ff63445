"""Values that are read again, because they have been silent or because their first report was an old one."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_items import Item, reading_of, refusal
from edge.collectors.opcua_keeping import Keeping, Report
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import in_groups, reaching, read_now
from edge.collectors.opcua_values import ReportedValue, reported_value


class Recheck:
    """Reads items at the server's clock."""

    def __init__(self, config: OpcUaSource, client: StrictClient, safe: Keeping, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._client = client
        self._safe = safe
        self._clock = clock
        self.since: datetime | None = None
        """When the read that is under way and not yet kept was begun."""

    async def read(self, items: Sequence[Item], per_call: int) -> None:
        """A reading for each item by the server's time, which says that the value still stands. Raises SourceLost."""
        for group in in_groups(items, per_call):
            self.since = self._clock()
            with reaching(self._config.endpoint):
                server_now, values = await read_now(self._client, [item.node_id for item in group])
            received = self._clock()
            reports: list[Report] = []
            for item, value in zip(group, values, strict=True):
                word = reported_value(value, item.node.index)
                by = self._proof(item, word, server_now)
                reading = reading_of(item, self._config, word, received, by=by)
                item.seen = asyncio.get_running_loop().time()
                if item.last_at is None or reading.at > item.last_at:
                    reports.append((item, reading, word))
                # Else the server's clock has not moved on since the last reading: nothing new is proven.
            await self._safe.reports(reports, reported=False)
            for item in group:
                item.recheck = item.awaited = False
            self.since = None

    def _proof(self, item: Item, word: ReportedValue, server_now: datetime | None) -> datetime | None:
        """When the server says that the value stands.

        That is its stamp if it stamps what it reads; many stamp only what changes: then it is its clock at the read.
        """
        stamp = word.server_at
        newer = stamp is not None and (item.last_at is None or stamp > item.last_at)
        if server_now is None:
            return stamp if newer else None
        fresh = stamp is not None and abs(server_now - stamp) < self._config.longest_silence
        return stamp if newer and fresh else server_now

    async def refuse(self, items: Sequence[Item]) -> None:
        """The bad reading of items that the server does not monitor."""
        at = self._clock()
        for item in items:
            await self._safe.keep([refusal(item, self._config, at)])
            item.recheck = False
            item.seen = asyncio.get_running_loop().time()
