"""Scenario files: rooms, devices, what happens to them and when. Typed; every error names its line.

All times (`at`, `from`, `for`, `duration`, `interval`) are real time since the scenario began: "500ms", "10s", "2m",
"1h", or a number of seconds. `speed_up` moves only the physics.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from simulators.devices import Device, Zone
from simulators.faults import Fault, FaultKind
from simulators.field_types import DeviceName, Finite, Moment, Span, Step, Strict, ZoneName, wording
from simulators.link import Broker
from simulators.packml import WORDS, State


class _At(Strict):
    at: Moment = 0.0
    lasting: Span | None = Field(default=None, alias="for")


class _InSpace(_At):
    """Of a zone, or of the chamber of a filling machine."""

    zone: ZoneName | None = None
    device: DeviceName | None = None

    @model_validator(mode="after")
    def _one_space(self) -> Self:
        if (self.zone is None) == (self.device is None):
            raise ValueError("give either zone, or device (a filling machine, whose chamber is meant)")
        return self

    @property
    def space(self) -> str:
        """The zone or the machine, by name."""
        return self.zone or self.device or ""


class ZoneEvent(_InSpace):
    """Something that happens to a space; with `for` it is undone afterwards."""

    do: Literal["door_open", "door_close", "compressor_fail", "compressor_repair", "power_off", "power_on"]


class ZoneSetting(_InSpace):
    """A figure of a space is changed, °C."""

    do: Literal["set_ambient", "setpoint", "set_temperature"]
    to: Finite


class LoadProduct(_InSpace):
    """Product of a temperature (°C) is brought in."""

    do: Literal["load_product"]
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


ZONE_ACTS = tuple(
    word for model in (ZoneEvent, ZoneSetting, LoadProduct) for word in get_args(model.model_fields["do"].annotation)
)
"""Every event of a space."""


class FaultEvent(Strict):
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


class FaultOver(Strict):
    """A fault of a device is over, however long it was to last."""

    device: DeviceName
    over: FaultKind
    unit: int = 1

    @classmethod
    def of(cls, event: FaultEvent) -> Self:
        """The end of that fault."""
        return cls(device=event.device, over=event.fault, unit=event.unit)


Injected = Event | FaultEvent | FaultOver
"""What may happen to a scenario that runs."""


class Scenario(Strict):
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

        Raises ValueError with every figure that cannot be, or for a device that is not there.
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
        try:
            return type(self).model_validate(changed)
        except ValidationError as error:
            found = [f"{'.'.join(map(str, each['loc']))}: {wording(each)}" for each in error.errors(include_url=False)]
            raise ValueError("\n".join(found)) from error
