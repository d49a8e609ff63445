"""What people, scanners and other programs put into addresses and forms: never an error of ours, never more work than
what was sent.
"""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine

from core.erp.kernel.records.filters import parameters
from core.erp.kernel.records.registry import entities
from core.erp.kernel.sessions.cookies import UNASKED
from core.web.frame.routes import PageRoute
from core.web.records.inputs import kind_of
from tests.pages import Browser, Importer, pages
from tests.world import OVER_8_FOR_60, at, every, judging

HOSTILE = (
    "²",
    "9" * 19,
    "9" * 400 + " d",
    "0001-01-01T00:00",
    "9999-12-31T23:59:59-12:00",
    "\x00",
)
WRITTEN = ("²", "9" * 4500, "0001-01-01T00:00", "9999-12-31T23:59:59-12:00", "\x00")
"""What is written into every form: of each kind of value that one that Python reads and nothing else does."""
BROKEN = "%ff%00"
"""What is no UTF-8."""
NUMBERS = ("²", "99999999999", "999999999999999999", "9" * 4500, "-1")
"""Of lines of a table."""
PEOPLE = {
    "quinn": ["qa", "responsible_person", "warehouse", "planner", "logistics", "buyer", "sales", "plant_engineer"],
    "adam": ["admin", "auditor"],
}


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    world = judging(module_engine)
    room = world.zone("room", band_low=2.0, band_high=8.0)
    world.sublot(world.item(OVER_8_FOR_60), room, at("00:00"))
    world.feed("room", every(5, at("00:00"), at("03:00"), 12.0), upto=at("03:00"))
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE, take=Importer()) as found:
        _pages.cache_clear()
        yield found


@cache
def _pages(one: Browser) -> dict[str, set[str]]:
    """Every page that is read, of a record that is there where there is one; with what it may be asked."""
    ids = {entity.path: _first(one, entity.path) for entity in entities().values()}
    asked: dict[str, set[str]] = {}
    for page in one.app.router.routes:
        if isinstance(page, PageRoute) and "GET" in (page.methods or ()) and "/live" not in page.path:
            path = re.sub(r"\{[^}]*\}", ids.get(page.path.split("/")[1], "1"), page.path)
            asked[path] = set(inspect.signature(page.endpoint).parameters) - {"visit", "request"}
    for entity in entities().values():
        asked[f"/{entity.path}"] = {*parameters(entity), "sort", "q", "rows", "columns", "cursor"}
        for where, model in _forms(entity, ids[entity.path]):
            asked[where] = set(model.model_fields) if model is not None else set()
            asked[where] |= {"record", "back", "key"} if "/many/" in where else set()
    return asked


@cache
def _first(one: Browser, path: str) -> str:
    found = re.search(rf'href="/{path}/(\d+)"', one.client.get(f"/{path}").text)
    return found[1] if found is not None else "1"


def _forms(entity: Any, record: str) -> Iterator[tuple[str, type[BaseModel] | None]]:
    if entity.create is not None:
        yield f"/{entity.path}/new", entity.create.body
    for verb in entity.verbs:
        yield f"/{entity.path}/{record}/{verb.address}", entity.form(verb)
        yield f"/{entity.path}/many/{verb.address}", entity.form(verb)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:30]))
def test_no_address_makes_an_error_of_ours(people: dict[str, Browser], value: str) -> None:
    wrong, closed = [], set(_pages(people["quinn"]))
    for login, one in people.items():
        for path in sorted(closed):
            query = urlencode(
                [*((name, value) for name in sorted(_pages(one)[path])), ("from", value), ("span", value)]
            )
            status = one.client.get(f"{path}?{query}").status_code
            if status != 403:
                closed.discard(path)
            if status >= 500:
                wrong.append((login, path, status))
    assert wrong == []
    assert closed == set()


def test_an_address_that_is_no_text_makes_none(people: dict[str, Browser]) -> None:
    one = people["quinn"]
    addresses = [f"{path}?" + "&".join(f"{name}={BROKEN}" for name in names) for path, names in _pages(one).items()]
    assert [path for path in addresses if one.client.get(path).status_code >= 500] == []


@pytest.mark.parametrize("value", WRITTEN, ids=lambda value: ascii(value[:30]))
def test_no_form_makes_an_error_of_ours(people: dict[str, Browser], value: str) -> None:
    wrong = []
    for entity in entities().values():
        for path, model in _forms(entity, _first(people["quinn"], entity.path)):
            fields = dict(_fields(entity, model, value)) | {"record": value, "_seen": f"{value}:{value}"}
            for login, one in people.items():
                status = one.client.post(path, data={**fields, "_version": value}).status_code
                if status >= 500:
                    wrong.append((login, path, status))
                if status != 403:
                    break
    assert wrong == []


def _fields(entity: Any, model: type[BaseModel] | None, value: str) -> Iterator[tuple[str, str]]:
    for name, info in model.model_fields.items() if model is not None else ():
        kind, leaf = kind_of(entity, name, info)
        if kind == "table":
            yield from ((f"{name}.{number}.{part}", value) for number in NUMBERS for part in leaf.model_fields)
        elif kind == "group":
            yield from ((f"{name}.{part}", value) for part in leaf.model_fields)
        yield name, value


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
def test_a_line_far_below_makes_no_lines_above_it(people: dict[str, Browser], number: str) -> None:
    """One field `lines.99999999999.sublot_id` made as many lines, until the memory was full."""
    answer = people["quinn"].client.post("/shipments/new", data={f"lines.{number}.sublot_id": "S", "code": "SH-1"})
    assert answer.status_code == 422
    assert len(re.findall('class="line"', answer.text)) <= 1
    assert "SH-1" in answer.text


def test_one_line_more_is_one_behind_the_last(people: dict[str, Browser]) -> None:
    sent = {"lines.0.sublot_id": "first", "lines.4.sublot_id": "second", "_more": "lines"}
    page = people["quinn"].client.post("/shipments/new", data=sent).text
    assert re.findall(r'name="(lines\.\d+\.sublot_id)"', page) == [f"lines.{one}.sublot_id" for one in range(6)]


@pytest.mark.parametrize("heard", ["²", "9" * 5000, "-1", "x"])
def test_a_stream_is_opened_whatever_was_heard_last(people: dict[str, Browser], heard: str) -> None:
    asked = {b"last-event-id": heard.encode()}
    with people["quinn"].client.stream("GET", "/live", headers=asked) as answer:
        assert answer.status_code == 200
    for path in ("/plant", "/live/alive"):
        told = people["quinn"].client.get(path, headers={UNASKED.encode(): heard.encode()})
        assert told.status_code < 500


def test_the_connection_ends_in_order_behind_what_nobody_foresaw(
    people: dict[str, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends it anyway: who was not told so sent the next request into a closed one."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    one = people["quinn"]
    monkeypatch.setattr("core.web.records.lists.Listing.asked", broken)
    for _ in range(20):
        answer = one.client.get("/sublots")
        assert (answer.status_code, answer.headers["connection"]) == (500, "close")
        assert one.client.get("/live/alive").status_code == 204


def test_what_is_asked_reaches_the_page_as_it_was_written(people: dict[str, Browser]) -> None:
    page = people["quinn"].client.get(f"/tasks?due_at_from={quote('0001-01-01')}").text
    assert 'value="0001-01-01"' in page
