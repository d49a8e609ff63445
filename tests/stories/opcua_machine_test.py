"""The simulated filling machine and the OPC UA collector: every count arrives, through a break, once."""

import asyncio
from datetime import UTC, datetime

import pytest

from core.telemetry.quality import Quality
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.port import SourceLost
from simulators.machine import VARIABLES, FillingMachine
from simulators.opcua import NAMESPACE
from tests.faults.opcua_peer import ZONE, Memory, running, source, until
from tests.servers import free_port


def test_every_count_of_the_machine_arrives_through_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")

    async def main() -> None:
        machine = FillingMachine("filling-1", ZONE, port=free_port(), interval=0.05)
        nodes = [
            {
                "node": f"nsu={NAMESPACE};s=filling-1.{name}",
                "point": f"{ZONE}/machine/{name}",
                "unit": variable.unit,
                "sampling": 0,
                "report": "timestamp",
            }
            for name, variable in VARIABLES.items()
        ]
        keeper = Memory()
        collector = OpcUaCollector(source(machine.endpoint, nodes=nodes, simulated=True))
        await machine.start()
        try:
            task = asyncio.create_task(collector.run(keeper))
            await until(lambda: len(keeper.of("Sequence")) >= 10)
            machine.set_status("ChamberTemperature", "BadSensorFailure")
            await until(lambda: keeper.of("ChamberTemperature")[-1].quality is Quality.BAD)
            machine.set_status("ChamberTemperature", None)
            await machine.disconnect()
            with pytest.raises(SourceLost):
                await asyncio.wait_for(task, 10)
            before = keeper.values("Sequence")[-1]
            assert isinstance(before, int)
            await until(lambda: machine.report.sequences[-1] > before + 10)
            await machine.connect()
            async with running(collector, keeper):
                await until(lambda: collector.live_upto(datetime.now(UTC)))
                reached = machine.report.sequences[-1]
                await until(lambda: reached in keeper.values("Sequence"))
        finally:
            await machine.stop()
        counts = {value for value in keeper.values("Sequence") if isinstance(value, int)}
        assert counts >= set(range(min(counts), reached + 1))
        kept = {(reading.at, reading.value) for reading in keeper.of("Sequence")}
        assert len({at for at, _ in kept}) == len(kept)
        assert all(reading.simulated for reading in keeper.readings)
        assert keeper.gaps == []

    asyncio.run(main())
