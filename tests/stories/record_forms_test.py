"""Lists and forms of records in a real browser: what only script does, and what it must not lose."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect, sync_playwright
from sqlalchemy import Engine, text

from core.erp.catalog.service import create_site
from core.erp.kernel.unit import system, unit
from core.wiring import build_events
from tests.pages import Browser, pages
from tests.servers import need_chromium

pytestmark = pytest.mark.browser
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def ada(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with unit(module_engine, system("test"), build_events()) as u:
        create_site(u, "suzhou", "Suzhou plant", "Asia/Shanghai")
    with pages(module_engine, tmp_path_factory.mktemp("forms"), {"ada": ["admin", "warehouse"]}) as found:
        yield found["ada"]


@pytest.fixture(scope="module")
def context(ada: Browser) -> Iterator[BrowserContext]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=need_chromium(), args=ARGUMENTS)
        made = browser.new_context(locale="en", base_url=str(ada.client.base_url))
        made.set_default_timeout(20_000)
        cookies = [
            {"name": one.name, "value": one.value or "", "url": str(ada.client.base_url)}
            for one in ada.client.cookies.jar
        ]
        made.add_cookies(cookies)  # type: ignore[arg-type]  # a cookie's fields, as the driver names them
        yield made
        browser.close()


@contextmanager
def opened(context: BrowserContext, path: str) -> Iterator[Page]:
    page = context.new_page()
    page.goto(path)
    yield page
    page.close()


def named(engine: Engine, name: str) -> int:
    with engine.connect() as conn:
        return int(conn.scalar(text("SELECT count(*) FROM zone WHERE name = :name"), {"name": name}) or 0)


def fill(page: Page, address: str, name: str) -> None:
    page.get_by_label("Site").first.fill("suzhou")
    page.get_by_label("Address").fill(address)
    page.get_by_label("Name").first.fill(name)


def test_the_error_summary_takes_focus_and_leads_to_its_fields(context: BrowserContext) -> None:
    with opened(context, "/zones/new") as page:
        fill(page, "suzhou/a/room-1", "typed by hand")
        page.get_by_label("Band, low end").fill("warm")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("alert")).to_be_focused()
        page.get_by_role("alert").get_by_role("link").first.click()
        expect(page.get_by_label("Band, low end")).to_be_focused()
        expect(page.get_by_label("Name").first).to_have_value("typed by hand")


def test_buttons_are_off_while_a_form_is_sent_and_it_is_posted_once(
    context: BrowserContext, module_engine: Engine
) -> None:
    sent = []

    def late(route: Route) -> None:
        sent.append(route.request.method)
        time.sleep(0.5)
        route.continue_()

    with opened(context, "/zones/new") as page:
        fill(page, "suzhou/a/room-2", "posted once")
        button = page.get_by_role("button", name="Create")
        page.route("**/zones/new", late)
        button.dblclick(no_wait_after=True)
        page.wait_for_url(re.compile(r"/zones/\d+$"))
    assert sent.count("POST") == 1
    assert named(module_engine, "posted once") == 1


def test_offline_a_form_is_not_sent_and_what_was_typed_stays(context: BrowserContext, module_engine: Engine) -> None:
    with opened(context, "/zones/new") as page:
        fill(page, "suzhou/a/room-3", "typed offline")
        context.set_offline(True)
        try:
            expect(page.get_by_role("button", name="Create")).to_be_disabled()
        finally:
            context.set_offline(False)
        expect(page.get_by_role("button", name="Create")).to_be_enabled()
        expect(page.get_by_label("Name").first).to_have_value("typed offline")
    assert named(module_engine, "typed offline") == 0


def test_a_draft_outlives_a_reload_and_ends_when_it_was_sent(ada: Browser, context: BrowserContext) -> None:
    at = ada.send("/zones/new", {"address": "suzhou/a/room-4", "name": "Before", "site_id": "suzhou"}).headers[
        "location"
    ]
    with opened(context, f"{at}/edit") as page:
        page.get_by_label("Name").first.fill("After")
        page.reload()
        expect(page.get_by_text("What you had written here before")).to_be_visible()
        expect(page.get_by_label("Name").first).to_have_value("After")
        page.get_by_role("button", name="Save").click()
        page.wait_for_url(f"**{at}")
        page.goto(f"{at}/edit")
        expect(page.get_by_label("Name").first).to_have_value("After")
        expect(page.get_by_text("What you had written here before")).to_be_hidden()


def test_rows_are_chosen_one_by_one_or_all_and_no_act_is_offered_without(ada: Browser, context: BrowserContext) -> None:
    for title in ("one", "two"):
        ada.send("/tasks/new", {"title": title, "permit": "stock.pick"})
    with opened(context, "/tasks") as page:
        act = page.get_by_role("button", name="Take", exact=True)
        expect(act).to_be_disabled()
        page.get_by_role("checkbox", name="one").check()
        expect(page.get_by_text("1 chosen")).to_be_visible()
        page.get_by_role("link", name="Choose all shown").click()
        expect(page.get_by_text("2 chosen")).to_be_visible()
        act.click()
        page.wait_for_url("**/tasks/many/take?**")
        page.get_by_role("button", name="Take").click()
        expect(page.get_by_role("heading", name="Take: 2 done, 0 refused")).to_be_visible()


def test_a_file_to_import_stays_chosen_while_its_columns_are_said(context: BrowserContext) -> None:
    rows = "Artikel,Name,Timezone\nnorth,North,UTC\n"
    with opened(context, "/sites/import") as page:
        page.set_input_files("#file", {"name": "sites.csv", "mimeType": "text/csv", "buffer": rows.encode()})
        page.get_by_role("button", name="Try the file").click()
        expect(page.get_by_text("nothing would be imported")).to_be_visible()
        page.get_by_role("combobox", name="Artikel").select_option("code")
        page.get_by_role("button", name="Try again with these columns").click()
        page.get_by_role("button", name="Import 1 records").click()
        page.wait_for_url("**/import-runs/*")
        expect(page.get_by_role("heading", name="sites.csv")).to_be_visible()


def test_back_after_sending_posts_nothing_again_and_back_to_a_list_keeps_its_state(
    context: BrowserContext, module_engine: Engine
) -> None:
    def made() -> int:
        with module_engine.connect() as conn:
            return int(conn.scalar(text("SELECT count(*) FROM task WHERE title = 'count shelf 9'")) or 0)

    with opened(context, "/tasks?state=open&q=shelf&sort=-due_at") as page:
        page.goto("/tasks/new")
        page.get_by_label("Title").fill("count shelf 9")
        page.locator("#f-permit").fill("stock.pick")
        page.get_by_role("button", name="Create").click()
        page.wait_for_url(re.compile(r"/tasks/\d+$"))
        page.go_back()
        again = page.get_by_label("Title").input_value()
        page.get_by_role("button", name="Create").click()
        if again:  # as it was sent: the same act, and where it led
            page.wait_for_url(re.compile(r"/tasks/\d+$"))
        else:
            expect(page.get_by_role("alert")).to_be_visible()
        assert made() == 1
        page.goto("/tasks?state=open&sort=-due_at")
        page.get_by_role("link", name="count shelf 9").first.click()
        page.go_back()
        expect(page).to_have_url(re.compile(r"/tasks\?state=open&sort=-due_at$"))
        expect(page.get_by_role("link", name="count shelf 9").first).to_be_visible()
