"""Digits that are none, lines that no form sends, the calendar's ends: refused in words."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.erp.kernel.digits import whole
from core.web.records.inputs import MOST_LINES
from tests.pages import Browser, pages, text_of


@pytest.fixture(scope="module")
def pat(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    roles = ["planner", "logistics", "warehouse", "qa", "plant_engineer"]
    with pages(module_engine, tmp_path_factory.mktemp("pages"), {"pat": roles}) as found:
        yield found["pat"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("007", 7),
        ("9" * 19, 10**19 - 1),
        *((text, None) for text in ("9" * 20, "²", "٣", "", "-1", "1.0", " 1")),
    ],
)
def test_what_is_a_whole_number(text: str, number: int | None) -> None:
    assert whole(text) == number


def test_they_are_read_in_one_place() -> None:
    """`isdigit` is true of what `int` refuses."""
    root, one = Path(__file__).parents[2], "core/erp/kernel/digits.py"
    found = [
        str(path.relative_to(root))
        for room in ("core/web", "core/erp/kernel")
        for path in (root / room).rglob("*.py")
        if re.search(r"\.is(digit|decimal|numeric)\(", path.read_text())
    ]
    assert sorted(found) == [one, "core/erp/kernel/strict.py"]


@pytest.mark.parametrize("number", ["1000000", "99999999999", "²", str(MOST_LINES)])
def test_a_line_that_no_form_sends_makes_no_lines(pat: Browser, number: str) -> None:
    began = time.monotonic()
    answer = pat.client.post("/shipments/new", data={f"lines.{number}.sublot_id": "1"})
    assert answer.status_code == 422
    assert len(answer.text) < 200_000
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "path", ["/sublots?lot_id=²", "/holds?sublot_id=²", "/holds?sublot_id=٣", "/lots/new?item_id=²"]
)
def test_lists_and_forms_take_no_digits_of_others(pat: Browser, path: str) -> None:
    pat.get(path)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/holds/new", {"sublot_id": "²", "reason": "x"}),
        ("/shipments/new", {"lines.².sublot_id": "1", "code": "S"}),
        ("/shipments/new", {"lines.0.sublot_id": "²", "code": "S"}),
        ("/lots/new", {"item_id": "²", "number": "L"}),
        ("/tasks/new", {"title": "x", "due_at": "0001-01-01T00:00"}),
        ("/tasks/new", {"title": "x", "due_at": "9999-12-31T23:59-14:00"}),
    ],
)
def test_forms_refuse_in_words(pat: Browser, path: str, fields: dict[str, str]) -> None:
    answer = pat.client.post(path, data=fields)
    assert answer.status_code in {422, 404}, (answer.status_code, text_of(answer.text)[:500])


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "0001-01-01T00:00+14:00"])
def test_the_first_and_the_last_day_filter(pat: Browser, day: str) -> None:
    for half in ("due_at_from", "due_at_to"):
        assert pat.client.get("/tasks", params={half: day}).status_code == 200


def test_the_last_event_heard_is_a_number_or_nothing(pat: Browser) -> None:
    with pat.client.stream("GET", "/live", headers=[(b"Last-Event-ID", "²".encode())]) as answer:
        assert answer.status_code == 200
