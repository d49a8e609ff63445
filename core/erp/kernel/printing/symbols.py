"""Two-dimensional symbols for labels, as SVG: a GS1 DataMatrix of elements, or a plain one of a text."""

from collections.abc import Sequence

from zxingcpp import BarcodeFormat, create_barcode, write_barcode_to_svg

from core.erp.kernel import gs1_elements as gs1

LONGEST = 200
"""Letters of a plain symbol: a label's field has no room for more."""


def gs1_data_matrix(elements: Sequence[gs1.Element]) -> str:
    """The symbol with FNC1 in front (a scanner says `]d2`), with its quiet zone. Raises gs1_elements.BadElements."""
    gs1.message(elements)  # refuses what would not read back
    content = "".join(f"[{element.ai}]{element.value}" for element in elements)
    # square: the rectangular forms of ISO 21471 are no GS1 DataMatrix (a scanner says ]d8)
    symbol = create_barcode(content, BarcodeFormat.DataMatrix, gs1=True, force_square=True)
    return str(write_barcode_to_svg(symbol))


def data_matrix(text: str) -> str:
    """The symbol of a text that is no GS1 message. Raises ValueError for none, and for a long one."""
    if not 0 < len(text) <= LONGEST:
        raise ValueError(f"a symbol holds 1 to {LONGEST} letters")
    return str(write_barcode_to_svg(create_barcode(text, BarcodeFormat.DataMatrix, force_square=True)))
