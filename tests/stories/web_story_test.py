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
from decimal import Decimal
from pathlib import Path

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import text

from core.erp.kernel import passwords
from core.erp.kernel.access.users import create_user
from core.erp.kernel.auth import now_utc
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.shipments import service as shipments
from core.wiring import build_events
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.keys import opened
from tests.servers import free_port, need_chromium
from tests.world import OVER_8_FOR_60, World, at, every

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
KEY = "0123456789abcdef0123456789abcdef"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOON = 15_000
DATABASE = "web_story"
PEOPLE = {
    "qa": Role.QA,
    "engineer": Role.PLANT_ENGINEER,
    "rp": Role.RESPONSIBLE_PERSON,
    "wall": Role.DISPLAY,
    "lou": Role.LOGISTICS,
}
expect.set_options(timeout=SOON)


@dataclass
class Served:
    """A served core whose one room was too warm for its sublots."""

    url: str
    world: World
    sublots: list[int]
    context: BrowserContext
    """One browser for all: what it has fetched and compiled once it keeps."""
    room: str = "s1/a/room"

    def excursion(self, sublot: int) -> int:
        """The sublot's excursion."""
        with self.world.engine.connect() as conn:
            return int(conn.scalar(text("SELECT id FROM excursion WHERE sublot_id = :s"), {"s": sublot}) or 0)

    def values(self, query: str, **parameters: object) -> list[object]:
        """The first column of a query's rows."""
        with self.world.engine.connect() as conn:
            return list(conn.scalars(text(query), parameters))


@pytest.fixture(scope="module")
def served(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    chromium = need_chromium()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{DATABASE}"'.encode())
    port = free_port()
    env = os.environ | {
        "LOTWISE_DATABASE_URL": postgres.url(DATABASE),
        "LOTWISE_SECRET_KEY": KEY,
        "LOTWISE_INSTANCE": "test",
        "LOTWISE_DATA_DIR": str(folder),
    }
    command = [sys.executable, "-c", "from lotwise.cli import main; main()", "serve", "--port", str(port)]
    log = folder / "serve.log"
    with log.open("wb") as out, subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=out) as process:
        try:
            with sync_playwright() as play:  # starts while the server does
                browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                url = f"http://127.0.0.1:{port}"
                _wait(url, log, process)
                engine = opened(postgres.url(DATABASE))
                yield _furnished(url, World(engine, build_events()), _context(browser, url))
                engine.dispose()
                browser.close()
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _person(u: Unit, login: str, role: Role) -> None:
    create_user(u, login, f"{login.upper()} Person", PASSWORD, [role])


def _furnished(url: str, world: World, context: BrowserContext) -> Served:
    with pytest.MonkeyPatch.context() as patch:  # a hash names its own cost
        patch.setattr(passwords, "hasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        for login, role in PEOPLE.items():
            world.do(functools.partial(_person, login=login, role=role))
    room = world.zone("room", band_low=2.0, band_high=8.0, band_delay=timedelta(0))
    item = world.item(OVER_8_FOR_60)
    sublots = [world.sublot(item, room, at("00:30")) for _ in range(5)]
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("room", every(10, at("02:10"), at("03:30"), 9.5), upto=at("03:30"))
    world.feed("room", every(10, at("03:40"), at("04:00"), 5.0), upto=at("04:00"))
    assert len(world.excursions()) == 5
    return Served(url, world, sublots, context)


def _context(browser: Browser, url: str) -> BrowserContext:
    """Where a request to any other server fails the test."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(SOON)
    context.on("request", lambda request: _ours(request.url, url))
    return context


def _ours(url: str, home: str) -> None:
    assert url.startswith((home, home.replace("http", "ws"), "data:", "blob:")), url


def session(served: Served, login: str) -> str:
    """A session of somebody, as the sign-in form gives it."""
    form = {"login": login, "password": PASSWORD}
    answer = httpx.post(f"{served.url}/login", data=form, timeout=60)  # a loaded machine hashes slowly
    assert answer.status_code == 303, answer.text
    return answer.cookies["lotwise_session"]


def _ended(served: Served, login: str) -> None:
    """The browser has a session of somebody's that was not used for more than half an hour."""
    cookie = session(served, login)
    with served.world.engine.begin() as conn:
        used = "UPDATE browser_session SET last_used_at = now() - interval '31 minutes' WHERE ended_at IS NULL"
        conn.execute(text(used))
    served.context.add_cookies([{"name": "lotwise_session", "value": cookie, "url": served.url}])


def page_of(served: Served, login: str | None = None, path: str = "/") -> Page:
    """A page of the browser, in which nobody but `login` is signed in."""
    for page in served.context.pages:
        page.close()
    served.context.clear_cookies()
    if login is not None:
        cookie = {"name": "lotwise_session", "value": session(served, login), "url": served.url}
        served.context.add_cookies([cookie])  # type: ignore[list-item]  # playwright's own TypedDict is not public
    page = served.context.new_page()
    page.goto(served.url + path)
    if login is not None:
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return page


def sign_in(page: Page, login: str, password: str = PASSWORD) -> None:
    page.get_by_label("Login").fill(login)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def assess(page: Page, what: str = "the compressor stood still") -> None:
    page.get_by_label("What you found").fill(what)
    page.get_by_role("button", name="Record the assessment").click()
    expect(page.get_by_role("button", name=re.compile("^Sign( [0-9]+)?$"))).to_be_visible()


def decide(page: Page, reason: str, password: str = PASSWORD, decision: str = "Accept") -> None:
    page.get_by_label(decision, exact=True).check()
    page.get_by_label("Reason", exact=True).fill(reason)
    page.get_by_label("Password").fill(password)
    sign(page)


def sign(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Sign( [0-9]+)?$")).click()


def expect_alert(page: Page, words: str) -> None:
    expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()


def test_qa_sees_assesses_and_decides(served: Served) -> None:
    """What a signature will do is said and in view before it is given; a refusal keeps what was written."""
    number = served.excursion(served.sublots[0])
    page = page_of(served, "qa")
    expect(page.get_by_role("heading", name="What needs me now")).to_be_visible()
    expect(page.get_by_role("link", name="Incident 1: room: limit broken", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{served.url}/excursions/{number}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Excursion {number}: sublot")
    expect(page.get_by_text("above 8\u202f°C, in one run").first).to_be_visible()
    expect(page.locator("figure.chart svg").first).to_be_visible()

    assess(page)
    for seen in (
        page.get_by_text("1 hold lifts"),
        page.get_by_label("Reason", exact=True),
        page.get_by_label("Password"),
    ):
        expect(seen).to_be_in_viewport()
    page.get_by_label("Reject", exact=True).check()
    expect(page.get_by_text("1 hold lifts")).to_be_hidden()
    expect(page.get_by_text("rejected from then on")).to_be_visible()
    decide(page, "stability data cover it", "not my password")
    expect_alert(page, "the password does not match: nothing was signed")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Reason", exact=True)).to_have_value("stability data cover it")
    expect(page.get_by_label("Accept", exact=True)).to_be_checked()
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_label("Password").fill(PASSWORD)
    sign(page)
    expect(page.locator("#decide").get_by_text(re.compile("QA Person accepted it at"))).to_be_visible()
    assert served.world.holds(served.sublots[0]) == []


def test_two_at_once_one_wins_and_the_other_is_told(served: Served) -> None:
    number = served.excursion(served.sublots[1])
    one = page_of(served, "qa", f"/excursions/{number}")
    assess(one)
    two = served.context.new_page()
    two.goto(f"{served.url}/excursions/{number}")
    decide(one, "first")
    expect(one.locator("#decide").get_by_text(re.compile("QA Person accepted it at"))).to_be_visible()
    two.bring_to_front()
    decide(two, "second")
    expect_alert(two, "QA Person accepted it at")
    expect(two.get_by_label("What you wrote, not signed")).to_have_value("second")
    assert served.values("SELECT reason FROM disposition WHERE excursion_id = :e", e=number) == ["first"]


def test_offline_keeps_what_somebody_wrote_and_posts_nothing(served: Served) -> None:
    page = page_of(served, "qa", f"/excursions/{served.excursion(served.sublots[2])}")
    page.get_by_label("What you found").fill("half a sentence")
    button = page.get_by_role("button", name="Record the assessment")
    served.context.set_offline(True)
    try:
        expect(button).to_be_disabled()
        page.get_by_label("What you found").press_sequentially(" more")
    finally:
        served.context.set_offline(False)
    expect(button).to_be_enabled()
    expect(page.get_by_label("What you found")).to_have_value("half a sentence more")
    assert served.values("SELECT state FROM excursion WHERE sublot_id = :s", s=served.sublots[2]) == ["ended"]
    page.reload()
    expect(page.get_by_label("What you found")).to_have_value("half a sentence more")  # a draft of this browser


def test_a_plant_engineer_watches_shelves_and_acknowledges_and_decides_nothing(served: Served) -> None:
    number = served.excursion(served.sublots[2])
    page = page_of(served, "engineer", f"/excursions/{number}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Excursion {number}: sublot")
    expect(page.locator("#decide button")).to_have_count(0)
    page.goto(served.url)
    with page.expect_navigation():  # before it is there, the next address would be refused
        page.get_by_role("link", name="High in room").first.click()
    page.goto(f"{served.url}/plant")
    page.get_by_role("link", name=re.compile("^room")).click()
    expect(page.get_by_role("heading", name="room", exact=True)).to_be_visible()
    page.get_by_role("link", name="Shelve").click()
    page.get_by_label("Until").fill((now_utc() + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Shelve").click()
    expect_alert(page, "Reason: must be filled in")
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_label("Reason").fill("defrosting, watched by hand")
    page.get_by_role("button", name="Shelve").click()
    expect(page.get_by_role("heading", name="room", exact=True)).to_be_visible()
    lasts = served.values("SELECT round(extract(epoch FROM shelved_until - at) / 3600) FROM zone_alarm_mode")
    assert lasts == [8]
    page.get_by_role("link", name="Acknowledge").click()
    page.get_by_label("Reason").fill("door closed")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("door closed").first).to_be_visible()
    assert served.values("SELECT acknowledged_by FROM zone_alarm") == ["engineer"]


def test_qa_decides_an_incident_lifts_a_hold_and_the_rp_releases(served: Served) -> None:
    """All that is left of the warm room in one signed act, under a condition; another hold by itself; then release."""
    sublot = served.sublots[3]
    (incident,) = served.values("SELECT DISTINCT incident_id FROM excursion WHERE state <> 'superseded'")

    def held(u: Unit) -> int:
        u.conn.execute(text("UPDATE sublot SET state = 'quarantine' WHERE id = :s"), {"s": sublot})
        return lots.place_hold(u, sublot_id=sublot, kind="manual", reason="label torn", since_at=u.now)[0].id or 0

    hold = served.world.do(held, now=now_utc())
    page = page_of(served, "qa", f"/incidents/{incident}")
    page.get_by_label("What you found").fill("80 min at 9.5 °C")
    page.get_by_role("button", name="Record the assessment of 3").click()
    decide(page, "stable, shortened life", decision="Accept with restrictions")
    expect_alert(page, "Condition: ")
    page.get_by_label("Condition").select_option("Only for markets")
    page.get_by_label("Which").fill("DE, AT")
    page.get_by_label("Password").fill(PASSWORD)
    sign(page)
    expect(page.get_by_role("button", name=re.compile("^Sign [0-9]"))).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="Dispositioned")).to_have_count(5)
    assert served.values("SELECT count(DISTINCT signature_id) FROM disposition WHERE decision = 'restrict'") == [3]
    bound = served.values("SELECT value FROM restriction WHERE lifted_at IS NULL ORDER BY sublot_id")
    assert bound == [{"only": ["DE", "AT"]}] * 3

    page.goto(f"{served.url}/holds/{hold}")
    page.get_by_role("link", name="Lift").click()
    page.get_by_role("button", name="Lift").click()
    expect_alert(page, "Reason: must be filled in")
    page.get_by_label("Reason").fill("relabelled")
    page.get_by_role("button", name="Lift").click()
    expect(page.get_by_text("relabelled").first).to_be_visible()
    assert served.world.holds(sublot) == []

    page = page_of(served, "rp", f"/sublots/{sublot}")
    expect(page.locator("main").get_by_role("link", name="Only for markets: DE, AT")).to_be_visible()
    page.goto(served.url + "/release")
    row = page.get_by_role("row").filter(
        has_text=str(served.values("SELECT code FROM sublot WHERE id = :s", s=sublot)[0])
    )
    expect(row).to_contain_text("Ready")
    row.get_by_role("link", name="Review and release").click()
    page.get_by_label("Login").fill("rp")
    page.get_by_label("Password").fill("not my password")
    page.get_by_role("button", name="Sign 1").click()
    expect_alert(page, "the password does not match: nothing was signed")
    expect(page.get_by_label("Reason")).to_have_value("exposure and audit trail reviewed")
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign 1").click()
    expect(page.get_by_text("Released").first).to_be_visible()
    assert served.world.state(sublot) == "released"


def test_every_page_opens_and_the_browser_complains_of_nothing(served: Served) -> None:
    page = page_of(served, "rp")
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    for path in (
        "/",
        "/plant",
        "/wall",
        "/sublots",
        "/lots/1",
        "/holds",
        "/shipments",
        "/centres",
        "/release",
        "/stock",
        "/alarms",
        "/excursions",
        "/excursions/1",
        "/incidents/1",
        "/find?q=s1",
    ):
        page.goto(served.url + path)
        expect(page.locator("h1")).to_have_count(1)
    assert errors == []


def test_sublots_say_what_stands_against_them(served: Served) -> None:
    sublot = served.sublots[4]
    served.world.do(lambda u: lots.place_hold(u, sublot_id=sublot, kind="manual", reason="seal", since_at=at("03:10")))
    page = page_of(served, "rp", f"/sublots/{sublot}")
    row = page.get_by_role("row").filter(has_text="Sale")
    expect(row).to_contain_text("Not now")
    expect(row.get_by_role("link", name="Hold").first).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="seal")).to_contain_text("2 Mar 2026 03:10")
    expect(page.get_by_role("row").filter(has_text="Sampling")).to_contain_text("Free")


def test_logistics_tries_a_loggers_file_and_then_binds_it(served: Served, tmp_path: Path) -> None:
    world = served.world
    bay, truck, far = world.zone("bay"), world.zone("van", points=()), world.zone("far")
    goods = world.sublot(world.item(OVER_8_FOR_60), bay, at("07:00"))
    world.feed("bay", every(5, at("07:00"), at("08:00"), 5.0), upto=at("08:00"))
    sent = world.do(
        lambda u: shipments.create(
            u,
            "SH-WEB",
            "C-1",
            [(goods, Decimal(100))],
            [shipments.PlannedLeg("dock", "far", truck)],
            kind="transfer",
            receiving_zone_id=far,
            loggers=[shipments.RequiredLogger("R-7")],
        ),
        now=at("07:30"),
    )
    world.do(lambda u: shipments.departed(u, sent.id or 0, at("08:00"), "paper"), now=at("08:05"))
    world.do(lambda u: shipments.arrived(u, sent.id or 0, at("12:00"), "unloaded"), now=at("12:10"))
    rows = [*every(5, at("08:00"), at("09:00"), 5.0), *every(5, at("09:05"), at("12:00"), 9.5)]
    file, other = tmp_path / "R-7.csv", tmp_path / "other.csv"
    file.write_text("time,Temp (°C)\n" + "".join(f"{when.isoformat()},{value}\n" for when, value in rows))
    other.write_text("what,ever\n1,2\n")
    page = page_of(served, "lou", "/shipments")
    page.get_by_role("link", name="SH-WEB").click()
    page.locator("main").get_by_role("link", name="Read out a logger").click()
    chooser = page.locator("input[type=file]")
    chooser.set_input_files(other)
    page.get_by_role("button", name="Try").click()
    expect_alert(page, "other.csv")
    chooser.set_input_files(file)
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("What would come of it")).to_be_visible()
    expect(page.locator("#outcome dl")).to_contain_text("Readings with the goods, which count48")
    state = "SELECT state FROM shipment_logger WHERE serial = 'R-7'"
    assert (served.values(state), world.holds(goods)) == (["required"], []), "nothing is kept of a try"
    page.get_by_role("button", name="Bind").click()
    expect(page.get_by_role("heading", name="Bound")).to_be_visible()
    assert (served.values(state), world.holds(goods)) == (["read"], ["proven"])
    watching = page_of(served, "engineer", f"/shipments/{sent.id}")
    expect(watching.get_by_role("heading", name="SH-WEB")).to_be_visible()
    expect(watching.get_by_text("Read out a logger")).to_have_count(0)


def test_signing_in_wrong_out_and_expired(served: Served) -> None:
    page = page_of(served)
    sign_in(page, "qa", "wrong password")
    expect(page.get_by_role("alert")).to_have_text("Wrong login or password.")
    sign_in(page, "qa")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You have signed out.")).to_be_visible()
    page.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": served.url}])
    page.goto(served.url + "/sublots")
    expect(page.get_by_text("You have signed out.")).to_be_visible()  # a copied cookie opens nothing either
    _ended(served, "qa")
    page.goto(served.url + "/sublots")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")


def test_a_wall_display_goes_on_by_itself(served: Served) -> None:
    """Nobody touches it, and its session goes on, where anybody else signs in again."""

    page = page_of(served)
    _ended(served, "rp")
    page.goto(served.url + "/centres")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    _ended(served, "wall")
    page.goto(served.url + "/centres")
    expect(page.get_by_role("heading", name="Work centres: now and next")).to_be_visible()
    assert page.url == served.url + "/centres"


def test_the_api_keeps_its_paths(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as http:
        health = http.get("/healthz").json()
        # nothing takes readings in this story, and its gateway spoke last in March
        assert {name for name, said in health["checks"].items() if said != "ok"} == {"ingest", "gateways"}
        assert health["status"] == "warning"
        assert http.get("/api/v1/instance").json()["instance"] == "test"
        assert http.get("/api/v1/openapi.json").json()["info"]["title"] == "Lotwise"
        for method, path, status in (
            ("GET", "/api/v1/no-such", 404),
            ("GET", "/api", 404),
            ("DELETE", "/api/v1/instance", 405),
            ("GET", "/api/v1/excursions", 401),
            ("TRACE", "/api/v1/excursions", 405),
        ):
            answer = http.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
            assert (answer.headers.get("allow") == "GET") == (status == 405), path
        assert http.get("/excursions/999999").headers["location"].startswith("/login?why=first")
        page = http.get("/login", params={"back": "//elsewhere.example/"})
        assert "elsewhere.example" not in page.text
        assert page.headers["x-frame-options"] == "DENY"
