"""Replays a recorded file (a Fridge-tag or Q-tag report, or a table of times and values) through a real protocol.

The recorded times travel as device time; no clock is moved. Modbus has no device time: there the value of the moment
is shown, and the recording's pace becomes the pace of the registers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Literal

from asyncua import ua

from core.telemetry.address import check_zone
from core.telemetry.readers.csvfile import Column, CsvMapping, read_csv
from core.telemetry.readers.fridgetag import read_fridgetag
from core.telemetry.readers.text import BadFile
from simulators.controller import ColdRoomController
from simulators.describe import JSON_DECODER
from simulators.dialects import DIALECTS, Identity, Sample
from simulators.faults import Measured
from simulators.guard import InstanceSettings, require_test_instance
from simulators.link import Broker, MqttLink
from simulators.opcua import NAMESPACE, SimulatedServer, Variable
from simulators.rooms import ColdRoom
from simulators.sensors import Clock, Report, real_time
from simulators.unit import PROBES

Protocol = Literal["mqtt", "opcua", "modbus"]
OnProgress = Callable[[int, int], None]
WAITING_MAX = 1_000
WAIT_S = 30.0
PROGRESS_EVERY = 500
POINT = "replay/replay/replay/replay/temperature"
"""What a table's column is called on its way to the device that tells it."""
VARIABLES = {"Temperature": Variable("Double", "temperature", "Cel"), "Sequence": Variable("Int64", "sequence")}


@dataclass(frozen=True)
class Recorded:
    """One line of a recording: its time, and its value, or None where the line has none."""

    at: datetime
    value: float | None
    unit: str


@dataclass(frozen=True)
class Device:
    """Who replays: its name and zone, and where it is reached."""

    name: str
    zone: str
    broker: Broker = field(default_factory=Broker)
    host: str = "127.0.0.1"
    port: int = 4840


def recording(path: Path, *, mapping: CsvMapping | None = None, zone: tzinfo = UTC) -> list[Recorded]:
    """The lines of a file in their order. Raises BadFile if it is of no known kind.

    A logger report is told by its content; everything else is a table, by default with a header, the time in the first
    column and °C in the second. `zone` is what a logger's clock was set to.
    """
    try:
        report = read_fridgetag(path, zone)
    except BadFile:
        return _rows(path, mapping or temperatures("1", "2"))
    judged = report.judged_column
    return [
        Recorded(sample.at.astimezone(UTC), sample.values[judged] if sample.values else None, report.unit)
        for sample in report.samples
    ]


def _rows(path: Path, mapping: CsvMapping) -> list[Recorded]:
    return [
        Recorded(r.at, float(r.value) if isinstance(r.value, int | float) else None, r.unit)
        for r in read_csv(path, mapping, real_time()).readings
        if r.point == mapping.values[0].point
    ]


def temperatures(time: str, value: str, unit: str = "Cel", timezone: str = "UTC") -> CsvMapping:
    """How to read a table with one column of times and one of temperatures, by name or number; told in °C."""
    column, times = (int(text) if text.isdecimal() else text for text in (value, time))
    to_unit = None if unit == "Cel" else "Cel"
    return CsvMapping(values=(Column(column, POINT, unit, to_unit),), time=(times,), timezone=timezone)


def replay_source(protocol: Protocol, device: Device) -> dict[str, Any]:
    """The gateway's source (as in its YAML) that reads a replay: judged by the recorded times where there are any."""
    base = {"name": f"replay-{device.name}", "protocol": protocol, "simulated": True}
    point = f"{device.zone}/{device.name}"
    if protocol == "mqtt":
        subscription = {
            "topic": DIALECTS["json"].topic_of(Identity(device.name, device.zone)),
            "decoder": JSON_DECODER,
            "points": [
                {"field": "temperature", "point": f"{point}/temperature", "unit": "Cel"},
                {"field": "sequence", "point": f"{point}/sequence"},
            ],
        }
        where = {"host": device.broker.host, "port": device.broker.port, "version": device.broker.protocol}
        return {**base, "clock": "device", **where, "subscriptions": [subscription]}
    if protocol == "opcua":
        nodes = [
            {
                "node": f"nsu={NAMESPACE};s={device.name}.{name}",
                "point": f"{point}/{variable.quantity}",
                "unit": variable.unit,
                "report": "timestamp",
                "queue": 1000,
            }
            for name, variable in VARIABLES.items()
        ]
        endpoint = f"opc.tcp://{device.host}:{device.port}/lotwise/"
        return {**base, "clock": "device", "endpoint": endpoint, "nodes": nodes}
    probe = {"table": "input", "address": 0, "type": "int16", "scale": "0.1", "sentinels": [-32768], "unit": "Cel"}
    unit = {"id": 1, "every": 1.0, "points": [{"point": f"{point}/temperature", **probe}]}
    return {**base, "transport": {"kind": "tcp", "host": device.host, "port": device.port}, "units": [unit]}


async def replay(
    path: Path | str,
    protocol: Protocol,
    device: Device,
    *,
    speed: float | None = None,
    mapping: CsvMapping | None = None,
    zone: tzinfo = UTC,
    limit: int | None = None,
    wait: float = WAIT_S,
    linger: float | None = None,
    on_progress: OnProgress | None = None,
    settings: InstanceSettings | None = None,
    clock: Clock = real_time,
) -> Report:
    """Replays a file to its end (or `limit` lines) and tells what was sent; sequence numbers count lines from 1.

    `speed` is recorded seconds for each real one; without it lines follow each other as fast as they are taken (not on
    Modbus, which is polled). A server waits up to `wait` seconds for somebody to read it before the first line, and
    stays up `linger` seconds after the last (2 unless given). A line without a value is told as none:
    null, BadNoData, the controller's error code. Raises BadFile, LiveInstance, BrokerUnreachable, OSError,
    ValueError.
    """
    check_zone(device.zone)
    if protocol == "modbus" and speed is None:
        raise ValueError("Modbus is polled: a replay needs a speed (recorded seconds for each real one)")
    if speed is not None and speed <= 0:
        raise ValueError(f"speed must be above zero, not {speed}")
    await asyncio.to_thread(require_test_instance, settings)
    lines = recording(Path(path), mapping=mapping, zone=zone)[:limit]
    if protocol != "mqtt" and any(line.unit != "Cel" for line in lines):
        raise ValueError(f"{path}: {protocol} replays °C only; convert with the mapping's to_unit")
    report = Report(device.name, protocol)
    player = _PLAYERS[protocol](device, report, clock)
    await player.open()
    try:
        await _awaited(player, wait)
        await _play(lines, player, report, speed, on_progress)
        await asyncio.sleep(_LINGER[protocol] if linger is None else linger)
    finally:
        await player.close()
    return report


async def _awaited(player: "_Player", wait: float) -> None:
    """Returns when the player is read, or after so many seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while not player.read and loop.time() < end:  # noqa: ASYNC110 - neither server tells when it is read
        await asyncio.sleep(0.02)


async def _play(
    lines: list[Recorded], player: "_Player", report: Report, speed: float | None, on_progress: OnProgress | None
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number, line in enumerate(lines, start=1):
        if speed is not None:
            due = begun + (line.at - lines[0].at).total_seconds() / speed
            await asyncio.sleep(max(0.0, due - loop.time()))
        await player.tell(number, line)
        report.readings += 1
        report.messages += 1
        report.sequences.append(number)
        if on_progress is not None and (number % PROGRESS_EVERY == 0 or number == len(lines)):
            on_progress(number, len(lines))


class _Player:
    """One protocol's way to tell a line. `read` is whether anybody would hear it."""

    read = True

    def __init__(self, device: Device, report: Report, clock: Clock) -> None:
        self.device = device
        self.report = report
        self.clock = clock

    async def open(self) -> None:
        """Connects, or begins to serve."""
        raise NotImplementedError

    async def tell(self, number: int, line: Recorded) -> None:
        """Tells one line."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ends it, with everything told."""
        raise NotImplementedError


class _Mqtt(_Player):
    """Plain JSON with the recorded time, acknowledged by the broker."""

    async def open(self) -> None:
        self.link = MqttLink(self.device.broker, f"replay-{self.device.name}")
        self.who = Identity(self.device.name, self.device.zone)
        await self.link.connect()

    async def tell(self, number: int, line: Recorded) -> None:
        value = Measured(line.value, line.unit)
        for topic, payload in DIALECTS["json"].messages(self.who, Sample(line.at, {"temperature": value}, number)):
            self.link.publish(topic, payload, on_ack=lambda: self.report.acknowledged.add(number))
        if self.link.settle() >= WAITING_MAX:
            await self.link.drain(30.0)

    async def close(self) -> None:
        await self.link.drain(30.0)
        await self.link.close()


class _OpcUa(_Player):
    """A variable whose source time is the recorded one, with history."""

    @property
    def read(self) -> bool:  # type: ignore[override]
        return self.server.subscribed

    async def open(self) -> None:
        self.server = SimulatedServer(self.device.name, VARIABLES, port=self.device.port, host=self.device.host)
        await self.server.connect()

    async def tell(self, number: int, line: Recorded) -> None:
        now = self.clock()
        status = ua.StatusCodes.BadNoData if line.value is None else ua.StatusCodes.Good
        told = self.server.value("Temperature", line.value or 0.0, at=line.at, now=now, status=status)
        sequence = self.server.value("Sequence", number, at=line.at, now=now)
        await self.server.publish({"Temperature": told, "Sequence": sequence})

    async def close(self) -> None:
        await self.server.close()


class _Modbus(_Player):
    """The cold-room controller, whose eight probes all show the recorded value, and before the first none."""

    @property
    def read(self) -> bool:  # type: ignore[override]
        return self.controller.units[1].report.messages > 0

    async def open(self) -> None:
        self.controller = ColdRoomController(
            self.device.name, ColdRoom(self.device.zone), port=self.device.port, host=self.device.host
        )
        self.controller.units[1].probes = [lambda: self.shown] * PROBES
        self.controller.units[1].broken = set(range(PROBES))
        self.shown = 0.0
        await self.controller.start()

    async def tell(self, number: int, line: Recorded) -> None:
        del number
        unit = self.controller.units[1]
        unit.broken = set(range(PROBES)) if line.value is None else set()
        self.shown = line.value or 0.0

    async def close(self) -> None:
        await self.controller.stop()


_LINGER = {"mqtt": 0.0, "opcua": 2.0, "modbus": 2.0}
_PLAYERS: dict[str, type[_Player]] = {"mqtt": _Mqtt, "opcua": _OpcUa, "modbus": _Modbus}
