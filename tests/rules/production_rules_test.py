"""What an order needs, what it lacks, and whether what went in came out."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.words import render
from core.erp.production.rules import STEP, Balance, Need, scaled, share, shortages

amounts = st.decimals("0.000001", "100000", places=6)


@given(amounts, amounts, amounts)
def test_a_scaled_line_is_never_short(line: Decimal, output: Decimal, amount: Decimal) -> None:
    needed = scaled(line, output, amount)
    assert needed > 0
    assert line * amount / output <= needed < line * amount / output + 2 * STEP


@given(amounts, amounts, amounts)
def test_a_share_is_something_and_never_more_than_all(consumed: Decimal, output: Decimal, planned: Decimal) -> None:
    assert STEP <= share(consumed, output, planned) <= max(consumed, STEP)


@pytest.mark.parametrize(
    ("consumed", "accounted", "tolerance", "holds"),
    [
        ("100", "98", "0.02", True),
        ("100", "97.999999", "0.02", False),
        ("100", "102", "0.02", True),
        ("100", "102.000001", "0.02", False),
        ("100", "100", "0", True),
        ("100", "99.999999", "0", False),
        ("0", "1", "0.5", False),
        ("0", "0", "0", True),
    ],
)
def test_both_ends_of_a_tolerance_are_in(consumed: str, accounted: str, tolerance: str, holds: bool) -> None:
    assert Balance("x", Decimal(consumed), Decimal(accounted), Decimal(tolerance)).holds is holds


def test_what_is_lacking_is_said_by_item() -> None:
    needs = [Need(1, "vaccine", Decimal(10)), Need(2, "label", Decimal(20))]
    short = shortages(needs, {1: Decimal(10), 2: Decimal("19.5")})
    assert [render(one) for one in short] == ["label: 19.5 of 20 secured"]
    assert shortages(needs, {1: Decimal(10), 2: Decimal(20)}) == []
    assert len(shortages(needs, {})) == 2
