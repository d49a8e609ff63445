"""A logger's file is read in a process of its own, with bounds of time and memory; this is all of the way there.

`read_in_process` asks, `python -m core.ingest.file_reading` answers, through a file: in frames (a length, then so
much), first `FileContent` or `ReadFailed` in msgpack, then of each series its times, values and states as they stand in
memory (`compact.Values`), so that taking them costs next to nothing, and only once the process and its memory are gone
(`bounded_process`). It imports the readers, and of the core only how to limit itself.
"""

import asyncio
import hashlib
import os
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Any

import msgspec

from core.erp.kernel import bounded_process
from core.erp.kernel.errors import Invalid
from core.erp.kernel.words import Message, from_json
from core.telemetry.compact import Readings, State, Values
from core.telemetry.quality import Quality
from core.telemetry.readers.csv_mapping import CsvMapping
from core.telemetry.readers.recorded import Recorded, by_quantity, read_recorded, set_right
from core.telemetry.readers.text import BadFile, Doubt

MEMORY, SECONDS = bounded_process.MEMORY, bounded_process.SECONDS
"""Bytes of address space, and seconds by the clock, that reading one file may take."""
SHOWN, NAMED = 100, 5
"""Doubtful lines that are told; those named where nothing can be read."""
_LENGTH = struct.Struct(">I")


class ReadRequest(msgspec.Struct, frozen=True):
    """Which file, and how to read it. `kind` and `timezone` as `read_recorded` takes them."""

    name: str
    kind: str
    timezone: str
    mapping: CsvMapping
    clock_fast: float
    now: datetime
    memory: int = MEMORY


class DoubtfulLine(msgspec.Struct, frozen=True):
    """A line of the file that is not as it should be."""

    line: int
    kind: str
    message: str
    message_message: dict[str, Any] | None
    damage: bool


class NotedEvent(msgspec.Struct, frozen=True):
    """Something the device noted beside its readings."""

    line: int
    at: datetime
    text: str


class SeriesHead(msgspec.Struct, frozen=True):
    """A series: its quantity, its UCUM unit, how many values follow, and whether no device measured them.

    `states` are the qualities and reasons that its values name by their places.
    """

    quantity: str
    unit: str
    count: int
    simulated: bool
    states: list[tuple[int, str]]


class FileContent(msgspec.Struct, frozen=True, tag=True):
    """What the file was found to be."""

    kind: str
    device: str
    serial: str
    authenticity: str | None
    sha256: str
    readings: int
    damaged: bool
    doubts: list[DoubtfulLine]
    doubts_in_all: int
    events: list[NotedEvent]
    series: list[SeriesHead]


class ReadFailed(msgspec.Struct, frozen=True, tag=True):
    """Why nothing could be read, for people: a message as JSON, or words of others."""

    told: dict[str, Any] | str


# --- on the core's side


async def read_in_process(file: IO[bytes], ask: ReadRequest) -> tuple[FileContent, list[Values]]:
    """What the file holds, and the values of each series. `file` is one on disk, from its beginning.

    Raises Invalid where nothing of it can be read, or reading it takes more time or memory than it may.
    """
    file.seek(0)
    ask = msgspec.structs.replace(ask, memory=MEMORY)
    with tempfile.TemporaryFile() as answer:
        code = await bounded_process.run(
            "core.ingest.file_reading", msgspec.json.encode(ask), file, answer, seconds=SECONDS
        )
        if code != 0:
            raise Invalid("ingest.file_unreadable", file=ask.name, why=exit_message(code))
        return await asyncio.to_thread(_check_answer, answer, ask.name)


def exit_message(code: int) -> Message:
    """Why the process ended without an answer, for people."""
    return Message("ingest.reading_takes_long" if code in bounded_process.TOO_LONG else "ingest.reading_takes_memory")


def _check_answer(answer: IO[bytes], name: str) -> tuple[FileContent, list[Values]]:
    answer.seek(0)
    frames = frames_of(answer)
    first = next(frames, None)
    if first is None:
        raise Invalid("ingest.file_unreadable", file=name, why=exit_message(1))
    head = msgspec.msgpack.decode(first, type=FileContent | ReadFailed)
    if isinstance(head, ReadFailed):
        raise Invalid(
            "ingest.file_unreadable", file=name, why=head.told if isinstance(head.told, str) else from_json(head.told)
        )
    return head, [values_of(one, frames) for one in head.series]


def values_of(head: SeriesHead, frames: Iterator[bytes]) -> Values:
    """A series' values out of the frames behind its head."""
    states = [State(Quality(quality), reason, head.unit) for quality, reason in head.states]
    out = Values(states=states)
    for column in (out.at, out.value, out.state):
        column.frombytes(next(frames))
    return out


def frames_of(answer: IO[bytes]) -> Iterator[bytes]:
    """What a process wrote by `put`, frame by frame."""
    while head := answer.read(_LENGTH.size):
        yield answer.read(_LENGTH.unpack(head)[0])


# --- in the process of its own


def main() -> None:
    """Reads the file on standard input and writes what it holds."""
    ask = msgspec.json.decode(bounded_process.asked(), type=ReadRequest)
    bounded_process.bound(ask.memory)
    try:
        put(_read(ask, sys.stdin.buffer.read()))
    except MemoryError:
        os._exit(1)  # there may be no memory left to end in order


def put(frames: Iterable[bytes]) -> None:
    """Writes frames to standard output."""
    for frame in frames:
        sys.stdout.buffer.write(_LENGTH.pack(len(frame)) + frame)
    sys.stdout.buffer.flush()


def columns_of(values: Values) -> Iterator[bytes]:
    """The frames that `values_of` takes."""
    return (bytes(memoryview(column)) for column in (values.at, values.value, values.state))


def head_of(quantity: str, unit: str, values: Values, *, simulated: bool) -> SeriesHead:
    """What stands before them."""
    states = [(int(state.quality), state.reason) for state in values.states]
    return SeriesHead(quantity, unit, len(values), simulated, states)


def _read(ask: ReadRequest, data: bytes) -> Iterator[bytes]:
    encode = msgspec.msgpack.encode
    try:
        found = read_recorded(ask.name, data, ask.kind, ask.timezone, ask.mapping, ask.now)  # type: ignore[arg-type]  # checked as the form's field
        series = by_quantity(set_right(found.readings, ask.clock_fast))
    except BadFile as error:
        yield encode(_failed(error.told))
        return
    if not found.readings:
        yield encode(_failed(_without_readings(found.doubts)))
        return
    of = {key: _joined(readings) for key, readings in series.items()}
    simulated = {key: any(one.simulated for one in readings.points) for key, readings in series.items()}
    yield encode(_set_content(found, data, of, simulated))
    for values in of.values():
        yield from columns_of(values)


def _failed(told: str | Message) -> ReadFailed:
    return ReadFailed(_message_of(told) or str(told))


def _message_of(told: str | Message) -> dict[str, Any] | None:
    """As it goes over to the core, which knows the other languages: here are no catalogues but the readers' own."""
    return None if isinstance(told, str) else told.as_json()


def _without_readings(doubts: Sequence[Doubt]) -> Message:
    """Why nothing could be read, by the first lines in doubt."""
    if not doubts:
        return Message("telemetry.nothing_below_heading")
    lines = [Message("telemetry.in_line", line=doubt.line, what=doubt.said) for doubt in doubts[:NAMED]]
    return Message("ingest.no_readings_in_it", doubts=lines)


def _set_content(
    found: Recorded, data: bytes, of: Mapping[tuple[str, str], Values], simulated: Mapping[tuple[str, str], bool]
) -> FileContent:
    worst = sorted(found.doubts, key=lambda doubt: (not doubt.damage, doubt.line))[:SHOWN]
    return FileContent(
        found.kind,
        found.device,
        found.serial,
        found.authenticity,
        hashlib.sha256(data).hexdigest(),
        len(found.readings),
        any(doubt.damage for doubt in found.doubts),
        [DoubtfulLine(one.line, one.kind, one.message, _message_of(one.said), one.damage) for one in worst],
        len(found.doubts),
        [NotedEvent(one.line, one.at, one.text) for one in found.events[:SHOWN]],
        [head_of(*key, values, simulated=simulated[key]) for key, values in of.items()],
    )


def _joined(readings: Readings) -> Values:
    """The values of a series; several columns in one unit are one after another."""
    if len(readings.points) == 1:
        return readings.points[0].values
    out = Values()
    for column in readings.points:
        for row in column.values.rows():
            out.add(*row)
    return out


if __name__ == "__main__":
    main()
