"""Every page that somebody is led to opens in both languages, says no message's id, in Chinese nothing in English, and
carries no style or script of its own.
"""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from core.erp.kernel.permits import INSIDE
from core.erp.kernel.records.registry import entities
from core.erp.kernel.words import CHINESE, ENGLISH, catalogue
from core.telemetry.catalogue import PLACEHOLDER
from core.web.desks.simulators.port import Asked
from core.web.frame.navigation import GROUPS, Place
from tests.pages import Browser, Importer, pages, text_of
from tests.simulating import FakeSimulators, NoSources
from tests.world import OVER_8_FOR_60, at, every, judging

RAW = re.compile(r"\b(web|field|state|records?|choice|move|filter|permit|role|purpose)\.[a-z_]+(\.[a-z_]+)*\b")
ATTRIBUTES = re.compile(r' (?:title|placeholder|aria-label|data-l)="([^"]+)"')
FURTHER = (
    "/patterns",
    "/setup/profiles/1/preview",
    "/charts/zones/1/readings",
    "/zones/1",
    "/sublots/1",
    "/find?q=room",
)
"""Pages that no list leads to."""
NOT_AN_AUDITORS = (
    ("tester", "/simulators"),
    ("tester", "/simulators/scenarios/cold_room_failure"),
    ("tester", "/simulators/scenarios/all_faults"),
    ("tester", "/simulators/runs/00000000"),
    ("plant_engineer", "/setup/sources"),
)
"""Pages that an auditor may not open."""
PEOPLE = {role.value: [role.value] for role in INSIDE if role.value != "display"}


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    world = judging(module_engine)
    room = world.zone("room", band_low=2.0, band_high=8.0)
    world.sublot(world.item(OVER_8_FOR_60), room, at("00:00"))
    world.feed("room", every(5, at("00:00"), at("03:00"), 12.0), upto=at("03:00"))
    simulators, folder = FakeSimulators(), tmp_path_factory.mktemp("pages")
    simulators.start("00000000", Asked("cold_room_failure"), "tester")
    beside: dict[str, Any] = {"take": Importer(), "simulators": simulators, "sources": NoSources()}
    with pages(module_engine, folder, PEOPLE, **beside) as found:
        yield found


def english_in(page: str) -> set[str]:
    """What a Chinese page says in English although there is Chinese for it. Single small words are codes of records."""
    bare = re.sub(r"(?s)<(script|style|svg).*?</\1>", " ", page)
    texts = {html.unescape(one).strip() for one in re.findall(r">([^<>]+)<", bare) + ATTRIBUTES.findall(bare)}
    said = {one.casefold() for one in texts if " " in one or one[:1].isupper()}
    return said & _ENGLISH


def _in_english() -> Iterator[str]:
    chinese = catalogue(CHINESE)
    for name, template in catalogue(ENGLISH).items():
        for text in template.forms:
            if not PLACEHOLDER.search(text) and text not in chinese[name].forms:
                yield text.casefold()


_ENGLISH = set(_in_english()) - {role.replace("_", " ") for role in PEOPLE}
"""Every text without parameters; not what the people of this test are called."""


def _addresses() -> list[str]:
    places = [one for _, group in GROUPS for one in group]
    led_to = {one.address if isinstance(one, Place) else f"/{entities()[one].path}" for one in places}
    return sorted(
        {*led_to, *(f"/{entity.path}" for entity in entities().values())} - {"/loggers/import", "/simulators"}
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_list_and_desk_opens_in_the_language(people: dict[str, Browser], language: str) -> None:
    wrong = []
    asked = [("auditor", address) for address in (*_addresses(), *FURTHER)]
    for login in ("auditor", *{login for login, _ in NOT_AN_AUDITORS}):
        people[login].client.post("/language", data={"language": language, "back": "/"})
    for login, address in (*asked, *NOT_AN_AUDITORS):
        answer = people[login].client.get(address)
        raw = RAW.search(text_of(answer.text))
        styled = re.search(r"<[^>]+ (?:style|on[a-z]+)=", answer.text)
        english = english_in(answer.text) if language == CHINESE else set()
        if answer.status_code != 200 or raw or styled or english or len(re.findall("<h1", answer.text)) != 1:
            wrong.append((address, answer.status_code, raw, styled, english))
    assert wrong == []


def test_every_list_has_a_heading_above_each_of_its_columns(people: dict[str, Browser]) -> None:
    wrong, rows = [], 0
    for entity in entities().values():
        page = people["auditor"].get(f"/{entity.path}?sort=")
        table = re.search(r"<thead>(.*?)</thead><tbody>(.*?)</tr>", page, re.DOTALL)
        if table is None:
            continue
        heads, cells = (len(re.findall(r"<t[hd][ >]", part)) for part in table.groups())
        rows += 1
        if heads != cells:
            wrong.append((entity.name, heads, cells))
    assert wrong == []
    assert rows > 8


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_record_that_is_there_opens_in_the_language(people: dict[str, Browser], language: str) -> None:
    auditor = people["auditor"]
    auditor.client.post("/language", data={"language": language, "back": "/"})
    wrong, opened = [], 0
    for entity in entities().values():
        link = re.search(rf'href="(/{entity.path}/\d+)"', auditor.client.get(f"/{entity.path}").text)
        if link is None:
            continue
        answer = auditor.client.get(link[1])
        opened += 1
        raw = RAW.search(text_of(answer.text))
        english = english_in(answer.text) if language == CHINESE else set()
        if answer.status_code != 200 or raw or english:
            wrong.append((link[1], answer.status_code, raw, english))
    assert wrong == []
    assert opened > 8


def test_english_on_a_chinese_page_is_found() -> None:
    page = '<h1>设置</h1><p>Nothing needs you now.</p><td data-l="Reason">alarm</td><b>工单</b>'
    assert english_in(page) == {"nothing needs you now.", "reason"}


@pytest.mark.parametrize("role", sorted(PEOPLE))
def test_everybody_has_a_front_page_and_no_link_that_is_closed_to_them(people: dict[str, Browser], role: str) -> None:
    one = people[role]
    page = one.get("/")
    nav = re.search(r'<nav id="nav".*?</nav>', page, re.DOTALL)
    assert nav is not None
    closed = [
        (path, status)
        for path in re.findall(r'href="(/[^"#]*)"', nav[0])
        if (status := one.client.get(path).status_code) != 200
    ]
    assert closed == []


def test_every_form_that_admin_and_qa_may_fill_opens(people: dict[str, Browser]) -> None:
    wrong = []
    for login in ("admin", "qa", "warehouse", "planner", "logistics"):
        for entity in entities().values():
            answer = people[login].client.get(f"/{entity.path}/new")
            if entity.create is None or answer.status_code == 403:
                continue
            raw = RAW.search(text_of(answer.text))
            if answer.status_code != 200 or raw:
                wrong.append((login, entity.path, answer.status_code, raw))
    assert wrong == []
