"""What a server's numbers stood for when they were first met: namespaces by index, and lengths of arrays.

A server may number its namespaces anew when it is started, and `ns=2;s=Temperature` is then another machine's. So the
URI behind each index that the configuration names is asked once and remembered on disk.
"""

from collections.abc import Mapping, Sequence

import msgspec

from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_items import Item
from edge.collectors.opcua_keeping import Keeping

_decode = msgspec.json.Decoder(dict[str, str]).decode


class Remembered:
    """What is remembered of one server, under its address."""

    def __init__(self, config: OpcUaSource, safe: Keeping) -> None:
        self._safe = safe
        self._key = f"numbers of {config.endpoint}"
        self._known: dict[str, str] | None = None

    async def lengths(self, items: Sequence[Item]) -> None:
        """Takes up the lengths of arrays whose elements are read, and writes down those that are new."""
        known = await self._load()
        fresh = dict(known)
        for item in items:
            noted = known.get(f"of {item.node.node}")
            if noted is not None:
                item.of = int(noted)
            elif item.of is not None:
                fresh[f"of {item.node.node}"] = str(item.of)
        await self._save(fresh)

    async def moved(self, items: Sequence[Item], namespaces: Sequence[str]) -> Mapping[int, str]:
        """Why an index can no longer be trusted, by index; what is new is written down."""
        known = await self._load()
        fresh = dict(known)
        moved: dict[int, str] = {}
        for index in sorted({item.node.namespace or 0 for item in items} - {0}):
            if index >= len(namespaces):
                continue  # not there, or not yet: the server refuses the node by itself
            was = fresh.setdefault(str(index), namespaces[index])
            if was != namespaces[index]:
                moved[index] = (
                    f"namespace {index} was {was} and is now {namespaces[index]}: "
                    f"write nsu=URI; in place of ns={index};"
                )
        await self._save(fresh)
        return moved

    async def _load(self) -> dict[str, str]:
        if self._known is None:
            self._known = _decode(await self._safe.load_state(self._key) or "{}")
        return self._known

    async def _save(self, fresh: dict[str, str]) -> None:
        if fresh != self._known:
            await self._safe.save_state(self._key, msgspec.json.encode(fresh).decode())
            self._known = fresh
