"""What is told to other servers: several calls of one lane at once, so that one that hangs holds up no other."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import Engine

from core.erp.kernel.events import Events
from core.erp.kernel.outbox import Outbox
from core.outbound.messages.registering import CHANNELS

AT_ONCE = 4
"""Messages of one channel that are under way at a time, each with a connection to the database while it writes."""
CALLS_A_TURN = 20
"""Rows that one of them tells before it looks whether the lane still leads."""


class Lane:
    """The rows of the outbox that go to one kind of server. `turn` returns at once; what it began goes on."""

    def __init__(self, outbox: Outbox, engine: Engine, events: Events, names: Sequence[str], at_once: int) -> None:
        self._outbox, self._engine, self._events, self._names = outbox, engine, events, names
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=f"outbox {names[0]}")
        self._under_way: list[Future[int]] = []

    def turn(self) -> None:
        """Begins as many calls as rows are due and callers are free. Raises what a caller has failed with."""
        done, self._under_way = (
            [one for one in self._under_way if one.done()],
            [one for one in self._under_way if not one.done()],
        )
        free = self._at_once - len(self._under_way)
        for _ in range(self._outbox.due(self._engine, self._names, free) if free else 0):
            self._under_way.append(self._pool.submit(self._call))
        for one in done:
            one.result()

    def _call(self) -> int:
        return self._outbox.run(self._engine, self._events, names=self._names, most=CALLS_A_TURN)

    def stop(self) -> None:
        """Waits for the calls in hand."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def lanes_of(outbox: Outbox, engine: Engine, events: Events) -> dict[str, Lane]:
    """By name. Messages to people go several at once; what others keep (annotations, a log of events) one by one."""
    return {
        name: Lane(outbox, engine, events, names, AT_ONCE if name in CHANNELS else 1)
        for name, names in outbox.lanes.items()
    }
