"""What an OPC UA server remembers: values by node and source time, outliving the server that serves them."""

from bisect import bisect_left, bisect_right
from collections import deque
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.server.history import HistoryStorageInterface

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _given(at: datetime | None) -> datetime | None:
    """The time as asked for; OPC UA's "not given" is its own epoch, in 1601."""
    if at is None or at.year <= ua.get_win_epoch().year:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class MachineMemory(HistoryStorageInterface):  # type: ignore[misc] # asyncua publishes no types
    """A bounded memory of the machine. The machine itself writes to it, connected or not, so a client can backfill."""

    def __init__(self, keep: int = 100_000, page: int = 1_000) -> None:
        super().__init__(page)
        self._keep = keep
        self._values: dict[ua.NodeId, deque[ua.DataValue]] = {}

    def remember(self, node: ua.NodeId, value: ua.DataValue) -> None:
        """Adds a value, in the order of source times; one that is older than the last goes to its place."""
        kept = self._values.setdefault(node, deque(maxlen=self._keep))
        if kept and kept[-1].SourceTimestamp > value.SourceTimestamp:
            self._values[node] = deque(sorted([*kept, value], key=lambda old: old.SourceTimestamp), maxlen=self._keep)
        else:
            kept.append(value)

    async def init(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close: the memory outlives the server."""

    async def new_historized_node(self, node_id: ua.NodeId, period: timedelta | None, count: int = 0) -> None:
        """Every node the machine remembers is historised already."""

    async def save_node_value(self, node_id: ua.NodeId, datavalue: ua.DataValue) -> None:
        """As `remember`."""
        self.remember(node_id, datavalue)

    async def read_node_history(
        self, node_id: ua.NodeId, start: datetime | None, end: datetime | None, nb_values: int
    ) -> tuple[list[ua.DataValue], datetime | None]:
        """Values from start to end, both included, backwards if end is before start or start is not given.

        The second part says where the next page begins, None when this one is the last.
        """
        kept = list(self._values.get(node_id, ()))
        first, last = _given(start), _given(end)
        backwards = first is None or (last is not None and first > last)
        low, high = (last, first) if backwards else (first, last)
        if first is None:
            low, high = None, last
        times = [value.SourceTimestamp for value in kept]
        found = kept[
            0 if low is None else bisect_left(times, low) : None if high is None else bisect_right(times, high)
        ]
        if backwards:
            found.reverse()
        page = min(nb_values or self.max_history_data_response_size, self.max_history_data_response_size)
        if len(found) > page:
            return found[:page], found[page].SourceTimestamp
        return found, None
