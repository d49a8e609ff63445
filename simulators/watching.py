"""What a fleet is doing now, as plain figures: its spaces, and what each device tells and suffers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulators.controller import ColdRoomController
from simulators.faults import APPLIES, Faults
from simulators.fleet import Fleet
from simulators.load import MqttLoad
from simulators.machine import FillingMachine
from simulators.rooms import ColdRoom
from simulators.sensors import MqttSensor, Report
from simulators.sparkplug import SparkplugNode


@dataclass(frozen=True, slots=True)
class SpaceNow:
    """A zone or a machine's chamber: its air and goods in °C, and what is wrong with it."""

    name: str
    device: str | None
    """The machine whose chamber it is."""
    air: float
    goods: float
    ambient: float
    setpoint: float
    door_open: bool
    compressor_failed: bool
    powered: bool


@dataclass(frozen=True, slots=True)
class DeviceNow:
    """A device (of a controller one of its units): what it has told, and the faults that act on it and that may."""

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
    """No faults at all: it takes no orders either (a load)."""


def spaces(fleet: Fleet) -> list[SpaceNow]:
    """Every zone, then every machine's chamber."""
    found = [_space(room, zone, None) for zone, room in fleet.rooms.items()]
    machines = [device for device in fleet.devices.values() if isinstance(device, FillingMachine)]
    return found + [_space(machine.chamber, machine.zone, machine.name) for machine in machines]


def devices(fleet: Fleet) -> list[DeviceNow]:
    """Every device in the scenario's order."""
    return [one for name, device in fleet.devices.items() for one in _TOLD[type(device)](name, device)]


def _space(room: ColdRoom, name: str, device: str | None) -> SpaceNow:
    now = room.state()
    return SpaceNow(
        name=name,
        device=device,
        air=round(now.air, 2),
        goods=round(now.product, 2),
        ambient=now.ambient,
        setpoint=now.setpoint,
        door_open=now.door_open,
        compressor_failed=now.failed,
        powered=now.powered,
    )


def _device(
    report: Report,
    name: str,
    kind: str,
    faults: Faults,
    zones: tuple[str, ...],
    *,
    silent: bool,
    unit: int | None = None,
) -> DeviceNow:
    waits = report.protocol == "mqtt"
    return DeviceNow(
        name=name,
        unit=unit,
        kind=kind,
        protocol=report.protocol,
        zones=zones,
        readings=report.readings,
        messages=report.messages,
        lost=len(report.lost),
        unacknowledged=len(report.sequences) - len(report.acknowledged) if waits else 0,
        silent=silent,
        faults=tuple(sorted(faults.active)),
        may_fail=tuple(sorted(APPLIES[report.protocol])),
    )


def _sensor(name: str, device: MqttSensor) -> Iterator[DeviceNow]:
    zones = (device.identity.zone,)
    yield _device(device.report, name, "mqtt_sensor", device.faults, zones, silent=device.silent)


def _node(name: str, device: SparkplugNode) -> Iterator[DeviceNow]:
    yield _device(device.report, name, "sparkplug_node", device.faults, (), silent=device.silent)


def _machine(name: str, device: FillingMachine) -> Iterator[DeviceNow]:
    yield _device(device.report, name, "filling_machine", device.faults, (device.zone,), silent=device.silent)


def _controller(name: str, device: ColdRoomController) -> Iterator[DeviceNow]:
    for number, unit in device.units.items():
        zones = (unit.room.zone,)
        yield _device(unit.report, name, "cold_room_controller", unit.faults, zones, silent=unit.dead, unit=number)


def _load(name: str, device: MqttLoad) -> Iterator[DeviceNow]:
    told = device.report.published
    waiting = told - device.report.acknowledged
    yield DeviceNow(name, None, "mqtt_load", "mqtt", (), told, told, 0, waiting, False, (), ())


_TOLD: dict[type, Callable[[str, Any], Iterator[DeviceNow]]] = {
    MqttSensor: _sensor,
    SparkplugNode: _node,
    FillingMachine: _machine,
    ColdRoomController: _controller,
    MqttLoad: _load,
}
