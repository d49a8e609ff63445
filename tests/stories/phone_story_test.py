"""A phone-sized window hands over a shipment at the ramp: from the board to the signature."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import Engine

from core.erp.kernel.unit import Unit
from core.erp.shipments import service as shipments
from tests.pages import PASSWORD, pages
from tests.servers import need_chromium
from tests.world import OVER_8_FOR_60, every, judging

pytestmark = pytest.mark.browser
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def phone(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    chromium = need_chromium()
    world = judging(engine)
    room = world.zone("cold", band_low=2.0, band_high=8.0, gap=12 * HOUR)
    truck = world.zone("truck", band_low=2.0, band_high=8.0, gap=12 * HOUR)
    sublot = world.sublot(world.item(OVER_8_FOR_60, gap=12 * HOUR), room, NOW - 5 * HOUR)
    for zone in ("cold", "truck"):
        world.feed(zone, every(5, NOW - 5 * HOUR, NOW, 5.0), upto=NOW)

    def plan(u: Unit) -> None:
        legs = [shipments.PlannedLeg("dock 3", "C-100", truck, carrier="Carrier 7")]
        due = NOW + 2 * HOUR
        made = shipments.create(u, "SH-1", "Customer 12", [(sublot, Decimal(10))], legs, due_at=due)
        shipments.pick(u, made.id)

    world.do(plan, now=NOW - 2 * HOUR)
    with pages(engine, tmp_path_factory.mktemp("pages"), {"lee": ["logistics"]}) as people, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(
            base_url=str(people["lee"].client.base_url),
            viewport={"width": 390, "height": 844},
            has_touch=True,
            is_mobile=True,
            locale="en-GB",
        )
        yield context.new_page()
        browser.close()


def fits(page: Page) -> None:
    """Nothing is wider than the glass, and what is to be touched is big enough for a thumb."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url
    heights = page.locator("main button:visible").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert all(height >= 32 for height in heights), heights


def test_a_shipment_is_handed_over_on_a_phone(phone: Page) -> None:
    phone.goto("/login?back=%2Flogistics")
    phone.get_by_label("Login").fill("lee")
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in").tap()
    expect(phone.get_by_role("heading", name="Shipment board")).to_be_visible()
    fits(phone)
    phone.get_by_role("link", name="Hand over and sign").tap()
    expect(phone.get_by_text("What changes hands")).to_be_visible()
    fits(phone)
    phone.get_by_label("Taken by").fill("the driver")
    phone.get_by_label("Temperature").fill("4.6")
    phone.locator("#f-password").fill("not that")
    phone.get_by_role("button", name="Hand over and sign").tap()
    expect(phone.get_by_role("alert")).to_be_visible()
    expect(phone.get_by_label("Taken by")).to_have_value("the driver")
    phone.locator("#f-password").fill(PASSWORD)
    phone.get_by_role("button", name="Hand over and sign").tap()
    expect(phone.get_by_text("Lee gave it to the driver (carrier)")).to_be_visible()
    fits(phone)
    phone.goto("/logistics")
    expect(phone.locator("section", has_text="On the way").get_by_text("SH-1")).to_be_visible()


def test_a_list_on_a_phone_begins_with_its_rows_and_unfolds_its_filters(phone: Page) -> None:
    phone.goto("/login?back=%2Fshipments%3Fheld%3Dfalse")
    phone.get_by_label("Login").fill("lee")
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in").tap()
    row = phone.get_by_role("rowheader", name="SH-1")
    expect(row).to_be_in_viewport()
    held = phone.locator("#b-held")
    expect(held).to_be_hidden()
    fits(phone)
    phone.get_by_text("Filters (1)", exact=True).tap()
    expect(held).to_have_value("false")
    held.select_option("true")
    phone.get_by_role("button", name="Apply").tap()
    expect(row).to_have_count(0)
    fits(phone)
