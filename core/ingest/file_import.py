"""What an import answers, whoever asked for it (a route, a page), and the trying of one: done, told and undone."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from tempfile import TemporaryFile
from typing import Any

from pydantic import ValidationError
from sqlalchemy import text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.errors import Invalid
from core.erp.kernel.misfits import bad_request
from core.erp.kernel.rehearsal import rehearsed
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import render
from core.ingest.import_request import ImportResult
from core.ingest.import_shapes import ExcursionOut, FileImportOut, FileIn, HoldOut, ImportOut, SpanOut
from core.ingest.importing import import_logger
from core.ingest.uploads import Upload, read_upload


class FileImporter:
    """Does with a logger's file what `/imports/files` does, for a page: it is read first, then taken."""

    def __init__(self, *, live: bool) -> None:
        self._live = live

    async def read(self, name: str, data: bytes, fields: Mapping[str, object], now: datetime) -> Upload:
        """What the file holds. Raises Invalid for what cannot be read."""
        try:
            given = FileIn.model_validate(fields)
        except ValidationError as error:
            raise Invalid(bad_request(error.errors())[0]) from error
        with TemporaryFile() as file:
            await asyncio.to_thread(file.write, data)
            file.flush()
            return await read_upload(name, file, given, now)

    def import_upload(self, u: Unit, upload: Upload) -> dict[str, Any]:
        """Imports it, and answers as the API does (FileImportOut as plain data). Raises what `import_logger` does."""
        work = partial(import_file, upload=upload, live=self._live)
        return (rehearsed(u, work) if upload.fields.dry_run else work(u)).model_dump()


def import_file(u: Unit, upload: Upload, *, live: bool) -> FileImportOut:
    """Imports what was found in an uploaded file. Raises what `import_logger` does."""
    done = answer(u, import_logger(u, Judge(), upload.order, live=live), dry_run=upload.fields.dry_run)
    doubts = [one.in_language(u.language) for one in upload.answer.doubts]
    return FileImportOut(**done.model_dump(), file=upload.answer.model_copy(update={"doubts": doubts}))


_EXCURSIONS = text("""
    SELECT *, id = ANY(:changed) AS changed FROM excursion
    WHERE (sublot_id = ANY(:goods) AND state <> 'superseded') OR id = ANY(:changed) ORDER BY broke_at, id
""")
_HOLDS = text("""
    SELECT *, id = ANY(:changed) AS changed FROM hold
    WHERE (sublot_id = ANY(:goods) OR id = ANY(:changed)) AND lifted_at IS NULL ORDER BY since_at, id
""")


def answer(u: Unit, done: ImportResult, *, dry_run: bool) -> ImportOut:
    """What came of an import, with what stands on its goods now and every excursion and hold that it made or changed,
    whoever's they are: a logger bound to a zone is with all goods that stood there, and with what was made of them.
    """
    u.session.flush()
    excursions, holds = (
        u.conn.execute(statement, {"goods": done.sublots, "changed": [int(one) for one in u.audited(entity)]})
        for statement, entity in ((_EXCURSIONS, "excursion"), (_HOLDS, "hold"))
    )
    return ImportOut(
        dry_run=dry_run,
        bound_to=done.bound_to,
        zone=done.zone.address,
        points=done.points,
        together=[SpanOut(sublot_ids=list(s.sublot_ids), start=s.start, stop=s.stop) for s in done.spans],
        landed=done.landed,
        duplicates=done.duplicates,
        conflicts=done.conflicts,
        counted=done.counted,
        before=done.before,
        after=done.after,
        between=done.between,
        refused=dict(done.refused),
        refused_details=[render(one, u.language) for one in done.details],
        logger=done.logger,
        excursions=[ExcursionOut.model_validate(row) for row in excursions],
        holds=[HoldOut.model_validate(row).in_language(u.language) for row in holds],
    )
