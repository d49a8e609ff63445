"""The rooms and devices of a scenario, alive: started together, stopped together, worked by name."""

import asyncio
from collections.abc import Callable
from typing import Self

from simulators.controller import ColdRoomController
from simulators.devices import ControllerDevice, Device, LoadDevice, MachineDevice, SensorDevice, SparkplugDevice
from simulators.load import MqttLoad
from simulators.machine import FillingMachine
from simulators.opcua_security import Guarded
from simulators.rooms import ColdRoom
from simulators.scenario import Scenario
from simulators.sensors import MqttSensor, Report
from simulators.sparkplug import SparkplugNode, probes_in

Live = MqttSensor | SparkplugNode | FillingMachine | ColdRoomController | MqttLoad


class Fleet:
    """`rooms` by zone and `devices` by name. Use as `async with Fleet(scenario) as fleet:`; leaving stops it all."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rooms = {
            zone: ColdRoom(zone, found.spec(), speed_up=scenario.speed_up, seed=scenario.seed)
            for zone, found in scenario.zones.items()
        }
        self.devices: dict[str, Live] = {device.name: self._make(device) for device in scenario.devices}

    async def __aenter__(self) -> Self:
        """Starts the rooms, then the devices. What failed to start takes the rest down again."""
        try:
            for room in self.rooms.values():
                await room.start()
            for device in self.devices.values():
                await device.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Stops everything."""
        await self.stop()

    async def stop(self) -> None:
        """Stops the devices, at the same time, then the rooms. The first thing that went wrong is raised at the end."""
        results = await asyncio.gather(*(device.stop() for device in self.devices.values()), return_exceptions=True)
        for room in self.rooms.values():
            await room.stop()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The devices' running tasks; one that is done has failed."""
        found = (getattr(device, "task", None) for device in self.devices.values())
        return {task for task in found if task is not None}

    def reports(self) -> list[Report]:
        """What each device did: a controller tells of each unit, a load of each of its sensors."""
        return [report for device in self.devices.values() for report in _REPORTS[type(device)](device)]

    def _make(self, device: Device) -> Live:
        return _MAKERS[device.kind](self, device)

    def sensor(self, device: SensorDevice) -> MqttSensor:
        """An MQTT sensor as the scenario describes it."""
        return MqttSensor.in_room(
            self.rooms[device.zone],
            device.name,
            broker=self.scenario.broker,
            humidity="humidity" in device.quantities,
            sensor=device.sensor,
            dialect=device.dialect,
            interval=device.interval,
            sequence=device.sequence,
            topic=device.topic,
        )

    def sparkplug(self, device: SparkplugDevice) -> SparkplugNode:
        """A Sparkplug B edge node as the scenario describes it."""
        humidity = "humidity" in device.quantities
        return SparkplugNode(
            device.name,
            {
                name: probes_in(self.rooms[zone], f"{device.name}.{name}", device.sensor, humidity=humidity)
                for name, zone in device.devices.items()
            },
            broker=self.scenario.broker,
            group=device.group,
            interval=device.interval,
            seed=self.scenario.seed,
        )

    def machine(self, device: MachineDevice) -> FillingMachine:
        """A filling machine as the scenario describes it."""
        return FillingMachine(
            device.name,
            device.zone,
            port=device.port,
            host=device.host,
            interval=device.interval,
            bottles_per_minute=device.bottles_per_minute,
            reject_rate=device.reject_rate,
            speed_up=self.scenario.speed_up,
            seed=self.scenario.seed,
            guarded=Guarded(
                security=device.security,
                user=device.user,
                password=None if device.password is None else device.password.get_secret_value(),
            ),
        )

    def controller(self, device: ControllerDevice) -> ColdRoomController:
        """A controller as the scenario describes it."""
        return ColdRoomController(
            device.name,
            {unit: self.rooms[zone] for unit, zone in device.units.items()},
            port=device.port or 0,
            host=device.host,
            serial=device.serial,
            rtu_over_tcp=device.rtu_over_tcp,
            sensor=device.sensor,
        )

    def load(self, device: LoadDevice) -> MqttLoad:
        """A load as the scenario describes it."""
        return MqttLoad(
            device.zone,
            broker=self.scenario.broker,
            rate=device.rate,
            sensors=device.sensors,
            prefix=device.name,
            seed=self.scenario.seed,
        )


def _load_reports(load: MqttLoad) -> list[Report]:
    return [
        Report(
            who,
            "mqtt",
            readings=last,
            messages=last,
            sequences=list(range(1, last + 1)),
            acknowledged=set(range(1, last + 1)) - load.report.unacknowledged[who],
        )
        for who, last in load.report.last.items()
    ]


_MAKERS: dict[str, Callable[..., Live]] = {
    "mqtt_sensor": Fleet.sensor,
    "sparkplug_node": Fleet.sparkplug,
    "filling_machine": Fleet.machine,
    "cold_room_controller": Fleet.controller,
    "mqtt_load": Fleet.load,
}
_REPORTS: dict[type, Callable[..., list[Report]]] = {
    MqttSensor: lambda device: [device.report],
    SparkplugNode: lambda device: [device.report],
    FillingMachine: lambda device: [device.report],
    ColdRoomController: lambda device: [unit.report for unit in device.units.values()],
    MqttLoad: _load_reports,
}
