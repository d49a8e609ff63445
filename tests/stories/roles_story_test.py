"""A day's job of each role that decides nothing about quality, by clicks in a real browser, from the front page on."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sqlalchemy import Engine

from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.production import service as production
from core.erp.shipments import service as shipments
from tests.pages import PASSWORD, Importer, pages
from tests.pages import Browser as Person
from tests.servers import need_chromium
from tests.world import OVER_8_FOR_60, World, every, judging

pytestmark = pytest.mark.browser
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
GAP = 12 * HOUR
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PEOPLE = ("warehouse", "buyer", "sales", "planner", "operator", "tester", "auditor", "admin")
expect.set_options(timeout=20_000)


@dataclass
class Firm:
    """One world for all, and a page of each person's own."""

    world: World
    open: Callable[[str], Page]


def _goods(world: World) -> None:
    """A cold room with released goods, goods that are announced, a shipment to pick, and what is made of the goods."""
    room = world.zone("cold", band_low=2.0, band_high=8.0, gap=GAP)
    vaccine, kit = world.item(OVER_8_FOR_60, gap=GAP), world.item(OVER_8_FOR_60, gap=GAP)
    sublot = world.sublot(vaccine, room, NOW - 5 * HOUR)
    lot = world.lot(vaccine)
    world.feed("cold", every(5, NOW - 5 * HOUR, NOW, 5.0), upto=NOW)

    def work(u: Unit) -> None:
        legs = [shipments.PlannedLeg("dock 3", "C-100", room, carrier="Carrier 7")]
        lots.receive(u, lot, Decimal(500), None, state="expected", code="COMING-1")
        made = shipments.create(u, "SH-1", "Customer 12", [(sublot, Decimal(10))], legs, due_at=NOW + 2 * HOUR)
        assert made.id
        production.create_work_centre(u, "FILL-1", "Filling line 1", room)
        steps = [production.Step(10, "fill", "FILL-1", (), HOUR)]
        production.create_bom(u, kit, Decimal(10), [(vaccine, Decimal(10))], steps)

    world.do(work, now=NOW - HOUR)


@pytest.fixture(scope="module")
def firm(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    chromium = need_chromium()
    world = judging(module_engine)
    _goods(world)
    roles = {one: [one] for one in PEOPLE}
    folder = tmp_path_factory.mktemp("pages")
    with pages(module_engine, folder, roles, take=Importer()) as people, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield Firm(world, lambda login: _page(browser, people[login]))
        browser.close()


def _page(browser: Browser, person: Person) -> Page:
    client = person.client
    context = browser.new_context(locale="en", base_url=str(client.base_url))
    cookies = [{"name": one.name, "value": one.value or "", "url": str(client.base_url)} for one in client.cookies.jar]
    context.add_cookies(cookies)  # type: ignore[arg-type]  # a cookie's fields, as the driver names them
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"{page.url}: {error}"))
    page.goto("/")
    return page


def click(page: Page, what: Locator) -> None:
    """Clicks what leads to another page and waits until that is there: the next click would be the old page's."""
    with page.expect_navigation():
        what.click()


def follow(page: Page, *names: str | re.Pattern[str]) -> None:
    """Clicks links of the page, one after the other."""
    for name in names:
        click(page, page.locator("main").get_by_role("link", name=name, exact=True).first)


def go(page: Page, name: str) -> None:
    """A place of the navigation."""
    click(page, page.locator("#nav").get_by_role("link", name=name, exact=True))


def press(page: Page, name: str) -> None:
    click(page, page.locator("main").get_by_role("button", name=name, exact=True))


def test_the_warehouse_receives_what_was_announced_and_picks_a_shipment(firm: Firm) -> None:
    page = firm.open("warehouse")
    expect(page.get_by_role("heading", name="Receipts expected 1")).to_be_visible()
    follow(page, re.compile("^Receive.*COMING-1"))
    page.get_by_label("Amount").fill("500")
    page.get_by_label("Zone").fill("s1/a/cold")
    press(page, "Receive")
    expect(page.get_by_role("heading", name="COMING-1")).to_be_visible()
    expect(page.locator(".head").get_by_text("Quarantine")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Receipts expected")).to_have_count(0)
    follow(page, "Shipment SH-1 to Customer 12", "Pick")
    press(page, "Pick")
    expect(page.locator(".head").get_by_text("Picked")).to_be_visible()


def test_a_buyer_makes_a_supplier_with_a_certificate_and_its_paper(firm: Firm, tmp_path: Path) -> None:
    page = firm.open("buyer")
    go(page, "Partners")
    follow(page, "New: partner")
    page.get_by_label("Code").fill("SUP-9")
    page.get_by_label("Name").fill("Supplier 9")
    page.get_by_label("Supplier").check()
    page.get_by_label("Country").fill("DE")
    press(page, "Create")
    expect(page.get_by_role("heading", name="SUP-9")).to_be_visible()
    go(page, "Supplier certificates")
    follow(page, "New: supplier certificate")
    page.get_by_label("Partner").fill("SUP-9")
    page.get_by_label("Kind").select_option(index=1)
    page.get_by_label("Number").fill("C-118")
    page.get_by_label("Issuer").fill("Authority 2")
    page.get_by_label("Valid from").fill(f"{NOW - 24 * HOUR:%Y-%m-%d}")
    page.get_by_label("Valid until").fill(f"{NOW + 2400 * HOUR:%Y-%m-%d}")
    press(page, "Create")
    expect(page.get_by_role("heading", name="C-118")).to_be_visible()
    follow(page, "Attach a file")
    paper = tmp_path / "c-118.pdf"
    paper.write_bytes(b"%PDF-1.7\n%%EOF\n")
    page.locator("input[type=file]").set_input_files(paper)
    page.get_by_label("Title").fill("Certificate C-118")
    press(page, "Attach")
    expect(page.get_by_role("link", name="Certificate C-118").first).to_be_visible()


def test_sales_reserves_goods_for_a_customer_and_gives_them_back(firm: Firm) -> None:
    page = firm.open("sales")
    go(page, "Stock")
    click(page, page.locator("tbody tr", has_text="Released").locator("th a").first)
    follow(page, "Reserve")
    page.get_by_label("Amount").fill("5")
    page.get_by_label("Purpose").select_option("sale")
    page.get_by_label("Reference").fill("quote 77")
    page.get_by_label("Customer").fill("Customer 12")
    press(page, "Reserve")
    go(page, "Reservations")
    click(page, page.locator("tbody tr", has_text="quote 77").get_by_role("link").first)
    expect(page.locator(".head").get_by_text("Active")).to_be_visible()
    follow(page, "Cancel")
    page.get_by_label("Reason").fill("the quote was not taken")
    press(page, "Cancel")
    expect(page.locator(".head").get_by_text("Cancelled")).to_be_visible()


def test_a_planner_plans_and_releases_an_order_and_an_operator_makes_it(firm: Firm) -> None:
    page = firm.open("planner")
    go(page, "Work orders")
    follow(page, "New: work order")
    page.get_by_label("Code").fill("WO-1")
    page.get_by_label("Bill of material").fill("1")
    page.get_by_label("Amount").fill("10")
    page.get_by_label("Due").fill(f"{NOW + 30 * HOUR:%Y-%m-%dT%H:%M}")
    press(page, "Create")
    expect(page.get_by_role("heading", name="WO-1")).to_be_visible()
    follow(page, "Reserve material")
    sublot = firm.world.do(lambda u: u.conn.exec_driver_sql("SELECT code FROM sublot ORDER BY id LIMIT 1").scalar_one())
    page.get_by_label("Sublot").fill(sublot)
    page.get_by_label("Amount").fill("10")
    press(page, "Reserve material")
    for act in ("Check the material", "Release"):
        follow(page, act)
        press(page, act)
    expect(page.locator(".head").get_by_text("Released")).to_be_visible()

    page = firm.open("operator")
    expect(page.get_by_role("heading", name="On the work centres 1")).to_be_visible()
    follow(page, re.compile("^Start.*WO-1"))
    press(page, "Start")
    expect(page.locator(".head").get_by_text("Running")).to_be_visible()
    go(page, "Now and next")
    follow(page, re.compile("^Finish.*WO-1"))
    press(page, "Finish")
    expect(page.locator(".head").get_by_text("Done")).to_be_visible()


def test_a_tester_sees_the_patterns_and_has_no_button_of_anybody_elses(firm: Firm) -> None:
    page = firm.open("tester")
    page.goto("/patterns")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    go(page, "Sublots")
    click(page, page.locator("tbody th a").first)
    expect(page.locator(".head .acts a")).to_have_count(0)
    go(page, "Read out a logger")
    expect(page.locator("input[type=file]").first).to_be_visible()


def test_an_auditor_verifies_the_trail_and_signs_its_review(firm: Firm) -> None:
    page = firm.open("auditor")
    follow(page, re.compile("^Review.*audit trail"))
    press(page, "Verify now")
    expect(page.get_by_text("Never verified")).to_have_count(0)
    page.get_by_label("What was seen").fill("nothing out of order")
    page.locator("main input[type=password]").fill(PASSWORD)
    press(page, "Sign")
    expect(page.get_by_text("nothing out of order").first).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Review of the audit trail")).to_have_count(0)


def test_an_admin_makes_a_user_whose_role_is_chosen_and_takes_their_access(firm: Firm) -> None:
    page = firm.open("admin")
    go(page, "Users")
    follow(page, "New: user")
    page.get_by_label("Login").fill("newcomer")
    page.get_by_label("Name", exact=True).fill("New Comer")
    page.get_by_label("Password").fill("for the first day only")
    page.get_by_label("Warehouse", exact=True).check()
    press(page, "Create")
    expect(page.get_by_role("heading", name="newcomer")).to_be_visible()
    follow(page, "Change")
    expect(page.get_by_label("Warehouse", exact=True)).to_be_checked()
    page.get_by_label("May sign in").uncheck()
    press(page, "Change")
    expect(page.locator("dl").get_by_text("No", exact=True).first).to_be_visible()
