"""Routes of restorations: what a restored backup lacks, and QA's signature under it."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, ConfigDict, Field
from sqlalchemy import select

from core.erp.kernel import restorations
from core.erp.kernel.audit_journal import JOURNAL_FILE, Journal
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Answer, Door, Id, SignIn, Text
from core.erp.kernel.model import Restoration
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

router = routes(tags=["restorations"])


class RestorationOut(Answer):
    """The database was found behind its witness. Until it is signed, what a hold would stop is refused."""

    id: int
    found_at: AwareDatetime
    database_seal: int
    witnessed_seal: int
    signed_at: AwareDatetime | None
    record: dict[str, Any] | None = Field(
        description="what is, or would be, signed: restored_to, missing (audit rows), receivers (of messages, each with"
        " the newest delivery that is known here), gateways (each with how far it is and once was confirmed)"
    )


class RestorationIn(SignIn):
    """QA signs what is missing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"login": "quinn", "password": "••••••••••", "reason": "hold 7 placed, scrap posted again"}]
        }
    )
    reason: Text


def _journal(request: Request) -> Journal:
    return Journal(request.app.state.settings.data_dir / JOURNAL_FILE)


@router.get("/restorations")
@needs("restoration.read")
def list_restorations(request: Request, door: Door) -> list[RestorationOut]:
    """All restorations, newest first, each with what it lacks."""
    r, journal = table(Restoration), _journal(request)

    def work(u: Unit) -> list[RestorationOut]:
        rows = u.conn.execute(select(r).order_by(r.c.id.desc())).all()
        return [
            RestorationOut(**{**row._mapping, "record": restorations.record_of(u, row.id, journal)})  # noqa: SLF001 - SQLAlchemy's public way to a row's dict
            for row in rows
        ]

    return door.read(work)


@router.post("/restorations/{restoration_id}/sign", response_model=RestorationOut)
@needs("restoration.sign")
async def sign_restoration(restoration_id: Id, body: RestorationIn, request: Request, door: Door) -> JSONResponse:
    """QA signs "restored to T": what is missing was looked at and posted again. Goods may move from then on."""
    act = restorations.signing(restoration_id, body.reason, _journal(request))
    return await door.sign(act, body, lambda _, made: RestorationOut.model_validate(made), status=200)
