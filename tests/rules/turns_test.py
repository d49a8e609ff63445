"""Turns: so many at once, in order; who takes long holds nobody up."""

import asyncio

import pytest

from core.erp.kernel.concurrency import Turns

LONG = 60.0


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class _Work:
    """Takes a turn, says when it has it, and keeps it until it is let go."""

    def __init__(self, turns: Turns, begun: list[str], name: str) -> None:
        self._turns, self._begun, self._name = turns, begun, name
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._turns.turn():
            self._begun.append(self._name)
            self.began.set()
            await self.go.wait()


def test_only_so_many_are_in_and_the_others_follow_in_order() -> None:
    async def run() -> None:
        turns, begun = Turns(2, LONG), list[str]()
        works = [_Work(turns, begun, name) for name in "abcde"]
        await _settled()
        assert begun == ["a", "b"]
        works[1].go.set()
        await _settled()
        assert begun == ["a", "b", "c"]
        for work in works:
            work.go.set()
        await asyncio.gather(*(work.task for work in works))
        assert begun == list("abcde")
        again = [_Work(turns, begun, name) for name in "fgh"]
        await _settled()
        assert begun == list("abcdefg")  # two are free again, and no more
        for work in again:
            work.go.set()
        await asyncio.gather(*(work.task for work in again))

    asyncio.run(run())


def test_who_takes_longer_than_patience_lasts_goes_on_and_the_next_begins() -> None:
    async def run() -> None:
        turns, begun = Turns(1, 0.02), list[str]()
        slow, next_, third = (_Work(turns, begun, name) for name in ("slow", "next", "third"))
        async with asyncio.timeout(10):
            await next_.began.wait()
        assert begun == ["slow", "next"]
        assert not slow.task.done()
        slow.go.set()
        await slow.task
        next_.go.set()
        third.go.set()
        await asyncio.gather(next_.task, third.task)
        assert turns.free == 1  # the turn of the slow one was given back once

    asyncio.run(run())


def test_who_goes_away_while_waiting_keeps_no_turn() -> None:
    async def run() -> None:
        turns, begun = Turns(1, LONG), list[str]()
        first, gone, last = (_Work(turns, begun, name) for name in ("first", "gone", "last"))
        await _settled()
        gone.task.cancel()
        first.go.set()
        await _settled()
        assert begun == ["first", "last"]
        last.go.set()
        await last.task
        assert turns.free == 1

    asyncio.run(run())


def test_who_goes_away_at_the_moment_of_their_turn_hands_it_on() -> None:
    async def run() -> None:
        turns = Turns(1, LONG)
        await turns.begin()
        waiting = asyncio.create_task(turns.begin())
        await _settled()
        turns.end()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert turns.free == 1

    asyncio.run(run())


def test_an_error_gives_the_turn_back() -> None:
    async def run() -> None:
        turns = Turns(1, LONG)
        with pytest.raises(ZeroDivisionError):
            async with turns.turn():
                raise ZeroDivisionError
        assert turns.free == 1

    asyncio.run(run())
