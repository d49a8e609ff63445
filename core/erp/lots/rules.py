"""What may be done with a sublot: one table, status × purpose, that decides everywhere (design, rule 1).

Pure. `service.obstacles` and the database's trigger on stock moves both read POLICY (the latter through `ddl`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.erp.kernel.words import Message

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)
"""No use-by day lies before or after."""


class Purpose(StrEnum):
    """What somebody wants a sublot for."""

    SALE = "sale"
    USE = "use"
    SAMPLING = "sampling"
    RESCUE = "rescue"
    QUARANTINE_TRANSFER = "quarantine_transfer"
    SUPPLIER_RETURN = "supplier_return"
    DESTRUCTION = "destruction"


class InternalPurpose(StrEnum):
    """Why else the ledger moves: births, splits, merges and corrections. Each is bound to its own accounts."""

    RECEIPT = "receipt"
    SPLIT = "split"
    MERGE = "merge"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"


class ObstacleKind(StrEnum):
    """Why a sublot may not be taken."""

    HELD = "held"
    EXPIRED = "expired"
    UNRELEASED = "unreleased"
    RESTRICTED = "restricted"
    UNJUDGED = "unjudged"
    INSUFFICIENT = "insufficient"
    RESTORED = "restored"
    """The database came back from a backup and QA has not signed yet: a hold may be missing."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason against a movement; `message` is for people, `hold_id` names the hold if it is one."""

    kind: ObstacleKind
    message: Message
    hold_id: int | None = None

    @property
    def sentence(self) -> Message:
        """The kind, and why."""
        return Message("lots.obstacle", kind=Message(f"obstacle.{self.kind}"), why=self.message)

    def as_extra(self) -> dict[str, Any]:
        """As a refusal's problem document carries it."""
        return {"kind": self.kind, "hold_id": self.hold_id, "message": self.message}


@dataclass(frozen=True, slots=True)
class Policy:
    """What stands in the way of a purpose: the states it is open to, and which computed conditions block it."""

    states: frozenset[str]
    held: bool
    expired: bool
    unjudged: bool
    restricted: bool


_ANY_PRESENT = frozenset({"quarantine", "released", "rejected"})

POLICY: dict[Purpose, Policy] = {
    Purpose.SALE: Policy(frozenset({"released"}), held=True, expired=True, unjudged=True, restricted=True),
    Purpose.USE: Policy(frozenset({"released"}), held=True, expired=True, unjudged=True, restricted=True),
    # A hold is there to be investigated: samples may be drawn while it stands.
    Purpose.SAMPLING: Policy(_ANY_PRESENT, held=False, expired=False, unjudged=False, restricted=False),
    Purpose.RESCUE: Policy(_ANY_PRESENT, held=False, expired=False, unjudged=False, restricted=False),
    Purpose.QUARANTINE_TRANSFER: Policy(_ANY_PRESENT, held=False, expired=False, unjudged=False, restricted=False),
    # What is held is evidence until QA has decided: it neither leaves the house nor goes up in smoke before.
    Purpose.SUPPLIER_RETURN: Policy(
        frozenset({"rejected", "returned"}), held=True, expired=False, unjudged=False, restricted=True
    ),
    Purpose.DESTRUCTION: Policy(
        frozenset({"rejected", "destroyed"}), held=True, expired=False, unjudged=False, restricted=False
    ),
}

RESERVABLE = frozenset({Purpose.SALE, Purpose.USE})
"""What goods are reserved for. QA's samples and what is destroyed or sent back are taken whoever waits for it."""

ACCOUNTS = ("stock", "supplier", "production", "customer", "scrap", "sample", "split", "adjustment")
"""Between which accounts the ledger moves."""

TARGETS: dict[str, frozenset[str]] = {
    Purpose.SALE: frozenset({"customer"}),
    Purpose.USE: frozenset({"production"}),
    Purpose.SAMPLING: frozenset({"sample"}),
    Purpose.SUPPLIER_RETURN: frozenset({"supplier"}),
    Purpose.DESTRUCTION: frozenset({"scrap"}),
    InternalPurpose.SPLIT: frozenset({"split"}),
    InternalPurpose.MERGE: frozenset({"split"}),
    InternalPurpose.ADJUSTMENT: frozenset({"adjustment"}),
}
"""To which accounts stock may leave, by purpose. Zone to zone (rescue, quarantine transfer) moves no stock."""

HISTORY_KINDS = ("exposure",)
"""Kinds of hold that reach what was made *after* their cause; every other kind reaches all descendants."""

CERTAINTIES = ("unproven", "uncertain", "proven")
"""From weak to strong: proof upgrades a hold, it never adds a second one."""


def stronger(one: str | None, other: str | None) -> str | None:
    """The more certain of the two."""
    known = [c for c in (one, other) if c is not None]
    return max(known, key=CERTAINTIES.index) if known else None


MAX_REMAINING_LIFE_DAYS = 36500
"""Days: a hundred years."""

CONTEXTUAL = ("market", "customer")
"""Kinds of restriction that only the movement's context can answer; the database answers the others."""


def forbids(kind: str, value: Mapping[str, Any], purpose: str, given: str | None) -> bool:
    """Whether a market's or customer's restriction forbids a movement to the one given; it binds sales.

    `value` is {"only": [...]} or {"except": [...]}. One that is not known (None) is not permitted.
    """
    if kind not in CONTEXTUAL or purpose != Purpose.SALE:
        return False
    if given is None:
        return True
    return given not in value["only"] if "only" in value else given in value["except"]


def restriction_fault(kind: str, value: Mapping[str, Any]) -> Message | None:
    """What is wrong with a restriction's value, or None.

    `purpose`, `market`, `customer`: {"only": [...]} or {"except": [...]}. `use_by`: {"date": ISO date}, good through
    that day. `remaining_life`: {"days": n} of shelf life left on the day.
    """
    keys = set(value)
    if kind in {"purpose", *CONTEXTUAL}:
        names = value.get("only", value.get("except"))
        fits = keys in ({"only"}, {"except"}) and isinstance(names, list) and all(isinstance(n, str) for n in names)
        return None if fits else Message("lots.restriction_names", kind=Message(f"restriction.{kind}"))
    if kind == "use_by":
        try:
            day = date.fromisoformat(value["date"])
        except (KeyError, TypeError, ValueError):
            return Message("lots.restriction_date")
        return None if keys == {"date"} and FIRST_DAY <= day <= LAST_DAY else Message("lots.restriction_date")
    if kind == "remaining_life":
        days = value.get("days")
        fits = (
            keys == {"days"}
            and isinstance(days, int)
            and not isinstance(days, bool)
            and 0 < days <= MAX_REMAINING_LIFE_DAYS
        )
        return None if fits else Message("lots.restriction_days")
    return Message("lots.restriction_unknown", kind=kind)


WORDS: dict[str, tuple[str, ...]] = {
    "purpose": (*Purpose, *InternalPurpose, "acceptance"),
    "obstacle": tuple(ObstacleKind),
    "account": ACCOUNTS,
    "restriction": ("purpose", *CONTEXTUAL, "use_by", "remaining_life"),
}
"""Families of message ids that are made of our own words (tests/architecture/words_test.py)."""


def balanced(inputs: Sequence[Decimal], outputs: Sequence[Decimal], tolerance: Decimal) -> bool:
    """Whether a transformation's outputs weigh its inputs within a fraction (0.02 is 2 %) of the inputs (rule 4)."""
    taken, given = sum(inputs, Decimal(0)), sum(outputs, Decimal(0))
    return abs(taken - given) <= tolerance * taken
