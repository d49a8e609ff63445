"""The records of the trail: audit rows and signatures, seen with the record they are of; restorations, with a verb."""

from typing import Any

from sqlalchemy import case, literal, select

from core.erp.kernel import restorations
from core.erp.kernel.model import AuditRow, Restoration, Signature
from core.erp.kernel.named import of_record
from core.erp.kernel.records import Column, Entity, Section, Verb
from core.erp.kernel.scope import everything
from core.erp.kernel.tables import select_for, table
from core.erp.kernel.trail.shapes import AuditOut, RestorationIn, RestorationOut, SignatureOut
from core.erp.kernel.unit import REASON_MESSAGE, Unit

_a, _s, _r = table(AuditRow).c, table(Signature).c, table(Restoration).c
_STATE = case((_r.signature_id.is_(None), literal("found")), else_=literal("signed")).label("state")

AUDIT = Entity(
    name="audit_row",
    path="audit",
    table=AuditRow,
    read="audit.read",
    scope=of_record(_a.entity, _a.entity_id),
    statement=select_for(AuditOut, AuditRow, _a.after[REASON_MESSAGE].label(REASON_MESSAGE)),
    answer=AuditOut,
    columns=(
        Column("entity", filter="eq"),
        Column("entity_id", filter="eq"),
        Column("actor", filter="eq"),
        Column("action", filter="eq"),
        Column("at", filter="range", sort=True, asked=("since", "until")),
    ),
)

SIGNATURES = Entity(
    name="signature",
    path="signatures",
    table=Signature,
    read="signature.read",
    scope=of_record(_s.entity, _s.entity_id),
    statement=select_for(SignatureOut, Signature),
    answer=SignatureOut,
    columns=(
        Column("entity", filter="eq"),
        Column("entity_id", filter="eq"),
        Column("user_id", filter="eq", link="user"),
        Column("at", filter="range", sort=True),
    ),
    sections=(Section("record_hash", lambda u, row: _hash(u, row.id), str),),
)


def _hash(u: Unit, signature_id: int) -> str:
    """SHA-256 of what was signed, in hex."""
    return bytes(u.conn.execute(select(_s.record_hash).where(_s.id == signature_id)).scalar_one()).hex()


RESTORATIONS = Entity(
    name="restoration",
    path="restorations",
    table=Restoration,
    read="restoration.read",
    scope=everything,
    statement=select_for(RestorationOut, Restoration, _STATE),
    answer=RestorationOut,
    columns=(Column("state", filter="eq"),),
    verbs=(
        Verb(
            "sign",
            RestorationIn,
            signing=restorations.signing,
            permit="restoration.sign",
            states=frozenset({"found"}),
        ),
    ),
    sections=(Section("record", lambda u, row: restorations.record_of(u, row.id), dict[str, Any]),),
)

ENTITIES = (AUDIT, SIGNATURES, RESTORATIONS)
