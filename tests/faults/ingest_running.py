"""A worker running in a test, and a publisher that is no gateway."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import nats
from nats.aio.client import Client
from sqlalchemy import Engine, text

from core.ingest.lanes import IngestOptions
from core.ingest.stream import NatsSettings
from core.ingest.transaction import JudgePort, StreamMessage
from core.ingest.worker import IngestWorker
from core.telemetry.connection import disconnect_within

QUICK = IngestOptions(
    tick=timedelta(milliseconds=100),
    lease=timedelta(seconds=1),
    ack_wait=timedelta(seconds=2),
    backoff_first=timedelta(milliseconds=100),
    backoff_most=timedelta(milliseconds=400),
    pull_expires=timedelta(seconds=2, milliseconds=100),
)


@asynccontextmanager
async def worker(
    engine: Engine, url: str, judge: JudgePort, name: str = "w1", options: IngestOptions = QUICK
) -> AsyncIterator[IngestWorker]:
    """A worker that runs while the block does."""
    stop = asyncio.Event()
    made = IngestWorker(engine, NatsSettings(urls=(url,)), judge, name, options=options)
    task = asyncio.create_task(made.run(stop))
    try:
        yield made
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


@asynccontextmanager
async def publisher(url: str) -> AsyncIterator[Client]:
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    try:
        yield client
    finally:
        await disconnect_within(client)


async def publish(client: Client, *messages: StreamMessage) -> None:
    """Publishes and waits for the stream's acknowledgement of each."""
    stream = client.jetstream()
    for message in messages:
        await stream.publish(f"readings.{message.partition}.north", message.data)


async def until(condition: Callable[[], bool], within: float = 15.0) -> None:
    """Waits until it is so; fails the test if it is not in time."""
    end = time.monotonic() + within
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, "it did not come to pass in time"
        await asyncio.sleep(0.03)


def count(engine: Engine, what: str) -> int:
    """How many rows `FROM …` has."""
    with engine.connect() as conn:
        number: int = conn.execute(text(f"SELECT count(*) FROM {what}")).scalar_one()
        return number
