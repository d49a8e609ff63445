"""SSCC numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.errors import Invalid
from core.erp.kernel.gs1 import check_digit
from core.erp.shipments.rules import checked_sscc, sscc


@pytest.mark.parametrize(
    ("body", "digit"),
    [
        ("629104150021", 3),  # GTIN-13 6291041500213, the worked example of GS1's check digit calculator
        ("00614141123456789", 0),
        ("37610425002123456", 9),  # the worked example of GS1's SSCC-18
    ],
)
def test_check_digits_known_from_gs1(body: str, digit: int) -> None:
    assert check_digit(body) == digit


@given(st.integers(0, 9), st.integers(10**6, 10**10 - 1).map(str), st.integers(0, 10**6 - 1))
def test_what_we_make_we_read(extension: int, prefix: str, serial: int) -> None:
    made = sscc(extension, prefix, serial)
    assert checked_sscc(made) == made
    assert checked_sscc(f"(00){made}") == made
    assert checked_sscc(f"00{made}") == made


@given(st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_found(place: int, by: int) -> None:
    made = sscc(3, "4012345", 1)
    wrong = made[:place] + str((int(made[place]) + by) % 10) + made[place + 1 :]
    with pytest.raises(Invalid, match="check digit"):
        checked_sscc(wrong)


@pytest.mark.parametrize("text", ["", "123", "3401234500000000AB", "34012345000000001³", "9" * 19])
def test_what_is_no_sscc(text: str) -> None:
    with pytest.raises(Invalid):
        checked_sscc(text)


@pytest.mark.parametrize(
    ("extension", "prefix", "serial"),
    [
        (10, "4012345", 1),
        (-1, "4012345", 1),
        (3, "401234", 1),
        (3, "40123456789", 1),
        (3, "4012345", 10**9),
        (3, "4012345", -1),
        (3, "40x2345", 1),
    ],
)
def test_what_makes_no_sscc(extension: int, prefix: str, serial: int) -> None:
    with pytest.raises(Invalid):
        sscc(extension, prefix, serial)
