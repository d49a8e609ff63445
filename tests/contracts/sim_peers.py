"""Peers that know nothing of the simulators: a subscriber by paho alone; and waiting for what is to come."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from simulators.link import Broker

ZONE = "plant/cold/room-1"


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


def story(act: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await act()

    asyncio.run(main())
