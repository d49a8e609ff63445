"""GS1 element strings and symbols: what is drawn is read back as it was meant, FNC1 and all, or is not drawn."""

from datetime import date

import biip
import numpy as np
import pytest
from zxingcpp import BarcodeFormat, create_barcode, read_barcode, write_barcode_to_image

from core.erp.kernel import gs1_elements as gs1
from core.erp.kernel.gs1_elements import FNC1, BadElements, Element
from core.erp.kernel.printing.symbols import data_matrix, gs1_data_matrix

LABEL = (gs1.gtin("6935718600010"), gs1.expiry(date(2027, 11, 30)), Element("10", "B7240"), Element("21", "SN0001"))


def test_a_symbol_is_read_back_by_a_scanner_with_its_fnc1() -> None:
    """The picture says `]d2` (FNC1 in front), the separator stands behind the lot, and every value is its own."""
    content = "".join(f"[{one.ai}]{one.value}" for one in LABEL)
    symbol = create_barcode(content, BarcodeFormat.DataMatrix, gs1=True, force_square=True)
    found = read_barcode(np.array(write_barcode_to_image(symbol, scale=4)))
    assert found is not None
    assert found.symbology_identifier == "]d2"
    scanned = found.bytes.decode()
    assert scanned == f"01069357186000101727113010B7240{FNC1}21SN0001" == gs1.message(LABEL)
    assert gs1.read(scanned) == LABEL
    parsed = biip.parse(found.symbology_identifier + scanned).gs1_message
    assert parsed is not None
    assert parsed.as_hri() == gs1.readable(LABEL) == "(01)06935718600010(17)271130(10)B7240(21)SN0001"
    dates = [one.date for one in parsed.element_strings if one.date is not None]
    assert dates == [date(2027, 11, 30)]


def test_our_symbol_is_that_symbol() -> None:
    drawn = gs1_data_matrix(LABEL)
    assert drawn.startswith("<?xml")
    assert drawn == gs1_data_matrix(LABEL)
    assert drawn != gs1_data_matrix(LABEL[:3])
    assert data_matrix("S-1") != data_matrix("S-2")


def test_a_separator_stands_only_where_something_follows() -> None:
    assert gs1.message(LABEL[:3]) == "01069357186000101727113010B7240"
    assert gs1.message((LABEL[0], LABEL[3], Element("91", "S-1"))).count(FNC1) == 1
    assert gs1.message((LABEL[0], LABEL[1])) == "010693571860001017271130"


@pytest.mark.parametrize("value", ["B(7)240", "B7/2+4-0", "a&b", 'q"q', "10", "01" * 10])
def test_values_with_signs_of_their_own_come_back(value: str) -> None:
    elements = (LABEL[0], Element("10", value), Element("21", "1"))
    assert gs1.read(gs1.message(elements)) == elements


# Written by hand, most of them vectors of the public syntax engine (facts, section 8).
WRONG = (
    ((), "no element"),
    ((gs1.gtin("24012345678909"),), "a wrong check digit"),
    ((Element("00", "006141411234567891"),), "a wrong check digit of an SSCC"),
    ((LABEL[0], Element("17", "200230")), "no such day"),
    ((LABEL[0], Element("17", "201310")), "no such month"),
    ((Element("21", "SN1"),), "a serial without its item"),
    ((Element("10", "B1"),), "a lot without its item"),
    ((Element("02", "06935718600010"),), "content without count and box"),
    ((LABEL[0], Element("02", "06935718600010")), "an item and a content"),
    ((LABEL[0], LABEL[0]), "an identifier twice"),
    ((LABEL[0], Element("10", "")), "an empty value"),
    ((LABEL[0], Element("10", "X" * 21)), "a value too long"),
    ((LABEL[0], Element("10", "批号1")), "letters outside the set of 82"),
    ((LABEL[0], Element("10", "A B")), "a space"),
    ((LABEL[0], Element("99", "~ABC")), "a sign outside the set of 82"),
    ((LABEL[0], Element("10", f"A{FNC1}21X")), "a separator inside a value"),
    ((LABEL[0], Element("05", "1")), "no such identifier"),
    ((LABEL[0], Element("17", "2711301")), "a date too long"),
)


@pytest.mark.parametrize(("elements", "why"), WRONG, ids=[why for _, why in WRONG])
def test_what_would_not_read_back_is_not_drawn(elements: tuple[Element, ...], why: str) -> None:
    with pytest.raises(BadElements):
        gs1_data_matrix(elements)
    assert why


def test_a_message_without_separators_is_refused_and_not_guessed() -> None:
    with pytest.raises(BadElements):
        gs1.read("1021072911172405310100693570007182")
    assert gs1.read(f"{FNC1}0101234567891231".lstrip(FNC1)) == (Element("01", "01234567891231"),)


def test_shorter_item_numbers_are_filled_up() -> None:
    assert [gs1.gtin(one).value for one in ("02345680", "416000336108", "2112233789657", "24012345678905")] == [
        "00000002345680",
        "00416000336108",
        "02112233789657",
        "24012345678905",
    ]
    for one in ("02345680", "416000336108", "2112233789657", "24012345678905"):
        gs1.message((gs1.gtin(one),))


def test_a_plain_symbol_is_short_and_not_empty() -> None:
    for text in ("", "x" * 201):
        with pytest.raises(ValueError, match="letters"):
            data_matrix(text)
    picture = np.array(write_barcode_to_image(create_barcode("批号 1", BarcodeFormat.DataMatrix), scale=4))
    found = read_barcode(picture)
    assert found is not None
    assert found.text == "批号 1"
