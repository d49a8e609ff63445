"""What the pages know of simulators. The core imports none: whoever starts the server hands it what runs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

RunState = Literal["starting", "running", "over", "stopped", "failed"]
GOING: frozenset[RunState] = frozenset({"starting", "running"})


@dataclass(frozen=True, slots=True)
class Planned:
    """Something that a scenario does by itself: after how many seconds, for how long (None: from then on)."""

    at: float
    subject: str
    did: str
    detail: str
    lasting: float | None


@dataclass(frozen=True, slots=True)
class KnownScenario:
    """A scenario that there is, under `name`: what it shows, with which devices, and how it runs unless told else.

    `devices` are (name, kind); `broker` is where devices of MQTT speak to, None where there are none. `trouble` says
    why it cannot run, where it cannot.
    """

    name: str
    title: str
    about: str
    zones: tuple[str, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()
    plan: tuple[Planned, ...] = ()
    duration: float = 0.0
    speed_up: float = 1.0
    seed: int = 0
    broker: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A scenario to be run: for how many seconds, physics how much faster; None: as its file says."""

    scenario: str
    duration: float | None = None
    speed_up: float | None = None
    seed: int | None = None
    broker: str | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """A zone or a machine's chamber: its air and goods in °C, and what is wrong with it."""

    name: str
    device: str | None
    air: float
    goods: float
    ambient: float
    setpoint: float
    door_open: bool
    compressor_failed: bool
    powered: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A device, of a controller one of its units: what it has told, the faults that act on it and those that may."""

    name: str
    unit: int | None
    kind: str
    protocol: str
    zones: tuple[str, ...]
    readings: int
    messages: int
    lost: int
    unacknowledged: int
    silent: bool
    faults: tuple[str, ...]
    may_fail: tuple[str, ...]

    @property
    def called(self) -> str:
        """Its name, with its unit's number."""
        return self.name if self.unit is None else f"{self.name}.{self.unit}"


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that was done, so many seconds after everything was up."""

    at: float
    subject: str
    did: str
    detail: str


@dataclass(frozen=True, slots=True)
class RunNow:
    """A run as it stands, or as it ended. `why` says what it failed with, in the words of whoever refused it."""

    id: str
    scenario: str
    by: str
    state: RunState
    started_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    speed_up: float
    seed: int
    broker: str | None
    why: str
    spaces: tuple[Space, ...]
    devices: tuple[Device, ...]
    happened: tuple[Happened, ...]
    """The newest first, and not all of a long run."""

    @property
    def going(self) -> bool:
        """Whether its devices are up, or coming up."""
        return self.state in GOING

    @property
    def messages(self) -> int:
        """What all devices have told."""
        return sum(one.messages for one in self.devices)


class SimulatorsRefuse(Exception):
    """What is asked of the simulators cannot be; says why, in words of whoever runs them."""


class SimulatorsAway(Exception):
    """What runs the simulators does not answer: it is being started again."""


class Simulators(Protocol):
    """Runs scenarios in a process beside the server. For threads; each call raises SimulatorsAway where it is away."""

    def known(self) -> Sequence[KnownScenario]:
        """Every scenario that there is."""

    def section(self, asked: Asked) -> str:
        """The gateway's configuration that reads the scenario's devices. Raises SimulatorsRefuse."""

    def runs(self) -> Sequence[RunNow]:
        """What runs, and what ran last; the newest first."""

    def start(self, run_id: str, asked: Asked, by: str) -> None:
        """Starts it; one of that id that was started already is left alone. Raises SimulatorsRefuse."""

    def act(self, run_id: str, what: Mapping[str, Any]) -> None:
        """Makes something happen: what a scenario's file could say, at once. Raises SimulatorsRefuse."""

    def stop(self, run_id: str) -> None:
        """Takes its devices down; one that is over is left alone. Raises SimulatorsRefuse where there is none."""
