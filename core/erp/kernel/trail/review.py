"""Reviews of the audit trail: the trail is verified, and a period of it reviewed by somebody who signs that.

Both are written into the trail itself, where nobody changes them any more (21 CFR 11.10(e), EU Annex 11 §9).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from core.erp.kernel.audit_verification import Finding
from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.errors import Invalid, Refused
from core.erp.kernel.model import AuditRow, AuditSeal
from core.erp.kernel.signatures import Act, Proof, Signing, begin_signing
from core.erp.kernel.tables import table
from core.erp.kernel.trail.deadlines import REVIEW
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

PERMIT = "audit.review"
VERIFIED, REVIEWED = "audit.verify", "audit.review"
_a, _s = table(AuditRow).c, table(AuditSeal).c


@dataclass(frozen=True, slots=True)
class Verification:
    """What was read of the trail, and how many things were found wrong: none, and it is whole."""

    at: datetime
    by: str
    rows: int
    seals: int
    findings: int
    first: Sequence[Mapping[str, str]]
    """The first of what was found."""


@dataclass(frozen=True, slots=True)
class Review:
    """A period of the trail that somebody has reviewed, and when the next is due."""

    start: datetime
    stop: datetime
    at: datetime
    by: str
    name: str
    remark: str
    rows: int
    findings: int
    next_due: date
    signature_id: int


FINDINGS_KEPT = 20


def record_verification(u: Unit, findings: Sequence[Finding], rows: int, seals: int) -> None:
    """Writes down that the trail was verified, and what was found. Raises Forbidden."""
    u.need(PERMIT)
    first = [{"kind": one.kind, "detail": one.detail} for one in findings[:FINDINGS_KEPT]]
    after = {"rows": rows, "seals": seals, "findings": len(findings), "first": first}
    u.audit(VERIFIED, "audit", seals, after=after)
    tell_verdict(u, findings)


def tell_verdict(u: Unit, findings: Sequence[Finding]) -> None:
    """What a verification found becomes known to people, until one finds nothing."""
    if findings:
        first = f"{findings[0].kind}: {findings[0].detail}"
        u.outbox("audit.finding", "trail", {"findings": len(findings), "detail": first})
    else:
        u.outbox("audit.whole", "trail", {})


def last_verification(u: Unit) -> Verification | None:
    """The newest; None if the trail was never verified."""
    found = _newest(u, VERIFIED, 1)
    return _verification(found[0]) if found else None


def _verification(row: Row[Any]) -> Verification:
    kept = row.after
    return Verification(row.at, row.actor, kept["rows"], kept["seals"], kept["findings"], kept["first"])


def reviews(u: Unit, most: int = 20) -> list[Review]:
    """The newest reviews."""
    return [
        Review(
            datetime.fromisoformat(row.after["from"]),
            datetime.fromisoformat(row.after["to"]),
            row.at,
            row.actor,
            row.after["name"],
            row.reason or "",
            row.after["rows"],
            row.after["findings"],
            date.fromisoformat(row.after["next_due"]),
            row.after["signature_id"],
        )
        for row in _newest(u, REVIEWED, most)
    ]


def _newest(u: Unit, action: str, most: int) -> Sequence[Row[Any]]:
    columns: list[ColumnElement[Any]] = [_a.at, _a.actor, _a.after, _a.reason]
    wanted = select(*columns).where(_a.action == action)
    return u.conn.execute(wanted.order_by(_a.id.desc()).limit(most)).all()


def signing(start: datetime, stop: datetime, next_due: date, reason: str) -> Signing[int]:
    """The act of signing that the trail of [start, stop) was reviewed; it gives the signature's id.

    Refused for a period that is none or has not passed, where nobody verified the trail after its end, and where the
    next review is due before this one. Raises Invalid, Refused, Forbidden.
    """
    name = f"{start.isoformat()}/{stop.isoformat()}"
    act = Act(Message("meaning.trail_reviewed"), "audit_review", (name,), reason)

    def work(u: Unit, proof: Proof) -> int:
        record = _record(u, start, stop, next_due)
        signer = begin_signing(u, proof, act)
        last = reviews(u, 1)
        signature = signer.sign(name, record)
        u.audit(
            REVIEWED,
            "audit_review",
            name,
            reason=reason,
            after={**record, "name": signer.name, "signature_id": signature.id},
        )
        if last:
            deadlines.meet(u, REVIEW, "signature", last[0].signature_id)
        about = Message("kernel.review_next", start=stop.date(), due=next_due)
        due_at = datetime.combine(next_due, time(23, 59), UTC)
        deadlines.begin(u, REVIEW, "signature", signature.id, about, due_at=due_at)
        return signature.id

    return Signing(PERMIT, act, work)


def _record(u: Unit, start: datetime, stop: datetime, next_due: date) -> dict[str, Any]:
    """What is signed: the period, how much of the trail it is, and what its verification found."""
    if not start < stop <= u.now:
        raise Invalid("kernel.review_no_period")
    if next_due <= u.now.date():
        raise Invalid("kernel.review_due_past")
    verified = last_verification(u)
    if verified is None or verified.at < stop:
        raise Refused("kernel.review_unverified")
    rows, last = u.conn.execute(select(func.count(), func.max(_a.id)).where(_a.at >= start, _a.at < stop)).one()
    return {
        "from": start.isoformat(),
        "to": stop.isoformat(),
        "rows": rows,
        "last_row": last,
        "verified_at": verified.at.isoformat(),
        "seals": verified.seals,
        "findings": verified.findings,
        "next_due": next_due.isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far the trail is sealed: the newest seal and its time, rows in no seal, and when the oldest of them came."""

    number: int
    at: datetime | None
    unsealed: int
    oldest: datetime | None


def sealed(u: Unit) -> Sealed:
    """How far the trail is sealed now."""
    last = u.conn.execute(select(_s.number, _s.at, _s.row_ids).order_by(_s.number.desc()).limit(1)).first()
    beyond = max(last.row_ids, default=0) if last is not None else 0
    waiting, oldest = u.conn.execute(select(func.count(), func.min(_a.at)).where(_a.id > beyond)).one()
    return Sealed(last.number if last is not None else 0, last.at if last is not None else None, waiting, oldest)


def first_row_at(u: Unit) -> datetime | None:
    """When the trail begins."""
    return u.conn.execute(select(_a.at).order_by(_a.id).limit(1)).scalar_one_or_none()
