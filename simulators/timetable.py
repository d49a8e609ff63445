"""What a scenario's timeline and faults mean on its fleet: a table of steps, each with its time."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from simulators.controller import ColdRoomController
from simulators.fleet import Fleet
from simulators.load import MqttLoad
from simulators.machine import FillingMachine
from simulators.rooms import ColdRoom
from simulators.scenario import (
    DeviceEvent,
    FaultEvent,
    FaultOver,
    Injected,
    LoadProduct,
    MachineState,
    MachineStatus,
    ProbeEvent,
    ZoneEvent,
    ZoneSetting,
)
from simulators.sensors import MqttSensor
from simulators.sparkplug import SparkplugNode

Act = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Step:
    """One thing to do at a time, seconds after the beginning: what is done to whom, and with what."""

    at: float
    subject: str
    did: str
    act: Act
    detail: str = ""

    @property
    def text(self) -> str:
        """What is done, in one line."""
        return f"{self.subject}: {self.did} {self.detail}".rstrip()


_ZONE_ACTS: dict[str, tuple[Callable[[ColdRoom], None], str]] = {
    "door_open": (ColdRoom.open_door, "door_close"),
    "door_close": (ColdRoom.close_door, "door_open"),
    "compressor_fail": (ColdRoom.fail_compressor, "compressor_repair"),
    "compressor_repair": (ColdRoom.repair, "compressor_fail"),
    "power_off": (ColdRoom.power_off, "power_on"),
    "power_on": (ColdRoom.power_on, "power_off"),
}
"""What each zone event does, and the event that undoes it."""
_ZONE_SETTINGS: dict[str, tuple[Callable[[ColdRoom, float], None], Callable[[ColdRoom], float]]] = {
    "set_ambient": (ColdRoom.set_ambient, lambda room: room.state().ambient),
    "setpoint": (ColdRoom.set_setpoint, lambda room: room.state().setpoint),
    "set_temperature": (ColdRoom.force_temperature, lambda room: room.state().air),
}
"""What each setting sets, and how it is now."""


def _now(act: Callable[[], None]) -> Act:
    async def run() -> None:
        act()

    return run


class Timetable:
    """The steps of a scenario on a fleet, in order."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._makers: dict[type, Callable[[Any], list[Step]]] = {
            ZoneEvent: self._zone_event,
            ZoneSetting: self._zone_setting,
            LoadProduct: self._load_product,
            DeviceEvent: self._device_event,
            MachineState: self._machine_state,
            MachineStatus: self._machine_status,
            ProbeEvent: self._probe_event,
            FaultEvent: self._fault,
            FaultOver: lambda event: [self._fault_over(event)],
        }

    def steps(self) -> list[Step]:
        """Every step by its time; those of one time in the order of the file."""
        scenario = self._fleet.scenario
        steps = [step for event in (*scenario.timeline, *scenario.faults) for step in self.of(event)]
        return sorted(steps, key=lambda step: step.at)

    def of(self, event: Injected) -> list[Step]:
        """What one event means, and what undoes it if it lasts for a while only."""
        return self._makers[type(event)](event)

    def _room(self, event: ZoneEvent | ZoneSetting | LoadProduct) -> ColdRoom:
        if event.zone is None:
            return self._machine(event.space).chamber
        return self._fleet.rooms[event.zone]

    def _zone_event(self, event: ZoneEvent) -> list[Step]:
        room = self._room(event)
        act, undo = _ZONE_ACTS[event.do]
        steps = [Step(event.at, event.space, event.do, _now(partial(act, room)))]
        if event.lasting is not None:
            back = _ZONE_ACTS[undo][0]
            steps.append(Step(event.at + event.lasting, event.space, undo, _now(partial(back, room))))
        return steps

    def _zone_setting(self, event: ZoneSetting) -> list[Step]:
        room = self._room(event)
        put, read = _ZONE_SETTINGS[event.do]
        before: list[float] = []

        def act() -> None:
            before.append(read(room))
            put(room, event.to)

        steps = [Step(event.at, event.space, event.do, _now(act), f"{event.to:g} °C")]
        if event.lasting is not None:
            ends = event.at + event.lasting
            steps.append(Step(ends, event.space, f"{event.do}_back", _now(lambda: put(room, before[-1]))))
        return steps

    def _load_product(self, event: LoadProduct) -> list[Step]:
        room = self._room(event)
        load = _now(partial(room.load_product, event.kg, event.temperature))
        return [Step(event.at, event.space, event.do, load, f"{event.kg:g} kg, {event.temperature:g} °C")]

    def _device_event(self, event: DeviceEvent) -> list[Step]:
        device = self._fleet.devices[event.device]
        acts: dict[str, Callable[[], None]] = {}
        if isinstance(device, ColdRoomController):
            acts = {"silence": partial(device.kill, event.unit), "resume": partial(device.revive, event.unit)}
        elif isinstance(device, SparkplugNode):
            member = event.member or ""
            acts = {"silence": partial(device.silence, member), "resume": partial(device.resume, member)}
        elif isinstance(device, MqttSensor | FillingMachine):
            acts = {"silence": device.silence, "resume": device.resume}
        undo = {"silence": "resume", "resume": "silence"}[event.do]
        name = "/".join(filter(None, (event.device, event.member)))
        steps = [Step(event.at, name, event.do, _now(acts[event.do]))]
        if event.lasting is not None:
            steps.append(Step(event.at + event.lasting, name, undo, _now(acts[undo])))
        return steps

    def _machine(self, name: str) -> FillingMachine:
        device = self._fleet.devices[name]
        assert isinstance(device, FillingMachine), f"{name} is not a machine"
        return device

    def _machine_state(self, event: MachineState) -> list[Step]:
        machine = self._machine(event.device)
        wanted = event.wanted()
        return [Step(event.at, event.device, event.do, _now(partial(machine.bring_to, wanted)), event.state)]

    def _machine_status(self, event: MachineStatus) -> list[Step]:
        machine = self._machine(event.device)

        def put(status: str | None) -> Act:
            return _now(partial(machine.set_status, event.variable, status))

        name = f"{event.device}.{event.variable}"
        steps = [Step(event.at, name, event.do, put(event.status), event.status or "Good")]
        if event.lasting is not None:
            steps.append(Step(event.at + event.lasting, name, event.do, put(None), "Good"))
        return steps

    def _probe_event(self, event: ProbeEvent) -> list[Step]:
        controller = self._fleet.devices[event.device]
        assert isinstance(controller, ColdRoomController), f"{event.device} is not a controller"
        acts = {"break_probe": controller.break_probe, "mend_probe": controller.repair_probe}
        undo = {"break_probe": "mend_probe", "mend_probe": "break_probe"}[event.do]

        def do(name: str) -> Act:
            return _now(partial(acts[name], event.probe - 1, event.unit))

        name = f"{event.device}.{event.unit}"
        steps = [Step(event.at, name, event.do, do(event.do), str(event.probe))]
        if event.lasting is not None:
            steps.append(Step(event.at + event.lasting, name, undo, do(undo), str(event.probe)))
        return steps

    def _fault(self, event: FaultEvent) -> list[Step]:
        device = self._fleet.devices[event.device]
        fault = event.what()

        async def begin() -> None:
            if isinstance(device, ColdRoomController):
                await device.fault(fault, event.unit)
            elif not isinstance(device, MqttLoad):
                await device.fault(fault)

        steps = [Step(event.begins, self._of_unit(event), "fault", begin, fault.kind)]
        if event.lasting is not None:
            steps.append(self._fault_over(FaultOver.of(event), event.begins + event.lasting))
        return steps

    def _fault_over(self, event: FaultOver, at: float = 0.0) -> Step:
        device = self._fleet.devices[event.device]

        async def end() -> None:
            if isinstance(device, ColdRoomController):
                await device.clear(event.over, event.unit)
            elif not isinstance(device, MqttLoad):
                await device.clear(event.over)

        return Step(at, self._of_unit(event), "fault_over", end, event.over)

    def _of_unit(self, event: FaultEvent | FaultOver) -> str:
        several = isinstance(self._fleet.devices[event.device], ColdRoomController)
        return f"{event.device}.{event.unit}" if several else event.device
