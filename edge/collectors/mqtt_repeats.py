"""What is published again from somebody's cache, told from what a device has said anew.

A bridge goes on publishing what a dead sensor said last. Where a stamp says when that was, the same stamp with the same
value is the same reading, and is not taken twice. Where there is none, only a change shows that the device lives: a
value that moves, or its battery, its signal, a counter beside it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from edge.collectors.decoders import Decoded

REPEATED = "repeated_unchanged"
"""Nothing has shown for longer than the declared interval that the device still speaks (uncertain)."""
MOST = 100_000
UPDATE, DEVICE = b'"update', b'"device"'
"""Beginnings of fields by which zigbee2mqtt speaks of itself: no sign of life of the device."""


class Repeats:
    """Remembers the last stamp of each point and the last content of each topic; forgets when there are too many."""

    def __init__(self) -> None:
        self._last_stamps: dict[str, Decoded] = {}
        self._contents: dict[str, tuple[int, datetime]] = {}
        self._kept: Mapping[str, datetime] = {}

    def stamped(self, point: str, item: Decoded) -> bool:
        """Whether the point had this very value under this very stamp; remembers it. `item` has a stamp."""
        last = self._last_stamps.get(point)
        if (
            last is not None
            and last.source_at == item.source_at
            and (last.value, last.quality, last.reason) == (item.value, item.quality, item.reason)
        ):
            return True
        if len(self._last_stamps) >= MOST:
            self._last_stamps.clear()
        self._last_stamps[point] = item
        return False

    def begin_after(self, kept: Mapping[str, datetime]) -> None:
        """`kept`: the time of each point's last reading, of earlier processes."""
        self._kept = kept

    def was_kept(self, point: str, stamp: datetime | None) -> bool:
        """Whether an earlier process kept a reading of the point under this stamp: under it, the core knows it again,
        however old it is by now.
        """
        return stamp is not None and self._kept.get(point) == stamp

    def forget(self, points: Sequence[str]) -> None:
        """What the points say next is no repetition."""
        for point in points:
            self._last_stamps.pop(point, None)

    def forget_all(self) -> None:
        """Nothing with a stamp is a repetition: what was said was perhaps not kept, and is read again."""
        self._last_stamps.clear()

    def unchanged(
        self, topic: str, payload: bytes, decoded: Sequence[Decoded], received_at: datetime, limit: timedelta
    ) -> bool:
        """Whether the topic says without a stamp what it has said for longer than `limit`."""
        if not decoded or decoded[0].source_at is not None:
            return False
        from_bridge = UPDATE in payload or DEVICE in payload
        content = _without_the_bridges_own(decoded) if from_bridge else hash(payload)
        known = self._contents.get(topic)
        if known is not None and known[0] == content:
            return received_at - known[1] > limit
        if len(self._contents) >= MOST:
            self._contents.clear()
        self._contents[topic] = (content, received_at)
        return False


def _without_the_bridges_own(decoded: Sequence[Decoded]) -> int:
    fields = [(item.device, item.field, item.value) for item in decoded]
    return hash(tuple(one for one in fields if not one[1].startswith(("update.", "update_", "device."))))
