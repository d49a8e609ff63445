"""What the pages are handed: questions to the process that runs scenarios."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.telemetry.located import ConfigErrors
from core.web.desks.simulators.port import Asked, KnownScenario, RunNow, SimulatorsAway, SimulatorsRefuse
from lotwise.embedded.local import connect, receive, send
from lotwise.simulations import scenarios
from lotwise.simulations.host import SOCKET

WITHIN = 10.0
"""Seconds for an answer; to bring devices up is not waited for."""


class SimulatorsBeside:
    """Port `core.web.desks.simulators.port.Simulators`: asks over the socket in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._socket = data_dir.absolute() / SOCKET

    def known(self) -> Sequence[KnownScenario]:
        """Those that come with Lotwise."""
        return scenarios.known()

    def section(self, asked: Asked) -> str:
        """The gateway's configuration that reads the scenario's devices. Raises SimulatorsRefuse."""
        try:
            return scenarios.section(asked.scenario, overrides(asked))
        except (ConfigErrors, ValueError) as error:
            raise SimulatorsRefuse(str(error)) from error

    def runs(self) -> Sequence[RunNow]:
        """What runs, and what ran last; the newest first. Raises SimulatorsAway."""
        return msgspec.convert(self._ask({"ask": "runs"})["runs"], list[RunNow])

    def start(self, run_id: str, asked: Asked, by: str) -> None:
        """Starts it, once. Raises SimulatorsAway, SimulatorsRefuse."""
        self._ask({"ask": "start", "id": run_id, "scenario": asked.scenario, "overrides": overrides(asked), "by": by})

    def act(self, run_id: str, what: Mapping[str, Any]) -> None:
        """Makes something happen. Raises SimulatorsAway, SimulatorsRefuse."""
        self._ask({"ask": "act", "run": run_id, "what": dict(what)})

    def stop(self, run_id: str) -> None:
        """Takes its devices down. Raises SimulatorsAway, SimulatorsRefuse."""
        self._ask({"ask": "stop", "run": run_id})

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            with connect(self._socket, WITHIN) as connection, connection.makefile("rb") as lines:
                send(connection, question)
                answer = receive(lines)
        except OSError as error:
            raise SimulatorsAway(str(error)) from error
        if answer is None:
            raise SimulatorsAway("no answer")
        if "refused" in answer:
            raise SimulatorsRefuse(answer["refused"])
        return answer


def overrides(asked: Asked) -> dict[str, Any]:
    """What is other than in the scenario's file. Raises SimulatorsRefuse for an address that is none."""
    found = {"duration": asked.duration, "speed_up": asked.speed_up, "seed": asked.seed}
    given: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    if asked.broker is not None:
        host, _, port = asked.broker.rpartition(":")
        if not host or not port.isdecimal():
            raise SimulatorsRefuse(f"{asked.broker!r} is not HOST:PORT")
        given["broker"] = {"host": host, "port": int(port)}
    return given
