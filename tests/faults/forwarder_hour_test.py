"""A core that is down for an hour: nothing is sent twice, nobody is flooded with questions, all arrives in the end.

The hour passes a thousand times faster: the gateway's clock and its paces are scaled, and nothing else.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy import Engine

from core.telemetry.connection import disconnect_within
from core.telemetry.stream import MESSAGE_ID
from edge import forwarder as forwarding
from edge.carrier import CoreSilent, NatsCarrier
from edge.config import StreamConfig
from edge.forwarder import Forwarder
from edge.spool import Spool, SpoolOptions
from edge.tasks import end
from lotwise.embedded.nats import EmbeddedNats
from tests.faults.ingest_running import count, until, worker
from tests.services.ingest_support import RecordingJudge, add_points, reading

FASTER = 1000
BATCHES = 2000
FIRST = 10
OPTIONS = SpoolOptions(batch_readings=1, cut_every=timedelta(milliseconds=20))


class Fast:
    """A clock that goes a thousand times as fast."""

    def __init__(self) -> None:
        self._base, self._zero = datetime.now(UTC), time.monotonic()

    def __call__(self) -> datetime:
        return self._base + timedelta(seconds=(time.monotonic() - self._zero) * FASTER)


class Asking(NatsCarrier):
    """Counts the questions that nobody answered; waits for answers a thousand times shorter once told to."""

    silent = 0
    hurried = False

    async def ask(self, subject: str, payload: bytes) -> bytes:
        try:
            async with asyncio.timeout(5.0 / FASTER if self.hurried else None):
                return await super().ask(subject, payload)
        except (CoreSilent, TimeoutError) as error:
            self.silent += 1
            raise CoreSilent(str(error)) from error


@asynccontextmanager
async def gateway(folder: Path, url: str) -> AsyncIterator[tuple[Spool, Asking, Forwarder]]:
    clock = Fast()
    async with await Spool.open(folder, "gw-1", "north", OPTIONS, clock) as spool:
        carrier = Asking(StreamConfig(urls=(url,)), "gw-1", clock)
        sender = Forwarder(spool, carrier, "gw-1", confirm_every=1.0 / FASTER)
        tasks = [asyncio.create_task(carrier.run()), asyncio.create_task(sender.run())]
        try:
            yield spool, carrier, sender
        finally:
            await end(tasks)
        for task in tasks:
            assert task.cancelled(), task


@asynccontextmanager
async def overhearing(url: str) -> AsyncIterator[tuple[Client, Counter[str]]]:
    """Every message that is published, by its id."""
    published: Counter[str] = Counter()

    async def hear(message: Msg) -> None:
        published[(message.headers or {})[MESSAGE_ID]] += 1

    client = await nats.connect(url)
    await client.subscribe("readings.>", cb=hear, pending_msgs_limit=-1)
    try:
        yield client, published
    finally:
        await disconnect_within(client)


async def until_confirmed(spool: Spool) -> None:
    async with asyncio.timeout(60):
        while (await spool.depth()).batches:  # noqa: ASYNC110 - the cursor sets no event
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("core", ["is not there", "hangs"])
def test_a_core_that_is_down_for_an_hour_causes_no_storm(
    tmp_path: Path, engine: Engine, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    for name in ("BACKOFF_MAX", "STREAM_EVERY", "REPLAYABLE_EVERY"):
        monkeypatch.setattr(forwarding, name, getattr(forwarding, name) / FASTER)
    add_points(engine)
    judge = RecordingJudge()

    async def main() -> None:
        url = nats_server.url
        async with overhearing(url) as (ear, published), gateway(tmp_path / "gw", url) as (spool, carrier, sender):
            async with worker(engine, url, judge):
                await spool.keep([reading(n) for n in range(FIRST)])
                await until(lambda: count(engine, "batch") == FIRST)
            carrier.hurried = True
            deaf = await ear.subscribe("confirm.>") if core == "hangs" else None
            for first in range(FIRST, BATCHES, 400):
                await spool.keep([reading(n) for n in range(first, min(first + 400, BATCHES))])
            async with asyncio.timeout(40):
                while (await spool.depth()).batches < BATCHES - FIRST:  # noqa: ASYNC110 - cutting sets no event
                    await asyncio.sleep(0.02)
                await sender.drained()
                while not carrier.silent:  # noqa: ASYNC110 - a question the core took to its end is waited for
                    await asyncio.sleep(0.02)
            before = carrier.silent
            await asyncio.sleep(3600 / FASTER)
            # backed off to one in about 15 s, and it does not give up
            assert 5 < carrier.silent - before < 3600 / 8
            assert not sender.core_answers
            carrier.hurried = False
            if deaf is not None:
                await deaf.unsubscribe()
            async with worker(engine, url, judge):
                await until_confirmed(spool)
            assert sender.resent == sender.taken_back == 0
        # one attempt each, and that once
        assert len(published) == BATCHES
        assert set(published.values()) == {1}
        assert {name.rpartition(":")[2] for name in published} == {"1"}

    asyncio.run(main())
    assert sorted(r.at for r in judge.readings) == [reading(n).at for n in range(BATCHES)]
