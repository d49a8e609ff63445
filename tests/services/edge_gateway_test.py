"""The gateway as a whole: fed by hand, through a real stream, to a small core."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx

from edge.app import run_gateway
from edge.config import GatewayConfig
from lotwise.embedded.nats import EmbeddedNats
from tests.services.edge_stage import FedCollector, SmallCore, SourceLost, eventually, fed, gateway_config, reading


@contextlib.asynccontextmanager
async def running(config: GatewayConfig, collector: FedCollector) -> AsyncIterator[int]:
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        run_gateway(config, stop=stop, protocols=fed(collector), started=lambda *told: port.set_result(told[2]))
    )
    task.add_done_callback(lambda ended: port.cancel() if not port.done() and ended.exception() else None)
    yield await port
    stop.set()
    await task


async def probe(port: int, seconds: float, want: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    async with httpx.AsyncClient() as client, asyncio.timeout(seconds):
        while True:
            health = (await client.get(f"http://127.0.0.1:{port}/healthz")).json()
            if want(health):
                return dict(health)
            await asyncio.sleep(0.05)


def staged(story: Callable[[SmallCore, FedCollector], Awaitable[None]], server: EmbeddedNats) -> None:
    async def main() -> None:
        async with SmallCore(server.url) as core:
            await story(core, FedCollector())

    asyncio.run(main())


def test_every_reading_arrives_once_and_is_confirmed(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    async def story(core: SmallCore, collector: FedCollector) -> None:
        async with running(gateway_config(tmp_path / "gw", nats_server.url), collector) as port:
            for i in range(0, 3000, 100):
                collector.box.put_nowait([reading(n) for n in range(i, i + 100)])
            await eventually(lambda: core.numbers() == list(range(3000)))
            health = await probe(port, 10, lambda h: h["ok"] is True and h["spool"]["readings"] == 0)  # type: ignore[index]  # JSON
            async with httpx.AsyncClient() as client:
                metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            assert 'lotwise_edge_source_readings_total{source="fed"} 3000.0' in metrics
            assert "lotwise_edge_up 1.0" in metrics
            assert json.dumps(health)

    staged(story, nats_server)


def test_watermarks_travel_per_partition_and_wait_for_a_source_that_holds_back(
    tmp_path: Path, nats_server: EmbeddedNats
) -> None:
    async def story(core: SmallCore, collector: FedCollector) -> None:
        async with running(gateway_config(tmp_path / "gw", nats_server.url), collector):
            collector.box.put_nowait([reading(n) for n in range(8)])
            await eventually(lambda: len(core.batches) > 8)
            assert not any(body.watermarks for _, body in core.batches.values())
            upto = collector.upto = reading(7).at
            await eventually(lambda: any(body.watermarks for _, body in core.batches.values()))
            await asyncio.sleep(0.5)
        told = {
            (zone, mark.upto) for _, body in core.batches.values() for mark in body.watermarks for zone in mark.zones
        }
        assert told == {(zone, upto) for zone in collector.zones}

    staged(story, nats_server)


def test_a_lost_source_is_restarted_and_told_in_health(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    async def story(_core: SmallCore, collector: FedCollector) -> None:
        async with running(gateway_config(tmp_path / "gw", nats_server.url), collector) as port:
            collector.box.put_nowait([reading(1)])
            await probe(port, 10, lambda h: h["ok"] is True)
            collector.box.put_nowait(SourceLost("cable out"))
            lost = await probe(port, 5, lambda h: h["ok"] is False)
            assert lost["sources"][0]["trouble"] == "cable out"  # type: ignore[index]  # JSON
            again = await probe(port, 10, lambda h: h["ok"] is True)
            assert again["sources"][0]["restarts"] == 1  # type: ignore[index]  # JSON

    staged(story, nats_server)
