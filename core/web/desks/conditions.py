"""Conditions on use, as their reader reads them."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from core.web.frame.templating import Words

_SAID = {
    ("market", "only"): "web.only_markets",
    ("market", "except"): "web.not_markets",
    ("customer", "only"): "web.only_customers",
    ("customer", "except"): "web.not_customers",
}


def condition_said(words: Words) -> Callable[[Mapping[str, Any]], str]:
    """What says a condition (`kind`, `value`): `Only for markets: DE, AT`."""

    def said(condition: Mapping[str, Any]) -> str:
        kind, value = str(condition["kind"]), condition["value"]
        ((which, given),) = value.items()
        name = words.t(_SAID[kind, which]) if (kind, which) in _SAID else words.label(f"restriction.{kind}")
        return words.t("web.condition_is", name=name, value=words.listed(_values(words, kind, given)))

    return said


def _values(words: Words, kind: str, given: Any) -> list[str]:
    shown = given if isinstance(given, list) else [given]
    if kind == "purpose":
        return [words.t(f"purpose.{one}") for one in shown]
    if kind == "use_by":
        return [words.day(date.fromisoformat(one)) for one in shown]
    if kind == "remaining_life":
        return [words.t("web.days", n=one) for one in shown]
    return [str(one) for one in shown]
