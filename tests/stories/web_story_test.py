"""The pages in a real browser, on the real server: QA sees, assesses and disposes; others see what is theirs."""

import functools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import create_engine, text

from core.app import build_events
from core.erp.kernel.auth import create_user, now_utc
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Unit
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.servers import free_port, need_chromium
from tests.world import OVER_8_FOR_60, World, at, every

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
KEY = "0123456789abcdef0123456789abcdef"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
SOON = 15_000
DATABASE = "web_story"
expect.set_options(timeout=SOON)


@dataclass
class Served:
    """A served core whose one room was too warm for three sublots."""

    url: str
    world: World
    sublots: list[int]
    room: str = "s1/a/room"

    def excursion(self, sublot: int) -> int:
        """The sublot's excursion."""
        with self.world.engine.connect() as conn:
            return int(conn.scalar(text("SELECT id FROM excursion WHERE sublot_id = :s"), {"s": sublot}) or 0)


@pytest.fixture(scope="module")
def served(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{DATABASE}"'.encode())
    port = free_port()
    env = os.environ | {
        "LOTWISE_DATABASE_URL": postgres.url(DATABASE), "LOTWISE_SECRET_KEY": KEY, "LOTWISE_INSTANCE": "test",
        "LOTWISE_DATA_DIR": str(folder),
    }  # fmt: skip
    command = [sys.executable, "-c", "from lotwise.cli import main; main()", "serve", "--port", str(port)]
    log = folder / "serve.log"
    with log.open("wb") as out, subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=out) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, log)
            engine = create_engine(postgres.url(DATABASE))
            yield _furnished(url, World(engine, build_events()))
            engine.dispose()
        finally:
            process.terminate()
            process.wait(20)
    assert not [path for path in folder.rglob("*") if ".nicegui" in path.parts and path.is_file()], "a session on disk"


def _wait(url: str, log: Path) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _person(u: Unit, login: str, role: Role) -> None:
    create_user(u, login, f"{login.upper()} Person", PASSWORD, [role])


def _furnished(url: str, world: World) -> Served:
    for login, role in (("qa", Role.QA), ("engineer", Role.PLANT_ENGINEER), ("rp", Role.RESPONSIBLE_PERSON)):
        world.do(functools.partial(_person, login=login, role=role))
    room = world.zone("room", band_low=2.0, band_high=8.0, band_delay=timedelta(0))
    item = world.item(OVER_8_FOR_60)
    sublots = [world.sublot(item, room, at("00:30")) for _ in range(3)]
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("room", every(10, at("02:10"), at("03:30"), 9.5), upto=at("03:30"))
    world.feed("room", every(10, at("03:40"), at("04:00"), 5.0), upto=at("04:00"))
    assert len(world.excursions()) == 3
    return Served(url, world, sublots)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = need_chromium()
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield made
        made.close()


def page_of(browser: Browser, served: Served, login: str | None = None) -> Page:
    """A browser of its own, signed in; a request to any other server fails the test."""
    page = browser.new_context(viewport={"width": 1500, "height": 1000}).new_page()
    page.set_default_timeout(SOON)
    page.on("request", lambda r: _ours(r.url, served.url))
    page.goto(served.url)
    if login is not None:
        sign_in(page, login)
        expect(page.get_by_text("All times are UTC", exact=False)).to_be_visible()
    return page


def _ours(url: str, home: str) -> None:
    assert url.startswith((home, home.replace("http", "ws"), "data:", "blob:")), url


def sign_in(page: Page, login: str, password: str = PASSWORD) -> None:
    page.get_by_label("Login").fill(login)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def assess(page: Page, served: Served, number: int) -> None:
    page.goto(f"{served.url}/excursions/{number}")
    page.get_by_label("Assessment").fill("the compressor stood still")
    page.get_by_role("button", name="Record assessment").click()
    expect(page.get_by_role("button", name="Sign the disposition")).to_be_visible()


def dispose(page: Page, reason: str, password: str = PASSWORD, login: str | None = None) -> None:
    page.get_by_label("Decision").click()
    page.get_by_role("option", name="accept:").click()
    page.get_by_label("Reason").fill(reason)
    if login is not None:
        page.get_by_label("Your login").fill(login)
    page.get_by_label("Your password").fill(password)
    page.get_by_role("button", name="Sign the disposition").click()


def test_qa_sees_assesses_and_disposes(browser: Browser, served: Served) -> None:
    number = served.excursion(served.sublots[0])
    page = page_of(browser, served, "qa")
    row = page.get_by_role("row").filter(has_text=served.room).first
    expect(row).to_contain_text("stale")  # the story lies months back: its last value is no news
    expect(row).to_contain_text("2.0 … 8.0")
    expect(page.get_by_text("Incident 1", exact=False)).to_be_visible()
    holds = page.get_by_role("row").filter(has_text="high broken at 2026-03-02 03:10:00Z")
    expect(holds).to_have_count(3)

    page.get_by_role("link", name=str(number), exact=True).first.click()
    expect(page.get_by_text(f"Excursion {number}: lot", exact=False)).to_be_visible()
    expect(page.get_by_text("2026-03-02 03:10:00 in s1/a/room", exact=True)).to_be_visible()
    expect(page.get_by_text("> 8.0 for 1 h (consecutive)", exact=False)).to_be_visible()
    expect(page.locator(f'[aria-label="Readings around excursion {number}"] canvas')).to_be_visible()

    assess(page, served, number)
    dispose(page, "stability data cover it")
    expect(page.get_by_role("alert").filter(has_text="needs the login and the password")).to_be_visible()
    dispose(page, "stability data cover it", "not my password", login="qa")
    expect(page.get_by_role("alert").filter(has_text="the password does not match: nothing was signed")).to_be_visible()
    dispose(page, "stability data cover it")
    expect(page.get_by_text(re.compile(r"Signed by QA Person, .* UTC, disposition: accept: stability"))).to_be_visible()

    page.goto(served.url)
    expect(holds).to_have_count(2)
    assert served.world.holds(served.sublots[0]) == []
    page.context.close()


def test_two_at_once_one_wins_and_the_other_is_told(browser: Browser, served: Served) -> None:
    number = served.excursion(served.sublots[1])
    one, two = page_of(browser, served, "qa"), page_of(browser, served, "qa")
    assess(one, served, number)
    two.goto(f"{served.url}/excursions/{number}")
    dispose(one, "first", login="qa")
    expect(one.get_by_text(re.compile("Signed by QA Person"))).to_be_visible()
    dispose(two, "second", login="qa")
    expect(two.get_by_role("alert").filter(has_text="cannot dispose a dispositioned excursion")).to_be_visible()
    with served.world.engine.connect() as conn:
        signed = conn.scalars(text("SELECT reason FROM disposition WHERE excursion_id = :e"), {"e": number}).all()
    assert signed == ["first"]
    for page in (one, two):
        page.context.close()


def test_a_plant_engineer_watches_and_acknowledges_and_decides_nothing(browser: Browser, served: Served) -> None:
    number = served.excursion(served.sublots[2])
    page = page_of(browser, served, "engineer")
    page.goto(f"{served.url}/excursions/{number}")
    expect(page.get_by_text(f"Excursion {number}: lot", exact=False)).to_be_visible()
    for forbidden in ("Record assessment", "Sign the disposition"):
        expect(page.get_by_role("button", name=forbidden)).to_have_count(0)
    page.goto(served.url)
    alarm = page.get_by_role("row").filter(has=page.get_by_role("button", name="Acknowledge"))
    expect(alarm).to_have_count(1)
    alarm.get_by_role("button", name="Acknowledge").click()
    expect(alarm).to_have_count(0)
    with served.world.engine.connect() as conn:
        assert conn.scalars(text("SELECT acknowledged_by FROM zone_alarm")).all() == ["engineer"]
    page.context.close()


@pytest.mark.parametrize("path", ["/stock", "/release", "/shipments", "/centres"])
def test_every_page_opens(browser: Browser, served: Served, path: str) -> None:
    page = page_of(browser, served, "rp")
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.goto(served.url + path)
    expect(page.get_by_text("As of", exact=False)).to_be_visible()
    assert errors == []
    page.context.close()


def test_sublots_say_what_stands_against_them(browser: Browser, served: Served) -> None:
    held = served.sublots[2]
    page = page_of(browser, served, "rp")
    page.goto(f"{served.url}/sublots/{held}")
    row = page.get_by_role("row").filter(has_text="sale")
    expect(row).to_contain_text("no")
    expect(row).to_contain_text("held: held since 2026-03-02 03:10:00Z")
    expect(page.get_by_role("row").filter(has_text="sampling")).to_contain_text("yes")
    page.context.close()


def test_signing_in_wrong_out_and_expired(browser: Browser, served: Served) -> None:
    page = page_of(browser, served)
    sign_in(page, "qa", "wrong password")
    expect(page.get_by_role("alert")).to_have_text("Wrong login or password.")
    sign_in(page, "qa")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You have signed out.")).to_be_visible()
    page.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": served.url}])
    page.goto(served.url + "/stock")
    expect(page.get_by_text("You have signed out.")).to_be_visible()  # a copied cookie opens nothing either
    claims = jwt.decode(cookie["value"], KEY, algorithms=["HS256"], issuer="lotwise")
    stale = jwt.encode(claims | {"exp": now_utc() - timedelta(minutes=1)}, KEY, algorithm="HS256")
    page.context.add_cookies([{"name": cookie["name"], "value": stale, "url": served.url}])
    page.goto(served.url + "/stock")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    page.context.close()


def test_the_api_keeps_its_paths(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/api/v1/instance").json()["instance"] == "test"
        assert http.get("/api/v1/openapi.json").json()["info"]["title"] == "Lotwise"
        for method, path, status in (
            ("GET", "/api/v1/no-such", 404), ("GET", "/api", 404), ("DELETE", "/api/v1/instance", 405),
            ("GET", "/api/v1/excursions", 401),
        ):  # fmt: skip
            answer = http.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
        assert http.get("/excursions/999999").headers["location"].startswith("/login?why=first")
        page = http.get("/login", params={"back": "//elsewhere.example/"})
        assert "elsewhere.example" not in page.text
        assert page.headers["x-frame-options"] == "DENY"
