"""What every device with one MQTT connection can suffer: faults, and among them a pulled cable."""

from abc import ABC, abstractmethod

from simulators.faults import Fault, FaultKind, Faults
from simulators.link import MqttLink


class FaultLink(ABC):
    """A device on one connection, `_link`, which is None until it is started."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._link: MqttLink | None = None

    async def fault(self, fault: Fault) -> None:
        """The fault acts from now on."""
        already = self.faults.has(fault.kind)
        self.faults.begin(fault)
        if fault.kind is FaultKind.DISCONNECT and self._link is not None and not already:
            await self._link.abort()

    async def clear(self, kind: FaultKind) -> None:
        """The fault is over. Raises BrokerUnreachable if it was a lost connection that cannot be made again."""
        if not self.faults.has(kind):
            return
        self.faults.end(kind)
        if kind is FaultKind.DISCONNECT and self._link is not None:
            await self._link.reconnect()
        if kind is FaultKind.OUT_OF_ORDER:
            self._release()

    @abstractmethod
    def _release(self) -> None:
        """Tells what was held back to come out of order."""
