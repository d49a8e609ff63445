"""Every example of a gateway, at its own settings: while its sources live, nobody calls its zones silent."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.exposure.judge.timer import SilenceLimits, tick
from core.telemetry.batch import Watermark
from edge.collectors.modbus import ModbusCollector
from edge.collectors.modbus_config import ModbusSource
from edge.collectors.mqtt import MqttCollector
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.port import Collector, SourceConfig
from edge.config import load
from edge.sources import PROTOCOLS
from edge.tasks import end
from tests.faults.modbus_peer import device, plc, registers
from tests.faults.opcua_peer import NAMESPACE, Memory, machine, until
from tests.servers import free_port
from tests.services.mqtt_support import mosquitto
from tests.world import World

EXAMPLES = sorted((Path(__file__).parents[2] / "edge" / "examples").glob("*.yaml"))
HEAVY = os.environ.get("LOTWISE_TEST_HEAVY") == "1"
OVERDUE = SilenceLimits().overdue
SECOND = timedelta(seconds=1)
POLLED = timedelta(seconds=6)
"""The controller of the example is polled every 10 s, and within 5 s of its start."""


class Everything(dict[str, str]):
    """An environment in which every name is set."""

    def get(self, key: str, default: object = None) -> str:
        del default
        return f"value of {key}"


def sources(file: Path) -> list[SourceConfig]:
    return list(load(file, Everything()).sources)


def collector_of(config: SourceConfig) -> Collector:
    return PROTOCOLS[getattr(config, "protocol")].make(config, dict)  # noqa: B009 - each source has its own class


def alarms(world: World) -> list[Any]:
    with world.engine.connect() as conn:
        return list(conn.execute(text("SELECT zone_id, returned_at FROM zone_alarm WHERE kind = 'silent_gateway'")))


def mark(world: World, collectors: list[Collector], upto: list[datetime], now: datetime) -> None:
    said = [
        ("gw", Watermark(one.name, to, (f"s1/a/{one.name}",), one.behind))
        for one, to in zip(collectors, upto, strict=True)
    ]
    world.fold([], said, now=now)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_a_live_gateway_is_not_silent_and_a_dead_one_is(world: World, file: Path) -> None:
    collectors = [collector_of(config) for config in sources(file)]
    for one in collectors:
        world.zone(one.name)
    began = now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    while now < began + 3 * OVERDUE:
        mark(world, collectors, [now - one.behind for one in collectors], now)
        world.do(lambda u: tick(u, world.judge, SilenceLimits()), now=now)
        now += 10 * SECOND
    assert alarms(world) == []
    last = now - 10 * SECOND
    world.do(lambda u: tick(u, world.judge, SilenceLimits()), now=last + OVERDUE)
    assert alarms(world) == []
    world.do(lambda u: tick(u, world.judge, SilenceLimits()), now=last + OVERDUE + SECOND)
    assert len(alarms(world)) == len(collectors)


def test_a_gateway_that_lives_but_whose_source_stands_still_is_silent(world: World) -> None:
    """Words keep coming and say nothing new: a spool that is full, a message that cannot be kept."""
    collectors = [collector_of(sources(EXAMPLES[0])[0])]
    world.zone(collectors[0].name)
    began = now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    while now < began + OVERDUE + 10 * SECOND:
        mark(world, collectors, [began - collectors[0].behind], now)
        now += 10 * SECOND
    world.do(lambda u: tick(u, world.judge, SilenceLimits()), now=now)
    assert len(alarms(world)) == 1


@pytest.mark.heavy
@pytest.mark.timeout(600)
def test_sources_stay_no_further_behind_than_they_say(world: World, tmp_path: Path) -> None:
    """The gateway's example, its broker, its machine and its controller real and at default settings; by the clock when
    heavy.
    """
    broker_source, machine_source, bus_source = sources(EXAMPLES[0])
    assert isinstance(broker_source, MqttSource)
    assert isinstance(machine_source, OpcUaSource)
    assert isinstance(bus_source, ModbusSource)
    box = device(1, registers(0, 48, 52), registers(9, 0, 0x40A0))

    async def main() -> Memory:
        port = free_port()
        with mosquitto(tmp_path / "broker") as broker:
            async with machine(free_port(), {"t": 4.0}) as peer, plc(port, box):
                node = {"node": f"nsu={NAMESPACE};s=t", "point": "plant-1/filling/line-1/filler/t"}
                plain = machine_source.model_dump(exclude={"nodes", "endpoint"})
                opcua = OpcUaSource.model_validate({**plain, "endpoint": peer.endpoint, "nodes": [node]})
                local = {"host": "127.0.0.1", "port": broker.port, "username": None, "password": None}
                mqtt = broker_source.model_copy(update=local)
                line = bus_source.transport.model_copy(update={"host": "127.0.0.1", "port": port})
                modbus = bus_source.model_copy(update={"transport": line})
                return await watch(world, [MqttCollector(mqtt), OpcUaCollector(opcua), ModbusCollector(modbus)])

    kept = asyncio.run(main())
    good = {reading.point.rpartition("/")[2]: reading.value for reading in kept.readings if not reading.reason}
    assert good == {"t": 4.0, "temperature-1": 4.8, "temperature-2": 5.2, "setpoint": 5.0, "door-open": True}


async def watch(world: World, collectors: list[Collector]) -> Memory:
    """Runs the collectors and marks how far each says it is, as a gateway does; what they kept."""
    for one in collectors:
        world.zone(one.name)
    keeper = Memory()
    tasks = [asyncio.create_task(one.run(keeper)) for one in collectors]
    try:
        await until(lambda: all(one.live_upto(datetime.now(UTC)) is not None for one in collectors))
        until_then = datetime.now(UTC) + (3 * OVERDUE if HEAVY else POLLED)
        while (now := datetime.now(UTC)) < until_then:
            assert not any(task.done() for task in tasks), tasks
            upto = [one.live_upto(now) for one in collectors]
            known = [to for to in upto if to is not None]
            assert len(known) == len(upto)
            late = [now - to - one.behind for one, to in zip(collectors, known, strict=True)]
            assert max(late) < SECOND, late
            await asyncio.to_thread(mark, world, collectors, known, now)
            await asyncio.to_thread(world.do, lambda u: tick(u, world.judge, SilenceLimits()), now=now)
            await asyncio.sleep(2 if HEAVY else 0.5)
    finally:
        await end(tasks)
    assert alarms(world) == []
    return keeper
