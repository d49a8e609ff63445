"""Very many readings in little memory: columns of numbers, of which a reading is made when somebody looks at it.

A reading as an object takes some 300 bytes, its row here 18: half a million of a logger's readings are 9 MB.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from core.telemetry.quality import Quality
from core.telemetry.reading import Reading

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAN = float("nan")
_AT_ONCE = 4096


class State(NamedTuple):
    """What many values of a column share: how far they can be trusted and why, and their UCUM unit."""

    quality: Quality
    reason: str
    unit: str


def micros_of(at: datetime) -> int:
    """Microseconds since 1970. Raises TypeError for a naive time."""
    return (at - EPOCH) // _MICROSECOND


def moment_of(at: int) -> datetime:
    """The instant (UTC) of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=at)


@dataclass(slots=True)
class Values:
    """Values in columns: `at` (microseconds since 1970), `value` (NaN for none), and the place of each one's state."""

    at: "array[int]" = field(default_factory=lambda: array("q"))
    value: "array[float]" = field(default_factory=lambda: array("d"))
    state: "array[int]" = field(default_factory=lambda: array("H"))
    states: list[State] = field(default_factory=list)
    _places: dict[State, int] = field(init=False)

    def __post_init__(self) -> None:
        self._places = {state: place for place, state in enumerate(self.states)}

    def __len__(self) -> int:
        return len(self.at)

    def add(self, at: int, value: float | None, state: State) -> None:
        """Puts one at the end."""
        place = self._places.get(state)
        if place is None:
            place = self._places[state] = len(self.states)
            self.states.append(state)
        self.at.append(at)
        self.value.append(_NAN if value is None else value)
        self.state.append(place)

    def take(self, other: "Values", first: int, stop: int) -> None:
        """Puts those of another's places [first, stop) at the end; these states must begin with the other's."""
        self.at.extend(other.at[first:stop])
        self.value.extend(other.value[first:stop])
        self.state.extend(other.state[first:stop])

    def rows(self) -> Iterator[tuple[int, float | None, State]]:
        """One after another; a value that is NaN is none."""
        for at, value, place in zip(self.at, self.value, self.state, strict=True):
            yield at, (value if value == value else None), self.states[place]  # noqa: PLR0124 - NaN is no value

    def times(self) -> NDArray[np.int64]:
        """`at` as numpy sees it, not copied: nothing can be added while somebody holds it."""
        return np.frombuffer(self.at, np.int64)

    def numbers(self) -> NDArray[np.float64]:
        """`value`, likewise."""
        return np.frombuffer(self.value, np.float64)

    def places(self) -> NDArray[np.uint16]:
        """`state`, likewise."""
        return np.frombuffer(self.state, np.uint16)

    def of_quality(self, quality: Quality) -> NDArray[np.bool_]:
        """Which ones have that quality."""
        wanted = np.array([state.quality is quality for state in self.states] or [False], np.bool_)
        return wanted[self.places()]

    def of_unit(self, unit: str) -> "Values":
        """Those in that unit."""
        wanted = np.array([state.unit == unit for state in self.states] or [False], np.bool_)
        return self if wanted.all() else self.where(wanted[self.places()])

    def where(self, which: NDArray[Any]) -> "Values":
        """Those at these places (in that order), or where the mask is true."""
        at, value, state = self.times()[which], self.numbers()[which], self.places()[which]
        return Values(_array("q", at), _array("d", value), _array("H", state), list(self.states))

    def in_time(self) -> "Values":
        """In the order of time; of one time, the first stays the first."""
        times = self.times()
        return self if bool((times[1:] >= times[:-1]).all()) else self.where(np.argsort(times, kind="stable"))

    def shifted(self, by: int) -> "Values":
        """All so many microseconds earlier."""
        return self if not by else Values(_array("q", self.times() - by), self.value, self.state, self.states)


def _array(code: str, column: NDArray[Any]) -> "array[Any]":
    made: array[Any] = array(code)
    made.frombytes(column.tobytes())
    return made


@dataclass(frozen=True, slots=True)
class PointReadings:
    """Readings of one point. Their own stamps (`source_at`) are `fast` later than the times they are judged by."""

    point: str
    edge_at: datetime
    simulated: bool
    values: Values
    fast: timedelta = timedelta(0)

    def __iter__(self) -> Iterator[Reading]:
        for first in range(0, len(self.values), _AT_ONCE):
            yield from self.between(first, first + _AT_ONCE)

    def between(self, first: int, stop: int) -> Iterator[Reading]:
        """The readings at the places [first, stop)."""
        v, states = self.values, self.values.states
        for at, value, place in zip(v.at[first:stop], v.value[first:stop], v.state[first:stop], strict=True):
            state, moment = states[place], moment_of(at)
            yield Reading(
                self.point,
                moment,
                value if value == value else None,  # noqa: PLR0124 - NaN
                state.unit,
                self.edge_at,
                moment + self.fast if self.fast else moment,
                state.quality,
                state.reason,
                self.simulated,
            )


class Readings(Sequence[Reading]):
    """Readings in columns, point after point; each one is made when it is looked at."""

    def __init__(self, points: Iterable[PointReadings] = ()) -> None:
        self.points = tuple(points)

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> "Readings":
        """Any readings as columns: neighbours of one point, receipt and source share one. Numbers only: what is text
        or true and false is no logger's. Raises TypeError for these.
        """
        if isinstance(readings, Readings):
            return readings
        made = []
        for key, found in groupby(readings, _shared):
            values = Values()
            for one in found:
                if isinstance(one.value, bool | str):
                    raise TypeError(f"{one.point}: {one.value!r} is no number")
                number = None if one.value is None else float(one.value)
                values.add(micros_of(one.at), number, State(one.quality, one.reason, one.unit))
            made.append(PointReadings(key[0], key[1], key[2], values, key[3]))
        return cls(made)

    def __len__(self) -> int:
        return sum(len(column.values) for column in self.points)

    def __iter__(self) -> Iterator[Reading]:
        return chain.from_iterable(self.points)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Reading, ...]: ...
    def __getitem__(self, index: int | slice) -> Reading | tuple[Reading, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = index + len(self) if index < 0 else index
        for column in self.points:
            if 0 <= place < len(column.values):
                return next(column.between(place, place + 1))
            place -= len(column.values)
        raise IndexError(index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == one for mine, one in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as lists have none

    def times(self) -> NDArray[np.int64]:
        """The times of all, in microseconds."""
        return np.concatenate([np.zeros(0, np.int64), *(column.values.times() for column in self.points)])

    def parts(self, most: int) -> Iterator[tuple[PointReadings, int, int]]:
        """A point's readings, and the places [first, stop) of about `most` of them; those of one time are never parted
        if they stand side by side.
        """
        for column in self.points:
            at, first = column.values.at, 0
            while first < len(at):
                stop = min(first + most, len(at))
                while stop < len(at) and at[stop] == at[stop - 1]:
                    stop += 1
                yield column, first, stop
                first = stop


def _shared(one: Reading) -> tuple[str, datetime, bool, timedelta]:
    return one.point, one.edge_at, one.simulated, timedelta(0) if one.source_at is None else one.source_at - one.at
