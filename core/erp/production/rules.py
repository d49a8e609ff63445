"""Rules of production, pure: what an order needs, what it lacks, whether what went in came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from core.erp.kernel.words import Message
from core.erp.lots.rules import balanced

STEP = Decimal("0.000001")
"""The smallest amount the ledger keeps."""


def scaled(line: Decimal, output: Decimal, amount: Decimal) -> Decimal:
    """What `amount` of an item needs of a line that says how much goes into `output` of it; never rounded down."""
    return (line * amount / output).quantize(STEP, rounding=ROUND_UP)


@dataclass(frozen=True, slots=True)
class Need:
    """What an order needs of one material."""

    line_id: int
    item: str
    needed: Decimal


def shortages(needs: Sequence[Need], secured: Mapping[int, Decimal]) -> list[Message]:
    """What is not yet reserved, issued or consumed, one sentence a material; empty when nothing is lacking."""
    return [
        Message(
            "production.secured_in_part",
            item=need.item,
            secured=secured.get(need.line_id, Decimal(0)),
            needed=need.needed,
        )
        for need in needs
        if secured.get(need.line_id, Decimal(0)) < need.needed
    ]


@dataclass(frozen=True, slots=True)
class Balance:
    """Mass balance of one material: what went in net of returns, and what the output accounts for."""

    item: str
    consumed: Decimal
    expected: Decimal
    tolerance: Decimal

    @property
    def holds(self) -> bool:
        """Whether they agree within the tolerance, a part of what went in (rule 4, as lots.rules.balanced)."""
        return balanced((self.consumed,), (self.expected,), self.tolerance)


def share(consumed: Decimal, output: Decimal, planned: Decimal) -> Decimal:
    """How much of a material that was consumed an output took: in proportion, at most all, at least one STEP."""
    part = (consumed * output / planned).quantize(STEP)
    return max(STEP, min(consumed, part))
