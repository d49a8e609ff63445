"""Times at which something is free: a machine's openings, and how much of a crew or store is left when."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from core.erp.scheduling.problem import FOREVER, Window


class Calendar:
    """When a machine works: everywhere but in its closings, which are merged and sorted."""

    __slots__ = ("ends", "starts")

    def __init__(self, closed: Iterable[Window]) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []
        for one in sorted(closed, key=lambda w: (w.start, w.end)):
            if one.end <= one.start:
                continue
            if self.ends and one.start <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], one.end)
            else:
                self.starts.append(one.start)
                self.ends.append(one.end)

    def opening(self, at: int) -> int:
        """The first instant at or after `at` at which the machine works; FOREVER if it never does again."""
        i = bisect_right(self.ends, at)
        return at if i == len(self.starts) or at < self.starts[i] else self.ends[i]

    def fit(self, at: int, ticks: int) -> int:
        """The first start at or after `at` from which it works `ticks` on end; FOREVER if there is none."""
        i = bisect_right(self.ends, at)
        while i < len(self.starts) and at + ticks > self.starts[i]:
            at = max(at, self.ends[i])
            i += 1
        return min(at, FOREVER)

    def pieces(self, at: int, ticks: int) -> list[tuple[int, int]]:
        """When it works on something of `ticks` that begins at `at` and pauses at closings; [] if it never ends."""
        found = []
        at = self.opening(at)
        i = bisect_right(self.ends, at)
        while ticks > 0:
            if at >= FOREVER:
                return []
            until = self.starts[i] if i < len(self.starts) else FOREVER
            taken = min(ticks, until - at)
            found.append((at, at + taken))
            ticks -= taken
            if ticks and i < len(self.starts):
                at = self.ends[i]
                i += 1
            elif ticks:
                return []
        return found


class Room:
    """How much of something is left at each time: a step function that bookings lower.

    `times[i]` to before `times[i + 1]`, `left[i]` is free; the last step goes on for ever.
    """

    __slots__ = ("left", "times")

    def __init__(self, steps: Sequence[tuple[int, int, int]]) -> None:
        """`steps` are (start, end, amount); where several overlap they add, where none is there is nothing."""
        changes: dict[int, int] = {}
        for start, end, amount in steps:
            changes[start] = changes.get(start, 0) + amount
            changes[end] = changes.get(end, 0) - amount
        self.times: list[int] = [-FOREVER]
        self.left: list[int] = [0]
        for at in sorted(changes):
            if changes[at]:
                self.times.append(at)
                self.left.append(self.left[-1] + changes[at])

    def first(self, at: int, ticks: int, amount: int) -> int:
        """The first start at or after `at` from which `amount` is free for `ticks` on end; FOREVER if there is none."""
        times, left = self.times, self.left
        i = bisect_right(times, at) - 1
        while True:
            end = at + ticks
            j = i
            while left[j] >= amount:
                j += 1
                if j == len(times) or times[j] >= end:
                    return at
            while left[j] < amount:
                j += 1
                if j == len(times):
                    return FOREVER
            i, at = j, times[j]

    def book(self, start: int, end: int, amount: int) -> None:
        """Takes `amount` from `start` to before `end`; a negative amount gives it back."""
        if end <= start:
            return
        i, j = self._cut(start), self._cut(end)
        for k in range(i, j):
            self.left[k] -= amount

    def _cut(self, at: int) -> int:
        """The step that begins at `at`, made if need be."""
        i = bisect_left(self.times, at)
        if i == len(self.times) or self.times[i] != at:
            self.times.insert(i, at)
            self.left.insert(i, self.left[i - 1])
        return i
