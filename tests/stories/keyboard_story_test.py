"""The keyboard alone decides an excursion: from the front page to the signature, and nothing is lost on a refusal."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import Engine

from core.erp.kernel.auth import now_utc
from tests.pages import PASSWORD, pages
from tests.servers import need_chromium
from tests.services.quality_plant import Plant, at, build

pytestmark = pytest.mark.browser
MOST = 120
"""Steps from the top of a page to what is wanted."""
FOCUSED = """() => {
    const one = document.activeElement;
    const label = one.labels?.[0]?.innerText ?? '';
    return [one.tagName, one.type ?? '', (label || one.innerText || one.value || '').trim()];
}"""


@dataclass
class Keys:
    """A page that is only typed at."""

    page: Page

    def to(self, words: str, *, tag: str = "") -> None:
        """Steps on until what has focus is called so."""
        for _ in range(MOST):
            self.page.keyboard.press("Tab")
            name, _, label = self.page.evaluate(FOCUSED)
            if words in label and (not tag or name == tag):
                return
        raise AssertionError(f"{words} is not reached by stepping on: {self.page.url}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        self.page.keyboard.type(text)

    def go(self) -> None:
        """Follows the link, or sends the form, that has focus."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")


@dataclass
class Desk:
    plant: Plant
    keys: Keys
    url: str
    excursion: int


@pytest.fixture
def desk(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    chromium = need_chromium()
    plant = build(engine)
    sublot = plant.goods(zone="room-a")
    plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:20", zone="room-a", certainty="proven"))
    plant.alive("room-a", now_utc())
    excursion = int(plant.one("SELECT id FROM excursion WHERE sublot_id = :s", s=sublot))
    with pages(engine, tmp_path_factory.mktemp("pages"), {"qa": ["qa"]}) as people, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        url = str(people["qa"].client.base_url).rstrip("/")
        page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-GB")
        yield Desk(plant, Keys(page), url, excursion)
        browser.close()


def test_the_keyboard_alone_decides_an_excursion(desk: Desk) -> None:
    keys, page = desk.keys, desk.keys.page
    page.goto(f"{desk.url}/login")
    # a browser gives the field its focus at its next drawing, after the page is there
    expect(page.get_by_label("Login")).to_be_focused()
    keys.write("qa")
    keys.press("Tab")
    keys.write(PASSWORD)
    keys.go()
    keys.press("Tab")
    assert page.evaluate(FOCUSED)[2] == "Skip to content", "the first step leads past the navigation"
    keys.press("Enter")
    keys.to("Assess", tag="A")
    keys.go()
    assert page.url.endswith(f"/excursions/{desk.excursion}")
    keys.to("found", tag="TEXTAREA")
    keys.write("Door left open, 80 min at 12 °C")
    keys.to("Record", tag="BUTTON")
    keys.go()
    keys.to("Accept", tag="INPUT")
    keys.press("Space")
    keys.to("Reason", tag="TEXTAREA")
    keys.write("Within the stability data of the maker")
    keys.to("Password", tag="INPUT")
    keys.write("wrong " + PASSWORD)
    keys.go()
    assert page.locator("[data-focus]").evaluate("one => one === document.activeElement"), "the refusal has focus"
    expect(page.get_by_label("Reason")).to_have_value("Within the stability data of the maker")
    keys.to("Password", tag="INPUT")
    keys.write(PASSWORD)
    keys.to("Sign", tag="BUTTON")
    keys.go()
    expect(page.get_by_text("Within the stability data of the maker").first).to_be_visible()
    state = desk.plant.one("SELECT state FROM excursion WHERE id = :e", e=desk.excursion)
    assert state == "dispositioned"
