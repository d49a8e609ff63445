"""Lists as files, and the page on which records are made of one: tried, mapped, imported once, undone."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.service import create_site, create_zone
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.unit import system, unit
from core.ingest.file_import import FileImporter
from core.wiring import build_events
from tests.pages import Browser, filled, pages, text_of
from tests.services.tabular_world import csv_of

GOOD = csv_of(["Code", "Name", "Timezone"], ["north", "North", "Europe/Berlin"], ["south", "Süd", "Asia/Shanghai"])
OTHER = csv_of(["Artikel", "Benennung", "Zone", "Farbe"], ["west", "West", "Europe/Berlin", "red"])


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    with unit(module_engine, system("test"), build_events()) as u:
        site = create_site(u, "suzhou", "Suzhou plant", "Asia/Shanghai").id
        create_zone(u, site, "suzhou/cold/room-1", "Cold room 1")
        create_site(u, "harbin", "Harbin plant", "Asia/Shanghai")
    roles, take = {"ada": ["admin"], "bea": ["buyer"], "lou": ["logistics"]}, FileImporter(live=False)
    with pages(module_engine, tmp_path_factory.mktemp("pages"), roles, take=take) as found:
        yield found


def hand_in(one: Browser, content: str, status: int = 200, act: str = "try", **fields: object) -> str:
    """The page that a file is answered with, or where it leads."""
    form = {**filled(one.form("/sites/import")), "act": act, **fields}
    answer = one.client.post("/sites/import", data=form, files={"file": ("sites.csv", content.encode())})
    assert answer.status_code == status, text_of(answer.text)[:1500]
    return answer.headers["location"] if status == 303 else answer.text


def sites(engine: Engine) -> set[str]:
    with engine.connect() as conn:
        return set(conn.scalars(text("SELECT code FROM site")))


def test_a_file_is_tried_and_nothing_kept_and_then_imported_once(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    ada = people["ada"]
    tried = hand_in(ada, GOOD)
    assert "2 records" in text_of(tried)
    assert "Süd" in tried
    assert "north" not in sites(module_engine)
    key = re.search('name="_key" value="([^"]+)"', tried)
    assert key is not None
    at = hand_in(ada, GOOD, 303, "import", _key=key[1])
    assert hand_in(ada, GOOD, 303, "import", _key=key[1]) == at
    assert {"north", "south"} <= sites(module_engine)
    assert "sites.csv" in ada.get(at)
    assert "was imported" in text_of(hand_in(ada, GOOD, 409, "import"))


def test_columns_that_are_not_known_are_said_and_remembered(people: dict[str, Browser], module_engine: Engine) -> None:
    ada = people["ada"]
    page = hand_in(ada, OTHER)
    assert "nothing would be imported" in text_of(page)
    headings = re.findall('name="heading" value="([^"]+)"', page)
    assert headings == ["Artikel", "Benennung", "Zone", "Farbe"]
    said: dict[str, Any] = {"heading": headings, "field": ["code", "name", "timezone", "-"]}
    assert "1 records" in text_of(hand_in(ada, OTHER, **said))
    hand_in(ada, OTHER, 303, "import", **said)
    assert "west" in sites(module_engine)
    again = hand_in(ada, OTHER.replace("west", "east"))
    assert "Columns as ada said them" in text_of(again)
    assert "1 records" in text_of(again)
    # columns of the file before say nothing of this one
    assert "2 records" in text_of(hand_in(ada, GOOD.replace("north", "n2").replace("south", "s2"), **said))


def test_bad_lines_are_told_by_number_and_the_good_ones_may_be_imported(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    bad = csv_of(["Code", "Name", "Timezone"], ["fine", "Fine", "UTC"], ["bad", "Bad", "Nowhere/City"])
    page = hand_in(people["ada"], bad)
    assert re.search(r'<th scope="row" class="num">3</th>', page)
    assert "nothing would be imported" in text_of(page)
    assert "fine" not in sites(module_engine)
    assert "1 records" in text_of(hand_in(people["ada"], bad, mode="good"))
    hand_in(people["ada"], bad, 303, "import", mode="good")
    assert "fine" in sites(module_engine)


def test_what_is_no_table_is_refused_in_words(people: dict[str, Browser]) -> None:
    ada = people["ada"]
    assert "Choose a file" in text_of(ada.client.post("/sites/import", data={"act": "try"}).text)
    answer = ada.client.post("/sites/import", data={}, files={"file": ("a.xlsx", b"PK\x03\x04nothing")})
    assert answer.status_code == 422
    assert "<h1" in answer.text
    hostile = hand_in(ada, csv_of(["<script>alert(1)</script>", "Code"], ["<img src=x>", "x"]))
    assert "<script>alert" not in hostile
    assert "<img" not in hostile


def test_an_import_of_its_own_permit_only(people: dict[str, Browser]) -> None:
    assert people["bea"].client.get("/sites/import").status_code == 403
    assert people["bea"].client.post("/sites/import", data={}).status_code == 403
    assert 'href="/sites/import"' not in people["bea"].get("/sites")


def test_every_kind_that_comes_of_tables_has_the_page_and_its_template(people: dict[str, Browser]) -> None:
    seen = 0
    for entity in entities().values():
        answer = people["ada"].client.get(f"/{entity.path}/import")
        if importable_of(entity) is None:
            assert answer.status_code == 404, entity.name
        elif answer.status_code == 200:
            seen += 1
            template = people["ada"].client.get(f"/{entity.path}/import/template")
            assert template.headers["content-type"].startswith("text/csv")
            assert template.text.strip()
    assert seen > 5


def test_a_list_is_a_file_with_its_filters_and_no_file_of_a_filter_that_cannot_be(people: dict[str, Browser]) -> None:
    ada = people["ada"]
    link = re.search(r'href="(/sites\.csv[^"]*)"', ada.get("/sites?q=suz"))
    assert link is not None
    answer = ada.client.get(link[1].replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert "suzhou" in answer.text
    assert "harbin" not in answer.text
    assert ada.client.get("/zones.csv?state=nonsense").status_code == 422
    nothing = ada.client.get("/zones.csv?site_id=999999999999999999999").text
    assert len(nothing.splitlines()) == 1, "a site that cannot be has no zones: the heading alone"
    xlsx = ada.client.get("/sites.xlsx")
    assert xlsx.content.startswith(b"PK")


def test_of_a_recorders_table_of_no_known_form_column_unit_and_dates_are_said(people: dict[str, Browser]) -> None:
    lou, rows = people["lou"], b"01.06.2026 10:00;41,5;x\n01.06.2026 10:10;41,9;y\n01.06.2026 10:20;42,1;z\n"
    fields = {"target": "zone", "called": "suzhou/cold/room-1", "serial": "L-1", "timezone": "UTC", "act": "try"}

    def tried(**said: object) -> tuple[int, str]:
        answer = lou.client.post("/loggers/import", data=fields | said, files={"file": ("odd.csv", rows)})
        return answer.status_code, text_of(answer.text)

    assert tried()[0] == 422
    said = {
        "value_column": ["2", "", ""],
        "value_quantity": ["temperature"] * 3,
        "value_unit": ["[degF]", "", ""],
        "time_columns": "1",
        "delimiter": ";",
        "decimal": ",",
        "date_form": "dmy",
    }
    status, page = tried(**said)
    assert status == 200, page[-1500:]
    assert "3 readings" in page
    assert "no column '9'" in tried(**said | {"value_column": ["9", "", ""]})[1]


def test_how_far_a_long_file_is_is_told_while_it_goes_on(people: dict[str, Browser], module_engine: Engine) -> None:
    ada, rows = (
        people["ada"],
        csv_of(["Code", "Name", "Timezone"], *[[f"far{i}", f"Far {i}", "UTC"] for i in range(1100)]),
    )
    form = {**filled(ada.form("/sites/import")), "act": "import"}
    files = {"file": ("far.csv", rows.encode())}
    answer = ada.client.post("/sites/import", data=form, files=files, headers={"x-progress": "1"}, timeout=120)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [(one["done"], one["of"]) for one in told[:-1]] == [(500, 1100), (1000, 1100), (1100, 1100)]
    assert re.fullmatch(r"/import-runs/\d+", told[-1]["to"])
    assert "far1099" in sites(module_engine)
    bad = ada.client.post("/sites/import", data=form, files={"file": ("a.xlsx", b"PK")}, headers={"x-progress": "1"})
    assert "<h1" in json.loads(bad.text.splitlines()[-1])["page"]
