"""A file that comes as a form: streamed to disk, bounded, put into the store and checked before anything is posted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from core.erp.kernel.attachments.files import FILES, MOST, FileStore, StoredFile
from core.erp.kernel.door import MIB
from core.erp.kernel.errors import Invalid
from core.erp.kernel.http import Body

F = TypeVar("F", bound=Body)
MAX_BODY = MOST + MIB
"""Bytes of the form: the file, and what stands around it."""
_MOST_FIELD = 8 * 1024


@dataclass(frozen=True, slots=True)
class Upload(Generic[F]):
    """A file that is on disk now, and the fields beside it."""

    file: StoredFile
    fields: F

    def digest(self) -> bytes:
        """Of all that was asked, whatever the form's boundaries were: the same upload is the same request."""
        content = f"{self.file.sha256} {self.file.name}\n{self.fields.model_dump_json()}"
        return hashlib.sha256(content.encode()).digest()


def store_of(request: Request) -> FileStore:
    """The store of the app that was asked."""
    return FileStore(request.app.state.settings.data_dir / FILES)


@asynccontextmanager
async def upload(request: Request, login: str, shape: type[F]) -> AsyncIterator[Upload[F]]:
    """The form's file, stored and checked, in its turn among those who upload.

    Raises Invalid, TooLarge, Busy, RequestValidationError; Starlette's HTTPException of 400 for what is no form.
    """
    async with request.app.state.upload_limiter.slot(login, asyncio.Lock()):
        try:
            async with request.form(max_files=1, max_fields=10, max_part_size=_MOST_FIELD) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile):
                    raise Invalid("attachments.no_file")
                fields = shape.model_validate({key: value for key, value in form.items() if key != "file"})
                stored = await asyncio.to_thread(store_of(request).keep, file.file, file.filename or "")
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error
        yield Upload(stored, fields)


def form(shape: type[Body]) -> dict[str, Any]:
    """The form, as OpenAPI describes it."""
    fields = shape.model_json_schema()
    properties = {"file": {"type": "string", "format": "binary"}, **fields.get("properties", {})}
    schema = {**fields, "properties": properties, "required": ["file"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
