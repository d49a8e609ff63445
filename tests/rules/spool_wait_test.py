"""How long a commit waits for company, told by a clock that is moved by hand."""

from collections.abc import Callable

from edge.spool.writer import GroupWait

GROUP, ENOUGH = 0.025, 1000


class World:
    """A clock, and sources that speak at their times or once they are answered."""

    def __init__(self, speaks: Callable[[float, float], int]) -> None:
        self.now = 0.0
        self.queued = 0
        self._speaks = speaks
        self.wait = GroupWait(self.sleep, lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.queued += self._speaks(self.now, self.now + seconds)
        self.now += seconds

    def commit(self, cost: float = 0.002) -> int:
        """One commit; gives how many readings it carried."""
        self.wait.gather(lambda: self.queued, ENOUGH, self.now + GROUP)
        carried, self.queued = self.queued, 0
        self.now += cost
        return carried


def test_sources_that_speak_unasked_are_waited_for_to_the_end() -> None:
    # ten readings every five milliseconds
    world = World(lambda a, b: 10 * (int(b / 0.005 + 1e-6) - int(a / 0.005 + 1e-6)))
    carried = []
    while world.now < 1.0:
        world.queued += 10
        carried.append(world.commit())
    assert len(carried) <= 1.0 / GROUP
    assert min(carried[1:]) >= 40


def test_a_source_that_waits_for_its_answer_is_answered_at_once_but_for_a_try_now_and_then() -> None:
    world = World(lambda _a, _b: 0)
    commits = 0
    while world.now < 10.0:
        world.queued = 20
        world.commit()
        commits += 1
    # one takes 1 ms of quiet and 2 ms of commit; ten tries of 10 ms and a few at the start are lost
    assert commits > 10.0 / 0.003 * 0.97


def test_a_source_that_falls_silent_is_not_waited_for_again() -> None:
    world = World(lambda a, b: 10 if a < 1.0 and b else 0)
    while world.now < 1.0:
        world.queued = 10
        world.commit()
    begun = world.now
    for _ in range(3):
        world.queued = 10
        world.commit()
    world.queued = 10
    before = world.now
    world.commit()
    assert world.now - begun < 0.1
    assert world.now - before < 0.004


def test_enough_is_enough() -> None:
    world = World(lambda _a, _b: ENOUGH)
    world.queued = 1
    world.commit()
    assert world.now < 0.01
