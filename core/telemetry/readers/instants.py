"""A file's times in little memory: as written, and as instants. Half a million of them are common."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from core.telemetry.compact import micros_of, moment_of

_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - what times as written are counted from
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant in UTC and, if it is not certain, why: ambiguous_time, nonexistent_time or absurd_time."""

    at: datetime
    doubt: str = ""


class Instants:
    """Instants in little memory: microseconds since 1970 in `at`, and by place why one is not certain in `doubts`."""

    def __init__(self) -> None:
        self.at: array[int] = array("q")
        self.doubts: dict[int, str] = {}

    def add(self, at: datetime, doubt: str = "") -> None:
        """Puts one at the end."""
        if doubt:
            self.doubts[len(self.at)] = doubt
        self.at.append(micros_of(at))

    def backwards(self) -> "Instants":
        """The last one first."""
        made = Instants()
        made.at = self.at[::-1]
        made.doubts = {len(self.at) - 1 - place: doubt for place, doubt in sorted(self.doubts.items(), reverse=True)}
        return made

    def __len__(self) -> int:
        return len(self.at)

    def __getitem__(self, place: int) -> Instant:
        return Instant(moment_of(self.at[place]), self.doubts.get(place, ""))

    def __iter__(self) -> Iterator[Instant]:
        return (self[place] for place in range(len(self.at)))


class WallTimes:
    """Wall-clock times in little memory: naive, or each with an offset of its own."""

    def __init__(self, walls: Iterable[datetime] = ()) -> None:
        self._at: array[int] = array("q")
        self._zone: array[int] = array("H")
        self._zones: list[tzinfo | None] = [None]
        for wall in walls:
            self.add(wall)

    def add(self, wall: datetime) -> None:
        """Puts one at the end."""
        if wall.tzinfo is None:
            place = 0
        elif wall.tzinfo in self._zones:
            place = self._zones.index(wall.tzinfo)
        else:
            place = len(self._zones)
            self._zones.append(wall.tzinfo)
        self._at.append((wall.replace(tzinfo=None) - _NAIVE) // _MICROSECOND)
        self._zone.append(place)

    def backwards(self) -> "WallTimes":
        """The last one first."""
        made = WallTimes()
        made._at, made._zone, made._zones = self._at[::-1], self._zone[::-1], self._zones
        return made

    def first_naive(self) -> datetime | None:
        """The first without an offset."""
        return self[self._zone.index(0)] if 0 in self._zone else None

    def comparable(self) -> NDArray[np.int64]:
        """Microseconds by which they follow each other: as written where one has no offset, else as instants."""
        at = np.frombuffer(self._at, np.int64)
        if len(self._zones) == 1 or 0 in self._zone:
            return at
        offsets = [0 if zone is None else zone.utcoffset(None) // _MICROSECOND for zone in self._zones]  # type: ignore[operator]  # what is read from a text has a fixed offset
        return np.asarray(at - np.array(offsets, np.int64)[np.frombuffer(self._zone, np.uint16)], np.int64)

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[datetime]:
        zones = self._zones
        for at, place in zip(self._at, self._zone, strict=True):
            wall = _NAIVE + timedelta(microseconds=at)
            yield wall.replace(tzinfo=zones[place]) if place else wall

    def __getitem__(self, place: int) -> datetime:
        return (_NAIVE + timedelta(microseconds=self._at[place])).replace(tzinfo=self._zones[self._zone[place]])
