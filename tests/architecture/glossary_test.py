"""The glossary and the catalogues say the same Chinese word for the same term."""

import re

import pytest

from core.erp.kernel.words import CHINESE, ENGLISH, catalogue
from tests.documents import ROOT

ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| [^|]*\|$", re.MULTILINE)
OTHERWISE = frozenset(
    {
        ("stock", "permit.stock.move"),  # the act's own word says it
        ("stock", "permit.stock.pick"),
        ("stock", "move.sublot.move"),
        ("split", "lots.transformation_unnamed"),  # as it is written
        ("merge", "lots.transformation_unnamed"),
        ("zone", "ingest.of_another_time"),  # a time zone
        ("zone", "ingest.one_time_zone"),
        ("point", "value.decimal_whole_digits"),  # of a number
        ("point", "value.whole_number"),
        ("reading", "ingest.reading_takes_long"),  # of a file
        ("role", "field.point.role"),  # what a point is for
        ("hold", "value.hidden"),  # contains
        ("site", "kernel.form_from_another_site"),  # a web site
        ("zone", "tabular.no_such_timezone"),  # a time zone
        ("zone", "kernel.no_time_zone"),  # a time zone
        ("zone", "tabular.say_timezone"),
        ("zone", "telemetry.clock_assumed"),
        ("zone", "telemetry.clock_assumed_though"),
        ("zone", "telemetry.no_time_zone"),
        ("zone", "telemetry.zone_assumed"),
        ("point", "telemetry.no_number_with_point"),  # of a number
    }
)
"""(term, id) of texts that mean something else by the word."""


def _terms() -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(term, its English forms, its Chinese words) of every row."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    found = []
    for english, chinese in ROW.findall(text):
        if english in {"term", "---"}:
            continue
        words = tuple(re.sub(r"（[^）]*）", "", word).strip() for word in chinese.split("；"))
        forms = tuple(form.strip() for form in english.split("/"))
        found.append((forms[0], forms, words))
    return found


TERMS = _terms()


def test_the_glossary_is_read() -> None:
    names = [name for name, _, _ in TERMS]
    assert len(names) == len(set(names)) > 60
    assert {"lot", "hold", "excursion", "deviation", "release", "recall", "responsible person"} <= set(names)


@pytest.mark.parametrize(("name", "forms", "words"), TERMS, ids=[name for name, _, _ in TERMS])
def test_a_term_has_its_chinese_word_wherever_it_is_said(
    name: str, forms: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said = re.compile(rf"(?<![\w.{{-])(?:{'|'.join(map(re.escape, forms))})(?![\w}}-])", re.IGNORECASE)
    chinese = catalogue(CHINESE)
    wrong = [
        (ident, text.forms[-1], chinese[ident].forms[-1])
        for ident, text in catalogue(ENGLISH).items()
        if any(said.search(form) for form in text.forms)
        and (name, ident) not in OTHERWISE
        and not any(word in chinese[ident].forms[-1] for word in words)
    ]
    assert wrong == [], f"{name}: {', '.join(words)}"
