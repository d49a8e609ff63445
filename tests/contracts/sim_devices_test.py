"""Simulated devices against real peers: a paho subscriber on a real broker, an asyncua client, a pymodbus client."""

import asyncio
import json
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from asyncua import Client, ua
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerType

from lotwise.embedded.nats import EmbeddedNats
from simulators.controller import ColdRoomController
from simulators.dialects import DIALECTS
from simulators.faults import Fault, FaultKind
from simulators.link import Broker, BrokerUnreachable
from simulators.load import MqttLoad
from simulators.machine import FillingMachine
from simulators.packml import State
from simulators.physics import SensorSpec
from simulators.rooms import ColdRoom
from simulators.sensors import MqttSensor
from tests.servers import accepts, free_port, need_mosquitto

ZONE = "plant/cold/room-1"


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


@pytest.fixture(params=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "nats":
        server = EmbeddedNats(tmp_path / "broker", mqtt=True)
        server.start()
        assert server.mqtt_port is not None
        yield Broker(port=server.mqtt_port)
        server.stop()
        return
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = subprocess.Popen(
        [need_mosquitto(), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not accepts(port):
        time.sleep(0.02)
    yield Broker(port=port)
    process.terminate()
    process.wait(10)


class Listener:
    """A subscriber to everything, by paho alone."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "listener")
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = lambda _client, _data, message: self.heard.append((message.topic, message.payload))
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        assert self.ready.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, payload in self.heard]

    def numbers(self) -> list[int]:
        return [document["sequence"] for document in self.documents()]

    async def until(self, count: int) -> None:
        end = time.monotonic() + 10
        while len(self.heard) < count and time.monotonic() < end:  # noqa: ASYNC110 - paho's thread fills it
            await asyncio.sleep(0.02)


async def until(true: Callable[[], bool], within: float = 10.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)


def sensor(broker: Broker, dialect: str = "json", room: ColdRoom | None = None, **options: Any) -> MqttSensor:
    room = room or ColdRoom(ZONE)
    probes: dict[str, Any] = {"temperature": (room.probe("p"), "Cel"), "humidity": (room.humidity_probe("p"), "%")}
    return MqttSensor("probe-1", ZONE, probes, broker=broker, dialect=dialect, **{"interval": 0.05} | options)


def story(act: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await act()

    asyncio.run(main())


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_reaches_a_subscriber_and_is_acknowledged(broker: Broker, dialect: str) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            device = sensor(broker, dialect)
            await device.start()
            await until(lambda: device.report.readings >= 5)
            await device.stop()
            await listener.until(device.report.messages)
            assert device.report.sequences == list(range(1, device.report.readings + 1))
            assert device.report.unacknowledged == []
            assert len(listener.heard) == device.report.messages

    story(act)


def test_twenty_readings_a_second_bear_the_real_time(broker: Broker) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            device = sensor(broker, room=ColdRoom(ZONE, speed_up=3600))
            begun = datetime.now(UTC)
            await device.start()
            await asyncio.sleep(1.0)
            await device.stop()
            ended = datetime.now(UTC)
            await listener.until(device.report.messages)
        assert 15 <= device.report.readings <= 22
        stamps = [datetime.fromisoformat(document["time"]) for document in listener.documents()]
        assert all(begun <= stamp <= ended for stamp in stamps)
        assert stamps == sorted(set(stamps))

    story(act)


async def under(
    broker: Broker, fault: Fault, before: int = 3, during: int = 6, after: int = 3
) -> tuple[MqttSensor, Listener]:
    """A sensor that tells some readings, some under the fault, and some afterwards."""
    with Listener(broker) as listener:
        device = sensor(broker, interval=60.0, room=ColdRoom(ZONE))
        await device.start()
        await until(lambda: device.report.readings == 1)
        for _ in range(before - 1):
            device.measure()
        await device.fault(fault)
        for _ in range(during):
            device.measure()
        await device.clear(fault.kind)
        for _ in range(after):
            device.measure()
        await device.stop()
        await listener.until(device.report.messages)
    return device, listener


def test_fault_drop_out_loses_readings_and_says_which(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.DROP_OUT))
        assert device.report.lost == [4, 5, 6, 7, 8, 9]
        assert listener.numbers() == device.report.sequences == [1, 2, 3, 10, 11, 12]

    story(act)


def test_fault_freeze_repeats_the_value_with_fresh_times(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.FREEZE))
        frozen = listener.documents()[3:9]
        assert len({(document["temperature"], document["humidity"]) for document in frozen}) == 1
        assert len({document["time"] for document in frozen}) == 6
        assert len({document["temperature"] for document in listener.documents()}) > 2

    story(act)


def test_fault_spike_is_far_off_every_nth_time(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.SPIKE, amount=40.0, every=3))
        spiked = [document["sequence"] for document in listener.documents() if document["temperature"] > 40]
        assert spiked == [6, 9]

    story(act)


def test_fault_duplicate_sends_the_same_message_twice(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.DUPLICATE))
        counts = Counter(listener.heard)
        assert sorted(counts.values()) == [1] * 6 + [2] * 6
        assert device.report.sequences == list(range(1, 13))
        assert device.report.unacknowledged == []

    story(act)


def test_fault_out_of_order_swaps_neighbours_and_loses_nothing(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.OUT_OF_ORDER), during=5)
        assert listener.numbers() == [1, 2, 3, 5, 4, 7, 6, 8, 9, 10, 11]
        assert sorted(device.report.sequences) == list(range(1, 12))

    story(act)


def test_fault_clock_step_moves_the_device_time(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.CLOCK_STEP, step=timedelta(hours=-2)))
        now = datetime.now(UTC)
        off = [now - datetime.fromisoformat(document["time"]) > timedelta(hours=1) for document in listener.documents()]
        assert off == [False] * 3 + [True] * 6 + [False] * 3

    story(act)


def test_fault_wrong_unit_tells_fahrenheit_and_names_it_where_the_dialect_can(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.WRONG_UNIT))
        told = [(document["unit"], document["temperature"] > 30) for document in listener.documents()]
        assert told == [("Cel", False)] * 3 + [("[degF]", True)] * 6 + [("Cel", False)] * 3

    story(act)


def test_fault_garbage_is_not_what_the_dialect_says(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.GARBAGE))
        assert len(listener.heard) == 12
        good = []
        for _, payload in listener.heard:
            try:
                good.append(json.loads(payload)["sequence"])
            except (ValueError, KeyError):
                continue
        assert good == device.report.sequences == [1, 2, 3, 10, 11, 12]
        assert device.report.lost == [4, 5, 6, 7, 8, 9]

    story(act)


def test_fault_disconnect_keeps_readings_on_the_device_and_tells_them_afterwards(broker: Broker) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            device = sensor(broker, interval=60.0)
            await device.start()
            await until(lambda: device.report.readings == 1)
            await listener.until(1)
            await device.fault(Fault(FaultKind.DISCONNECT))
            for _ in range(5):
                device.measure()
            await asyncio.sleep(0.3)
            assert len(listener.heard) == 1
            await device.clear(FaultKind.DISCONNECT)
            await listener.until(6)
            await device.stop()
        assert sorted(set(listener.numbers())) == [1, 2, 3, 4, 5, 6]
        assert device.report.unacknowledged == []

    story(act)


def test_silence_leaves_no_hole_in_the_sequence(broker: Broker) -> None:
    async def act() -> None:
        device = sensor(broker, interval=0.02)
        await device.start()
        await until(lambda: device.report.readings >= 3)
        device.silence()
        count = device.report.readings
        await asyncio.sleep(0.2)
        assert device.report.readings == count
        device.resume()
        await until(lambda: device.report.readings >= count + 3)
        await device.stop()
        assert device.report.sequences == list(range(1, device.report.readings + 1))

    story(act)


def test_a_load_knows_what_the_broker_acknowledged_and_leaves_no_hole(broker: Broker) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            load = MqttLoad(ZONE, broker=broker, rate=400, sensors=7, connections=2)
            await load.start()
            await asyncio.sleep(1.0)
            report = await load.stop()
            await listener.until(report.published)
        assert report.complete
        assert 250 <= report.published <= 450
        heard: dict[str, list[int]] = {}
        for document in listener.documents():
            heard.setdefault(document["device"], []).append(document["sequence"])
        assert {name: list(range(1, last + 1)) for name, last in report.last.items()} == heard

    story(act)


def test_a_broker_that_is_not_there_is_named() -> None:
    async def act() -> None:
        with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:\d+"):
            await sensor(Broker(port=free_port())).start()

    story(act)


def machine(port: int, **options: Any) -> FillingMachine:
    return FillingMachine("filler-1", "plant/fill/line-1", port=port, **{"interval": 0.05, "speed_up": 60} | options)


async def read(client: Client, device: FillingMachine, variable: str) -> ua.DataValue:
    return await client.get_node(device.node(variable)).read_data_value(raise_on_bad_status=False)


def test_a_machine_shows_states_counters_and_source_times_to_a_client() -> None:
    async def act() -> None:
        device = machine(free_port(), reject_rate=0.3)
        begun = datetime.now(UTC)
        await device.start()
        async with Client(device.endpoint) as client:
            assert (await read(client, device, "StateText")).Value.Value == "idle"
            assert (await read(client, device, "Good")).Value.Value == 0
            await client.get_node("ns=2;s=filler-1").call_method("2:Start")
            await until(lambda: device.good > 5 and device.reject > 0)
            await asyncio.sleep(0.2)
            value = await read(client, device, "Good")
            assert value.Value.Value > 5
            assert begun < value.SourceTimestamp <= datetime.now(UTC)
            assert (await read(client, device, "State")).Value.Value == State.EXECUTE
            assert 15 < (await read(client, device, "ChamberTemperature")).Value.Value < 21
            await client.get_node(device.node("Command")).write_value(8, ua.VariantType.Int32)
            await until(lambda: device.state is State.ABORTED)
            with pytest.raises(ua.UaStatusCodeError, match="BadInvalidState"):
                await client.get_node("ns=2;s=filler-1").call_method("2:Start")
            await client.get_node(device.node("Command")).write_value(2, ua.VariantType.Int32)
            await asyncio.sleep(0.2)
            assert await client.get_node(device.node("Command")).read_value() == -2
            assert device.state is State.ABORTED
        await device.stop()

    story(act)


def test_a_machine_gives_bad_and_uncertain_status_on_command() -> None:
    async def act() -> None:
        device = machine(free_port())
        await device.start()
        async with Client(device.endpoint) as client:
            for status in ("BadSensorFailure", "UncertainLastUsableValue", None):
                device.set_status("ChamberTemperature", status)
                await asyncio.sleep(0.15)
                code = (await read(client, device, "ChamberTemperature")).StatusCode
                assert code.name == (status or "Good")
            with pytest.raises(ValueError, match="no variable"):
                device.set_status("Nonsense", "BadSensorFailure")
            with pytest.raises(ValueError, match="status"):
                device.set_status("Good", "BadNonsense")
        await device.stop()

    story(act)


def test_a_machine_remembers_while_its_server_is_down_and_lets_a_client_backfill() -> None:
    async def act() -> None:
        port = free_port()
        device = machine(port)
        await device.start()
        async with Client(device.endpoint) as client:
            last = (await read(client, device, "Sequence")).Value.Value
        lost_at = datetime.now(UTC)
        await device.fault(Fault(FaultKind.DISCONNECT))
        assert not accepts(port)
        await until(lambda: device.report.readings >= last + 8)
        await device.clear(FaultKind.DISCONNECT)
        async with Client(device.endpoint) as client:
            node = client.get_node(device.node("Sequence"))
            missed = await node.read_raw_history(lost_at, datetime.now(UTC))
            numbers = [value.Value.Value for value in missed]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert numbers[0] <= last + 2
            assert len(numbers) >= 6
            everything = await node.read_raw_history(lost_at - timedelta(minutes=1), datetime.now(UTC))
            assert [value.Value.Value for value in everything][:3] == [1, 2, 3]
            assert len(await node.read_raw_history(lost_at, datetime.now(UTC), numvalues=2)) == 2
        await device.stop()

    story(act)


def test_faults_of_a_machines_value_reach_the_client() -> None:
    expected = {FaultKind.FREEZE: (15, 21), FaultKind.SPIKE: (115, 121), FaultKind.WRONG_UNIT: (59, 70)}

    async def act() -> None:
        device = machine(free_port())
        await device.start()
        async with Client(device.endpoint) as client:
            for kind, (low, high) in expected.items():
                await device.fault(Fault(kind, amount=100.0))
                await asyncio.sleep(0.2)
                seen = []
                for _ in range(5):
                    value = await read(client, device, "ChamberTemperature")
                    seen.append((value.Value.Value, value.SourceTimestamp))
                    await asyncio.sleep(0.06)
                values, stamps = zip(*seen, strict=True)
                assert len(set(stamps)) > 1
                assert all(low < value < high for value in values), kind
                assert (len(set(values)) == 1) == (kind is FaultKind.FREEZE)
                await device.clear(kind)
        await device.stop()

    story(act)


def test_faults_of_a_machines_clock_status_and_readings_reach_the_client() -> None:
    async def act() -> None:
        device = machine(free_port())
        await device.start()
        async with Client(device.endpoint) as client:
            await device.fault(Fault(FaultKind.CLOCK_STEP, step=timedelta(minutes=10)))
            await asyncio.sleep(0.2)
            ahead = (await read(client, device, "Good")).SourceTimestamp - datetime.now(UTC)
            assert timedelta(minutes=9) < ahead <= timedelta(minutes=10)
            await device.clear(FaultKind.CLOCK_STEP)
            await device.fault(Fault(FaultKind.GARBAGE))
            await asyncio.sleep(0.2)
            assert (await read(client, device, "ChamberTemperature")).StatusCode.name == "BadSensorFailure"
            assert (await read(client, device, "Good")).StatusCode.is_good()
            await device.clear(FaultKind.GARBAGE)
            await device.fault(Fault(FaultKind.DROP_OUT))
            await asyncio.sleep(0.1)
            still = (await read(client, device, "Sequence")).Value.Value
            await asyncio.sleep(0.2)
            assert (await read(client, device, "Sequence")).Value.Value == still
            await device.clear(FaultKind.DROP_OUT)
            device.silence()
            await asyncio.sleep(0.1)
            quiet = (await read(client, device, "Sequence")).Value.Value
            await asyncio.sleep(0.2)
            assert (await read(client, device, "Sequence")).Value.Value == quiet
        await device.stop()
        assert device.report.lost

    story(act)


def celsius(word: int) -> float:
    return (word - 65536 if word > 32767 else word) / 10


class Bus:
    """A pymodbus client to a controller of two rooms."""

    def __init__(self, *, rtu_over_tcp: bool = False, speed_up: float = 1.0) -> None:
        self.rooms = {1: ColdRoom(ZONE, speed_up=speed_up), 2: ColdRoom("plant/cold/room-2", "freezer")}
        self.port = free_port()
        exact = SensorSpec(noise=0.0, lag=0.0, resolution=0.1)
        self.controller = ColdRoomController("ctl", self.rooms, port=self.port, rtu_over_tcp=rtu_over_tcp, sensor=exact)
        framer = FramerType.RTU if rtu_over_tcp else FramerType.SOCKET
        self.client = AsyncModbusTcpClient("127.0.0.1", port=self.port, framer=framer, timeout=0.3, retries=0)

    async def __aenter__(self) -> Self:
        for room in self.rooms.values():
            await room.start()
        await self.controller.start()
        assert await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()
        await self.controller.stop()

    async def inputs(self, address: int, count: int, unit: int = 1) -> list[int]:
        answer = await self.client.read_input_registers(address, count=count, device_id=unit)
        assert not answer.isError(), answer
        return list(answer.registers)


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu over tcp"])
def test_a_controller_shows_its_map_to_a_client(rtu: bool) -> None:
    async def act() -> None:
        async with Bus(rtu_over_tcp=rtu) as bus:
            assert all(abs(celsius(word) - 5.0) < 0.3 for word in await bus.inputs(0, 8))
            assert all(abs(celsius(word) + 20.0) < 0.3 for word in await bus.inputs(0, 8, unit=2))
            high, low = await bus.inputs(10, 2)
            raw = struct.pack(">HH", high, low)
            assert struct.unpack(">f", bytes((raw[1], raw[0], raw[3], raw[2])))[0] == pytest.approx(5.0, abs=0.3)
            text = b"".join(word.to_bytes(2, "big") for word in await bus.inputs(20, 8)).rstrip(b"\0")
            assert text == b"LW-CTL-001"
            assert (await bus.inputs(14, 1)) == [0]
            bus.rooms[1].open_door()
            bits = (await bus.client.read_discrete_inputs(0, count=2, device_id=1)).bits
            assert bits[:2] == [True, True]
            for address, count in ((8, 1), (6, 4), (100, 2)):
                answer = await bus.client.read_input_registers(address, count=count, device_id=1)
                assert answer.isError()
                assert answer.exception_code == 2

    story(act)


def test_writing_the_setpoint_changes_the_physics() -> None:
    async def act() -> None:
        async with Bus(speed_up=3600) as bus:
            assert (await bus.client.read_holding_registers(0, count=2, device_id=1)).registers == [50, 15]
            await bus.client.write_register(0, 20, device_id=1)
            assert bus.rooms[1].state().setpoint == 2.0
            await until(lambda: bus.rooms[1].temperature < 3.0)
            await bus.client.write_coil(0, False, device_id=1)
            await until(lambda: bus.rooms[1].temperature > 6.0)
            assert not (await bus.client.read_coils(0, count=1, device_id=1)).bits[0]
            await bus.client.write_coil(0, True, device_id=1)
            await until(lambda: bus.rooms[1].temperature < 3.0)
            for word in (3000, 0x8000):
                answer = await bus.client.write_register(0, word, device_id=1)
                assert answer.exception_code == 3
            assert bus.rooms[1].state().setpoint == 2.0
            negative = await bus.client.write_register(0, 65536 - 55, device_id=1)
            assert not negative.isError()
            assert bus.rooms[1].state().setpoint == -5.5

    story(act)


def test_a_broken_probe_shows_the_sentinel_and_raises_its_alarm() -> None:
    async def act() -> None:
        async with Bus() as bus:
            bus.controller.break_probe(2)
            words = await bus.inputs(0, 8)
            assert words[2] == 0x8000
            assert all(abs(celsius(word) - 5.0) < 0.3 for n, word in enumerate(words) if n != 2)
            assert await bus.inputs(14, 1) == [4]
            bus.controller.mend_probe(2)
            bus.rooms[1].force_temperature(12.0)
            bus.rooms[1].fail_compressor()
            bus.rooms[1].power_off()
            assert await bus.inputs(14, 1) == [1 | 16 | 32]

    story(act)


def test_a_dead_unit_is_silent_and_costs_the_other_nothing() -> None:
    async def act() -> None:
        async with Bus() as bus:
            for silent in (2, 9):
                bus.controller.kill(2)
                with pytest.raises(ModbusIOException):
                    await bus.inputs(0, 8, unit=silent)
                assert len(await bus.inputs(0, 8, unit=1)) == 8
            bus.controller.revive(2)
            assert len(await bus.inputs(0, 8, unit=2)) == 8

    story(act)


def test_faults_of_a_controller_reach_the_client() -> None:
    async def act() -> None:
        async with Bus() as bus:
            control = bus.controller
            await control.fault(Fault(FaultKind.GARBAGE))
            assert await bus.inputs(0, 8) == [0x8000] * 8
            assert abs(celsius((await bus.inputs(0, 8, unit=2))[0]) + 20) < 0.3
            await control.clear(FaultKind.GARBAGE)
            await control.fault(Fault(FaultKind.SPIKE, amount=30.0))
            assert all(celsius(word) > 34 for word in await bus.inputs(0, 8))
            await control.clear(FaultKind.SPIKE)
            await control.fault(Fault(FaultKind.WRONG_UNIT))
            assert all(40 < celsius(word) < 42 for word in await bus.inputs(0, 8))
            await control.clear(FaultKind.WRONG_UNIT)
            await control.fault(Fault(FaultKind.FREEZE))
            before = await bus.inputs(0, 8)
            bus.rooms[1].force_temperature(15.0)
            assert await bus.inputs(0, 8) == before
            await control.clear(FaultKind.FREEZE)
            assert await bus.inputs(0, 8) == [150] * 8
            await control.fault(Fault(FaultKind.DROP_OUT))
            with pytest.raises(ModbusIOException):
                await bus.inputs(0, 8)
            await control.clear(FaultKind.DROP_OUT)
            await control.fault(Fault(FaultKind.DISCONNECT))
            assert not accepts(bus.port)
            await control.clear(FaultKind.DISCONNECT)
            bus.client.close()
            assert await bus.client.connect()
            assert await bus.inputs(0, 8) == [150] * 8

    story(act)
