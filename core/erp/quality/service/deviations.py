"""Deviations: facts that broke a rule. QA concludes them; each holds the goods until then."""

import re
from datetime import datetime

from core.erp.kernel.errors import absent
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept
from core.erp.lots import service as lots
from core.erp.lots.events import FactBrokeRule
from core.erp.quality.model import Deviation
from core.erp.quality.service.release import acting_as_system
from core.erp.quality.workflow import DEVIATION


def open_for_fact(u: Unit, fact: FactBrokeRule) -> None:
    """Opens a deviation for a fact that would have been refused as an intention, and holds its sublot for it."""
    open_deviation(
        u,
        sublot_id=fact.sublot_id,
        shipment_id=_shipment(fact.reference),
        title=Message("quality.fact_against_rules", purpose=Message(f"purpose.{fact.purpose}")),
        detail=Message("quality.what_stood_against", obstacles=[obstacle.sentence for obstacle in fact.obstacles]),
        happened_at=fact.at,
    )


_SHIPMENT = re.compile(r"shipment:([0-9]{1,18})")


def _shipment(reference: str) -> int | None:
    """The shipment that a reference names. It is whatever was written: `shipment:²` names none."""
    found = _SHIPMENT.fullmatch(reference)
    return int(found[1]) if found is not None else None


def open_deviation(
    u: Unit,
    *,
    sublot_id: int,
    shipment_id: int | None,
    title: str | Message,
    detail: str | Message,
    happened_at: datetime,
) -> Deviation:
    """Writes the deviation and its hold. The hold is QA's to lift, and stands beside any other."""
    called, title_message = kept(title)
    why, detail_message = kept(detail)
    made = Deviation(
        sublot_id=sublot_id,
        shipment_id=shipment_id,
        title=called,
        title_message=title_message,
        detail=why,
        detail_message=detail_message,
        happened_at=happened_at,
        known_at=u.now,
    )
    u.session.add(made)
    u.session.flush()
    after = {
        "sublot_id": sublot_id,
        "shipment_id": shipment_id,
        "title": made.title,
        "detail": made.detail,
        "happened_at": happened_at,
    }
    reason = Message("quality.held_for_deviation", deviation_id=made.id, why=detail)
    u.audit("deviation.opened", "deviation", made.id, after=after)
    u.outbox("deviation.opened", made.id, after)
    with acting_as_system(u, "quality"):  # whoever may post a fact need not be one who may hold
        lots.place_hold(u, sublot_id=sublot_id, kind="deviation", reason=reason, since_at=happened_at)
    return made


def close_deviation(u: Unit, deviation_id: int, conclusion: str) -> Deviation:
    """QA concludes a deviation. Its hold is lifted by itself, not by this."""
    found = u.get(Deviation, deviation_id, lock=True)
    if found is None:
        raise absent("deviation", deviation_id)
    found.conclusion, found.closed_by, found.closed_at = conclusion, u.actor.login, u.now
    DEVIATION.apply(u, found, "close", reason=conclusion)
    return found
