"""What failed once in a browser, and what goes wrong between a page and its answer: each is a test."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from core.app import create_app
from core.erp.kernel.access.users import change_user
from core.erp.kernel.model import User
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import table
from core.erp.kernel.unit import system, unit
from core.erp.shipments.model import Shipment
from core.settings import Settings
from core.web.frame.installing import install
from core.wiring import build_events
from tests.pages import Browser, filled, pages, text_of
from tests.serving import serving
from tests.world import at, judging

PEOPLE = {"eng": ["admin"], "rose": ["admin"], "lou": ["logistics"], "aud": ["auditor"], "temp": ["admin"]}
SHIPMENTS = 201
TYPED = "typed by hand <b>& kept</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def people(module_engine: Engine, folder: Path) -> Iterator[dict[str, Browser]]:
    world = judging(module_engine)
    world.zone("room")
    for number in range(1, SHIPMENTS + 1):
        world._add(Shipment(code=f"SH-{number:03}", consignee="clinic", created_at=at("00:00")))
    with pages(module_engine, folder, PEOPLE) as found:
        yield found


def room(number: int) -> dict[str, str]:
    return {"address": f"S1/a/fault-{number}", "name": TYPED, "site_id": "S1"}


def made(engine: Engine, number: int) -> int:
    with engine.connect() as conn:
        asked = text("SELECT count(*) FROM zone WHERE address = :a")
        return int(conn.execute(asked, {"a": room(number)["address"]}).scalar_one())


def test_a_server_restarted_under_an_open_form_takes_what_was_typed(
    people: dict[str, Browser], module_engine: Engine, folder: Path
) -> None:
    eng = people["eng"]
    form = filled(eng.form("/zones/new"))
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=folder)
    fresh = create_app(settings, module_engine, run_background=False)
    install(fresh)
    with serving(fresh) as client:
        client.cookies = eng.client.cookies
        for _ in range(2):  # and sent twice, once to each of them, it is posted once
            answer = client.post("/zones/new", data={**form, **room(1)})
            assert answer.status_code == 303, text_of(answer.text)[:1000]
    assert eng.client.post("/zones/new", data={**form, **room(1)}).status_code == 303
    assert made(module_engine, 1) == 1


def test_signed_out_in_another_tab_what_was_typed_is_kept(people: dict[str, Browser], module_engine: Engine) -> None:
    rose = people["rose"]
    form = filled(rose.form("/zones/new"))
    rose.client.post("/logout")
    answer = rose.client.post("/zones/new", data={**form, **room(2)})
    assert answer.status_code == 401
    assert "nothing was posted" in text_of(answer.text)
    kept = dict(re.findall('<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text))
    assert kept, "the sign-in page carries it"
    assert made(module_engine, 2) == 0
    assert rose.sign_in().status_code == 303


def test_a_permit_withdrawn_under_an_open_form_posts_nothing_and_says_so(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    form = filled(people["temp"].form("/zones/new"))
    with unit(module_engine, system("test"), build_events()) as u:
        user = u.session.scalars(select(User).where(table(User).c.login == "temp")).one()
        change_user(u, user.id, roles=["warehouse"])
    answer = people["temp"].client.post("/zones/new", data={**form, **room(3)})
    assert answer.status_code in {401, 403}
    assert text_of(answer.text)
    assert made(module_engine, 3) == 0


def test_with_the_database_away_the_page_says_so_and_when_to_try_again(
    people: dict[str, Browser], module_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    eng = people["eng"]
    form = filled(eng.form("/zones/new"))

    def away(*_: object, **__: object) -> None:
        raise OperationalError("connect", {}, Exception("the server closed the connection"))

    with monkeypatch.context() as patched:
        patched.setattr(type(module_engine), "connect", away)
        answer = eng.client.post("/zones/new", data={**form, **room(4)})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "database" in text_of(answer.text).lower()
    assert made(module_engine, 4) == 0
    assert eng.client.post("/zones/new", data={**form, **room(4)}).status_code == 303, "the same form, once it is back"
    assert made(module_engine, 4) == 1


def test_shipment_201_is_reached_from_the_list_and_by_its_name(people: dict[str, Browser]) -> None:
    lou, seen, link = people["lou"], set(), "/shipments?rows=100&sort=-id"
    for _ in range(5):
        page = lou.get(link)
        seen |= set(re.findall(r"SH-\d{3}", page))
        following = re.search(r'rel="next" href="([^"]*)"', page)
        if following is None:
            break
        link = following[1].replace("&amp;", "&")
    assert len(seen) == SHIPMENTS
    assert "201" in text_of(lou.get("/shipments"))
    assert "SH-201" in lou.client.get("/find?q=SH-201", follow_redirects=True).text


def test_a_record_that_is_not_there_is_404_in_every_list(people: dict[str, Browser]) -> None:
    wrong = []
    for entity in entities().values():
        for login in ("eng", "aud"):
            status = people[login].client.get(f"/{entity.path}/987654321").status_code
            if status not in {403, 404}:
                wrong.append((entity.path, login, status))
    assert wrong == []


def test_the_first_link_of_every_page_leads_past_the_navigation(people: dict[str, Browser]) -> None:
    for path in ("/", "/plant", "/zones", "/zones/new", "/shipments"):
        page = people["eng"].get(path)
        first = re.search(r"<a [^>]*>", page[page.index("<body") :])
        assert first is not None
        assert 'href="#main"' in first[0]
        assert re.search(r'<main id="main" tabindex="-1"', page)
