"""A database behind its witness: what a hold would stop is stopped until QA signs "restored to T".

A restore rewinds holds, scrap facts, users; the witness and its journal lie outside PostgreSQL and are not rewound.
What is known to be missing is listed and becomes part of what QA signs. Facts post all the while, and readings come
back by themselves: gateways send again what the restored core no longer confirms.
"""

import logging
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel import signatures
from core.erp.kernel.audit_journal import JOURNAL_FILE, Journal
from core.erp.kernel.errors import Conflict, absent
from core.erp.kernel.instance import instance_of
from core.erp.kernel.model import AuditSeal, Restoration
from core.erp.kernel.restoration_record import lacking, receivers
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.witness import Witness
from core.erp.kernel.words import Message

log = logging.getLogger(__name__)

RESTORED_MARK = "restored-unproven"
"""A file in the data folder: a backup was put back, and the core has not looked yet whether a witness knows what came
after it.
"""
NOTHING_KNOWN = (
    "the database was restored to seal %d, and what came after it is unknown: %s. What a hold would stop is refused"
    " until QA has signed it"
)
BEHIND_WITNESS = (
    "the database was restored or its newest rows cut off: it ends with seal %d, and seal %d was witnessed. "
    "What a hold would stop is refused until QA has signed it"
)
_R = table(Restoration)


def record_restoration(engine: Engine, database_seal: int, witnessed_seal: int, now: datetime) -> None:
    """Writes down that the database is behind its witness; from then on intentions are refused. Once.

    Ids given since the backup are in messages, annotations and on paper: none of them is given again.
    """
    if _record(engine, database_seal, witnessed_seal, now):
        log.error(BEHIND_WITNESS, database_seal, witnessed_seal)


def _record(engine: Engine, database_seal: int, witnessed_seal: int, now: datetime) -> bool:
    """Whether that was new."""
    same = (_R.c.database_seal == database_seal, _R.c.witnessed_seal == witnessed_seal)
    row = {"database_seal": database_seal, "witnessed_seal": witnessed_seal, "found_at": now}
    with engine.begin() as conn:
        if conn.execute(select(_R.c.id).where(*same)).first() is not None:
            return False
        conn.execute(upsert(Restoration).values(**row, receivers=receivers(conn)).on_conflict_do_nothing())
        conn.execute(text("SELECT lotwise_skip_ids()"))
        return True


def record_unknown(engine: Engine, database_seal: int, why: str, now: datetime) -> None:
    """Writes down that the database was restored, and that nobody knows what came after it: as `record_restoration`,
    with as many seals witnessed as there are.
    """
    if database_seal and not unsigned(engine):
        _record(engine, database_seal, database_seal, now)
        log.error(NOTHING_KNOWN, database_seal, why)


def look_at_mark(engine: Engine, witness: Witness, database_seal: int, now: datetime) -> None:
    """After `lotwise restore`: a witness that was there before it, and is as far as the database or further, tells what
    is missing or that nothing is. Any other came with the backup itself, or is older: then nobody knows.
    """
    mark = witness.path.with_name(RESTORED_MARK)
    if not mark.exists():
        return
    witness.refresh()
    stayed = mark.read_text() == WITNESS_STAYED
    if not stayed or witness.last is None or witness.last.number < database_seal:
        record_unknown(engine, database_seal, "no witness was there that is as new as the backup", now)
    mark.unlink(missing_ok=True)


# one that was found after the newest batch that the gateway had here when it said so, is the same restore
_TOLD_BY_GATEWAYS = text("""
    SELECT l.gateway FROM confirmation_lost l WHERE NOT EXISTS (
        SELECT FROM restoration r WHERE r.found_at > greatest(
            (SELECT max(b.received_at) FROM batch b WHERE b.gateway = l.gateway AND b.received_at < l.at),
            (SELECT max(f.last_received_at) FROM batch_fold f
                WHERE f.gateway = l.gateway AND f.last_received_at < l.at),
            '-infinity'))
    ORDER BY l.at LIMIT 1
""")


def look_at_gateways(engine: Engine, now: datetime) -> None:
    """A gateway that had been told more is confirmed than the database has, tells of a restore that no witness has told
    of: it is written down.
    """
    with engine.connect() as conn:
        gateway, last = conn.scalar(_TOLD_BY_GATEWAYS), newest_seal_number(conn)
    if gateway is not None:
        record_unknown(engine, last, f"gateway {gateway} had been told that more is confirmed", now)


def newest_seal_number(conn: Connection) -> int:
    """The number of the last seal; 0 before the first."""
    return conn.scalar(select(func.max(table(AuditSeal).c.number))) or 0


def unsigned(engine: Engine) -> bool:
    """Whether what came after a restore is unknown, and nobody has signed that yet."""
    where = (_R.c.signature_id.is_(None), _R.c.witnessed_seal == _R.c.database_seal)
    with engine.connect() as conn:
        return conn.execute(select(_R.c.id).where(*where)).first() is not None


WITNESS_STAYED = "the witness was there before the restore\n"
"""What the mark says in that case."""


def signed_since(conn: Connection, at: datetime) -> list[tuple[int, int, datetime]]:
    """(id, last seal that was there, when signed) of the restorations signed after a time, oldest first.

    Of those that a witness has told: from their seal on it is written anew.
    """
    query = (
        select(_R.c.id, _R.c.database_seal, _R.c.signed_at)
        .where(_R.c.signed_at > at, _R.c.witnessed_seal > _R.c.database_seal)
        .order_by(_R.c.signed_at)
    )
    return [(row.id, row.database_seal, row.signed_at) for row in conn.execute(query)]


def record_of(u: Unit, restoration_id: int) -> dict[str, Any]:
    """What is signed: to when the database was restored, and what is known to be missing. Raises NotFound."""
    row = u.get(Restoration, restoration_id)
    if row is None:
        raise absent("restoration", restoration_id)
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
        raise absent("restoration", restoration_id)
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
