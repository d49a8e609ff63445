"""The client of `bench api` and `bench pages`, a process of its own: so many connections, each asking again once it is
answered.

`python -m lotwise.bench.http_load PORT`: each line of standard input is a load (`Load` as JSON), answered by one line
(`Answers` as JSON). It ends when its input ends. Requests come ready made and of an answer only status, length and
both ends of its JSON are looked at: a client library takes several times the processor of this, and the server is on
the same cores.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import cycle

import msgspec

_END = b"\r\n\r\n"
_BODY = _END + b"{"
_LENGTH = b"content-length: "
_SHOWN = 300
"""Bytes that are told of an answer that is not as it should be."""
_MOST_SHOWN = 5


class Load(msgspec.Struct):
    """Requests as they go over the wire, in turn; `once`: each one time, else from the beginning again.

    What is answered within the first `warm_up` seconds, or before every connection has had an answer, is not counted: a
    core that has just started makes its first answers slowly.
    """

    requests: list[str]
    concurrency: int
    seconds: float
    status: int
    once: bool = False
    warm_up: float = 0.5
    json: bool = True
    """Whether an answer has to be a JSON object; else it may be anything that is whole (a page, compressed)."""


class Answers(msgspec.Struct):
    """What came back: of those that were counted how long each took, and of the others what was wrong.

    `asked` are all there were, the warm-up's too; `seconds` is the time in which the counted ones came, `cpu` how many
    seconds of a processor this process took.
    """

    latencies: list[float]
    asked: int
    seconds: float
    cpu: float
    errors: list[str]
    failed: int


class _Run:
    """One load under way."""

    def __init__(self, load: Load) -> None:
        ready = [request.encode() for request in load.requests]
        self.requests: Iterator[bytes] = iter(ready) if load.once else cycle(ready)
        self.status, self.json = load.status, load.json
        self.began = time.perf_counter()
        self.counted_from = self.began + load.warm_up
        self.seconds, self.cold = load.seconds, load.concurrency
        self.until = self.counted_from + load.seconds
        self.last = self.counted_from
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.failed = self.answered = 0

    def answered_one(self, asked: float, answer: bytes) -> None:
        """An answer is whole."""
        now = time.perf_counter()
        self.answered += 1
        if int(answer[9:12]) != self.status or (self.json and not (answer.endswith(b"}") and _BODY in answer)):
            self.failed += 1
            if len(self.errors) < _MOST_SHOWN:
                self.errors.append(answer[:_SHOWN].decode(errors="replace"))
        elif asked >= self.counted_from:
            self.latencies.append(now - asked)
            self.last = now

    def next(self) -> bytes | None:
        """The next request; None when it is over."""
        return next(self.requests, None) if self.cold or time.perf_counter() < self.until else None

    def warmed(self) -> None:
        """One more connection has had its first answer, or has none to come."""
        self.cold -= 1
        now = time.perf_counter()
        if not self.cold and now > self.counted_from:
            self.counted_from = self.last = now
            self.until = now + self.seconds


class _Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again."""

    def __init__(self, run: _Run) -> None:
        self._run, self._answer, self._length, self._asked = run, bytearray(), 0, 0.0
        self._cold = True
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        self._answer += data
        if not self._length:
            end = self._answer.find(_END)
            if end < 0:
                return
            start = self._answer.index(_LENGTH) + len(_LENGTH)
            self._length = end + len(_END) + int(self._answer[start : self._answer.index(b"\r", start)])
        if len(self._answer) >= self._length:
            self._run.answered_one(self._asked, bytes(self._answer))
            self._warmed()
            self._answer.clear()
            self._length = 0
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over; before its end that is a fault."""
        self._warmed()
        if not self.over.done():
            self._run.failed += 1
            self._run.errors.append(f"the server closed the connection: {error}")
            self.over.set_result(None)

    def _warmed(self) -> None:
        if self._cold:
            self._cold = False
            self._run.warmed()

    def _ask(self) -> None:
        request = self._run.next()
        if request is None:
            self.over.set_result(None)
            self._transport.close()
            return
        self._asked = time.perf_counter()
        self._transport.write(request)


async def answered(port: int, load: Load) -> Answers:
    """The load put on 127.0.0.1, until its time is over or its requests are used up. Raises OSError."""
    run, busy = _Run(load), time.process_time()
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port) for _ in range(load.concurrency)]
    await asyncio.gather(*(connection.over for _, connection in made))
    cpu = time.process_time() - busy
    return Answers(run.latencies, run.answered, run.last - run.counted_from, cpu, run.errors, run.failed)


def main(port: int) -> None:
    """Loads from standard input, answers to standard output."""
    for line in sys.stdin:
        load = msgspec.json.decode(line, type=Load)
        print(msgspec.json.encode(asyncio.run(answered(port, load))).decode(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
