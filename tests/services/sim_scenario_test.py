"""Scenarios run on real servers: what the timeline says happens, and every reading told has arrived."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from asyncua import Client
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

from core.telemetry.reading import Reading
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_points import MessageReader
from lotwise.embedded.nats import EmbeddedNats
from simulators.describe import gateway_config
from simulators.link import Broker
from simulators.load import MqttLoad
from simulators.run import SCENARIOS
from simulators.runner import Summary, run_scenario
from simulators.scenario import Scenario
from simulators.scenariofile import read_scenario
from tests.servers import accepts, free_port
from tests.services.sim_support import until

ROOM, OTHER = "plant/cold/room-1", "plant/cold/room-2"


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")
    monkeypatch.delenv("LOTWISE_API_URL", raising=False)


@pytest.fixture
def broker(mqtt_broker: EmbeddedNats) -> Broker:
    assert mqtt_broker.mqtt_port is not None
    return Broker(port=mqtt_broker.mqtt_port)


class BrokerListener:
    """Everything the broker delivers, with the time it came."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, bytes, datetime]] = []
        ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "listener")
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload, datetime.now(UTC))
        )
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        assert ready.wait(10)

    def stop(self, expected: int) -> None:
        end = time.monotonic() + 10
        while len(self.heard) < expected and time.monotonic() < end:
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def logger(broker: Broker) -> Iterator[BrokerListener]:
    made = BrokerListener(broker)
    yield made
    made.stop(0)


def scenario(broker: Broker, devices: list[dict[str, Any]], **fields: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "trial",
            "duration": "2s",
            "speed_up": 600,
            "broker": broker.model_dump(),
            "zones": {ROOM: {"physics": {"product_kg": 0}}, OTHER: {}},
            "devices": devices,
        }
        | fields
    )


def probe(name: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "mqtt_sensor", "name": name, "zone": ROOM, "interval": "50ms"} | fields


async def until_up(port: int) -> None:
    end = time.monotonic() + 20
    while not accepts(port):
        assert time.monotonic() < end, "the server did not come up"
        await asyncio.sleep(0.05)


def run(trial: Scenario) -> Summary:
    return asyncio.run(run_scenario(trial))


def readings_of(trial: Scenario, logger: BrokerListener) -> list[Reading]:
    """What the gateway's own decoders make of what was heard, by the configuration made for the scenario."""
    sources = [MqttSource.model_validate(source) for source in gateway_config(trial)["sources"]]
    readers = [(source, MessageReader(source)) for source in sources]
    found: list[Reading] = []
    for topic, payload, at in logger.heard:
        for source, reader in readers:
            if any(one.filter.match(topic) is not None for one in source.subscriptions):
                read = reader.read(topic, payload, at, retained=False, queued=False)
                assert read.problems == [], (topic, payload)
                found.extend(read.readings)
    return found


def test_the_gateways_decoders_read_every_dialect_without_a_complaint(broker: Broker, logger: BrokerListener) -> None:
    dialects = ["json", "bare", "tasmota", "shelly", "zigbee2mqtt", "chirpstack", "things_stack"]
    both = ["temperature", "humidity"]
    devices = [probe(f"p-{name}", dialect=name, quantities=both, interval="100ms") for name in dialects]
    devices.append({"kind": "mqtt_load", "name": "load", "zone": OTHER, "rate": 100, "sensors": 3})
    trial = scenario(broker, devices, speed_up=1, duration="1s")
    summary = run(trial)
    logger.stop(sum(report.messages for report in summary.reports))
    readings = readings_of(trial, logger)
    for name in dialects:
        report = summary.report(f"p-{name}")
        by_quantity = {
            quantity: [r for r in readings if r.point == f"{ROOM}/p-{name}/{quantity}"]
            for quantity in ("temperature", "humidity", "sequence")
        }
        assert report.unacknowledged == []
        assert all(4.0 < float(r.value or 0) < 6.5 and r.unit == "Cel" for r in by_quantity["temperature"])
        assert all(r.unit == "%" for r in by_quantity["humidity"])
        counts = {len(by_quantity[quantity]) for quantity in both}
        if name == "tasmota":  # its stamps are whole seconds: a value that is said again within one is the same reading
            assert all(5 < count <= report.readings for count in counts)
        else:
            assert counts == {report.readings}
            assert report.readings > 5
        told = [] if name == "shelly" else report.sequences
        assert [r.value for r in by_quantity["sequence"]] == told
        assert len({r.at for r in by_quantity["temperature"]}) == len(by_quantity["temperature"])
    for sensor in ("load-001", "load-002", "load-003"):
        numbers = [r.value for r in readings if r.point == f"{OTHER}/{sensor}/sequence"]
        assert numbers == summary.report(sensor).sequences
        assert len(numbers) > 20
    assert all(r.quality == 0 and r.simulated for r in readings)


def test_a_failed_compressor_warms_its_room_only_and_a_repair_cools_it(broker: Broker, logger: BrokerListener) -> None:
    trial = scenario(
        broker,
        [probe("here"), probe("there", zone=OTHER)],
        duration="2s",
        speed_up=7200,
        timeline=[
            {"at": "250ms", "do": "compressor_fail", "zone": ROOM, "for": "750ms"},
            {"at": "250ms", "do": "set_ambient", "zone": ROOM, "to": 35},
        ],
    )
    summary = run(trial)
    logger.stop(sum(report.messages for report in summary.reports))
    told = [json.loads(payload) for _, payload, _ in logger.heard]
    here = [document["temperature"] for document in told if document["device"] == "here"]
    there = [document["temperature"] for document in told if document["device"] == "there"]
    assert max(here) > 12
    assert here[-1] < 8
    assert max(there) < 8
    texts = [event.text for event in summary.events]
    assert texts.index(f"{ROOM}: compressor_fail") < texts.index(f"{ROOM}: compressor_repair")
    fail, repair = (next(e.at for e in summary.events if word in e.text) for word in ("_fail", "_repair"))
    assert 0.25 <= fail < 0.65
    assert repair - fail == pytest.approx(0.75, abs=0.3)


def test_faults_and_silence_happen_when_the_scenario_says(broker: Broker, logger: BrokerListener) -> None:
    trial = scenario(
        broker,
        [probe(name, interval="25ms") for name in ("lossy", "quiet", "cut")],
        duration="1500ms",
        speed_up=1,
        faults=[
            {"device": "lossy", "fault": "drop_out", "from": "250ms", "for": "250ms"},
            {"device": "cut", "fault": "disconnect", "from": "250ms", "for": "500ms"},
        ],
        timeline=[{"at": "250ms", "do": "silence", "device": "quiet", "for": "500ms"}],
    )
    summary = run(trial)
    logger.stop(sum(report.messages for report in summary.reports))
    heard: dict[str, list[int]] = {}
    for _, payload, _ in logger.heard:
        document = json.loads(payload)
        heard.setdefault(document["device"], []).append(document["sequence"])
    lossy, quiet, cut = (summary.report(name) for name in ("lossy", "quiet", "cut"))
    assert lossy.lost == list(range(lossy.lost[0], lossy.lost[-1] + 1))
    assert 6 <= len(lossy.lost) <= 13
    assert sorted(heard["lossy"] + lossy.lost) == list(range(1, lossy.readings + 1))
    assert heard["quiet"] == list(range(1, quiet.readings + 1))
    assert quiet.readings < cut.readings - 10
    assert sorted(set(heard["cut"])) == list(range(1, cut.readings + 1))
    assert cut.unacknowledged == []


def test_machine_and_controller_follow_the_timeline_and_are_gone_afterwards() -> None:
    ports = {"filler-1": free_port(), "controller-1": free_port()}
    seen: dict[str, Any] = {}

    async def watch() -> None:
        await asyncio.sleep(0.1)
        await until_up(ports["controller-1"])
        async with Client(f"opc.tcp://127.0.0.1:{ports['filler-1']}/lotwise/") as client:
            good = client.get_node("ns=2;s=filler-1.Good")
            while (seen.get("good") or 0) <= 100:
                seen["good"] = await good.read_value()
                await asyncio.sleep(0.05)
            seen["state"] = await client.get_node("ns=2;s=filler-1.StateText").read_value()
        modbus = AsyncModbusTcpClient("127.0.0.1", port=ports["controller-1"])
        await modbus.connect()
        seen["setpoint"] = (await modbus.read_holding_registers(0, count=1, device_id=1)).registers[0]
        seen["probes"] = (await modbus.read_input_registers(0, count=8, device_id=1)).registers
        modbus.close()

    async def main() -> Summary:
        trial = read_scenario(SCENARIOS / "filling_line.yaml").model_dump(by_alias=True)
        trial["timeline"] = [
            {"at": 0.2, "do": "opcua_state", "device": "filler-1", "state": "running"},
            {"at": 0.3, "do": "setpoint", "zone": ROOM, "to": 3},
            {"at": 0.4, "do": "break_probe", "device": "controller-1", "probe": 8},
        ]
        watcher = asyncio.create_task(watch())
        summary = await run_scenario(
            Scenario.model_validate(trial), overrides={"duration": 3, "speed_up": 600, "ports": ports}
        )
        await watcher
        return summary

    summary = asyncio.run(main())
    assert seen["state"] == "running"
    assert seen["good"] > 100
    assert seen["setpoint"] == 30
    assert [n for n, word in enumerate(seen["probes"]) if word == 0x8000] == [7]
    assert summary.report("filler-1").sequences == list(range(1, summary.report("filler-1").readings + 1))
    assert (summary.report("controller-1.1").readings, summary.report("controller-1.1").messages) == (1, 2)
    assert not any(accepts(port) for port in ports.values())


def test_a_scenario_whose_port_is_taken_leaves_nothing_behind(broker: Broker) -> None:
    with EmptyPort() as taken:
        trial = scenario(
            broker,
            [
                probe("p"),
                {"kind": "cold_room_controller", "name": "ctl", "port": taken.port, "units": {1: ROOM}},
            ],
        )
        with pytest.raises(OSError, match=f"ctl cannot serve on 127.0.0.1:{taken.port}"):
            run(trial)


class EmptyPort:
    """A port somebody else listens on."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def test_a_load_survives_the_brokers_death_without_a_hole(mqtt_broker: EmbeddedNats) -> None:
    assert mqtt_broker.mqtt_port is not None
    broker = Broker(port=mqtt_broker.mqtt_port)

    async def main() -> None:
        load = MqttLoad(ROOM, broker=broker, rate=300, sensors=4)
        await load.start()
        await until(lambda: load.report.acknowledged > 50, "the first acknowledgements")
        await asyncio.to_thread(mqtt_broker.kill)
        await asyncio.sleep(0.3)
        during = load.report.acknowledged
        await asyncio.to_thread(mqtt_broker.start)
        await until(lambda: load.report.acknowledged > during, "acknowledgements after the death")
        report = await load.stop()
        assert report.complete, report.unacknowledged
        assert report.acknowledged > during
        assert sum(report.last.values()) == report.published

    asyncio.run(main())
