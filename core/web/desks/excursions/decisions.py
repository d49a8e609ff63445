"""What a decision's form holds, what is wrong with it, and the act that it asks for."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, TypeVar

from pydantic import ValidationError

from core.erp.kernel.digits import whole
from core.erp.kernel.errors import Conflict
from core.erp.kernel.misfits import misfit
from core.erp.kernel.records.read import row_of
from core.erp.kernel.signatures import Proof, Signing
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.rules import MAX_REMAINING_LIFE_DAYS
from core.erp.quality import service as quality
from core.erp.quality.model import Disposition
from core.erp.quality.records import EXCURSIONS, new_restrictions
from core.erp.quality.shapes import BatchDispositionIn, RestrictionSpecIn
from core.web.desks.excursions.cases import Case
from core.web.frame.visit import Visit

T = TypeVar("T")
DECISIONS = ("accept", "restrict", "reject", "rework", "return", "destroy")
RESTRICTIONS = {
    "market.only": "web.only_markets",
    "market.except": "web.not_markets",
    "customer.only": "web.only_customers",
    "customer.except": "web.not_customers",
    "purpose.sale": "web.only_for_sale",
    "purpose.use": "web.only_for_use",
    "use_by": "web.use_by",
    "remaining_life": "web.life_left",
}
"""Conditions that a form offers, and the ids of their words."""
SEEN = "_seen"
_COMMAS = re.compile("[,，、;；\n]")


@dataclass(frozen=True)
class DecisionForm:
    """The form as it is shown: what was written, and what is wrong with it by field."""

    written: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, Message] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.written.get(name, "")


def written(visit: Visit) -> DecisionForm:
    """What somebody wrote; nothing of a password."""
    names = ("decision", "reason", "restriction", "names", "use_by", "days", "login", "assessment")
    return DecisionForm({name: visit.given(name) for name in names})


def read_decision(visit: Visit, case_ids: Sequence[int]) -> tuple[BatchDispositionIn | None, dict[str, Message]]:
    """(what is to be signed, or None; what is wrong by field)."""
    errors: dict[str, Message] = {}
    decision, reason = visit.given("decision"), visit.given("reason").strip()
    if decision not in DECISIONS:
        errors["decision"] = Message("web.choose_decision")
    if not reason:
        errors["reason"] = Message("web.fill_in")
    if not visit.given("password"):
        errors["password"] = Message("web.fill_in")
    restrictions = _restriction(visit, errors) if decision == "restrict" else []
    if errors:
        return None, errors
    values: dict[str, Any] = {
        "excursion_ids": list(case_ids),
        "decision": decision,
        "reason": reason,
        "restrictions": restrictions,
        "password": visit.given("password"),
        "login": visit.given("login").strip() or None,
    }
    try:
        return BatchDispositionIn.model_validate(values), {}
    except ValidationError as error:
        return None, {str(next(iter(fault["loc"]), "reason")): misfit(fault) for fault in error.errors()}


def _restriction(visit: Visit, errors: dict[str, Message]) -> list[RestrictionSpecIn]:
    """The condition that was written, as the service takes it."""
    chosen = visit.given("restriction")
    if chosen not in RESTRICTIONS:
        errors["restriction"] = Message("web.restriction_unsaid")
        return []
    kind, _, which = chosen.partition(".")
    if kind == "purpose":
        return [RestrictionSpecIn(kind="purpose", value={"only": [which]})]
    if which:
        names = [one.strip() for one in _COMMAS.split(visit.given("names")) if one.strip()]
        if not names:
            errors["names"] = Message("web.fill_in")
        return [RestrictionSpecIn(kind=kind, value={which: names})]
    if kind == "use_by":
        return [RestrictionSpecIn(kind="use_by", value={"date": _day(visit.given("use_by"), errors)})]
    return [RestrictionSpecIn(kind="remaining_life", value={"days": _days(visit.given("days").strip(), errors)})]


def _day(given: str, errors: dict[str, Message]) -> str:
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        errors["use_by"] = Message("web.no_date")
        return ""


def _days(given: str, errors: dict[str, Message]) -> int:
    days = whole(given) or 0
    if not 0 < days <= MAX_REMAINING_LIFE_DAYS:
        errors["days"] = Message("web.no_days", given=given)
        return 0
    return days


def as_seen(signing: Signing[T], ids: Sequence[int], seen: str, case: Callable[[Unit], Case]) -> Signing[T]:
    """The act, unless what it covers is no longer what the signer saw: told as a conflict, and nothing is signed."""

    def work(u: Unit, proof: Proof) -> T:
        lots.lock_sublots(u, [row_of(u, EXCURSIONS, one).sublot_id for one in ids])
        lifted = [hold for holds in quality.holds_of_cause(u, ids).values() for hold in holds]
        now = case(u)
        if now.decidable == list(ids) and now.seen(lifted) != seen:
            raise Conflict("web.changed_since_seen")
        return signing.work(u, proof)

    return replace(signing, work=work)


def signing_of(case: Case, body: BatchDispositionIn, left: Sequence[int], *, incident: bool) -> Signing[Any]:
    """The act that the form asks for: on one excursion, or on those of an incident."""
    conditions = new_restrictions(body.restrictions)
    if incident:
        return quality.incident_disposition_signing(
            case.incident.id, body.excursion_ids, body.decision, body.reason, restrictions=conditions, left=left
        )
    return quality.disposition_signing(body.excursion_ids[0], body.decision, body.reason, restrictions=conditions)


def done(made: Disposition | Sequence[Disposition]) -> Sequence[Disposition]:
    """What was signed, as a list."""
    return [made] if isinstance(made, Disposition) else made
