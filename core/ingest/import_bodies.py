"""The JSON of an import: a large one is checked and read by a process of its own, with bounds of time and memory.

Half a million values take seconds to check, in which the interpreter does nothing else: nobody would be answered. What
is checked is `ImportIn`, whoever reads it: of values in their ordinary form (`_Plain`) the process looks at them much
more quickly by itself and leaves all else to `ImportIn`, which also decides about every other form.
"""

import asyncio
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Annotated, Any, Literal

import msgspec
from pydantic import ValidationError

from core.erp.kernel import bounded_process
from core.erp.kernel.errors import Invalid
from core.erp.kernel.hidden import hidden_in
from core.erp.kernel.strict import MAX_MAGNITUDE
from core.ingest.file_reading import SeriesHead, columns_of, exit_message, frames_of, head_of, put, values_of
from core.ingest.import_shapes import MOST, ImportIn
from core.telemetry.compact import State, Values, micros_of
from core.telemetry.quality import Quality, Reason

AT_ONCE = 64 * 1024
"""Bytes of a body that is read here: some thousand values, in a few milliseconds."""
MISFITS_TOLD = 100


def _inlined(shape: Any, named: Mapping[str, Any]) -> Any:
    """A JSON schema without references: what stands in an operation can name nothing of its own."""
    if isinstance(shape, list):
        return [_inlined(one, named) for one in shape]
    if not isinstance(shape, dict):
        return shape
    if "$ref" in shape:
        return _inlined(named[shape["$ref"].rpartition("/")[2]], named)
    return {key: _inlined(one, named) for key, one in shape.items() if key != "$defs"}


_SCHEMA = ImportIn.model_json_schema()
BODY: dict[str, Any] = _inlined(_SCHEMA, _SCHEMA.get("$defs", {}))
"""The body, as OpenAPI describes it."""

AllValues = list[tuple[SeriesHead, Values]]
Fault = tuple[str, list[str | int], str]

_QUALITY = {"good": Quality.GOOD, "uncertain": Quality.UNCERTAIN, "bad": Quality.BAD}


class MisfitBody(Exception):
    """The body is no import. `faults`: (type, where in the body, what), the first of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


class _Read(msgspec.Struct, frozen=True, tag=True):
    """A body with only one value left of each series, and the heads of all that follow."""

    body: bytes
    series: list[SeriesHead]


class _Misfit(msgspec.Struct, frozen=True, tag=True):
    faults: list[Fault]


async def read_body(data: bytes) -> tuple[ImportIn, AllValues]:
    """What was asked (with one value of each series at most), and every series' values.

    Raises MisfitBody, and Invalid where reading it takes more time or memory than it may.
    """
    if len(data) <= AT_ONCE:
        body = _checked(data)
        return body, list(_all_series(body))
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as answer:
        await asyncio.to_thread(_write_compact, source, data)
        code = await bounded_process.run("core.ingest.import_bodies", b"{}", source, answer)
        if code != 0:
            raise Invalid(exit_message(code))
        return await asyncio.to_thread(_taken, answer)


def _write_compact(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
    file.seek(0)


def _taken(answer: IO[bytes]) -> tuple[ImportIn, AllValues]:
    answer.seek(0)
    frames = frames_of(answer)
    first = next(frames, None)
    if first is None:
        raise Invalid(exit_message(1))
    found = msgspec.msgpack.decode(first, type=_Read | _Misfit)
    if isinstance(found, _Misfit):
        raise MisfitBody(found.faults)
    return _checked(found.body), [(head, values_of(head, frames)) for head in found.series]


def _checked(data: bytes) -> ImportIn:
    try:
        return ImportIn.model_validate_json(data)
    except ValidationError as error:
        first = itertools.islice(error.errors(include_url=False, include_context=False), MISFITS_TOLD)
        raise MisfitBody([(one["type"], list(one["loc"]), one["msg"]) for one in first]) from error


def _all_series(body: ImportIn) -> Iterator[tuple[SeriesHead, Values]]:
    for one in body.series:
        rows = ((micros_of(each.at), each.value, each.quality, each.reason) for each in one.values)
        values = _compact(rows, one.unit)
        yield head_of(one.quantity, one.unit, values, simulated=one.simulated), values


def _compact(rows: Iterable[tuple[int, float | None, str, str]], unit: str) -> Values:
    """(microseconds, value, quality, reason) as columns. A missing value is bad, whatever is said of it."""
    out = Values()
    for at, value, stated, given in rows:
        quality = Quality.BAD if value is None else _QUALITY[stated]
        out.add(at, value, State(quality, _reason(value, stated, given), unit))
    return out


def _reason(value: float | None, stated: str, given: str) -> str:
    if stated != "good":
        return given or Reason.DEVICE
    return Reason.NO_VALUE if value is None else Reason.NONE


# --- in the process of its own


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A value (`ValueIn`) in its ordinary form."""

    at: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$")]
    value: Annotated[float, msgspec.Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)] | None
    quality: Literal["good", "uncertain", "bad"] = "good"
    reason: Annotated[str, msgspec.Meta(max_length=64)] = ""


class _Unusual(Exception):
    """Something is not in its ordinary form: `ImportIn` says whether it is right."""


def main() -> None:
    """Checks the body on standard input and writes what it holds."""
    bounded_process.bound()
    try:
        put(_frames(sys.stdin.buffer.read()))
    except MemoryError:
        os._exit(1)  # there may be no memory left to end in order


def _frames(data: bytes) -> Iterator[bytes]:
    try:
        body, series = _read(data)
    except MisfitBody as misfit:
        yield msgspec.msgpack.encode(_Misfit(list(misfit.faults)))
        return
    yield msgspec.msgpack.encode(_Read(body, [head for head, _ in series]))
    for _, values in series:
        yield from columns_of(values)


def _read(data: bytes) -> tuple[bytes, AllValues]:
    try:
        return _plain(data)
    except (_Unusual, msgspec.MsgspecError, ValueError):  # also no UTF-8, no such day
        body = _checked(data)
        series = list(_all_series(body))
        for one in body.series:
            del one.values[1:]
        return body.model_dump_json().encode(), series


def _plain(data: bytes) -> tuple[bytes, AllValues]:
    """What a body with values in their ordinary form holds. Raises _Unusual, MisfitBody, MsgspecError, ValueError."""
    raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    parts = msgspec.json.decode(raw.get("series", b""), type=list[dict[str, msgspec.Raw]])
    found: list[list[_Plain]] = []
    for part in parts:
        values = msgspec.json.decode(part.get("values", b""), type=list[_Plain])
        if not 0 < len(values) <= MOST or any(hidden_in(reason) for reason in {one.reason for one in values}):
            raise _Unusual
        part["values"] = msgspec.Raw(msgspec.json.encode(values[:1]))
        found.append(values)
    raw["series"] = msgspec.Raw(msgspec.json.encode(parts))
    shortened = msgspec.json.encode(raw)
    series: AllValues = []
    for one, values in zip(_checked(shortened).series, found, strict=True):
        rows = ((micros_of(datetime.fromisoformat(each.at)), each.value, each.quality, each.reason) for each in values)
        columns = _compact(rows, one.unit)
        series.append((head_of(one.quantity, one.unit, columns, simulated=one.simulated), columns))
    return shortened, series


if __name__ == "__main__":
    main()
