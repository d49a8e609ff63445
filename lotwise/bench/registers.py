"""The devices of `bench modbus`, as a process of their own: Modbus TCP servers that answer from memory.

`python -m lotwise.bench.registers DEVICES REGISTERS DEAD`: prints the devices' ports as a JSON list, and `true` once
all that live have answered. Of the dead, which are the first, every other one takes connections and never answers, the
others take none. It ends when its input ends.
"""

import asyncio
import json
import socket
import struct
import sys
from collections.abc import Callable

_HEADER = struct.Struct(">HHHB")
"""MBAP: transaction, protocol, length, unit."""
_REQUEST = struct.Struct(">HHHBBHH")
_ANSWERS = 256
"""Different answers of one device, after which it begins again."""


class Device(asyncio.Protocol):
    """Answers every request by as many registers as it asks, each time others."""

    def __init__(self, registers: int, answered: Callable[[], None]) -> None:
        # made before, so that the devices cost next to nothing
        self._answers = [
            bytes([3, 2 * registers]) + struct.pack(f">{registers}H", *((37 * n + r) % 500 for r in range(registers)))
            for n in range(_ANSWERS)
        ]
        self._asked = 0
        self._answered = answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers whom to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers what is asked: whole requests, of twelve bytes each."""
        for transaction, _, _, unit, *_ in _REQUEST.iter_unpack(data):
            answer = self._answers[self._asked % _ANSWERS]
            self._transport.write(_HEADER.pack(transaction, 0, len(answer) + 1, unit) + answer)
            self._asked += 1
            if self._asked == 1:
                self._answered()


def _bound() -> socket.socket:
    """A socket on a port of its own, on which nobody listens yet."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


async def run(devices: int, registers: int, dead: int) -> None:
    """Serves until the input ends."""
    live = devices - dead
    first = 0

    def answered() -> None:
        nonlocal first
        first += 1
        if first == live:
            print("true", flush=True)

    loop = asyncio.get_running_loop()
    sockets = [_bound() for _ in range(devices)]
    for number, bound in enumerate(sockets):
        if number >= dead:
            await loop.create_server(lambda: Device(registers, answered), sock=bound)
        elif number % 2 == 0:
            await loop.create_server(asyncio.Protocol, sock=bound)
    ports = [bound.getsockname()[1] for bound in sockets]
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(run(*map(int, sys.argv[1:4])))
