"""Runs a scenario: starts its fleet, does what its timeline says when it says so, and tells what was sent."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.devices import ControllerDevice, MachineDevice
from simulators.fleet import Fleet
from simulators.guard import InstanceSettings, require_test_instance
from simulators.link import BrokerUnreachable
from simulators.scenario import Injected, Scenario
from simulators.scenariofile import read_scenario
from simulators.sensors import Report
from simulators.timetable import Step, Timetable

OnEvent = Callable[["ScenarioEvent"], None]


@dataclass(frozen=True)
class ScenarioEvent:
    """Something that was done, so many real seconds after the beginning: what, to whom, and with what."""

    at: float
    subject: str
    did: str
    detail: str = ""

    @property
    def text(self) -> str:
        """The same in one line."""
        return f"{self.subject}: {self.did} {self.detail}".rstrip() if self.subject else self.detail or self.did


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


class Run:
    """A scenario that runs. While it does, `fleet` is up, and `inject` makes something happen besides."""

    def __init__(self, scenario: Scenario, on_event: OnEvent | None = None) -> None:
        self.scenario = scenario
        self.fleet = Fleet(scenario)
        self.summary = Summary(scenario.name)
        self._tell = on_event
        self._timetable = Timetable(self.fleet)
        self._begun: float | None = None
        self._ends: set[asyncio.Task[None]] = set()

    async def play(self) -> Summary:
        """From its start to its end. Raises as `run_scenario`."""
        try:
            async with self.fleet:
                self._begun = asyncio.get_running_loop().time()
                text = f"{len(self.fleet.rooms)} rooms and {len(self.fleet.devices)} devices are up: "
                self._report("", "up", text + _addresses(self.scenario))
                for step in self._timetable.steps():
                    if step.at >= self.scenario.duration:
                        break
                    await _until(self._begun + step.at, self.fleet)
                    await step.act()
                    self._report(step.subject, step.did, step.detail)
                await _until(self._begun + self.scenario.duration, self.fleet)
                self._report("", "over")
                self.summary.seconds = self.elapsed
        finally:
            for task in self._ends:
                task.cancel()
        self.summary.reports = self.fleet.reports()
        return self.summary

    @property
    def elapsed(self) -> float:
        """Seconds since everything was up; none before."""
        return 0.0 if self._begun is None else asyncio.get_running_loop().time() - self._begun

    async def inject(self, event: Injected) -> None:
        """Does it at once, and undoes it later if it lasts for a while. Raises BrokerUnreachable, OSError, ValueError
        where it cannot be.
        """
        if self._begun is None:
            raise ValueError(f"{self.scenario.name} is not up yet")
        now, *later = self._timetable.of(event)
        await now.act()
        self._report(now.subject, now.did, now.detail)
        for step in later:
            task = asyncio.create_task(self._later(step, step.at - now.at))
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)

    async def _later(self, step: Step, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await step.act()
        except (BrokerUnreachable, OSError) as error:
            self._report(step.subject, "failed", str(error))
        else:
            self._report(step.subject, step.did, step.detail)

    def _report(self, subject: str, did: str, detail: str = "") -> None:
        happened = ScenarioEvent(self.elapsed, subject, did, detail)
        self.summary.events.append(happened)
        if self._tell is not None:
            self._tell(happened)


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
    return await Run(found.overridden(overrides or {}), on_event).play()


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
