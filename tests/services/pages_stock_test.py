"""The stock desk: goods for a purpose, with what stands against each; holds and conditions put and lifted there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core.erp.catalog.service import create_site
from core.erp.kernel.access.users import Place
from core.erp.kernel.auth import now_utc
from core.erp.kernel.unit import system, unit
from core.erp.lots import service as lots
from core.web.desks.stock import finding
from core.wiring import build_events
from tests.pages import Browser, filled, pages, text_of
from tests.services.quality_plant import Plant, at, build

ROLES = {"qa": ["qa"], "wh": ["warehouse"], "far": ["warehouse"]}


@dataclass(frozen=True)
class Desk:
    plant: Plant
    people: dict[str, Browser]

    def goods(self, **more: Any) -> tuple[int, str]:
        sublot = self.plant.goods(**more)
        return sublot, str(self.plant.one("SELECT code FROM sublot WHERE id = :s", s=sublot))

    def row(self, code: str, query: str = "", who: str = "qa") -> str:
        page = self.people[who].get(f"/stock?{query}")
        found = re.search(rf"<tr>(?:(?!</tr>).)*>{code}</a>.*?</tr>", page, re.DOTALL)
        assert found is not None, text_of(page)[:3000]
        return text_of(found[0])

    def send(self, path: str, address: str, **fields: Any) -> str:
        """The form on many, filled and sent; what came of it."""
        qa = self.people["qa"].client
        page = qa.get(path, follow_redirects=True).text
        form = re.search(rf'<form[^>]*action="{re.escape(address)}".*?</form>', page, re.DOTALL)
        assert form is not None, text_of(page)[:2000]
        answer = qa.post(address, data={**filled(form[0]), **fields}, follow_redirects=True)
        assert answer.status_code == 200, text_of(answer.text)[:2000]
        return answer.text


@pytest.fixture(scope="module")
def desk(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    yield from build_desk(module_engine, tmp_path_factory.mktemp("pages"))


def build_desk(engine: Engine, folder: Path) -> Iterator[Desk]:
    plant = build(engine)
    with unit(engine, system("test"), build_events()) as u:
        elsewhere = create_site(u, "berlin", "Berlin depot", "Europe/Berlin").id
    for zone in ("room-a", "room-b"):
        plant.alive(zone, now_utc() + timedelta(days=1))
    with pages(engine, folder, ROLES, {"far": Place((elsewhere,))}) as people:
        yield Desk(plant, people)


def test_what_stands_against_goods_is_of_the_purpose_asked(desk: Desk) -> None:
    (_, released), (_, waits) = desk.goods(), desk.goods(released=False)
    assert "Free" in desk.row(released)
    assert "Not now" in desk.row(waits)
    assert "Free" in desk.row(waits, "purpose=sampling")
    assert "Not now" in desk.row(released, "purpose=destruction")


def test_a_markets_condition_counts_for_that_market(desk: Desk) -> None:
    sublot, code = desk.goods()
    desk.plant.do("quinn", at("03:00"), lots.restrict, sublot, "market", {"only": ["DE"]}, "registered there")
    assert "Not now" in desk.row(code)
    assert "Free" in desk.row(code, "market=DE")
    assert "Not now" in desk.row(code, "market=FR")
    assert "Free" in desk.row(code, "purpose=use")


def test_goods_are_found_by_item_lot_place_and_by_whether_they_are_free(desk: Desk) -> None:
    _, one = desk.goods(item="syrup", zone="room-b", number="L-SYR")
    _, other = desk.goods(item="syrup", zone="room-b", released=False)
    qa = desk.people["qa"]
    for query in ("item_id=syrup", f"zone_id={desk.plant.zones['room-b']}", "q=" + one[:8]):
        assert one in qa.get(f"/stock?{query}"), query
        assert "vaccine" not in text_of(qa.get(f"/stock?{query}")).partition("What stands against it")[2], query
    lot = desk.plant.one("SELECT id FROM lot WHERE number = 'L-SYR'")
    assert other not in qa.get(f"/stock?lot_id={lot}")
    assert one in qa.get("/stock?item_id=syrup&shown=free")
    assert other not in qa.get("/stock?item_id=syrup&shown=free")
    assert other in qa.get("/stock?item_id=syrup&shown=stopped")


def test_many_are_held_and_freed_and_restricted_and_freed_from_here(desk: Desk) -> None:
    (first, a), (second, b) = desk.goods(number="L-MANY"), desk.goods()
    chosen, back = f"record={first}&record={second}", "/stock?purpose=sale"
    page = desk.people["qa"].get("/stock")
    for address in ("/sublots/many/holds", "/sublots/many/restrict", "/stock/holds", "/stock/restrictions"):
        assert f'formaction="{address}"' in page
    about = {"kind": "quality", "reason": "complaint 7"}
    told = desk.send(f"/sublots/many/holds?{chosen}&back={back}", "/sublots/many/holds", **about)
    assert 'href="/stock?purpose=sale"' in told
    assert "complaint 7" in desk.row(a)
    assert "complaint 7" in desk.row(b)
    desk.send(f"/stock/holds?{chosen}&back={back}", "/holds/many/lift", reason="it was another lot")
    assert "Free" in desk.row(a)
    restricted = {"kind": "market", "value": "only: DE", "reason": "registered there"}
    desk.send(f"/sublots/many/restrict?{chosen}", "/sublots/many/restrict", **restricted)
    assert "Not now" in desk.row(b)
    desk.send(f"/stock/restrictions?{chosen}", "/restrictions/many/lift", reason="registered everywhere")
    assert "Free" in desk.row(b)


def test_a_list_and_a_page_say_first_that_goods_are_held_whatever_their_state_is(desk: Desk) -> None:
    """A held sublot was listed as released, in green."""
    sublot, code = desk.goods()
    qa = desk.people["qa"]

    def listed() -> list[str]:
        """What a list says behind its name."""
        row = re.search(rf">{code}</a>.*?</tr>", qa.get(f"/sublots?q={code}"), re.DOTALL)
        assert row is not None
        return text_of(row[0].partition("</a>")[2]).split()

    assert listed()[0] == "Released"
    about = {"kind": "quality", "reason": "complaint 9", "since_at": at("03:00"), "sublot_id": sublot}
    desk.plant.do("quinn", at("03:00"), lots.place_hold, **about)
    assert listed()[:2] == ["Held", "released"]
    head = qa.get(f"/sublots/{sublot}").partition("</h1>")[2]
    assert text_of(head).split()[:2] == ["Held", "Released"]


def test_who_may_neither_hold_nor_restrict_is_offered_nothing_and_another_site_is_not_there(desk: Desk) -> None:
    sublot, code = desk.goods()
    assert "checkbox" not in re.sub(r"<details.*?</details>", "", desk.people["wh"].get("/stock"), flags=re.DOTALL)
    assert desk.people["wh"].client.get(f"/stock/restrictions?record={sublot}").status_code == 403
    assert code not in desk.people["far"].get("/stock")


def test_used_up_goods_are_left_out_unless_asked_for(desk: Desk) -> None:
    sublot, code = desk.goods()
    desk.plant.do("wanda", at("03:00"), lots.move, sublot, 100, "customer", purpose="sale", reference="x", reason=None)
    qa = desk.people["qa"]
    assert code not in qa.get("/stock?sort=-id")
    assert code in qa.get("/stock?sort=-id&empty=1")


def test_a_page_looks_at_so_many_and_the_next_goes_on_behind_them(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [desk.goods(item="kit")[1] for _ in range(5)]
    monkeypatch.setattr(finding, "ROWS", 2)
    seen, address = [], "/stock?item_id=kit"
    while address:
        page = desk.people["qa"].get(address)
        seen += re.findall(r'href="/sublots/\d+">([^<]+)</a></th>', page)
        link = re.search(r'rel="next" href="([^"]+)"', page)
        address = link[1].replace("&amp;", "&") if link else ""
    assert seen == codes
