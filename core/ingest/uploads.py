"""A device's own file, uploaded: read as `lotwise import` reads it, into what an import takes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from core.erp.kernel.errors import Invalid
from core.erp.kernel.http import Door
from core.ingest.import_shapes import DoubtOut, EventOut, FileIn, FileOut
from core.ingest.orders import Order, Series, Value
from core.telemetry.readers.csvmapping import CsvMapping
from core.telemetry.readers.recorded import Recorded, by_quantity, read_recorded, set_right
from core.telemetry.readers.text import BadFile
from core.telemetry.reading import Reading

MOST_BYTES = 64 * 1024 * 1024
SHOWN = 100
NAMED = 5
_NOUNS = {"timezone": "one time zone", "time_format": "the form of dates once", "columns": "the columns once"}
"""Doubtful lines that are named where nothing of a file can be read."""

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
    """The file as it came, and the fields beside it."""

    name: str
    data: bytes
    fields: FileIn

    def read(self, now: datetime) -> Recorded:
        """What the file holds. Raises Invalid where it holds nothing that can be read, or the mapping does not fit."""
        fields = self.fields
        try:
            found = read_recorded(self.name, self.data, fields.kind, fields.timezone, self._mapping(), now)
        except (BadFile, msgspec.DecodeError) as error:
            raise Invalid(f"{self.name}: {error}") from error
        if not found.readings:
            doubts = "; ".join(f"line {doubt.line}: {doubt.message}" for doubt in found.doubts[:NAMED])
            raise Invalid(f"{self.name}: there is no reading in it: {doubts or 'it ends after its heading'}")
        return found

    def _mapping(self) -> CsvMapping:
        """As it is given, with the form's fields beside it. Raises BadFile where both say something, DecodeError."""
        fields = self.fields
        mapping = msgspec.json.decode(fields.mapping or "{}", type=CsvMapping)
        said = {
            "timezone": fields.timezone or None,
            "time_format": fields.date_form or None,
            "columns": tuple(name.strip() for name in fields.columns.split(";") if name.strip()),
        }
        for name, value in said.items():
            own = getattr(mapping, name)
            if value and own and value != own:
                raise BadFile(f"the mapping says {own} and the form {value}: say {_NOUNS[name]}")
        return msgspec.structs.replace(mapping, **{name: value for name, value in said.items() if value})

    def order(self, found: Recorded) -> Order:
        """What to import. Raises Invalid where two columns are of one quantity, or one has no unit."""
        fields = self.fields
        try:
            of = by_quantity(set_right(found.readings, fields.clock_fast))
        except BadFile as error:
            raise Invalid(f"{self.name}: {error}") from error
        series = [
            Series(quantity, unit, [_value(one) for one in values], simulated=any(one.simulated for one in values))
            for (quantity, unit), values in of.items()
        ]
        source: dict[str, Any] = {"file": self.name, "sha256": self.sha256, "authenticity": found.authenticity}
        source |= {"clock_fast": fields.clock_fast} if fields.clock_fast else {}
        return Order(
            fields.serial.strip() or found.serial, series, fields.shipment, fields.lot, fields.sublot, fields.zone,
            fields.start, fields.stop, source,
        )  # fmt: skip

    def told(self, found: Recorded) -> FileOut:
        """What is answered of the file."""
        worst = sorted(found.doubts, key=lambda doubt: (not doubt.damage, doubt.line))[:SHOWN]
        return FileOut(
            name=self.name, sha256=self.sha256, kind=found.kind, device=found.device, serial=found.serial,
            readings=len(found.readings), damaged=any(doubt.damage for doubt in found.doubts),
            authenticity=found.authenticity, doubts_in_all=len(found.doubts),
            doubts=[DoubtOut(line=d.line, kind=d.kind, message=d.message, damage=d.damage) for d in worst],
            events=[EventOut(line=one.line, at=one.at, text=one.text) for one in found.events[:SHOWN]],
        )  # fmt: skip

    @property
    def sha256(self) -> str:
        """Of the file as it came."""
        return hashlib.sha256(self.data).hexdigest()


def _value(reading: Reading) -> Value:
    assert not isinstance(reading.value, bool | str)  # readers of files make numbers
    value = None if reading.value is None else float(reading.value)
    return Value(reading.at, value, reading.quality, reading.reason)


async def _uploaded(request: Request, _: Door) -> Upload:
    """The form, after the door has read the body for its key."""
    try:
        async with request.form(max_files=1, max_fields=20) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Invalid("give the device's file as the form's field `file` (multipart/form-data)")
            if (file.size or 0) > MOST_BYTES:
                raise Invalid(f"the file is larger than {MOST_BYTES} bytes")
            fields = FileIn.model_validate({key: value for key, value in form.items() if key != "file" and value})
            return Upload(file.filename or "file", await file.read(), fields)
    except MultiPartException as error:
        raise Invalid(f"not a form: {error.message}") from error
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


Uploaded = Annotated[Upload, Depends(_uploaded)]
"""The parameter of a route that takes a file."""
