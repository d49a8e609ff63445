"""Which nodes the server watches for us, and which it refuses."""

import logging
from collections.abc import Sequence

from asyncua import ua

from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_identity import Remembered
from edge.collectors.opcua_items import Item
from edge.collectors.opcua_keeping import Keeping
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import create_items, in_groups, item_request, may_read_history, node_id, reaching
from edge.collectors.opcua_values import severity

log = logging.getLogger(__name__)


class Monitoring:
    """The monitored items of one subscription."""

    def __init__(self, config: OpcUaSource, client: StrictClient, safe: Keeping) -> None:
        self._config = config
        self._client = client
        self._remembered = Remembered(config, safe)
        self.renumbered = False
        """Whether a node is refused because its namespace's index has come to mean another."""
        self.subscription = 0
        self.per_call = config.per_call

    async def locate(self, items: Sequence[Item]) -> None:
        """Finds the items' node ids by the server's namespaces as they are now. Raises SourceLost."""
        with reaching(self._config.endpoint):
            namespaces = await self._client.get_namespace_array()
        await self.note_lengths([item for item in items if item.numbered])
        moved = await self._remembered.moved(items, namespaces)
        self.renumbered = bool(moved)
        for item in items:
            index = item.node.namespace
            if index is not None and index in moved:
                item.node_id = None
                self._refuse(item, moved[index])
                continue
            try:
                item.node_id = node_id(item.node.node, namespaces)
            except (LookupError, ua.UaError) as error:
                self._refuse(item, str(error))

    async def monitor(self, items: Sequence[Item]) -> None:
        """Has the server watch the items, or notes why it will not. Raises SourceLost, SourceMisconfigured."""
        for group in in_groups(items, self.per_call):
            ids = [item.node_id for item in group]
            requests = [
                item_request(item.node, each, item.handle, self._config.queue_of(item.node))
                for item, each in zip(group, ids, strict=True)
            ]
            with reaching(self._config.endpoint):
                # Asked first: a first report may come before the answer to the creation of its item.
                for item, has_history in zip(group, await may_read_history(self._client, ids), strict=True):
                    item.has_history = has_history
                    item.awaited = True
                results = await create_items(self._client, self.subscription, requests)
            for item, result in zip(group, results, strict=True):
                self._created(item, result)

    def _created(self, item: Item, result: ua.MonitoredItemCreateResult) -> None:
        if not result.StatusCode.is_good():
            self._refuse(item, severity(int(result.StatusCode.value))[1])
            return
        item.refused = ""
        item.sampling = max(
            item.node.sampling, item.node.sampling.__class__(milliseconds=result.RevisedSamplingInterval)
        )
        asked = self._config.queue_of(item.node)
        if result.RevisedQueueSize < asked:
            log.info(
                "%s: %s: queue of %d instead of %d", self._config.name, item.node.node, result.RevisedQueueSize, asked
            )

    def _refuse(self, item: Item, reason: str) -> None:
        item.awaited = False
        if item.refused != reason:
            log.warning("%s: the server does not monitor %s: %s", self._config.name, item.node.node, reason)
        item.refused = reason
        item.recheck = True

    async def note_lengths(self, items: Sequence[Item]) -> None:
        """Writes down how many elements arrays have, where that is new."""
        await self._remembered.lengths(items)

    async def retry(self, refused: Sequence[Item]) -> None:
        """Asks again for what the server did not have: it may have come to know the namespace, or the node."""
        if refused:
            await self.locate([item for item in refused if item.node_id is None])
            await self.monitor([item for item in refused if item.node_id is not None])
