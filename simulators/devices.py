"""Zones and devices of a scenario file. Typed; every error names its line."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from simulators.dialects import DIALECTS
from simulators.field_types import DeviceName, Finite, Port, Quantities, Span, Strict, UnitId, ZoneName
from simulators.physics import PRESETS, RoomSpec, SensorSpec


def _known(name: str) -> str:
    if name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}: one of {', '.join(DIALECTS)}")
    return name


class Zone(Strict):
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


class SensorDevice(Strict):
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


class SparkplugDevice(Strict):
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


class ChannelSecurity(Strict):
    """A channel that an OPC UA machine insists on; it offers no other. In `certificates` (a folder) the machine's own
    certificate is made, and one for its gateway, each trusted by the other.
    """

    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "Basic256Sha256"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificates: Path


class MachineDevice(Strict):
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


class SerialLine(Strict):
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


class ControllerDevice(Strict):
    """A Modbus cold-room controller: one unit for each zone it controls, reached by TCP or by a serial line."""

    kind: Literal["cold_room_controller"]
    name: DeviceName
    port: Port | None = None
    host: str = "127.0.0.1"
    serial: SerialLine | None = None
    units: dict[UnitId, ZoneName] = Field(min_length=1)
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


class LoadDevice(Strict):
    """Many MQTT sensors at a steady rate (messages a second)."""

    kind: Literal["mqtt_load"]
    name: DeviceName
    zone: ZoneName
    rate: float = Field(gt=0)
    sensors: int = Field(default=10, ge=1, le=999)


Device = Annotated[
    SensorDevice | SparkplugDevice | MachineDevice | ControllerDevice | LoadDevice, Field(discriminator="kind")
]
