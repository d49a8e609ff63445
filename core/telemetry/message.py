"""A message: an id and its parameters, before it is put into anybody's language."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias, Union

ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
"""A message's id: the module, or the family, and a name."""

Parameter: TypeAlias = Union[str, int, float, Decimal, date, datetime, "Message", Sequence["Parameter"]]
"""What a message may be given. People's own words are a str."""


@dataclass(frozen=True, slots=True, init=False)
class Message:
    """`Message("lots.sublot_held", code="S-1", since=at)`: what is said, in whatever language is asked for."""

    id: str
    params: Mapping[str, Parameter]

    def __init__(self, id: str, /, **params: Parameter) -> None:  # noqa: A002 - the word the wire has for it
        if not ID.fullmatch(id):
            raise ValueError(f"{id!r} is no message id")
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "params", params)

    def __hash__(self) -> int:
        return hash(self.id)

    def as_json(self) -> dict[str, Any]:
        """As the wire and the tables carry it: {"id": …, "params": {…}}, times as ISO 8601 UTC, decimals as text."""
        return {"id": self.id, "params": {name: _plain(value) for name, value in self.params.items()}}


def plain_number(value: Decimal) -> str:
    """A decimal as text: every digit, no exponent, no zeros behind."""
    return format(value.normalize(), "f")


def _plain(value: Parameter) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    if isinstance(value, Decimal):
        return plain_number(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    return value if isinstance(value, (int, float)) else [_plain(one) for one in value]


def from_json(found: Mapping[str, Any]) -> Message:
    """The message that `as_json` wrote. Times, dates and numbers come back as text; what they are, their placeholder
    says (`{since:time}`).
    """
    return Message(found["id"], **{name: _parameter(value) for name, value in found["params"].items()})


def sentence(text: str, kept: Mapping[str, Any] | None) -> str | Message:
    """A sentence of a table to be said in another: what the system wrote, or people's words as they are.

    `text` is the column of that name, `kept` the one beside it (`NAME_message`).
    """
    return text if kept is None else from_json(kept)


def _parameter(value: Any) -> Parameter:
    if isinstance(value, Mapping):
        return from_json(value)
    if isinstance(value, list):
        return [_parameter(one) for one in value]
    return value if isinstance(value, (int, float, Decimal)) else str(value)
