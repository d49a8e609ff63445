"""The scenarios that run in this process, those that ran last, and what is told of them."""

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from core.telemetry.located import ConfigErrors
from lotwise.simulations.scenarios import as_run
from lotwise.simulations.telling import Telling
from simulators.guard import LiveInstance, require_test_instance
from simulators.link import BrokerUnreachable
from simulators.runner import Run, ScenarioEvent, Summary
from simulators.scenario import Scenario
from simulators.scenariofile import injected
from simulators.watching import devices, spaces

log = logging.getLogger("lotwise.simulators")

MOST, KEPT = 4, 10
"""Scenarios that run at once, and those that are over and still shown."""
LONGEST = 24 * 3600.0
EVENTS = 200
"""Of a run that are kept, the newest."""
FAILURES = (ConfigErrors, LiveInstance, BrokerUnreachable, OSError, ValueError)


class Refused(Exception):
    """It cannot be; says why."""


@dataclass(eq=False)
class Going:
    """One run, from its start until it is forgotten."""

    id: str
    name: str
    by: str
    scenario: Scenario
    started_at: datetime
    run: Run
    state: str = "starting"
    why: str = ""
    ended_at: datetime | None = None
    task: asyncio.Task[Summary] | None = None
    happened: deque[ScenarioEvent] = field(default_factory=lambda: deque(maxlen=EVENTS))

    @property
    def going(self) -> bool:
        """Whether its devices are up, or coming up."""
        return self.state in {"starting", "running"}

    def told(self) -> dict[str, Any]:
        """All of it as JSON has it; see `core.web.desks.simulators.port.RunNow`."""
        of = self.scenario
        return {
            "id": self.id,
            "scenario": self.name,
            "by": self.by,
            "state": self.state,
            "started_at": self.started_at.isoformat(),
            "ends_at": (self.started_at + timedelta(seconds=of.duration)).isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at is not None else None,
            "speed_up": of.speed_up,
            "seed": of.seed,
            "broker": f"{of.broker.host}:{of.broker.port}",
            "why": self.why,
            "spaces": [dataclasses.asdict(one) for one in spaces(self.run.fleet)],
            "devices": [dataclasses.asdict(one) for one in devices(self.run.fleet)],
            "happened": [dataclasses.asdict(one) for one in reversed(self.happened)],
        }


class Runs:
    """All runs of this process. It belongs to one event loop."""

    def __init__(self, database_url: str | None) -> None:
        self._runs: dict[str, Going] = {}
        self._telling = Telling(database_url, self._any, self._changes)
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]] = {
            "runs": self._told,
            "start": self._start,
            "act": self._act,
            "stop": self._stop,
        }

    async def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """See `lotwise.simulations.host.Host.answer`."""
        try:
            return await self._answers[asked["ask"]](asked)
        except (Refused, *FAILURES) as error:
            return {"refused": str(error)}

    async def close(self) -> None:
        """Takes every device down."""
        tasks = [one.task for one in self._runs.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._telling.close()

    def _any(self) -> bool:
        return any(one.going for one in self._runs.values())

    def _changes(self) -> object:
        """What differs from second to second while something runs: pages are told when it does."""
        return [(one.id, one.state, len(one.happened), _told_by(one)) for one in self._runs.values()]

    async def _told(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"runs": [one.told() for one in reversed(self._runs.values())]}

    async def _start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["id"] in self._runs:
            return {}
        if sum(one.going for one in self._runs.values()) >= MOST:
            raise Refused(f"{MOST} scenarios run already: stop one of them first")
        await asyncio.to_thread(require_test_instance)
        scenario = as_run(asked["scenario"], asked["overrides"])
        if scenario.duration > LONGEST:
            raise Refused(f"a scenario runs for {LONGEST / 3600:g} h at most")
        going = self._made(asked, scenario)
        self._runs[going.id] = going
        self._forget()
        going.task = asyncio.create_task(going.run.play(), name=f"run {going.id}")
        going.task.add_done_callback(partial(self._ended, going))
        self._telling.begin()
        return {}

    def _made(self, asked: Mapping[str, Any], scenario: Scenario) -> Going:
        def heard(event: ScenarioEvent) -> None:
            if event.did == "up":
                going.state = "running"
            going.happened.append(event)

        now = datetime.now(UTC)
        going = Going(asked["id"], asked["scenario"], asked["by"], scenario, now, Run(scenario, heard))
        return going

    def _ended(self, going: Going, task: asyncio.Task[Summary]) -> None:
        """However it ended: what one scenario fails with must not end the others."""
        going.ended_at = datetime.now(UTC)
        error = None if task.cancelled() else task.exception()
        going.state = "stopped" if task.cancelled() else "over" if error is None else "failed"
        if error is not None:
            going.why = str(error) if isinstance(error, FAILURES) else f"{type(error).__name__}: {error}"
            if not isinstance(error, FAILURES):
                log.error("the scenario %s failed", going.name, exc_info=error)

    async def _act(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        going = self._one(asked["run"])
        if going.state != "running":
            raise Refused("it is not running")
        await going.run.inject(injected(going.scenario, asked["what"]))
        return {}

    async def _stop(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        task = self._one(asked["run"]).task
        if task is not None:
            task.cancel()  # its devices say goodbye in their own time: pages are told when they have
        return {}

    def _one(self, run_id: str) -> Going:
        if run_id not in self._runs:
            raise Refused("there is no such run any more")
        return self._runs[run_id]

    def _forget(self) -> None:
        over = [one.id for one in self._runs.values() if not one.going]
        for run_id in over[:-KEPT]:
            del self._runs[run_id]


def _told_by(one: Going) -> tuple[object, ...]:
    if not one.going:
        return ()
    return (*(each.messages for each in devices(one.run.fleet)), *(each.air for each in spaces(one.run.fleet)))
