"""A table that comes as a form: the file, on disk where it is large, and what is said of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from core.erp.kernel.errors import Invalid
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.shapes import TableIn

_MOST_FIELD = 70 * 1024
_FIELDS = TableIn.model_json_schema()
TABLE_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        **{name: said for name, said in _FIELDS["properties"].items() if "$ref" not in str(said)},
                        "mode": {"type": "string", "enum": ["all", "good"], "default": "all"},
                    },
                    "required": ["file"],
                }
            }
        },
    }
}
"""The form, as OpenAPI describes it."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """The file, its name, the fields beside it, and the mapping among them."""

    name: str
    file: IO[bytes]
    fields: TableIn
    mapping: Mapping


@asynccontextmanager
async def table_form(request: Request) -> AsyncIterator[TableForm]:
    """The form, as it streams in; the file is gone when the block ends. Raises Invalid, RequestValidationError."""
    try:
        async with request.form(max_files=1, max_fields=5, max_part_size=_MOST_FIELD) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Invalid("tabular.no_file")
            fields = TableIn.model_validate({key: value for key, value in form.items() if key != "file" and value})
            yield TableForm(file.filename or "table", file.file, fields, _mapping(fields))
    except MultiPartException as error:
        raise Invalid("tabular.no_form", reason=error.message) from error
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _mapping(fields: TableIn) -> Mapping:
    try:
        return msgspec.json.decode(fields.mapping, type=Mapping)
    except msgspec.DecodeError as error:
        raise Invalid("tabular.bad_mapping", reason=str(error)) from error
