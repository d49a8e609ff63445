"""Runs a scenario: starts its fleet, does what its timeline says when it says so, and tells what was sent."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.devices import ControllerDevice, MachineDevice
from simulators.fleet import Fleet
from simulators.guard import InstanceSettings, require_test_instance
from simulators.scenario import Scenario
from simulators.scenariofile import read_scenario
from simulators.sensors import Report
from simulators.timetable import Timetable

OnEvent = Callable[["ScenarioEvent"], None]


@dataclass(frozen=True)
class ScenarioEvent:
    """Something that was done, so many real seconds after the beginning."""

    at: float
    text: str


@dataclass
class Summary:
    """What a run did: each device's report and what happened."""

    scenario: str
    seconds: float = 0.0
    reports: list[Report] = field(default_factory=list)
    events: list[ScenarioEvent] = field(default_factory=list)

    def report(self, device: str) -> Report:
        """The report of a device; of a controller's unit by `name.unit`. Raises KeyError."""
        for report in self.reports:
            if report.device == device:
                return report
        raise KeyError(device)


async def run_scenario(
    scenario: Scenario | Path | str,
    *,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
    settings: InstanceSettings | None = None,
) -> Summary:
    """Runs a scenario to its end and returns what it did. Cancelling stops every server and is passed on.

    `overrides` replaces top-level fields (duration, speed_up, seed, broker) and `ports` by device. Raises ConfigErrors,
    LiveInstance, BrokerUnreachable, OSError for a port that is taken, and whatever a device failed with.
    """
    await asyncio.to_thread(require_test_instance, settings)
    found = scenario if isinstance(scenario, Scenario) else read_scenario(Path(scenario))
    found = found.overridden(overrides or {})
    summary = Summary(found.name)
    fleet = Fleet(found)
    loop = asyncio.get_running_loop()
    async with fleet:
        begun = loop.time()

        def report_event(text: str) -> None:
            happened = ScenarioEvent(loop.time() - begun, text)
            summary.events.append(happened)
            if on_event is not None:
                on_event(happened)

        report_event(f"{len(fleet.rooms)} rooms and {len(fleet.devices)} devices are up: {_addresses(found)}")
        for step in Timetable(fleet).steps():
            if step.at >= found.duration:
                break
            await _until(begun + step.at, fleet)
            await step.act()
            report_event(step.text)
        await _until(begun + found.duration, fleet)
        report_event("over")
        summary.seconds = loop.time() - begun
    summary.reports = fleet.reports()
    return summary


def _addresses(scenario: Scenario) -> str:
    """Where each device that serves is found, and the broker that the others speak to."""
    problems = []
    for device in scenario.devices:
        if isinstance(device, MachineDevice):
            problems.append(f"{device.name} on opc.tcp://{device.host}:{device.port}/lotwise/")
        elif isinstance(device, ControllerDevice):
            line = device.serial and (device.serial.pty or device.serial.port)
            problems.append(f"{device.name} on {line or f'{device.host}:{device.port}'}")
    if len(problems) < len(scenario.devices):
        problems.append(f"the others on the broker {scenario.broker.host}:{scenario.broker.port}")
    return ", ".join(problems)


async def _until(moment: float, fleet: Fleet) -> None:
    """Waits until a moment of the loop's clock, unless a device fails first: its error is raised."""
    remaining = max(0.0, moment - asyncio.get_running_loop().time())
    if not fleet.tasks:
        await asyncio.sleep(remaining)
        return
    done, _ = await asyncio.wait(fleet.tasks, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
