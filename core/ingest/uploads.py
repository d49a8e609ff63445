"""A device's own file, uploaded: read as `lotwise import` reads it, into what an import takes."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from core.erp.kernel.errors import Invalid
from core.erp.kernel.words import Message
from core.ingest.file_reading import FileContent, ReadRequest, read_in_process
from core.ingest.import_request import ImportRequest, Series
from core.ingest.import_shapes import DoubtOut, EventOut, FileIn, FileOut
from core.telemetry.compact import Values
from core.telemetry.readers.csv_mapping import CsvMapping

MOST_BYTES = 64 * 1024 * 1024
MOST_FIELD = 64 * 1024
_NOUNS = {
    "timezone": "ingest.one_time_zone",
    "time_format": "ingest.one_form_of_dates",
    "columns": "ingest.one_set_of_columns",
}

_FIELDS = FileIn.model_json_schema()
FORM: dict[str, Any] = {
    "schema": {
        **_FIELDS,
        "properties": {"file": {"type": "string", "format": "binary"}, **_FIELDS["properties"]},
        "required": ["file"],
    },
    "example": {"file": "@130500109088.txt", "shipment": "SH-1", "timezone": "Europe/Zurich", "dry_run": True},
}
"""The form, as OpenAPI describes it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was read, with the fields beside it: what to import, and what is answered of the file."""

    fields: FileIn
    order: ImportRequest
    answer: FileOut


async def read_upload(name: str, file: IO[bytes], fields: FileIn, now: datetime) -> Upload:
    """What a file on disk holds, read by a process of its own (`file_reading`).

    Raises Invalid where it holds nothing that can be read, or the mapping does not fit.
    """
    try:
        mapping = _mapping(fields)
    except msgspec.DecodeError as error:
        raise Invalid("ingest.mapping_unreadable", file=name, why=str(error)) from error
    found, values = await read_in_process(
        file, ReadRequest(name, fields.kind, fields.timezone, mapping, fields.clock_fast, now)
    )
    return Upload(fields, _order(name, fields, found, values), _file_answer(name, found))


def _mapping(fields: FileIn) -> CsvMapping:
    """As it is given, with the form's fields beside it. Raises Invalid where both say something, DecodeError."""
    mapping = msgspec.json.decode(fields.mapping or "{}", type=CsvMapping)
    values = {
        "timezone": fields.timezone or None,
        "time_format": fields.date_form or None,
        "columns": tuple(name.strip() for name in fields.columns.split(";") if name.strip()),
    }
    for name, value in values.items():
        default = getattr(mapping, name)
        if value and default and value != default:
            raise Invalid("ingest.said_twice", mapping=default, form=value, which=Message(_NOUNS[name]))
    return msgspec.structs.replace(mapping, **{name: value for name, value in values.items() if value})


def _order(name: str, fields: FileIn, found: FileContent, values: list[Values]) -> ImportRequest:
    series = [
        Series(head.quantity, head.unit, theirs, head.simulated)
        for head, theirs in zip(found.series, values, strict=True)
    ]
    source: dict[str, Any] = {"file": name, "sha256": found.sha256, "authenticity": found.authenticity}
    source |= {"clock_fast": fields.clock_fast} if fields.clock_fast else {}
    return ImportRequest(
        fields.serial.strip() or found.serial,
        series,
        fields.shipment,
        fields.lot,
        fields.sublot,
        fields.zone,
        fields.start,
        fields.stop,
        source,
    )


def _file_answer(name: str, found: FileContent) -> FileOut:
    return FileOut(
        name=name,
        sha256=found.sha256,
        kind=found.kind,
        device=found.device,
        serial=found.serial,
        readings=found.readings,
        damaged=found.damaged,
        authenticity=found.authenticity,
        doubts_in_all=found.doubts_in_all,
        doubts=[DoubtOut(**msgspec.structs.asdict(one)) for one in found.doubts],
        events=[EventOut(**msgspec.structs.asdict(one)) for one in found.events],
    )


@dataclass(frozen=True, slots=True)
class Form:
    """A form that came: the file, on disk where it is large, and the fields beside it."""

    name: str
    file: IO[bytes]
    fields: FileIn

    def digest(self) -> bytes:
        """Of all that was asked, whatever the form's boundaries were: the same import is the same request."""
        found = hashlib.sha256(f"{self.name}\n{self.fields.model_dump_json()}\n".encode())
        self.file.seek(0)
        while part := self.file.read(1024 * 1024):
            found.update(part)
        return found.digest()


@asynccontextmanager
async def form_of(request: Request) -> AsyncIterator[Form]:
    """The form, as it streams in; the file is gone when the block ends. Raises Invalid, RequestValidationError."""
    try:
        async with request.form(max_files=1, max_fields=20, max_part_size=MOST_FIELD) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Invalid("ingest.no_file")
            if (file.size or 0) > MOST_BYTES:
                raise Invalid("ingest.file_too_large", most=MOST_BYTES)
            fields = FileIn.model_validate({key: value for key, value in form.items() if key != "file" and value})
            yield Form(file.filename or "file", file.file, fields)
    except MultiPartException as error:
        raise Invalid("ingest.not_a_form", why=error.message) from error
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
