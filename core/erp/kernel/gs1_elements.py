"""GS1 element strings: what a label says by application identifiers, as a symbol carries it and as people read it.

`biip` knows the identifiers and their forms. What is written is read back before anybody may print it: a message that
reads as something else (a value too long for its identifier, one that holds a separator, a wrong check digit) is none.
It is imported when the first message is read or written: its tables of prefixes take longer than all else of this room.
(GS1 General Specifications; the values of facts are those of the public syntax engine.)
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

FNC1 = "\x1d"
"""What ends a value of variable length that others follow (ASCII 29)."""
_DIGITS = 14
_DATES = frozenset({"11", "12", "13", "15", "16", "17"})
_KEYS = frozenset({"01", "02", "8006", "8026"})
_NEED_A_KEY = frozenset({"10", "11", "13", "15", "16", "17", "21", "240", "241", "30"})
_APART = (("01", "02"), ("01", "37"), ("235", "21"))


class BadElements(ValueError):
    """These elements make no message that reads back as them; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Element:
    """An application identifier and its value: `Element("10", "B7240")` is lot B7240."""

    ai: str
    value: str


def gtin(number: str) -> Element:
    """The trade item of a GTIN of 8, 12, 13 or 14 digits."""
    return Element("01", number.zfill(_DIGITS))


def expiry(day: date) -> Element:
    """The last day on which it may be used."""
    return Element("17", f"{day:%y%m%d}")


def message(elements: Sequence[Element]) -> str:
    """The message as a symbol carries it, without the FNC1 in front. Raises BadElements."""
    _check(elements)
    text = ""
    for place, element in enumerate(elements):
        text += element.ai + element.value
        if place + 1 < len(elements) and _is_variable(element.ai):
            text += FNC1
    if read(text) != tuple(elements):
        raise BadElements(f"{readable(elements)} would be read as {readable(read(text))}")
    return text


def read(text: str) -> tuple[Element, ...]:
    """The elements of a scanned message, without a symbology identifier in front. Raises BadElements."""
    from biip import ParseError
    from biip.gs1_messages import GS1Message

    try:
        found = GS1Message.parse(text).element_strings
    except ParseError as error:
        raise BadElements(str(error)) from error
    for one in found:
        wrong = one.gtin_error or one.sscc_error or one.gln_error
        if wrong is not None:
            raise BadElements(wrong)
        if one.ai.ai in _DATES and one.date is None:
            raise BadElements(f"({one.ai.ai}){one.value} is no date")
    return tuple(Element(one.ai.ai, one.value) for one in found)


def readable(elements: Sequence[Element]) -> str:
    """As it is printed for people below a symbol: `(01)06935718600010(10)B7240`."""
    return "".join(f"({element.ai}){element.value}" for element in elements)


def _check(elements: Sequence[Element]) -> None:
    said = {element.ai for element in elements}
    if not elements or any(count > 1 for count in Counter(element.ai for element in elements).values()):
        raise BadElements("a message has elements, each identifier once")
    for one, other in _APART:
        if {one, other} <= said:
            raise BadElements(f"({one}) and ({other}) do not stand together")
    if "02" in said and not {"00", "37"} <= said:
        raise BadElements("(02) needs (00) and (37)")
    if said & _NEED_A_KEY and not said & _KEYS:
        raise BadElements(f"({min(said & _NEED_A_KEY)}) needs a trade item: (01)")


def _is_variable(ai: str) -> bool:
    """Whether the identifier's values end by a separator."""
    from biip import ParseError
    from biip.gs1_application_identifiers import GS1ApplicationIdentifier

    try:
        return GS1ApplicationIdentifier.extract(ai).separator_required
    except ParseError as error:
        raise BadElements(f"({ai}) is no application identifier") from error
