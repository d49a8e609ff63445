"""The routes of the files on one kind of record: `/things/{id}/attachments`."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.attachments import service
from core.erp.kernel.attachments.files import PART, FileStore
from core.erp.kernel.attachments.model import AttachmentVersion
from core.erp.kernel.attachments.shapes import AttachmentIn, AttachmentOut, VersionIn, WithdrawIn, shown
from core.erp.kernel.attachments.uploading import MAX_BODY, form, store_of, upload
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Door, Id
from core.erp.kernel.unit import Unit

Check = Callable[[Unit, int], None]
"""Raises NotFound where the record of that id is not there for whoever asks, Refused where it takes no file now."""


@dataclass(frozen=True, slots=True)
class Attachable:
    """Records that files hang on: their name in the audit, their path, the permits to read and to attach.

    `may_read` and `may_attach` look the record up as its own page does, scope included.
    """

    entity: str
    path: str
    read: str
    attach: str
    may_read: Check
    may_attach: Check


_FILE: dict[str, Any] = {
    "description": "the file",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def attachment_routes(of: Attachable) -> APIRouter:
    """List, attach, next version, withdraw, download, under that record's permits and scope."""
    router = routes(prefix=f"/{of.path}/{{record_id}}/attachments", tags=["attachments"])
    _reading(router, of)
    _writing(router, of)
    return router


def _reading(router: APIRouter, of: Attachable) -> None:
    @router.get("")
    @needs(of.read)
    def list_attachments(record_id: Id, door: Door) -> list[AttachmentOut]:
        """The record's documents with their versions, withdrawn ones too."""

        def work(u: Unit) -> list[AttachmentOut]:
            of.may_read(u, record_id)
            return [shown(one) for one in service.of(u, of.entity, record_id)]

        return door.read(work)

    @router.get("/{attachment_id}/file", response_class=StreamingResponse, responses={200: _FILE})
    @needs(of.read)
    def download(
        record_id: Id,
        attachment_id: Id,
        request: Request,
        door: Door,
        version: Annotated[int | None, Query(ge=1, le=100_000, description="default: the newest")] = None,
    ) -> StreamingResponse:
        """The file, whole or not at all: every byte is compared with its hash before the first one is sent."""

        def work(u: Unit) -> AttachmentVersion:
            of.may_read(u, record_id)
            service.one(u, of.entity, record_id, attachment_id)
            return service.version(u, attachment_id, version)

        return sent(store_of(request), door.read(work))


def _writing(router: APIRouter, of: Attachable) -> None:
    def check(u: Unit, record_id: int) -> None:
        of.may_attach(u, record_id)

    @router.post("", status_code=201, response_model=AttachmentOut, openapi_extra=form(AttachmentIn))
    @needs(of.attach, max_body=MAX_BODY)
    async def attach(record_id: Id, request: Request, door: Door) -> JSONResponse:
        """Hangs a file on the record: pdf, png, jpeg, xlsx, docx, csv, txt, xml or json, told by its content."""
        await run_in_threadpool(door.look, lambda u: check(u, record_id))  # before a byte is read
        async with upload(request, door.actor.login, AttachmentIn) as given:
            fields = given.fields.model_dump()

            def work(u: Unit) -> AttachmentOut:
                check(u, record_id)
                return shown(service.attach(u, of.entity, record_id, given.file, **fields))

            return await door.for_content(given.digest()).post_async(work)

    @router.post(
        "/{attachment_id}/versions", status_code=201, response_model=AttachmentOut, openapi_extra=form(VersionIn)
    )
    @needs(of.attach, max_body=MAX_BODY)
    async def add_version(record_id: Id, attachment_id: Id, request: Request, door: Door) -> JSONResponse:
        """The document's next version; those before stay, and can be downloaded."""
        await run_in_threadpool(door.look, lambda u: check(u, record_id))
        async with upload(request, door.actor.login, VersionIn) as given:

            def work(u: Unit) -> AttachmentOut:
                check(u, record_id)
                made = service.replace(u, of.entity, record_id, attachment_id, given.file, note=given.fields.note)
                return shown(made)

            return await door.for_content(given.digest()).post_async(work)

    @router.post("/{attachment_id}/withdraw", response_model=AttachmentOut)
    @needs(of.attach)
    def withdraw(record_id: Id, attachment_id: Id, body: WithdrawIn, door: Door) -> JSONResponse:
        """The document counts no more. It stays, and can be downloaded."""

        def work(u: Unit) -> AttachmentOut:
            check(u, record_id)
            return shown(service.withdraw(u, of.entity, record_id, attachment_id, body.reason))

        return door.post(work, status=200)


def sent(store: FileStore, version: AttachmentVersion) -> StreamingResponse:
    """The file as a download: never shown by the browser itself, whatever is in it. Raises FileDamaged."""
    held = ExitStack()
    file = held.enter_context(store.verified(version.sha256))

    def parts() -> Iterator[bytes]:
        with held:
            while part := file.read(PART):
                yield part

    digest = base64.b64encode(bytes.fromhex(version.sha256)).decode()
    headers = {
        "Content-Type": version.media_type,  # as it is: of a text's code nothing is known
        "Content-Disposition": disposition(version.name),
        "Content-Length": str(version.size),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
        "ETag": f'"{version.sha256}"',
    }
    return StreamingResponse(parts(), headers=headers)


def disposition(name: str) -> str:
    """`attachment`, with the name as every client can read it (RFC 6266): ASCII, and UTF-8 beside it."""
    plain = "".join(sign if sign.isascii() and sign not in '"\\%' else "_" for sign in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
