"""Live regions in a real browser: one stream for all tabs, and nothing of what somebody does is disturbed."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.kernel.access.users import create_user
from core.erp.kernel.auth import now_utc
from core.erp.kernel.door import signed_in_only
from core.erp.kernel.live.telling import tell
from core.erp.kernel.model import User
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.sessions.cookies import UNASKED
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.web.frame.installing import install
from core.web.frame.routes import page_routes
from core.web.frame.templating import environment
from core.web.frame.visit import Visiting
from core.web.live.hub import Hub
from core.wiring import build_events
from tests.processes import until
from tests.servers import free_port, need_chromium
from tests.serving import serving

pytestmark = pytest.mark.browser

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SOON = 20_000
PAGE = """{% extends 'base.html' %}{% block title %}t{% endblock %}{% block main %}<h1>t</h1>
<section id="holds" data-live="holds sublot:7" data-src="/part/holds">{{ parts.holds|safe }}</section>
<section id="zone" data-live="zone:12" data-src="/part/zone">{{ parts.zone|safe }}</section>
<form id="sending" method="post" action="/post"><button>Send</button></form>{% endblock %}"""
expect.set_options(timeout=SOON)


@dataclass
class Plant:
    """A page with two regions, whose contents the test sets."""

    engine: Engine
    app: FastAPI
    port: int
    parts: dict[str, str] = field(default_factory=lambda: {"holds": "<p>none</p>", "zone": "<p>4.1</p>"})
    asked: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    posted: int = 0
    status: int = 200
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def streams(self) -> int:
        return len(self.app.state.live._streams)

    def away(self) -> None:
        """Nobody listens there any more: what was open is cut off."""
        self.stack.close()

    def back(self) -> None:
        """It listens again, as a process that has started does: it knows of nothing that was."""
        self.app.state.live = Hub(self.engine)
        self.stack.enter_context(serving(self.app, self.port))

    def changes(self, topic: str, key: int, **parts: str) -> None:
        self.parts |= parts
        with unit(self.engine, system("test"), build_events()) as u:
            u.outbox(topic, key, {})
        tell(self.engine)


def routes(plant: Plant) -> APIRouter:
    """The page, its regions, and where its form goes."""
    router = page_routes()

    @router.get("/page")
    @signed_in_only()
    def page(visit: Visiting) -> Response:
        made = environment(visit.language, visit.zone.key).from_string(PAGE)
        return HTMLResponse(made.render(visit=visit, groups=(), here="/page", form_key="k", parts=plant.parts))

    @router.get("/part/{name}")
    @signed_in_only()
    def part(name: str, request: Request) -> Response:
        plant.asked.append(name)
        plant.unasked.append(request.headers.get(UNASKED, ""))
        return HTMLResponse(plant.parts[name], plant.status)

    @router.post("/post")
    @signed_in_only()
    def post() -> Response:
        plant.posted += 1
        return HTMLResponse("posted")

    return router


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=need_chromium(), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def plant(engine: Engine, tmp_path: Path) -> Iterator[Plant]:
    with unit(engine, system("test"), build_events()) as u:
        create_user(u, "wanda", "Wanda", "correct horse battery", ["warehouse"])
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    app = create_app(settings, engine, run_background=False)
    plant = Plant(engine, app, free_port())
    install(app)
    app.include_router(routes(plant))
    with plant.stack:
        plant.back()
        yield plant


@pytest.fixture
def context(browser: Browser, plant: Plant) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en")
    context.set_default_timeout(SOON)
    sign_in(context, plant)
    yield context
    context.close()


def sign_in(context: BrowserContext, plant: Plant) -> None:
    with plant.engine.connect() as conn:
        row = conn.execute(text("SELECT * FROM app_user")).one()
    cookie = sessions.begin(plant.engine, User(**row._mapping), now_utc(), "here")
    context.add_cookies([{"name": "lotwise_session", "value": cookie, "url": plant.url}])


def opened(context: BrowserContext, plant: Plant) -> Page:
    """A page that has read its regions anew once, as the first of a process does, and is quiet."""
    page = context.new_page()
    page.goto(f"{plant.url}/page")
    until(lambda: plant.streams >= 1, "the stream")
    page.wait_for_timeout(2_000)
    return page


def without_worker(context: BrowserContext) -> None:
    context.add_init_script("delete window.SharedWorker")


@pytest.mark.parametrize("worker", [True, False], ids=["worker", "lock"])
def test_two_tabs_share_one_stream_and_it_outlives_either(plant: Plant, context: BrowserContext, worker: bool) -> None:
    if not worker:
        without_worker(context)
    one, two = opened(context, plant), opened(context, plant)
    assert plant.streams == 1
    plant.changes("hold.placed", 41, holds="<p>hold 41</p>")
    for page in (one, two):
        expect(page.locator("#holds")).to_have_text("hold 41")
    one.close()
    two.bring_to_front()
    until(lambda: plant.streams == 1, "the other tab goes on")
    two.wait_for_timeout(1_500)
    plant.changes("hold.placed", 42, holds="<p>hold 42</p>")
    expect(two.locator("#holds")).to_have_text("hold 42")
    two.close()
    until(lambda: plant.streams == 0, "nobody watches")


def test_only_the_region_that_is_concerned_is_read_and_says_why(plant: Plant, context: BrowserContext) -> None:
    page, errors = opened(context, plant), list[str]()
    page.on("console", lambda message: errors.append(message.text))
    plant.asked.clear()
    plant.unasked.clear()
    plant.changes("sublot.release", 7, holds="<p>seven</p>")
    expect(page.locator("#holds")).to_have_text("seven")
    plant.changes("sublot.release", 8, holds="<p>eight</p>")
    plant.changes("shipment.depart", 12)
    page.wait_for_timeout(1_000)
    assert plant.asked == ["holds"]
    assert plant.unasked[0].isdigit(), "not asked by a person: the session does not go on by it"
    assert errors == []


def test_of_an_address_that_answers_its_whole_page_the_region_alone_is_taken(
    plant: Plant, context: BrowserContext
) -> None:
    page = opened(context, plant)
    whole = page.content()
    plant.changes("hold.placed", 41, holds=whole.replace("<p>none</p>", "<p>hold 41</p>"))
    expect(page.locator("#holds")).to_have_text("hold 41")
    expect(page.locator("h1")).to_have_count(1)


def test_what_is_typed_stays_and_the_region_follows_later(plant: Plant, context: BrowserContext) -> None:
    form = '<p id="state">{}</p><form method="post"><input name="reason" id="reason"></form>'
    plant.parts["holds"] = form.format("old")
    page = opened(context, plant)
    page.locator("#reason").fill("half a sentence")
    page.locator("#reason").blur()
    plant.changes("hold.placed", 41, holds=form.format("new"))
    expect(page.locator(".live-note")).to_have_text("Updated: show")
    assert page.locator("#state").inner_text() == "old"
    assert page.locator("#reason").input_value() == "half a sentence"
    page.locator("#reason").fill("")
    page.locator("#reason").blur()
    expect(page.locator("#state")).to_have_text("new")
    expect(page.locator(".live-note")).to_have_count(0)
    page.locator("#reason").fill("again")
    plant.changes("hold.placed", 42, holds=form.format("newest"))
    page.locator(".live-note button").click()
    expect(page.locator("#state")).to_have_text("newest")


def test_an_open_dialog_stays_open_until_it_is_closed(plant: Plant, context: BrowserContext) -> None:
    dialog = '<p id="state">{}</p><dialog id="d"><button id="close">Close</button></dialog>'
    plant.parts["holds"] = dialog.format("old")
    page = opened(context, plant)
    page.evaluate("document.querySelector('#d').showModal()")
    plant.changes("hold.placed", 41, holds=dialog.format("new"))
    expect(page.locator(".live-note")).to_be_attached()
    assert page.evaluate("document.querySelector('#d').open")
    page.evaluate("document.querySelector('#d').close()")
    expect(page.locator("#state")).to_have_text("new")


def test_focus_scrolling_and_open_details_stay(plant: Plant, context: BrowserContext) -> None:
    rows = "".join(f'<p><a id="row{n}" href="/x/{n}">row {n}</a></p>' for n in range(60))
    part = f'<details id="more"><summary>more</summary>inside</details><p id="state">{{}}</p>{rows}'
    plant.parts["holds"] = part.format("old")
    page = opened(context, plant)
    page.locator("#more summary").click()
    page.evaluate("scrollTo(0, 700)")
    page.evaluate("document.querySelector('#row30').focus({preventScroll: true})")
    plant.changes("hold.placed", 41, holds=part.format("new"))
    expect(page.locator("#state")).to_have_text("new")
    assert page.evaluate("[document.activeElement.id, scrollY, document.querySelector('#more').open]") == [
        "row30",
        700,
        True,
    ]


def test_a_session_that_ends_says_so_and_takes_nothing_away(plant: Plant, context: BrowserContext) -> None:
    form = '<p>old</p><input id="reason">'
    plant.parts["holds"] = form
    page = opened(context, plant)
    page.locator("#reason").fill("half a sentence")
    with plant.engine.begin() as conn:
        conn.execute(text("UPDATE browser_session SET ended_at = now(), ended_why = 'administrator'"))
    tell(plant.engine)
    expect(page.locator("#live")).to_contain_text("Your session has ended")
    link = page.locator("#live a")
    assert re.fullmatch(r"/login\?why=ended&back=%2Fpage", link.get_attribute("href") or "")
    until(lambda: plant.streams == 0, "the stream is closed")
    page.wait_for_timeout(3_000)
    assert plant.streams == 0, "and stays closed"
    assert page.locator("#reason").input_value() == "half a sentence"


def test_a_region_that_may_not_be_read_any_more_is_empty(plant: Plant, context: BrowserContext) -> None:
    page = opened(context, plant)
    plant.status = 403
    plant.changes("hold.placed", 41, holds="secret")
    expect(page.locator("#holds")).to_contain_text("no longer")


@pytest.mark.parametrize("worker", [True, False], ids=["worker", "lock"])
def test_offline_nothing_is_sent_now_or_later(plant: Plant, context: BrowserContext, worker: bool) -> None:
    if not worker:
        without_worker(context)
    page = opened(context, plant)
    context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("#live")).to_contain_text("offline")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    page.evaluate("document.querySelector('#sending').requestSubmit()")
    plant.changes("hold.placed", 41, holds="<p>hold 41</p>")
    page.wait_for_timeout(1_000)
    context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#live")).to_be_hidden()
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    expect(page.locator("#holds")).to_have_text("hold 41")
    assert (plant.posted, page.url) == (0, f"{plant.url}/page")


def test_a_server_that_is_away_is_said_and_found_again(plant: Plant, context: BrowserContext) -> None:
    page = opened(context, plant)
    plant.away()
    expect(page.locator("#live")).to_contain_text("Connection lost")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    plant.parts["holds"] = "<p>meanwhile</p>"
    plant.back()
    expect(page.locator("#live")).to_be_hidden(timeout=40_000)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    expect(page.locator("#holds")).to_have_text("meanwhile")
    plant.changes("hold.placed", 41, holds="<p>hold 41</p>")
    expect(page.locator("#holds")).to_have_text("hold 41")


def test_who_has_signed_in_again_in_another_tab_goes_on(plant: Plant, context: BrowserContext) -> None:
    page = opened(context, plant)
    with plant.engine.begin() as conn:
        conn.execute(text("UPDATE browser_session SET ended_at = now(), ended_why = 'out'"))
    tell(plant.engine)
    expect(page.locator("#live")).to_contain_text("Your session has ended")
    sign_in(context, plant)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: plant.streams == 1, "a stream of the new session")
    expect(page.locator("#live")).to_be_hidden()
    plant.changes("hold.placed", 41, holds="<p>hold 41</p>")
    expect(page.locator("#holds")).to_have_text("hold 41")
