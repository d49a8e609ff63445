"""Scenario files: rooms, devices, what happens to them and when. Typed; every error names its line.

All times (`at`, `from`, `for`, `duration`, `interval`) are real time since the scenario began: "500ms", "10s", "2m",
"1h", or a number of seconds. `speed_up` moves only the physics.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from core.telemetry.address import check_segment, check_zone
from simulators.dialects import DIALECTS
from simulators.faults import Fault, FaultKind
from simulators.link import Broker
from simulators.packml import WORDS, State
from simulators.physics import PRESETS, RoomSpec, SensorSpec

_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(said: object) -> float:
    """A duration in seconds, from "90s", "1.5m", "1h" or a number. Raises ValueError."""
    if isinstance(said, bool):
        raise ValueError(f"{said!r} is not a duration such as 10s")  # noqa: TRY004 - pydantic collects ValueError
    if isinstance(said, int | float):
        return float(said)
    found = _DURATION.match(str(said).strip())
    if found is None:
        raise ValueError(f"{said!r} is not a duration such as 500ms, 10s, 2m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def _known(name: str) -> str:
    if name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}: one of {', '.join(DIALECTS)}")
    return name


Moment = Annotated[float, BeforeValidator(seconds), Field(ge=0)]
Span = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
Step = Annotated[float, BeforeValidator(seconds)]
ZoneName = Annotated[str, AfterValidator(check_zone)]
DeviceName = Annotated[str, AfterValidator(check_segment)]
Port = Annotated[int, Field(ge=1, le=65535)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Quantities = tuple[Literal["temperature", "humidity"], ...]
"""Temperature always; humidity where it is named."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Zone(_Strict):
    """A space: a kind with its usual physics, and what differs here (fields of RoomSpec)."""

    kind: Literal["cold_room", "freezer", "truck", "warehouse"] = "cold_room"
    physics: dict[str, Finite] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.spec()
        return self

    def spec(self) -> RoomSpec:
        """The physics of this space. Raises ValueError for an unknown or impossible figure."""
        try:
            return RoomSpec.model_validate(PRESETS[self.kind].model_dump() | self.physics)
        except ValidationError as error:
            raise ValueError(
                "; ".join(f"physics.{item['loc'][0]}: {item['msg']}" for item in error.errors())
            ) from error


class SensorDevice(_Strict):
    """An MQTT sensor in a zone."""

    kind: Literal["mqtt_sensor"]
    name: DeviceName
    zone: ZoneName
    dialect: Annotated[str, AfterValidator(_known)] = "json"
    interval: Span = 1.0
    quantities: Quantities = ("temperature",)
    sequence: bool = True
    topic: str | None = None
    sensor: SensorSpec = SensorSpec()


class SparkplugDevice(_Strict):
    """A Sparkplug B edge node, where it stands, and its devices, each in a zone."""

    kind: Literal["sparkplug_node"]
    name: DeviceName
    zone: ZoneName
    devices: dict[DeviceName, ZoneName] = Field(min_length=1)
    group: DeviceName = "plant"
    interval: Annotated[Span, Field(ge=0.01)] = 1.0
    """Times have whole milliseconds, so readings keep a distance."""
    quantities: Quantities = ("temperature",)
    sensor: SensorSpec = SensorSpec()


class ChannelSecurity(_Strict):
    """A channel that an OPC UA machine insists on; it offers no other. In `certificates` (a folder) the machine's own
    certificate is made, and one for its gateway, each trusted by the other.
    """

    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "Basic256Sha256"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificates: Path


class MachineDevice(_Strict):
    """An OPC UA filling machine."""

    kind: Literal["filling_machine"]
    name: DeviceName
    zone: ZoneName
    port: Port
    host: str = "127.0.0.1"
    interval: Span = 1.0
    bottles_per_minute: float = Field(default=120.0, gt=0)
    reject_rate: float = Field(default=0.01, ge=0, le=1)
    security: ChannelSecurity | None = None
    user: str | None = None
    """The only user it lets in; everybody where none is named."""
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        return self


class SerialLine(_Strict):
    """A serial line: `pty` makes a pseudo-terminal whose other end the gateway finds at that path; `port` is a serial
    port that is there.
    """

    pty: Path | None = None
    port: str | None = None
    baudrate: int = Field(default=9600, ge=110)
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.pty is None) == (self.port is None):
            raise ValueError("give either pty (a path to make) or port (a serial port that is there)")
        if self.pty is not None and self.parity != "N":
            raise ValueError("a pseudo-terminal knows no parity: leave it out, or use a serial port")
        return self


class ControllerDevice(_Strict):
    """A Modbus cold-room controller: one unit for each zone it controls, reached by TCP or by a serial line."""

    kind: Literal["cold_room_controller"]
    name: DeviceName
    port: Port | None = None
    host: str = "127.0.0.1"
    serial: SerialLine | None = None
    units: dict[int, ZoneName] = Field(min_length=1)
    rtu_over_tcp: bool = False
    sensor: SensorSpec = SensorSpec(noise=0.05, resolution=0.1)
    interval: Span = 1.0
    """How often a gateway should poll it (used for the configuration only)."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.port is None) == (self.serial is None):
            raise ValueError("give either port (TCP) or serial")
        if self.serial is not None and self.rtu_over_tcp:
            raise ValueError("rtu_over_tcp needs port, not serial")
        return self


class LoadDevice(_Strict):
    """Many MQTT sensors at a steady rate (messages a second)."""

    kind: Literal["mqtt_load"]
    name: DeviceName
    zone: ZoneName
    rate: float = Field(gt=0)
    sensors: int = Field(default=10, ge=1, le=999)


Device = Annotated[
    SensorDevice | SparkplugDevice | MachineDevice | ControllerDevice | LoadDevice, Field(discriminator="kind")
]


class _At(_Strict):
    at: Moment = 0.0
    lasting: Span | None = Field(default=None, alias="for")


class ZoneEvent(_At):
    """Something that happens to a space; with `for` it is undone afterwards."""

    do: Literal["door_open", "door_close", "compressor_fail", "compressor_repair", "power_off", "power_on"]
    zone: ZoneName


class ZoneSetting(_At):
    """A figure of a space is changed, °C."""

    do: Literal["set_ambient", "setpoint", "set_temperature"]
    zone: ZoneName
    to: Finite


class LoadProduct(_At):
    """Product of a temperature (°C) is brought in."""

    do: Literal["load_product"]
    zone: ZoneName
    kg: float = Field(gt=0)
    temperature: Finite


class DeviceEvent(_At):
    """A device falls silent or speaks again; of a Modbus controller its `unit`, of a Sparkplug node its `member` alone
    if one is named.
    """

    do: Literal["silence", "resume"]
    device: DeviceName
    unit: int = 1
    member: DeviceName | None = None


class MachineState(_At):
    """The machine is brought to a state by the orders that lead there."""

    do: Literal["opcua_state"]
    device: DeviceName
    state: Literal["stopped", "idle", "running", "held", "fault"]

    def wanted(self) -> State:
        """The state as PackML has it."""
        return next(state for state, word in WORDS.items() if word == self.state)


class MachineStatus(_At):
    """A variable of the machine gets an OPC UA status, such as BadSensorFailure."""

    do: Literal["opcua_status"]
    device: DeviceName
    variable: str
    status: str | None = None


class ProbeEvent(_At):
    """A probe (1 to 8) of a controller's unit shows its error code, or measures again."""

    do: Literal["break_probe", "mend_probe"]
    device: DeviceName
    unit: int = 1
    probe: int = Field(ge=1, le=8)


Event = Annotated[
    ZoneEvent | ZoneSetting | LoadProduct | DeviceEvent | MachineState | MachineStatus | ProbeEvent,
    Field(discriminator="do"),
]


class FaultEvent(_Strict):
    """A fault of a device from a moment on, for a while or to the end."""

    device: DeviceName
    fault: FaultKind
    begins: Moment = Field(default=0.0, alias="from")
    lasting: Span | None = Field(default=None, alias="for")
    unit: int = 1
    amount: Finite = 20.0
    step: Step = 3600.0
    every: int = Field(default=1, ge=1)

    def what(self) -> Fault:
        """The fault as devices take it."""
        return Fault(self.fault, self.amount, timedelta(seconds=self.step), self.every)


class Scenario(_Strict):
    """One scenario."""

    name: str = Field(min_length=1)
    about: str = ""
    seed: int = 0
    speed_up: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    duration: Span
    broker: Broker = Broker()
    zones: dict[ZoneName, Zone] = Field(min_length=1)
    devices: tuple[Device, ...] = Field(min_length=1)
    timeline: tuple[Event, ...] = ()
    faults: tuple[FaultEvent, ...] = ()

    def overridden(self, overrides: Mapping[str, Any]) -> Self:
        """The scenario with other figures: any top-level field, parts of `broker`, and `ports` by device name.

        Raises pydantic's ValidationError, ValueError for a device that is not there.
        """
        whole = self.model_dump(by_alias=True)
        broker = whole["broker"] | dict(overrides.get("broker", {}))
        changed = whole | {key: value for key, value in overrides.items() if key != "ports"} | {"broker": broker}
        ports = dict(overrides.get("ports", {}))
        for device in changed["devices"]:
            if device["name"] in ports:
                device["port"] = ports.pop(device["name"])
        if ports:
            raise ValueError(f"no device named {', '.join(sorted(ports))}")
        return type(self).model_validate(changed)
