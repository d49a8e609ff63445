"""What is wrong with the values of a request, in words: pydantic's faults and our own (`UnfitValue`) as messages."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.erp.kernel.errors import UnfitValue
from core.erp.kernel.words import ENGLISH, Message, catalogue

_FAMILY = "value"


def misfit(fault: Mapping[str, Any]) -> Message:
    """One fault as pydantic tells it (`type`, `msg`, `ctx`). One whose kind has no words of ours is told as it came."""
    context = fault.get("ctx", {})
    error = context.get("error")
    if isinstance(error, UnfitValue):
        return error.message
    name = f"{_FAMILY}.{fault['type']}"
    known = catalogue(ENGLISH).get(name)
    if known is None or not set(known.placeholders) <= set(context):
        return Message("value.unfit", told=fault["msg"].removeprefix("Value error, "))
    return Message(name, **{key: str(context[key]) for key in known.placeholders})


def bad_request(faults: Iterable[Mapping[str, Any]]) -> tuple[Message, list[dict[str, Any]]]:
    """(what the request is told, for programs each fault: `where`, and its message)."""
    found = [("/".join(str(part) for part in fault["loc"]), misfit(fault)) for fault in faults]
    said = [Message("kernel.bad_field", where=where, what=what) for where, what in found]
    return Message("kernel.bad_request", faults=said), [{"where": where, "message": what} for where, what in found]
