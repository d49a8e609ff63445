"""Files on a record's page: listed with their versions, attached, replaced by a next version, withdrawn, downloaded."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.attachments import service
from core.erp.kernel.attachments.files import StoredFile
from core.erp.kernel.attachments.model import AttachmentVersion
from core.erp.kernel.attachments.record_attachments import Attachable, sent
from core.erp.kernel.attachments.service import Attached
from core.erp.kernel.attachments.shapes import AttachmentIn, VersionIn, shown
from core.erp.kernel.attachments.uploading import MAX_BODY, Upload, store_of
from core.erp.kernel.door import needs
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.http import Body, Id
from core.erp.kernel.misfits import misfit
from core.erp.kernel.record_routes import attachable
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.shown import shown as record_shown
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records import forms
from core.web.records.inputs import Filled
from core.web.records.shown import title


def add(made: APIRouter, entity: Entity) -> None:
    """The pages of a kind of record that files hang on."""
    if entity.files is None:
        return
    _Pages(entity, attachable(entity, entity.files)).add(made)


class _Pages:
    """The pages of one kind of record's files, under its permits and scope."""

    def __init__(self, entity: Entity, of: Attachable) -> None:
        self._entity, self._of = entity, of
        self._here = f"/{entity.path}/{{record_id}}/files"

    def add(self, made: APIRouter) -> None:
        """Mounts them."""
        # partials: what a route wants is marked on its function, and a bound method takes no mark
        one = f"{self._here}/{{attachment_id}}"
        reading, writing = needs(self._of.read), needs(self._of.attach, max_body=MAX_BODY)
        made.add_api_route(f"{one}/download", reading(partial(self._download)), methods=["GET"])
        made.add_api_route(self._here, writing(partial(self._new)), methods=["GET"])
        made.add_api_route(self._here, writing(partial(self._attach)), methods=["POST"])
        made.add_api_route(one, writing(partial(self._next)), methods=["GET"])
        made.add_api_route(one, writing(partial(self._replace)), methods=["POST"])
        forms.two_routes(made, f"{one}/withdraw", (self._of.attach,), partial(self._why), partial(self._withdraw))

    def _download(self, visit: Visiting, record_id: Id, attachment_id: Id, version: int | None = None) -> Response:
        def work(u: Unit) -> AttachmentVersion:
            self._of.may_read(u, record_id)
            service.one(u, self._entity.name, record_id, attachment_id)
            return service.version(u, attachment_id, version)

        return sent(store_of(visit.request), visit.read(work))

    # --- attaching

    def _new(self, visit: Visiting, record_id: Id) -> Response:
        return self._page(visit, record_id)

    async def _attach(self, visit: Visiting, record_id: Id) -> Response:
        def work(u: Unit, given: Upload[AttachmentIn]) -> Attached:
            fields = given.fields.model_dump()
            return service.attach(u, self._entity.name, record_id, given.file, **fields)

        return await self._kept(visit, record_id, AttachmentIn, work)

    def _next(self, visit: Visiting, record_id: Id, attachment_id: Id) -> Response:
        return self._page(visit, record_id, attachment_id)

    async def _replace(self, visit: Visiting, record_id: Id, attachment_id: Id) -> Response:
        def work(u: Unit, given: Upload[VersionIn]) -> Attached:
            note = given.fields.note
            return service.replace(u, self._entity.name, record_id, attachment_id, given.file, note=note)

        return await self._kept(visit, record_id, VersionIn, work, attachment_id)

    async def _kept(
        self,
        visit: Visit,
        record_id: int,
        shape: type[Body],
        work: Callable[[Unit, Upload[Any]], Attached],
        attachment_id: int | None = None,
    ) -> Response:
        """Stores and checks the file, and hangs it on the record; or shows the form again and says why not."""

        def again(status: int, refused: str) -> Response:
            return self._page(visit, record_id, attachment_id, status, refused)

        file = visit.files.get("file")
        await run_in_threadpool(visit.door.look, lambda u: self._of.may_attach(u, record_id))
        if visit.resumed or file is None or not file.filename:
            status, said = (200, "") if visit.resumed else (422, visit.words.t("web.choose_file"))
            return await run_in_threadpool(again, status, said)
        try:
            fields = shape.model_validate({name: visit.given(name) for name in shape.model_fields if visit.given(name)})
            stored = await self._stored(visit, file.file, file.filename)
        except ValidationError as error:
            return await run_in_threadpool(again, 422, visit.words.say(misfit(error.errors()[0])))
        except LotwiseError as error:
            return await run_in_threadpool(again, error.status, error.text(visit.language))
        given = Upload(stored, fields)

        def posted(u: Unit) -> BaseModel:
            self._of.may_attach(u, record_id)
            return shown(work(u, given))

        outcome = await replace(visit, door=visit.door.for_content(given.digest())).post(posted)
        if outcome.refused:
            return await run_in_threadpool(again, outcome.status, outcome.detail)
        return RedirectResponse(f"/{self._entity.path}/{record_id}", 303)

    async def _stored(self, visit: Visit, file: Any, name: str) -> StoredFile:
        """The file on disk, checked, in its turn among those who upload."""
        limiter, store = visit.request.app.state.upload_limiter, store_of(visit.request)
        async with limiter.slot(visit.actor.login, asyncio.Lock()):
            return await asyncio.to_thread(store.keep, file, name)

    def _page(
        self, visit: Visit, record_id: int, attachment_id: int | None = None, status: int = 200, refused: str = ""
    ) -> Response:
        def work(u: Unit) -> Response:
            row = values_of(row_of(u, self._entity, record_id))
            document = None
            if attachment_id is not None:
                document = service.one(u, self._entity.name, record_id, attachment_id).title
            here = f"/{self._entity.path}/{record_id}"
            return visit.page(
                "records/file.html",
                status,
                entity=self._entity,
                title=title(self._entity, row, visit.words),
                back=here,
                address=f"{here}/files" + (f"/{attachment_id}" if attachment_id is not None else ""),
                document=document,
                given={name: visit.given(name) for name in ("title", "note")},
                refused=refused,
            )

        return visit.read(work)

    # --- withdrawing

    def _form(self, u: Unit, visit: Visit, record_id: int, attachment_id: int) -> forms.Form:
        row = values_of(row_of(u, self._entity, record_id))
        document = service.one(u, self._entity.name, record_id, attachment_id)
        here, name = f"/{self._entity.path}/{record_id}", visit.words.label("move.attachment.withdraw")
        return forms.Form(
            self._entity,
            visit.words.t("web.verb_on", verb=name, what=document.title),
            name,
            ReasonIn,
            f"{here}/files/{attachment_id}/withdraw",
            here,
            record=row,
            title=title(self._entity, row, visit.words),
        )

    def _why(self, visit: Visiting, record_id: Id, attachment_id: Id) -> Response:
        def work(u: Unit) -> Response:
            return forms.form_page(u, visit, self._form(u, visit, record_id, attachment_id), Filled())

        return visit.read(work)

    async def _withdraw(self, visit: Visiting, record_id: Id, attachment_id: Id) -> Response:
        form = await run_in_threadpool(visit.read, lambda u: self._form(u, visit, record_id, attachment_id))

        def work(u: Unit, reason: str) -> BaseModel:
            self._of.may_attach(u, record_id)
            service.withdraw(u, self._entity.name, record_id, attachment_id, reason)
            return record_shown(u, self._entity, record_id)

        async def act(parsed: Any) -> Outcome:
            return await visit.post(lambda u: work(u, parsed.reason), parsed)

        return await forms.sent(visit, form, act, lambda _: form.back)
