"""One unit of a bus: its turn, its plan, its health, and what to do with a block it does not answer rightly."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from core.telemetry.quality import Reason
from core.telemetry.reading import Reading
from edge.collectors.modbus_blocks import Block, Plan
from edge.collectors.modbus_config import ModbusPoint, ModbusUnit, Table
from edge.collectors.modbus_values import Outcome

GARBLED = "garbled_response"
"""What came back was no answer to the request (bad)."""
BUSY = "device_busy"
"""The device is there but puts us off (bad)."""

REFUSALS: dict[int, tuple[str, bool, bool]] = {
    1: (Reason.CONFIGURATION, False, True),
    2: (Reason.CONFIGURATION, True, True),
    3: (Reason.CONFIGURATION, True, True),
    4: (Reason.DEVICE, True, False),
    5: (BUSY, False, False),
    6: (BUSY, False, False),
}
"""Exception code → reason, whether halving the block may help, whether the refusal is remembered.

1 illegal function, 2 illegal address, 3 illegal value, 4 device failure (which many devices also answer for
registers they lack), 5 acknowledge, 6 busy.
"""
OTHER_REFUSAL = (Reason.DEVICE, False, False)
SPLITS_PER_POLL = 24
"""Requests that halving may add to one poll; the rest of a search goes on in the next."""
FAILURES_BEFORE_SPLIT = 3
"""Polls in a row in which a block is not answered rightly, before that is taken for the device's way of refusing it.

Many devices keep silent, hang up or send too little where the protocol asks for an exception; a single lost answer is
none of that.
"""


class UnitState:
    """One unit's turn, plan and health."""

    def __init__(self, config: ModbusUnit, plan: Plan) -> None:
        self.config = config
        self.plan = plan
        self.every = config.every.total_seconds()
        self.due = 0.0
        self.down: Outcome | None = None
        """What its points have while it is not asked, if it answered nothing rightly when last asked."""
        self._backoff = 0.0
        self._ask_at = 0.0
        self._refusals_logged: set[str] = set()
        self._failures: dict[tuple[Table, int, int], int] = {}

    def is_paused(self, now: float) -> bool:
        """Whether it is down and it is too early to ask again. `now` is the loop's time."""
        return self.down is not None and now < self._ask_at

    def went_down(self, outcome: Outcome, now: float, backoff_max: float) -> None:
        """It is asked again after a while, each time twice as long, up to `backoff_max` seconds or its interval."""
        self.down = outcome
        self._backoff = min(max(self.every, backoff_max), self._backoff * 2 or self.every)
        # Half an interval early, so that the poll that falls on the end of the back-off asks.
        self._ask_at = now + self._backoff - self.every / 2

    def came_back(self) -> bool:
        """It answers rightly; whether it did not before."""
        was_down = self.down is not None
        self.down, self._backoff = None, 0.0
        return was_down

    def failed(self, block: Block) -> bool:
        """Counts one more poll in which the block was not answered rightly. Whether it is time to do without it."""
        self._failures[_key(block)] = self._failures.get(_key(block), 0) + 1
        return self.expects_nothing(block)

    def failing(self, block: Block) -> bool:
        """Whether the block was not answered rightly when last asked for."""
        return _key(block) in self._failures

    def expects_nothing(self, block: Block) -> bool:
        """Whether the block has failed so often that no answer to it says nothing of the unit."""
        return self._failures.get(_key(block), 0) >= FAILURES_BEFORE_SPLIT

    def answered(self, block: Block) -> None:
        """The block was answered; what it failed before counts no more."""
        self._failures.pop(_key(block), None)
        if self._refusals_logged:
            self._refusals_logged.difference_update(point.point for point in block.points)

    def first_refusal(self, point: ModbusPoint) -> bool:
        """Whether this is the first refusal of the point since it was last read, hence worth telling."""
        logged = point.point in self._refusals_logged
        self._refusals_logged.add(point.point)
        return not logged

    def start_over(self, now: datetime) -> None:
        """Forgets refusals when it is time to ask again. What only silence taught stays parted: to learn it again
        would cost its neighbours their readings.
        """
        if self.plan.start_over(now):
            self.plan.blocks = list(self._parted(self.plan.blocks))

    def _parted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            if self.expects_nothing(block) and len(block.points) > 1:
                yield from self._parted(block.halves())
            else:
                yield block


def _key(block: Block) -> tuple[Table, int, int]:
    return block.table, block.start, block.count


@dataclass
class Poll:
    """What one poll of one unit brings."""

    readings: list[Reading] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    """The blocks of the next poll."""
    last: list[Block] = field(default_factory=list)
    """Blocks to be asked after all others, as they cost time without an answer."""
    refused: dict[str, tuple[ModbusPoint, str]] = field(default_factory=dict)
    splits: int = SPLITS_PER_POLL
    answered: bool = False
    """Whether the unit has answered anything in this poll, be it by refusing."""
    gone: Outcome | None = None
    """What the unit's points have if it answers nothing rightly: it keeps silent, or what it sends is no answer."""
    silent: bool = False
    """Whether a block went without answer although others had one. A second one means that the unit is gone."""
