"""The Modbus collector: polls the units of one bus so that none costs another its turn.

Watermark: Modbus has no stamps and no history, so a reading's time is the gateway's receipt of its answer. While the
line is open `live_upto` is the start of the poll that is under way and not yet kept, or now if none is. A unit that
does not answer yields bad readings, not silence. When the line itself is lost, every point gets one bad reading and the
watermark is None until it is open again.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from core.telemetry.address import zone_of
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from edge.collectors.modbus_blocks import Block, Plan
from edge.collectors.modbus_bus import Bus, Garbled, NoAnswer, Refused
from edge.collectors.modbus_config import ModbusPoint, ModbusSource
from edge.collectors.modbus_unit import BUSY, GARBLED, OTHER_REFUSAL, REFUSALS, Poll, UnitState
from edge.collectors.modbus_values import Outcome
from edge.collectors.port import Keeper, SourceLost, SourceMisconfigured, SpoolFull

__all__ = ["BUSY", "GARBLED", "ModbusCollector", "ModbusSource"]

log = logging.getLogger(__name__)

_SILENT: Outcome = (None, Quality.BAD, Reason.COMMUNICATION)
_GARBLED: Outcome = (None, Quality.BAD, GARBLED)

_FULL_PAUSE = 1.0
_LATEST_BEGIN = 5.0
"""Seconds after its opening by which a bus is polled for the first time."""


class ModbusCollector:
    """One bus. Implements `edge.collectors.port.Collector`."""

    def __init__(self, config: ModbusSource, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.name = config.name
        self.overruns = 0
        """Polls that were skipped because the bus was too slow for them."""
        self._config = config
        self._clock = clock
        self._units = [UnitState(unit, Plan(unit, config.retry_refused)) for unit in config.units]
        self._zones = frozenset(zone_of(point.point) for unit in config.units for point in unit.points)
        self._connected = False
        self._unkept_since: datetime | None = None
        self.phase = int.from_bytes(hashlib.sha256(config.name.encode()).digest()[:4], "big") / 2**32
        """Where within an interval it is polled, from 0 to 1: by its name, so that buses are polled apart."""

    @property
    def counts(self) -> dict[str, int]:
        """Polls skipped because the bus was too slow for them."""
        return {"polls_skipped": self.overruns}

    @property
    def zones(self) -> frozenset[str]:
        """Zones of all configured points."""
        return self._zones

    @property
    def connected(self) -> bool:
        """Whether the line is open."""
        return self._connected

    @property
    def behind(self) -> timedelta:
        """Nothing: a reading's time is its receipt."""
        return timedelta(0)

    def live_upto(self, now: datetime) -> datetime | None:
        """Start of the poll that is not yet kept, else now; None while the line is lost."""
        if not self._connected:
            return None
        return min(now, self._unkept_since or now)

    async def run(self, keeper: Keeper) -> None:
        """Polls until cancelled. Raises SourceLost when the line cannot be opened, or not again; SourceMisconfigured
        when it cannot have its settings.
        """
        bus = Bus(self._config)
        try:
            await bus.open()
            self._connected = True
            log.info("%s: %s open, %d units", self.name, bus.name, len(self._units))
            await self._poll_for_ever(bus, keeper)
        except (SourceLost, SourceMisconfigured):
            self._connected = False
            points = [point for unit in self._units for point in unit.config.points]
            await self._keep(keeper, [self._reading(point, _SILENT, self._clock()) for point in points])
            raise
        finally:
            self._connected = False
            self._unkept_since = None
            bus.close()

    async def _poll_for_ever(self, bus: Bus, keeper: Keeper) -> None:
        loop = asyncio.get_running_loop()
        # First turns are spread over the shortest interval, so that units do not queue up behind each other; and buses
        # that are opened at once, as at the gateway's start, begin apart, or they would all be polled at one instant.
        shortest = min(unit.every for unit in self._units)
        begin = loop.time() + self.phase * min(shortest, _LATEST_BEGIN)
        for index, unit in enumerate(self._units):
            unit.due = begin + index * shortest / len(self._units)
        while True:
            unit = min(self._units, key=lambda state: state.due)
            await asyncio.sleep(max(0.0, unit.due - loop.time()))
            self._unkept_since = self._clock()
            poll = Poll()
            try:
                await self._poll(bus, unit, poll)
            except (SourceLost, SourceMisconfigured):
                await self._keep(keeper, poll.readings)
                raise
            await self._keep(keeper, poll.readings)
            self._unkept_since = None
            unit.due += unit.every
            missed = int((loop.time() - unit.due) // unit.every) + 1
            if missed > 0:
                self.overruns += missed
                unit.due += missed * unit.every

    async def _keep(self, keeper: Keeper, readings: list[Reading]) -> None:
        """Waits as long as the spool is full: the bus is not asked for what could not be kept."""
        full = False
        while True:
            try:
                await keeper.keep(readings)
            except SpoolFull:
                if not full:
                    log.warning("%s: spool full, polling stops", self.name)
                full = True
                await asyncio.sleep(_FULL_PAUSE)
            else:
                return

    async def _poll(self, bus: Bus, unit: UnitState, poll: Poll) -> None:
        """One reading for every point of the unit: its value, or bad with the reason."""
        if unit.down is not None and unit.is_paused(asyncio.get_running_loop().time()):
            poll.readings += self._readings(unit.config.points, unit.down)
            return
        unit.start_over(self._clock())
        queue = deque(unit.plan.blocks)
        while queue:
            block = queue.popleft()
            try:
                await self._read(bus, unit, block, queue, poll)
            except NoAnswer as silence:
                expected = unit.expects_nothing(block)
                if poll.answered and (expected or not poll.silent):
                    poll.silent = poll.silent or not expected
                    self._mark_refused(unit, block, _SILENT, poll)
                    continue
                if unit.down is None:
                    log.warning("%s: %s", self.name, silence)
                poll.readings += self._readings(block.points, _SILENT)
                poll.last.append(block)
                self._mark_missed(queue, _SILENT, poll)
        if poll.gone is not None:
            self._went_down(bus, unit, poll.gone)
        unit.plan.learn(poll.blocks + poll.last, poll.refused, self._clock())
        for point, reason in unit.plan.refused.values():
            poll.readings.append(self._reading(point, (None, Quality.BAD, reason), self._clock()))

    async def _read(self, bus: Bus, unit: UnitState, block: Block, queue: deque[Block], poll: Poll) -> None:
        """Reads one block into `poll`, or puts its halves at the head of the queue. Raises NoAnswer, SourceLost."""
        try:
            once = unit.down is not None or unit.expects_nothing(block)
            cells = await bus.read(unit.config.id, block, 0 if once else self._config.retries)
        except Refused as refusal:
            self._came_back(unit, poll)
            self._refused(unit, block, refusal, queue, poll)
        except Garbled as garbled:
            if unit.down is None and not unit.failing(block):
                log.warning("%s: unit %d does not answer what it is asked: %s", self.name, unit.config.id, garbled)
            self._mark_refused(unit, block, _GARBLED, poll)
            if poll.gone is not None:
                self._mark_missed(queue, _GARBLED, poll)
            elif not poll.answered:
                poll.gone = _GARBLED
        else:
            self._came_back(unit, poll)
            unit.answered(block)
            at = self._clock()
            simulated = self._config.simulated
            poll.readings += [
                Reading(point.point, at, value, point.unit, at, None, quality, reason, simulated)
                for point, where, decode in block.parts
                for value, quality, reason in (decode(cells[where]),)
            ]
            poll.blocks.append(block)

    def _refused(self, unit: UnitState, block: Block, refusal: Refused, queue: deque[Block], poll: Poll) -> None:
        reason, halve, remember = REFUSALS.get(refusal.code, OTHER_REFUSAL)
        if halve and len(block.points) > 1 and poll.splits > 0:
            poll.splits -= 2
            queue.extendleft(reversed(block.halves()))
            return
        if remember and (len(block.points) == 1 or not halve):
            for point in block.points:
                if unit.first_refusal(point):
                    log.warning("%s: unit %d refuses %s (%s)", self.name, unit.config.id, point.point, refusal)
                poll.refused[point.point] = (point, reason)
            return
        poll.readings += self._readings(block.points, (None, Quality.BAD, reason))
        poll.blocks.append(block)

    def _mark_refused(self, unit: UnitState, block: Block, outcome: Outcome, poll: Poll) -> None:
        """The unit is there, but this block is not answered rightly. When that goes on, it is parted; a single point
        that alone is not answered, while others are, is refused.
        """
        given_up = unit.failed(block)
        if given_up and poll.answered and len(block.points) == 1:
            point = block.points[0]
            if unit.first_refusal(point):
                log.warning("%s: unit %d answers, but not for %s", self.name, unit.config.id, point.point)
            poll.refused[point.point] = (point, outcome[2])
            return
        poll.readings += self._readings(block.points, outcome)
        poll.last += block.halves() if given_up and len(block.points) > 1 else (block,)

    def _mark_missed(self, queue: deque[Block], outcome: Outcome, poll: Poll) -> None:
        """Asks the unit nothing more in this poll: each of its blocks would cost the others a time-out."""
        poll.gone = outcome
        for skipped in queue:
            poll.readings += self._readings(skipped.points, outcome)
        poll.blocks += queue
        queue.clear()

    def _went_down(self, bus: Bus, unit: UnitState, outcome: Outcome) -> None:
        unit.went_down(outcome, asyncio.get_running_loop().time(), self._config.backoff_max.total_seconds())
        if all(state.down is not None for state in self._units):
            # Nobody answers: the connection may be a dead one that TCP has not noticed. The next read opens it anew.
            bus.close()

    def _came_back(self, unit: UnitState, poll: Poll) -> None:
        poll.answered, poll.gone = True, None
        if unit.came_back():
            log.info("%s: unit %d answers again", self.name, unit.config.id)

    def _readings(self, points: Iterable[ModbusPoint], outcome: Outcome) -> list[Reading]:
        at = self._clock()
        return [self._reading(point, outcome, at) for point in points]

    def _reading(self, point: ModbusPoint, outcome: Outcome, at: datetime) -> Reading:
        value, quality, reason = outcome
        return Reading(point.point, at, value, point.unit, at, None, quality, reason, self._config.simulated)
