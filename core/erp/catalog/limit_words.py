"""A limit of a storage profile as people read it: `above 8 °C, in one run`."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from core.erp.kernel.words import Message

UNITS = {"Cel": "°C", "%": "%", "K": "K"}
"""UCUM's units as people write them."""
_OPERATORS = {
    ">": "catalog.limit_above",
    ">=": "catalog.limit_from",
    "<": "catalog.limit_below",
    "<=": "catalog.limit_to",
}
_KINDS = {
    "instant": "catalog.limit_instant",
    "consecutive": "catalog.limit_run",
    "cumulative": "catalog.limit_total",
}


class WrittenLimit(Protocol):
    """A limit as its table has it."""

    @property
    def key(self) -> str:
        """By what its profile knows it."""

    @property
    def unit(self) -> str:
        """UCUM."""

    @property
    def op(self) -> str:
        """>, >=, < or <=."""

    @property
    def threshold(self) -> float:
        """In its unit."""

    @property
    def kind(self) -> str:
        """How time out of it adds up."""

    @property
    def allowance(self) -> str | None:
        """Which budget it shares."""


L = TypeVar("L", bound=WrittenLimit)


def limit_of(limits: Iterable[L], key: str) -> L | None:
    """The limit that an excursion's key names: its own, or the first of those that share an allowance."""
    shared = key.removeprefix("allowance:")
    return next((one for one in limits if one.key == key or (shared != key and one.allowance == shared)), None)


def limit_said(limit: WrittenLimit | None, value: str = "") -> Message:
    """What the limit forbids, its `value` as the reader writes it; that the limit is of a mean, where none of the
    profile's own has the key.
    """
    if limit is None:
        return Message("catalog.limit_mean")
    value = value or f"{limit.threshold:g} {UNITS.get(limit.unit, limit.unit)}"
    return Message(_KINDS[limit.kind], what=Message(_OPERATORS[limit.op], value=value))
