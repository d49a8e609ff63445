"""Limits and units of measure as people read them, in both languages."""

from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from core.erp.catalog.limit_words import limit_of, limit_said
from core.erp.kernel.words import CHINESE, ENGLISH, Message, render
from core.web.frame.templating import Words


@dataclass(frozen=True)
class Limit:
    key: str
    op: str
    threshold: float
    kind: str
    unit: str = "Cel"
    allowance: str | None = None


HIGH = Limit("high", ">", 8.0, "consecutive")
WARM, HOT = (
    Limit("warm", ">=", 25.0, "cumulative", allowance="warmth"),
    Limit("hot", ">", 30.0, "cumulative", "%", "warmth"),
)


@pytest.mark.parametrize(
    ("key", "english", "chinese"),
    [
        ("high", "above 8 °C, in one run", "高于 8 °C，单次连续"),
        ("hot", "above 30 %, in all", "高于 30 %，累计"),
        ("allowance:warmth", "25 °C or above, in all", "25 °C 及以上，累计"),
        ("mkt", "mean kinetic temperature", "平均动力学温度"),
    ],
)
def test_the_limit_of_an_excursions_key_is_said_in_words(key: str, english: str, chinese: str) -> None:
    said = limit_said(limit_of([HIGH, WARM, HOT], key))
    assert (render(said, ENGLISH), render(said, CHINESE)) == (english, chinese)


def test_a_holds_reason_says_the_limit_and_not_its_key() -> None:
    reason = Message("quality.limit_broken", limit=limit_said(HIGH), at="2026-03-02T03:10:00+00:00")
    assert render(reason, ENGLISH) == "limit broken at 2026-03-02 03:10:00Z: above 8 °C, in one run"
    assert render(reason, CHINESE) == "2026-03-02 03:10:00Z 超出限值：高于 8 °C，单次连续"


def test_a_unit_of_measure_is_said_in_the_readers_language_and_any_other_as_it_is() -> None:
    english, chinese = (Words(language, ZoneInfo("UTC")) for language in (ENGLISH, CHINESE))
    assert (english.num(Decimal(10), "each"), chinese.num(Decimal(10), "each")) == ("10\u202feach", "10\u202f件")
    assert chinese.num(Decimal(2), "drum of 5") == "2\u202fdrum of 5"
