"""Conditions on use: placed, lifted, inherited at birth; tested by the predicate."""

from collections.abc import Mapping
from typing import Any

from core.erp.kernel.errors import IllegalMove, Invalid, absent
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Restriction
from core.erp.lots.predicate import get_sublot
from core.erp.lots.rules import restriction_fault


def restrict(u: Unit, sublot_id: int, kind: str, value: Mapping[str, Any], reason: str) -> Restriction:
    """Puts a condition on a sublot, and on what is made of it from now on. Raises Invalid, NotFound.

    `kind` and `value` as in `rules.restriction_fault`: purpose, market, customer, use_by, remaining_life.
    """
    if not reason.strip():
        raise Invalid("lots.restriction_without_reason")
    fault = restriction_fault(kind, value)
    if fault is not None:
        raise Invalid(fault)
    get_sublot(u, sublot_id, lock=True)
    row = Restriction(
        sublot_id=sublot_id, kind=kind, value=dict(value), placed_at=u.now, placed_by=u.actor.login, reason=reason
    )
    u.session.add(row)
    u.session.flush()
    u.audit("restriction.place", "sublot", sublot_id, after={"kind": kind, "value": value}, reason=reason)
    u.outbox("restriction.placed", sublot_id, {"restriction_id": row.id, "kind": kind, "value": value})
    return row


def lift_restriction(u: Unit, restriction_id: int, reason: str) -> Restriction:
    """Takes a condition away from this one sublot. Raises NotFound, Invalid, IllegalMove."""
    if not reason.strip():
        raise Invalid("lots.restriction_lift_without_reason")
    row = u.get(Restriction, restriction_id, lock=True)
    if row is None:
        raise absent("restriction", restriction_id)
    if row.lifted_at is not None:
        raise IllegalMove("lots.restriction_lifted", restriction_id=restriction_id, extra={"state": "lifted"})
    row.lifted_at, row.lifted_by = u.now, u.actor.login
    u.session.add(row)
    u.session.flush()
    u.audit("restriction.lift", "sublot", row.sublot_id, before={"kind": row.kind, "value": row.value}, reason=reason)
    return row
