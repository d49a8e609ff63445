"""A stage for gateway tests: readings by number, a collector fed by hand, and a small core that keeps what it gets."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import Error as JetStreamError

from core.telemetry.address import zone_of
from core.telemetry.batch import (
    MISSING_MAX,
    Body,
    Confirmed,
    ConfirmReply,
    ConfirmRequest,
    Header,
    decode,
    decode_body,
    encode,
    unpack_header,
)
from core.telemetry.connection import disconnect_within
from core.telemetry.reading import Reading
from core.telemetry.stream import CONFIRM_WILDCARD, STREAM, incarnation
from edge.collectors.port import Keeper, SourceConfig, SourceLost
from edge.config import GatewayConfig, StreamConfig
from edge.sources import SourceKind
from edge.tasks import end
from tests.services.edge_readings import numbers, reading


async def eventually(what: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns once it is so; fails if it never is."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)


class FedSource(SourceConfig):
    """A source that a test feeds by hand."""

    protocol: str = "fed"


class FedCollector:
    """Hands over whatever stands in its box; its watermark is told by the test."""

    def __init__(self, name: str = "fed") -> None:
        self.name = name
        self.box: asyncio.Queue[Sequence[Reading] | Exception] = asyncio.Queue()
        self.upto: datetime | None = None
        self.seen: set[str] = set()
        self.connected = False
        self.keeper: Keeper | None = None

    @property
    def zones(self) -> frozenset[str]:
        return frozenset(self.seen)

    @property
    def behind(self) -> timedelta:
        return timedelta(0)

    def live_upto(self, now: datetime) -> datetime | None:  # noqa: ARG002 - the test says
        return self.upto

    async def run(self, keeper: Keeper) -> None:
        self.connected = True
        self.keeper = keeper
        try:
            while True:
                item = await self.box.get()
                if isinstance(item, Exception):
                    raise item
                self.seen |= {zone_of(r.point) for r in item}
                await keeper.keep(item)
        finally:
            self.connected = False


def fed(collector: FedCollector) -> Mapping[str, SourceKind]:
    """A table of protocols in which `fed` makes this collector."""
    return {"fed": SourceKind(FedSource, lambda _config, _last_kept: collector)}


def gateway_config(folder: Path, url: str, **changes: object) -> GatewayConfig:
    """A gateway named `gw` at `plant`, with one fed source."""
    config = GatewayConfig.model_validate(
        {
            "gateway": "gw",
            "site": "plant",
            "instance": "test",
            "data_dir": folder,
            "stream": StreamConfig(urls=(url,)),
            "forwarder": {"confirm_every": 0.1, "watermark_every": 0.2},
            "health": {"port": 0},
        }
        | changes
    )
    return config.model_copy(update={"sources": (FedSource(name="fed"),)})


class SmallCore:
    """Consumes the stream, remembers what it confirmed, and answers. `paused` makes it slow, `stop` makes it down."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.batches: dict[tuple[str, int, int], tuple[Header, Body]] = {}
        self.deliveries: dict[tuple[str, int, int], int] = defaultdict(int)
        self.paused = False
        self.asked = 0
        self.refuses: set[tuple[str, int, int]] = set()
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._reply = ("", 0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._client = await nats.connect(self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        await self._client.subscribe(CONFIRM_WILDCARD, cb=self._answer)
        self._task = asyncio.create_task(self._consume(self._client))

    async def stop(self) -> None:
        if self._task is not None and self._client is not None:
            await end([self._task])
            await disconnect_within(self._client)
            self._task = None

    async def _consume(self, client: Client) -> None:
        js = client.jetstream()
        while True:
            with contextlib.suppress(NatsError, JetStreamError, TimeoutError, OSError):
                config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=30, max_ack_pending=5000)
                subscription = await js.pull_subscribe("readings.>", durable="core", stream=STREAM, config=config)
                await self._fetch(js, subscription)
            await asyncio.sleep(0.05)

    async def _fetch(self, js: JetStreamContext, subscription: JetStreamContext.PullSubscription) -> None:
        while True:
            if self.paused:
                await asyncio.sleep(0.05)
                continue
            info = await js.stream_info(STREAM)
            assert info.created is not None
            with contextlib.suppress(TimeoutError):
                for message in await subscription.fetch(500, timeout=0.2):
                    self._take(message)
                    await message.ack_sync()
            consumer = await subscription.consumer_info()
            assert consumer.ack_floor is not None
            self._reply = (incarnation(info.created), consumer.ack_floor.stream_seq)

    def _take(self, message: Msg) -> None:
        header, body = unpack_header(message.data)
        key = (header.epoch, header.partition, header.number)
        self.deliveries[key] += 1
        if key not in self.refuses:
            self.batches.setdefault(key, (header, decode_body(body)))

    async def _answer(self, message: Msg) -> None:
        self.asked += 1
        ask = decode(ConfirmRequest, message.data)
        stream, floor = self._reply
        floors = {partition: floor for _, partition, _ in ask.upto}
        reply = ConfirmReply(tuple(self._confirmed(*one) for one in ask.upto), stream, floors)
        await message.respond(encode(reply))

    def _confirmed(self, epoch: str, partition: int, upto: int) -> Confirmed:
        through = 0
        while (epoch, partition, through + 1) in self.batches:
            through += 1
        missing = [n for n in range(through + 1, upto + 1) if (epoch, partition, n) not in self.batches]
        if len(missing) <= MISSING_MAX:
            return Confirmed(epoch, partition, through, tuple(missing))
        return Confirmed(epoch, partition, through, tuple(missing[:MISSING_MAX]), missing[MISSING_MAX] - 1)

    def numbers(self) -> list[int]:
        """Every reading that is here, as often as it is here."""
        return sorted(number for _, body in self.batches.values() for number in numbers(body))

    def bodies(self) -> Iterator[tuple[Header, Body]]:
        """Every batch by name."""
        for key in sorted(self.batches):
            yield self.batches[key]


__all__ = ["FedCollector", "FedSource", "SmallCore", "SourceLost", "eventually", "fed", "gateway_config", "reading"]
