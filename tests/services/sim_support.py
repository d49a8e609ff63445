"""A gateway's collectors, configured by the text a scenario gives, reading the scenario's devices into memory."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from core.telemetry.batch import Gap
from core.telemetry.reading import Reading
from edge.collectors.port import SourceLost
from edge.config import load
from edge.sources import PROTOCOLS
from edge.tasks import end
from simulators.describe import gateway_yaml
from simulators.fleet import Fleet
from simulators.scenario import Scenario

ROOM, OTHER, LINE = "plant/cold/room-1", "plant/cold/room-2", "plant/fill/line-1"
PATIENCE = 20.0


class Kept:
    """A keeper in memory."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.gaps: list[Gap] = []
        self.notes: dict[str, str] = {}
        self.asides: list[tuple[str, bytes, str]] = []

    async def keep(self, readings: Sequence[Reading]) -> None:
        self.readings.extend(readings)

    async def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        self.asides.append((origin, payload, reason))

    async def save_state(self, key: str, value: str) -> None:
        self.notes[key] = value

    async def load_state(self, key: str) -> str | None:
        return self.notes.get(key)

    def of(self, point: str) -> list[Reading]:
        return [reading for reading in self.readings if reading.point == point]

    def numbers(self, point: str) -> list[int]:
        """The whole numbers a point told, in the order of arrival."""
        return [reading.value for reading in self.of(point) if isinstance(reading.value, int)]

    def last(self) -> dict[str, Any]:
        """When each point last spoke, as the gateway's spool would say."""
        return {found.point: found.at for found in sorted(self.readings, key=lambda reading: reading.at)}

    async def until(self, point: str, count: int) -> None:
        await until(lambda: len(self.of(point)) >= count, f"{point}: {count} readings")


async def until(true: Callable[[], object], what: str = "that") -> None:
    """Waits for a condition; fails after a while, saying what was waited for."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


def scenario(devices: list[dict[str, Any]], **fields: Any) -> Scenario:
    zones = {ROOM: {}, OTHER: {}, LINE: {"kind": "warehouse"}}
    return Scenario.model_validate({"name": "trial", "duration": 60, "zones": zones, "devices": devices} | fields)


@contextlib.asynccontextmanager
async def collecting(file: Path, kept: Kept) -> AsyncIterator[None]:
    """The collectors of a gateway's file at work; one that loses its source is started again."""

    async def collect(source: Any) -> None:
        while True:
            with contextlib.suppress(SourceLost):
                await PROTOCOLS[str(source.protocol)].make(source, kept.last).run(kept)
            await asyncio.sleep(0.1)

    tasks = [asyncio.create_task(collect(source)) for source in load(file).sources]
    try:
        yield
    finally:
        await end(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


@contextlib.asynccontextmanager
async def collected(
    found: Scenario, folder: Path, kept: Kept, rewrite: Callable[[str], str] = str
) -> AsyncIterator[Fleet]:
    """The scenario's fleet alive, and a gateway's collectors reading it. `rewrite` may change the gateway's file."""
    file = folder / "gateway.yaml"
    file.write_text(rewrite(gateway_yaml(found, data_dir=str(folder))))
    async with Fleet(found) as fleet, collecting(file, kept):
        yield fleet
