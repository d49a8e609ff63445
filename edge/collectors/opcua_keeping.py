"""Handing what was received to the keeper, and remembering it only then."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from asyncua import ua

from core.telemetry.batch import Gap
from core.telemetry.reading import Reading
from edge.collectors.opcua_items import Item
from edge.collectors.opcua_service import in_groups
from edge.collectors.opcua_values import ReportedValue
from edge.collectors.port import Keeper, SpoolFull

log = logging.getLogger(__name__)

T = TypeVar("T")
Report = tuple[Item, Reading, ReportedValue]
"""A reading, the item it is of and what the server told."""

_CHUNK = 1000
_ASIDE_BYTES = 4096
_FULL_PAUSE = 1.0


class Keeping:
    """The keeper, waited for: while its spool is full nothing is acknowledged and the server's queues hold."""

    def __init__(self, name: str, keeper: Keeper) -> None:
        self._name = name
        self._keeper = keeper

    async def reports(self, reports: Sequence[Report], *, reported: bool = True) -> None:
        """Keeps readings and has their items remember them; `reported` is False for values that were read again."""
        for group in in_groups(reports, _CHUNK):
            await self.keep([reading for _, reading, _ in group])
            now = asyncio.get_running_loop().time()
            for item, reading, value in group:
                item.kept(reading, value, now, reported=reported)

    async def keep(self, readings: Sequence[Reading]) -> None:
        """Keeps readings."""
        await self._wait(partial(self._keeper.keep, readings))

    async def gap(self, gap: Gap) -> None:
        """Keeps a gap, unless it is empty."""
        if gap.start < gap.stop:
            await self._wait(partial(self._keeper.gap, gap))

    async def aside(self, item: Item, value: ua.DataValue, reason: str) -> None:
        """Puts a value aside that no reading can carry."""
        payload = repr(value.Value).encode()[:_ASIDE_BYTES]
        await self._wait(partial(self._keeper.aside, item.node.node, payload, reason))

    async def save_state(self, key: str, value: str) -> None:
        """Writes down a word of the source's own."""
        await self._wait(partial(self._keeper.save_state, key, value))

    async def load_state(self, key: str) -> str | None:
        """What was written down under the key."""
        return await self._wait(partial(self._keeper.load_state, key))

    async def _wait(self, keep: Callable[[], Awaitable[T]]) -> T:
        full = False
        while True:
            try:
                return await keep()
            except SpoolFull:
                if not full:
                    log.warning("%s: spool full, waiting", self._name)
                full = True
                await asyncio.sleep(_FULL_PAUSE)
