"""Which messages are already with us, so that one delivered again does not become a second reading.

A broker delivers a QoS 1 message again, marked as such and under its old packet identifier, when it has not seen our
acknowledgement. With a device's stamp the core would recognise the second copy; with a receipt time it could not.

Limits: the memory is this process's. After a crash between the spool's fsync and the acknowledgement the copy is taken
again: with a stamp it is the same reading, without one it is kept as uncertain (`queued_by_broker`). And a message that
was lost on the way the first time, whose identifier and exact content are those of one kept within the last
`receive_maximum` messages, is taken for that one; its value is the same, its moment is lost.
"""

from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import Self

from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_frames import Message
from edge.collectors.mqtt_points import MessageReader

BEGINNING = datetime.min.replace(tzinfo=UTC)


class Redeliveries:
    """Messages not yet kept, by packet identifier, and the identities of the last `size` kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: dict[int, Message] = {}
        self._kept: OrderedDict[int, int] = OrderedDict()

    def waiting(self, message: Message) -> Message | None:
        """The same message, received before and not kept yet; None if there is none."""
        known = self._waiting.get(message.mid) if message.dup else None
        same = known is not None and known.topic == message.topic and known.payload == message.payload
        return known if same else None

    def kept(self, message: Message) -> bool:
        """Whether this is a further delivery of a message already kept."""
        return message.dup and self._kept.get(message.mid) == hash((message.topic, message.payload))

    def expect(self, message: Message) -> None:
        """A message has come that will be kept."""
        self._waiting[message.mid] = message
        self._kept.pop(message.mid, None)

    def keep(self, message: Message) -> None:
        """The message is on disk now."""
        if self._waiting.get(message.mid) is message:
            del self._waiting[message.mid]
        self._kept[message.mid] = hash((message.topic, message.payload))
        self._kept.move_to_end(message.mid)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def new_session(self) -> None:
        """The broker has forgotten the session: its identifiers mean nothing any more."""
        self._waiting.clear()
        self._kept.clear()


class MqttState:
    """What outlives a connection: received and not kept, kept and perhaps not acknowledged, decoders' births."""

    def __init__(self, config: MqttSource) -> None:
        self.reader = MessageReader(config)
        self.redeliveries = Redeliveries(config.receive_maximum)
        self.pending: deque[Message] = deque()
        self.connections = 0
        self.last_receipt = BEGINNING
        self.alive_at: datetime | None = None
        self.saw_unqueued = False
        self.taken_over = False
        self.recalled = False
        self.session_expiry: int | None = None

    @classmethod
    def of(cls, config: MqttSource) -> Self:
        """The one of this configuration: the supervisor makes the collector anew after a loss."""
        known = config.remembered.get("mqtt")
        if not isinstance(known, cls):
            known = config.remembered["mqtt"] = cls(config)
        return known
