"""A database behind its witness: what a hold would stop is stopped until QA signs "restored to T".

A restore rewinds holds, scrap facts, users; the witness and its journal lie outside PostgreSQL and are not rewound.
What is known to be missing is listed and becomes part of what QA signs. Facts post all the while, and readings come
back by themselves: gateways send again what the restored core no longer confirms.
"""

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel import signatures
from core.erp.kernel.audit_journal import JOURNAL_FILE, Journal
from core.erp.kernel.errors import Conflict, NotFound
from core.erp.kernel.instance import instance_of
from core.erp.kernel.model import Restoration
from core.erp.kernel.restoration_record import lacking, receivers
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

log = logging.getLogger(__name__)

BEHIND_WITNESS = (
    "the database was restored or its newest rows cut off: it ends with seal %d, and seal %d was witnessed. "
    "What a hold would stop is refused until QA has signed it"
)
_R = table(Restoration)


def record_restoration(engine: Engine, database_seal: int, witnessed_seal: int, now: datetime) -> None:
    """Writes down that the database is behind its witness; from then on intentions are refused. Once.

    Ids given since the backup are in messages, annotations and on paper: none of them is given again.
    """
    same = (_R.c.database_seal == database_seal, _R.c.witnessed_seal == witnessed_seal)
    row = {"database_seal": database_seal, "witnessed_seal": witnessed_seal, "found_at": now}
    with engine.begin() as conn:
        if conn.execute(select(_R.c.id).where(*same)).first() is None:
            conn.execute(upsert(Restoration).values(**row, receivers=receivers(conn)).on_conflict_do_nothing())
            conn.execute(text("SELECT lotwise_skip_ids()"))
            log.error(BEHIND_WITNESS, database_seal, witnessed_seal)


def signed_since(conn: Connection, at: datetime) -> list[tuple[int, int, datetime]]:
    """(id, last seal that was there, when signed) of the restorations signed after a time, oldest first."""
    query = select(_R.c.id, _R.c.database_seal, _R.c.signed_at).where(_R.c.signed_at > at).order_by(_R.c.signed_at)
    return [(row.id, row.database_seal, row.signed_at) for row in conn.execute(query)]


def record_of(u: Unit, restoration_id: int) -> dict[str, Any]:
    """What is signed: to when the database was restored, and what is known to be missing. Raises NotFound."""
    row = u.get(Restoration, restoration_id)
    if row is None:
        raise NotFound("kernel.no_restoration", restoration_id=restoration_id)
    if row.record is not None:
        return row.record
    return lacking(u.conn, row, Journal(instance_of(u.conn).data_dir / JOURNAL_FILE))


def signing(restoration_id: int, *, reason: str) -> signatures.Signing[Restoration]:
    """QA signs "restored to T": what is missing was looked at and posted again. Goods may move from then on."""
    act = signatures.Act(Message("meaning.restored"), "restoration", (str(restoration_id),), reason)
    return signatures.Signing("restoration.sign", act, lambda u, proof: _sign(u, restoration_id, act, proof))


def _sign(u: Unit, restoration_id: int, act: signatures.Act, proof: signatures.Proof) -> Restoration:
    """Raises Forbidden, NotFound, Conflict (signed already)."""
    u.need("restoration.sign")
    found = u.get(Restoration, restoration_id, lock=True)
    if found is None:
        raise NotFound("kernel.no_restoration", restoration_id=restoration_id)
    if found.signature_id is not None:
        raise Conflict("kernel.restoration_signed", restoration_id=restoration_id)
    record = record_of(u, restoration_id)
    signature = signatures.begin_signing(u, proof, act).sign(restoration_id, record)
    changes = {"signature_id": signature.id, "signed_at": u.now, "record": record}
    u.conn.execute(update(_R).where(_R.c.id == restoration_id).values(changes))
    u.audit(
        "restoration.sign",
        "restoration",
        restoration_id,
        reason=act.reason,
        after={
            "restored_to": record["restored_to"],
            "missing_seals": record["missing_seals"],
            "missing_rows": record["missing_rows"],
        },
    )
    return u.get_one(Restoration, restoration_id)
