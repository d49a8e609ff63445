"""Documents over the API: every record's sheet, and what a module prints by a template of its own."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.attachments.record_attachments import disposition
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Door, DoorKeeper, Id
from core.erp.kernel.printing.documents import Document
from core.erp.kernel.printing.printer import print_document
from core.erp.kernel.printing.record_sheet import RECORD_SHEET, sheet_of
from core.erp.kernel.record_parameters import as_endpoint
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.time_zones import zone_named

PDF = "application/pdf"
PRINTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The document", "content": {PDF: {"schema": {"type": "string", "format": "binary"}}}}
}
"""`responses=` of a route that prints."""
Timezone = Annotated[str, Query(max_length=64, description="of the times", examples=["Asia/Shanghai"])]


async def printed(
    request: Request, login: str, document: Document, data: Mapping[str, Any], at: datetime, name: str
) -> Response:
    """The document as an answer, in its turn among those who print. Raises Busy, Invalid, TemplateFault."""
    async with request.app.state.print_limiter.slot(login, asyncio.Lock()):
        made = await print_document(document, data, at)
    headers = {"Content-Disposition": disposition(f"{name}.pdf"), "Cache-Control": "private, no-store"}
    return Response(made, media_type=PDF, headers=headers)


def sheet_routes(entity: Entity, tag: str) -> APIRouter:
    """`GET /things/{id}/sheet`."""

    async def endpoint(request: Request, record_id: int, door: DoorKeeper, timezone: str) -> Response:
        zone = zone_named(timezone)
        sheet = await run_in_threadpool(door.read, lambda u: sheet_of(u, entity, record_id, zone))
        return await printed(
            request, door.actor.login, RECORD_SHEET, sheet.data, sheet.at, f"{entity.name}-{record_id}"
        )

    about = f"One {entity.words} on paper, in English and Chinese: facts, history with who and when, signatures."
    made = as_endpoint(
        endpoint,
        f"sheet_of_{entity.name}",
        about,
        request=Request,
        record_id=Id,
        door=Door,
        timezone=(Timezone, "UTC"),
    )
    router = routes(prefix=f"/{entity.path}", tags=[tag])
    wanted = needs(*as_permits(entity.read))(made)
    router.add_api_route("/{record_id}/sheet", wanted, response_class=Response, responses=PRINTED)
    return router
