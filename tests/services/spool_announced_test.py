"""The first batch of each partition of each start says which sources the gateway has, whoever has told anything yet."""

import asyncio
from datetime import timedelta
from pathlib import Path

from core.telemetry.batch import Announced, Body, decode_body
from edge.app import announced
from edge.config import GatewayConfig
from edge.spool import DropPolicy, Spool, SpoolOptions
from edge.supervisor import Supervisor
from tests.services.edge_readings import reading
from tests.services.edge_stage import FedCollector, FedSource, gateway_config

SLOW = SpoolOptions(cut_every=timedelta(hours=1))
OLD, NEW = Announced("one", ("a", "b")), Announced("two", ("b",))


async def bodies(spool: Spool) -> dict[tuple[str, int, int], Body]:
    return {
        (batch.header.epoch, batch.header.partition, batch.header.number): decode_body(batch.body)
        for batch in await spool.unsent(1000)
    }


def test_each_partitions_first_batch_says_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW, announced=OLD) as spool:
            for n in range(0, 40, 20):
                await spool.keep([reading(i) for i in range(n, n + 20)])
                await spool.flush()
            told = await bodies(spool)
        assert len({partition for _, partition, _ in told}) > 1
        assert {key[2] for key in told} == {1, 2}
        assert all((body.announced == OLD) is (key[2] == 1) for key, body in told.items())

    asyncio.run(main())


def test_what_an_earlier_start_left_uncut_speaks_of_its_own_sources(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW, announced=OLD) as spool:
            await spool.keep([reading(n, zones=1) for n in range(3)])
            spool._writer.rows.db.execute("PRAGMA wal_checkpoint")
            # as after kill -9: kept, and not cut
            spool._writer.rows.cut = lambda *_: 0  # type: ignore[method-assign]  # a cut that never comes
            first = spool.epoch
        async with await Spool.open(tmp_path, "gw", "plant", SLOW, announced=NEW) as spool:
            await spool.keep([reading(9, zones=1)])
            await spool.flush()
            told = await bodies(spool)
            assert {epoch: body.announced for (epoch, _, _), body in told.items()} == {first: OLD, spool.epoch: NEW}
            assert [len(body.readings) for body in told.values()] == [3, 1]
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:  # one that does not say
            await spool.keep([reading(10, zones=1)])
            await spool.flush()
            assert [body.announced for key, body in (await bodies(spool)).items() if key[0] == spool.epoch] == [None]

    asyncio.run(main())


def test_a_tombstone_goes_on_saying_it(tmp_path: Path) -> None:
    tight = SpoolOptions(max_bytes=6_500, policy=DropPolicy.DROP_OLDEST, cut_every=timedelta(hours=1))

    async def main() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", tight, announced=OLD) as spool:
            await spool.keep([reading(n, zones=1) for n in range(50)])
            await spool.flush()
            await spool.keep([reading(n, zones=1) for n in range(50, 100)])
            await spool.flush()
            stone = (await spool.unsent(1))[0]
            assert stone.header.kind == "tombstone"
            assert decode_body(stone.body).announced == OLD

    asyncio.run(main())


def test_a_gateway_whose_sources_are_all_silent_says_it_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW, announced=OLD) as spool:
            boss = Supervisor([FedCollector], spool)
            for _ in range(3):
                await boss.mark()
            told = await bodies(spool)
            assert [(key[1:], body.announced, body.watermarks) for key, body in told.items()] == [((0, 1), OLD, ())]

    asyncio.run(main())


def test_what_is_announced_follows_from_the_configuration(tmp_path: Path) -> None:
    def config(*names: str, **more: object) -> GatewayConfig:
        sources = tuple(FedSource(name=name, **more) for name in names)
        return gateway_config(tmp_path, "nats://127.0.0.1:1").model_copy(update={"sources": sources})

    assert announced(config("b", "a")).sources == ("a", "b")
    assert announced(config("a")) == announced(config("a"))
    assert announced(config("a")).config != announced(config("a", simulated=True)).config
