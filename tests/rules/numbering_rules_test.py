"""Numbers that people read: which patterns are none, and that no two numbers look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.kernel.numbering.rules import Series

PATTERNS = (
    "CAPA-{year}-{n:04}",
    "{n}",
    "C{n:06}",
    "{site}-{n:04}",
    "{site}/{year}/{n}",
    "{n:04}-{site}-{year}",
    "{year}{n:05}",
    "{site}{year}-{n}",
    "A1{n}",
)
NONE = (
    "",
    "CAPA",
    "CAPA-{year}",
    "{n}-{n}",
    "{year}-{year}-{n}",
    "{site}{n}",
    "{n}{site}",
    "{site}1{n}",
    "{site}{year}{n}",
    "{n:4}",
    "{n:x}",
    "{n!r:04}",
    "{year:02}-{n}",
    "{lot}-{n}",
    "{}-{n}",
    "{0}-{n}",
    "{n.real}",
    "{n",
    "n}",
)


def test_numbers_as_people_read_them() -> None:
    assert Series("capa", "CAPA-{year}-{n:04}").render(7, year=2026) == "CAPA-2026-0007"
    assert Series("capa", "CAPA-{year}-{n:04}").render(12345, year=2026) == "CAPA-2026-12345"
    assert Series("ncr", "{site}-NCR-{n:03}").render(7, site="zrh", year=2026) == "zrh-NCR-007"
    assert Series("x", "{{{n}}}").render(7) == "{7}"


@pytest.mark.parametrize("pattern", NONE)
def test_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="series x"):
        Series("x", pattern)


@pytest.mark.parametrize("name", ["", "Capa", "a-b", "1a", "a;drop table x", "ä"])
def test_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="names no series"):
        Series(name, "{n}")


def test_a_pattern_that_wants_a_site_or_a_year_gets_one() -> None:
    series = Series("x", "{site}-{year}-{n}")
    for site, year in (("", 2026), (" ", 2026), ("a", 0), ("a", 1999), ("a", 2200)):
        with pytest.raises(ValueError, match="series x"):
            series.render(1, site=site, year=year)
    with pytest.raises(ValueError, match="counts from 1"):
        series.render(0, site="a", year=2026)
    assert Series("x", "{n}").scope("a", 2026) == ("", 0)
    assert series.scope("a", 2026) == ("a", 2026)


CODES = st.text(alphabet="ab01-/", min_size=1, max_size=4)
KEYS = st.tuples(CODES, st.integers(2000, 2199), st.integers(1, 20000))


@given(st.sampled_from(PATTERNS), KEYS, KEYS)
def test_no_two_numbers_of_a_series_look_alike(
    pattern: str, one: tuple[str, int, int], other: tuple[str, int, int]
) -> None:
    series = Series("x", pattern)
    counted = [(series.scope(site, year), n) for site, year, n in (one, other)]
    texts = [series.render(n, site=site, year=year) for site, year, n in (one, other)]
    assert (texts[0] == texts[1]) == (counted[0] == counted[1])
