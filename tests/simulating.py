"""What the pages of simulators and of sources are handed in tests: their ports, in memory."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.web.desks.simulators.port import (
    Asked,
    Device,
    Happened,
    KnownScenario,
    RunNow,
    SimulatorsAway,
    SimulatorsRefuse,
    Space,
)
from core.web.desks.sources.port import AskedSource, CannotAsk, Offered
from lotwise.simulations import scenarios

ROOM = "plant/cold/room-1"
SPACE = Space(ROOM, None, 5.02, 5.0, 32.0, 5.0, door_open=False, compressor_failed=False, powered=True)
PROBE = Device("probe-1", None, "mqtt_sensor", "mqtt", (ROOM,), 7, 1234, 1, 0, False, (), ("disconnect", "freeze"))
BOX = Device("box", 2, "cold_room_controller", "modbus", (ROOM,), 3, 3, 0, 0, True, ("freeze",), ("freeze",))
HOSTILE = '<script>alert(1)</script>"&\u202e'


class FakeSimulators:
    """The port, in memory: what was asked stays readable."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.going: list[RunNow] = []
        self.away = False
        self.refuses = ""

    def known(self) -> Sequence[KnownScenario]:
        return (*scenarios.known(), KnownScenario("broken", "broken", "", trouble=HOSTILE))

    def section(self, asked: Asked) -> str:
        return f"gateway: sim # {asked.broker}"

    def runs(self) -> Sequence[RunNow]:
        self._there()
        return self.going

    def start(self, run_id: str, asked: Asked, by: str) -> None:
        self._there()
        if all(one.id != run_id for one in self.going):
            self.asked.append(asked)
            self.going.insert(0, run(run_id, asked.scenario, by))

    def act(self, run_id: str, what: Mapping[str, Any]) -> None:
        self._there()
        self.asked.append((run_id, dict(what)))

    def stop(self, run_id: str) -> None:
        self._there()
        self.going = [dataclasses.replace(one, state="stopped") if one.id == run_id else one for one in self.going]

    def _there(self) -> None:
        if self.away:
            raise SimulatorsAway
        if self.refuses:
            raise SimulatorsRefuse(self.refuses)


def run(run_id: str, scenario: str, by: str) -> RunNow:
    now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    happened = (Happened(3.0, HOSTILE, "fault", "freeze"), Happened(0.0, "", "up", HOSTILE))
    return RunNow(
        run_id,
        scenario,
        by,
        "running",
        now,
        now + timedelta(hours=1),
        None,
        600.0,
        7,
        "127.0.0.1:1883",
        "",
        (SPACE,),
        (PROBE, BOX),
        happened,
    )


class NoSources:
    """The port of sources, where none can be asked."""

    networks = ("10.0.0.0/8",)

    async def ask(self, asked: AskedSource) -> Offered:
        raise CannotAsk(asked.address)

    async def read(self, text: str) -> Offered:
        raise CannotAsk(text)
