"""The append-only ledger: intentions, which may be refused, and facts, which never are (design, rules 1 and 3)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.erp.kernel.errors import Conflict, Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept
from core.erp.lots.events import FactBrokeRule
from core.erp.lots.model import StockMove
from core.erp.lots.predicate import (
    amount_of,
    get_sublot,
    movable,
    on_hand,
    require_free,
    require_movable,
)
from core.erp.lots.rules import RESERVABLE, TARGETS, InternalPurpose, Obstacle, ObstacleKind, Purpose


def post(
    u: Unit,
    sublot_id: int,
    source: str,
    target: str,
    amount: Decimal,
    *,
    purpose: str,
    reference: str = "",
    at: datetime | None = None,
    fact: bool = False,
    reason: str | Message | None = None,
    reverses_id: int | None = None,
    key: str | None = None,
) -> StockMove:
    """Writes one row of the ledger; the database locks the sublot and checks again. For the verbs of this module."""
    text_, message = (None, None) if reason is None else kept(reason)
    move = StockMove(
        sublot_id=sublot_id,
        source=source,
        target=target,
        amount=amount,
        at=at or u.now,
        posted_at=u.now,
        actor=u.actor.login,
        purpose=str(purpose),
        reference=reference,
        reason=text_,
        reason_message=message,
        reverses_id=reverses_id,
        fact=fact,
        key=key,
    )
    u.session.add(move)
    u.session.flush()
    u.audit(
        "stock.fact" if fact else "stock.move",
        "sublot",
        sublot_id,
        reason=reason,
        after={
            "move_id": move.id,
            "source": source,
            "target": target,
            "amount": amount,
            "at": move.at,
            "purpose": purpose,
            "reference": reference,
        },
    )
    u.outbox(
        "stock.moved",
        sublot_id,
        {
            "move_id": move.id,
            "sublot_id": sublot_id,
            "source": source,
            "target": target,
            "amount": amount,
            "at": move.at,
            "purpose": purpose,
            "reference": reference,
            "fact": fact,
        },
    )
    return move


def _check_target(purpose: str, target: str) -> None:
    allowed = TARGETS.get(purpose, frozenset()) if purpose in set(Purpose) else frozenset()
    if target not in allowed:
        to, why = Message(f"account.{target}"), Message(f"purpose.{purpose}")
        raise Invalid("lots.target_forbidden", target=to, purpose=why, extra={"target": target, "purpose": purpose})


def _already_posted(u: Unit, key: str | None, same: Mapping[str, Any]) -> StockMove | None:
    """The move already posted under the key. Raises Conflict if it was another one."""
    if key is None:
        return None
    moves = table(StockMove)
    found = u.conn.execute(select(moves.c.id).where(moves.c.key == key)).scalar()
    if found is None:
        return None
    move = u.session.get_one(StockMove, found)
    if any(getattr(move, name) != value for name, value in same.items()):
        raise Conflict("lots.key_of_another_move", key=key, extra={"move_id": move.id})
    return move


def move(
    u: Unit,
    sublot_id: int,
    amount: Decimal,
    target_account: str,
    *,
    purpose: str,
    reference: str,
    key: str | None = None,
    context: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> StockMove:
    """Takes a quantity out of stock: an intention, checked again here under the sublot's row lock.

    What is sold or used leaves to others what is reserved for them. The same `key` posts once. Raises Refused with
    every obstacle, Invalid, NotFound, Conflict (key used otherwise).
    """
    amount = amount_of(amount)
    _check_target(purpose, target_account)
    same = {"sublot_id": sublot_id, "amount": amount, "target": target_account, "purpose": str(purpose)}
    if key is not None:
        get_sublot(u, sublot_id, lock=True)  # two with the same key wait for each other here
    if (done := _already_posted(u, key, same)) is not None:
        return done
    sublot = require_movable(u, sublot_id, purpose, amount, context=context)
    if purpose in RESERVABLE:
        require_free(u, sublot, amount, reference)
    return post(
        u, sublot_id, "stock", target_account, amount, purpose=purpose, reference=reference, key=key, reason=reason
    )


def post_fact(
    u: Unit,
    sublot_id: int,
    amount: Decimal,
    target_account: str,
    *,
    purpose: str,
    reference: str,
    at: datetime,
    reason: str | Message,
    permit: str = "fact.post",
    key: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> StockMove:
    """What has happened: never refused for what stands against the goods, posted with its true time.

    Tested as it was at `at` and against the holds standing now; a breach emits FactBrokeRule, for a deviation and a
    hold. More than the ledger has is found first (adjustment), since goods that left were there. Raises Forbidden
    without the permit, Invalid without a reason or for a time to come.
    """
    u.need(permit)
    amount = amount_of(amount)
    _check_target(purpose, target_account)
    if not kept(reason)[0].strip():
        raise Invalid("lots.fact_without_reason")
    if at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    get_sublot(u, sublot_id, lock=True)
    same = {"sublot_id": sublot_id, "amount": amount, "target": target_account, "purpose": str(purpose)}
    if (done := _already_posted(u, key, same)) is not None:
        return done
    against = movable(u, sublot_id, purpose, context=context, at=at, amount=amount)
    # after a restore facts are posted again: that QA has not signed yet is no breach of theirs
    against = [o for o in against if o.kind != ObstacleKind.RESTORED]
    have = on_hand(u, sublot_id)
    if have < amount:
        post(
            u,
            sublot_id,
            "adjustment",
            "stock",
            amount - have,
            purpose=InternalPurpose.ADJUSTMENT,
            reference=reference,
            at=at,
            fact=True,
            reason=Message("lots.left_off_record", reason=reason),
        )
    done = post(
        u,
        sublot_id,
        "stock",
        target_account,
        amount,
        purpose=purpose,
        reference=reference,
        at=at,
        fact=True,
        reason=reason,
        key=key,
    )
    if against:
        _report_broken_rule(u, done, against)
    return done


def _report_broken_rule(u: Unit, fact: StockMove, against: list[Obstacle]) -> None:
    u.emit(FactBrokeRule(fact.sublot_id, fact.id, fact.purpose, fact.reference, fact.at, tuple(against)))


def post_found(u: Unit, sublot_id: int, amount: Decimal, *, at: datetime, reason: str) -> StockMove:
    """Stock that was found (a fact). It comes back under the sublot's status and holds."""
    u.need("fact.post")
    if not reason.strip():
        raise Invalid("lots.fact_without_reason")
    if at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    get_sublot(u, sublot_id, lock=True)
    return post(
        u,
        sublot_id,
        "adjustment",
        "stock",
        amount_of(amount),
        purpose=InternalPurpose.ADJUSTMENT,
        at=at,
        fact=True,
        reason=reason,
    )


def post_lost(u: Unit, sublot_id: int, amount: Decimal, *, at: datetime, reason: str) -> StockMove:
    """Stock that is not there (a fact). Raises Refused if the ledger has less."""
    u.need("fact.post")
    if not reason.strip():
        raise Invalid("lots.fact_without_reason")
    if at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    sublot = get_sublot(u, sublot_id, lock=True)
    amount, have = amount_of(amount), on_hand(u, sublot_id)
    if have < amount:
        raise Refused("lots.not_so_much_missing", code=sublot.code, have=have, missing=amount)
    return post(
        u, sublot_id, "stock", "adjustment", amount, purpose=InternalPurpose.ADJUSTMENT, at=at, fact=True, reason=reason
    )


def reverse(u: Unit, move_id: int, *, reason: str) -> StockMove:
    """Undoes a move by its mirror image: the only correction there is (rule 3). Once, and never below nothing."""
    if not reason.strip():
        raise Invalid("lots.reversal_without_reason")
    first = u.session.get(StockMove, move_id)
    if first is None or first.sublot_id is None:
        raise absent("stock_move", move_id)
    sublot = get_sublot(u, first.sublot_id, lock=True)
    moves = table(StockMove)
    if u.conn.execute(select(moves.c.id).where(moves.c.reverses_id == move_id)).first() is not None:
        raise Refused("lots.move_reversed", move_id=move_id)
    if first.reverses_id is not None or first.purpose in {InternalPurpose.SPLIT, InternalPurpose.MERGE}:
        raise Refused("lots.not_reversible", purpose=Message(f"purpose.{first.purpose}"), extra={"move_id": move_id})
    if first.target == "stock" and on_hand(u, first.sublot_id) < first.amount:
        raise Refused("lots.less_than_brought", code=sublot.code, move_id=move_id)
    return post(
        u,
        first.sublot_id,
        first.target,
        first.source,
        first.amount,
        purpose=InternalPurpose.REVERSAL,
        reference=first.reference,
        fact=True,
        reason=reason,
        reverses_id=move_id,
    )
