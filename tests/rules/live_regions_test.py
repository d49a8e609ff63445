"""Regions of pages name what there is: one that waits for a change nobody tells of is never read again."""

import re
from pathlib import Path

import pytest

from core.erp.kernel.live.topics import permits_of_kinds

TEMPLATES = Path(__file__).parents[2] / "core" / "web" / "templates"
REGIONS = sorted(
    (path.relative_to(TEMPLATES).as_posix(), words)
    for path in TEMPLATES.rglob("*.html")
    for words in re.findall(r'data-live="([^"]*)"', path.read_text())
)


@pytest.mark.parametrize(("template", "words"), REGIONS)
def test_a_region_waits_for_kinds_that_are_told(template: str, words: str) -> None:
    kinds = set(permits_of_kinds())
    plain = [word for word in words.split() if ":" not in word and "{" not in word]
    assert [word for word in plain if not {word, word.removesuffix("s")} & kinds] == [], template


def test_there_are_regions() -> None:
    assert len(REGIONS) > 5
