"""The OPC UA collector: one server, one subscription, nothing lost silently.

Acknowledgement: a publish response is answered (and its acknowledgement sent) only after its readings are on disk, so
the server keeps what we could not. Sequence numbers are checked: what is missing is asked for again, else read from
history, else recorded as a gap for every point.

Time: a reading keeps the source's stamp (the server's, where the source gave none). The first report of a value after
(re)connecting may be old because nothing changed since: it is kept only if it is newer than what was kept before, and
in any case the value is then read at the server's clock, as it is whenever it has been silent for `longest_silence`:
such a reading is judged by the server's time, since it says that the value still stands, and keeps its source stamp.

Breaks: after one, what lies between the last kept value and the first live one is read from history where the node has
one, else it is a gap; either is kept before anything later of that point, so that a second break, or the end of the
process, leaves no hole behind the last kept reading.

Watermark: receipt of the last publish response that has been kept, keep-alives included, less the longest sampling
interval (a stamp may be that much older than its publishing) and, unless the gateway's clock judges, less `tolerance`.
None while disconnected, until every node has reported or been read, and while history is being read.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from core.telemetry.address import zone_of
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.opcua_items import Item
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import KEEPALIVE, reaching
from edge.collectors.opcua_session import Session
from edge.collectors.port import Keeper

log = logging.getLogger(__name__)

_CONNECTED = "connected"
"""Whether this process has ever reached the server."""


class OpcUaCollector:
    """One server. Implements `edge.collectors.port.Collector`.

    `last_kept` gives, per point, the time of its last kept reading, so that a new process knows what it missed; within
    the process the collector remembers.
    """

    def __init__(
        self,
        config: OpcUaSource,
        last_kept: Mapping[str, datetime] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = config.name
        self._config = config
        self._clock = clock
        known = last_kept or {}
        self._items = [Item(node, handle, known.get(node.point)) for handle, node in enumerate(config.nodes, start=1)]
        self._zones = frozenset(zone_of(node.point) for node in config.nodes)
        self._session: Session | None = None

    @property
    def zones(self) -> frozenset[str]:
        """Zones of all configured nodes."""
        return self._zones

    @property
    def connected(self) -> bool:
        """Whether the subscription stands."""
        return self._session is not None

    @property
    def behind(self) -> timedelta:
        """The longest sampling interval, the tolerance where a device's clock judges, and one publishing, which the
        last word of the server may be old.
        """
        return self._back + max(self._config.publishing, KEEPALIVE)

    @property
    def _back(self) -> timedelta:
        return max(item.sampling for item in self._items) + self._config.clock_allowance

    def live_upto(self, now: datetime) -> datetime | None:
        """See the module's text on the watermark."""
        complete = self._session.complete_upto() if self._session is not None else None
        if complete is None:
            return None
        return min(now, complete) - self._back

    async def run(self, keeper: Keeper) -> None:
        """Subscribes and keeps until cancelled. Raises SourceLost, SourceMisconfigured.

        That it is lost and that it is back are the supervisor's to tell, once each.
        """
        client = StrictClient(self._config)
        try:
            with reaching(self._config.endpoint):
                await client.secure()
                await client.connect()
        except BaseException:
            # The library closes the socket for errors of its own, not when it is cancelled half-way.
            client.disconnect_socket()
            raise
        try:
            if _CONNECTED not in self._config.remembered:
                log.info("%s: connected to %s", self.name, client)
            self._config.remembered[_CONNECTED] = True
            self._session = Session(self._config, client, self._items, keeper, self._clock)
            await self._session.serve()
        finally:
            self._session = None
            await client.disconnect()
