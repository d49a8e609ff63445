"""Charts in a real browser, under the pages' strict policy: drawn, legible, zoomed by key, told by pointer, themed."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Response
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from sqlalchemy import Engine, text

from core.erp.catalog.model import ProfileLimit
from core.erp.kernel.door import signed_in_only
from core.telemetry.quality import Quality
from core.web.frame.routes import page_routes
from core.web.frame.templating import environment
from core.web.frame.visit import Visiting
from tests.pages import pages
from tests.servers import need_chromium
from tests.world import HOUR, MINUTE, World, judging_events

pytestmark = pytest.mark.browser

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SOON = 20_000
DESKTOP, PHONE = (1440, 900), (390, 844)
PAGE = """{% extends 'base.html' %}{% from 'parts/chart.html' import chart %}{% block title %}{{ name }}{% endblock %}
{% block main %}<div class="head"><h1>{{ name }}</h1></div><div class="desk">
<section class="panel">{{ chart(address, name) }}</section><aside class="panel side"><h2>{{ name }}</h2></aside></div>
{% endblock %}"""
"""A desk as the excursion's is: the chart has two thirds of the width."""


class Room(World):
    """A room that grew too warm in the last hours, with doubtful readings, and then none, before it was cold again."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, judging_events())
        self.end = datetime.now(UTC).replace(second=0, microsecond=0)
        self.now = self.end - 40 * HOUR
        truck = self.zone("truck", points=(), worst_temperature=7.0)
        self.room = self.zone("room", points=("TT-102", "~TT-101"), band_low=2.0, band_high=8.0)
        limits = (
            ProfileLimit(key="high", op=">", threshold=8.0, kind="cumulative", delay=3 * HOUR),
            ProfileLimit(key="low", op="<", threshold=2.0, kind="consecutive", delay=2 * HOUR),
            ProfileLimit(key="hot", op=">", threshold=25.0, kind="consecutive", delay=2 * HOUR),
        )
        self.goods = self.sublot(self.item(*limits), truck, self.end - 30 * HOUR)
        self.put(self.goods, self.room, self.end - 22 * HOUR)
        self.zone("dense", band_low=2.0, band_high=8.0)
        seconds = [(self.end - n * timedelta(seconds=15), 5 + n % 7 / 10) for n in range(12 * 240, 0, -1)]
        self.feed("dense", seconds, point="p1", upto=self.end)
        self.spell(26, 10, lambda hours: 5 + (hours * 7 % 3) / 2)
        self.spell(10, 5, lambda hours: 5 + (10 - hours) * 1.4)
        self.spell(5, 4, lambda hours: 12.0 - hours / 9, Quality.UNCERTAIN)
        self.spell(2.5, 0, lambda hours: max(4.6, 12 - (2.5 - hours) * 5))

    def spell(
        self, start: float, stop: float, value: Callable[[float], float], quality: Quality = Quality.GOOD
    ) -> None:
        """Readings every five minutes, from so many hours ago until so many hours ago."""
        hours = [start - n / 12 for n in range(int((start - stop) * 12))]
        values = [(self.end - hour * HOUR, value(hour)) for hour in hours]
        self.feed("room", [(at, number + 0.7) for at, number in values], point="TT-101", quality=quality)
        self.feed("room", values, point="TT-102", quality=quality, upto=values[-1][0] + 4 * MINUTE)


@dataclass
class Shown:
    """A page of somebody who is signed in, and whatever its console said."""

    page: Page
    said: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        return list(self.page.evaluate("window.refusedByPolicy"))


@dataclass
class Served:
    url: str
    room: Room
    browser: Browser
    addresses: dict[str, str]
    cookies: list[Any]

    def open(self, what: str, size: tuple[int, int] = DESKTOP, *, language: str = "en", scheme: str = "light") -> Shown:
        context = self.context(size, language, scheme)
        shown = Shown(context.new_page())
        shown.page.on("console", lambda message: shown.said.append(message.text) if _matters(message) else None)
        shown.page.on("pageerror", lambda error: shown.said.append(str(error)))
        shown.page.goto(self.url + self.addresses[what])
        return shown

    def drawn(self, what: str, size: tuple[int, int] = DESKTOP, **how: str) -> Shown:
        shown = self.open(what, size, **how)
        shown.page.locator("[data-chart]").first.scroll_into_view_if_needed()  # drawn once somebody is near
        shown.page.wait_for_selector("[data-drawn]")
        return shown

    def context(self, size: tuple[int, int], language: str, scheme: Any) -> BrowserContext:
        width, height = size
        made = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale={"en": "en-GB", "zh": "zh-CN"}[language],
        )
        made.set_default_timeout(SOON)
        made.add_cookies(self.cookies)
        made.add_init_script(
            "window.refusedByPolicy = [];"
            "document.addEventListener('securitypolicyviolation',"
            " told => window.refusedByPolicy.push(`${told.violatedDirective} ${told.blockedURI} ${told.sample}`));"
        )
        return made


def _matters(message: ConsoleMessage) -> bool:
    """An error; that there is no icon is none of the chart's."""
    return message.type == "error" and not message.location.get("url", "").endswith("/favicon.ico")


@pytest.fixture(scope="module")
def served(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    chromium = need_chromium()
    room = Room(module_engine)
    with module_engine.connect() as conn:
        excursion = conn.scalar(text("SELECT id FROM excursion WHERE limit_key = 'high'"))
    with pages(module_engine, tmp_path_factory.mktemp("pages"), {"qa": ["qa"]}) as people, sync_playwright() as play:
        people["qa"].app.include_router(_desk(f"/charts/excursions/{excursion}"))
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        url = str(people["qa"].client.base_url)
        cookies = [{"name": one.name, "value": one.value, "url": url} for one in people["qa"].client.cookies.jar]
        addresses = {
            "zone": f"/zones/{room.room}?span=7d",
            "dense": f"/zones/{room.room + 1}?span=7d",
            "life": f"/sublots/{room.goods}",
            "excursion": "/desk-of-the-test",
        }
        yield Served(url, room, browser, addresses, cookies)
        browser.close()


def _desk(address: str) -> Any:
    router = page_routes()

    @router.get("/desk-of-the-test")
    @signed_in_only()
    def desk(visit: Visiting) -> Response:
        made = environment(visit.language, visit.zone.key).from_string(PAGE)
        here = {"groups": (), "here": "/", "form_key": ""}
        return HTMLResponse(made.render(visit=visit, name="What the goods went through", address=address, **here))

    return router


OVERLAPS = """plot => {
    const texts = [...plot.querySelectorAll('svg text')].filter(one => one.textContent.trim());
    const boxes = texts.map(one => [one.textContent, one.getBoundingClientRect()]), found = [];
    boxes.forEach(([words, a], index) => {
        const frame = plot.getBoundingClientRect();
        if (a.left < frame.left - 2 || a.right > frame.right + 2) found.push(`${words} leaves the chart`);
        for (const [other, b] of boxes.slice(index + 1)) {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 1 && high > 4) found.push(`${words} | ${other}`);
        }
    });
    return found;
}"""


@pytest.mark.parametrize("what", ["zone", "dense", "life", "excursion"])
def test_a_chart_is_legible_on_a_desk_and_a_phone_in_both_languages(
    served: Served, what: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(f"charts-{what}")
    for size, language, scheme in (
        (DESKTOP, "en", "light"),
        (PHONE, "en", "light"),
        (DESKTOP, "zh", "dark"),
        (PHONE, "zh", "dark"),
    ):
        shown = served.drawn(what, size, language=language, scheme=scheme)
        plot = shown.page.locator(".chart-plot").first
        plot.scroll_into_view_if_needed()
        shown.page.screenshot(path=folder / f"{size[0]}-{language}-{scheme}.png", full_page=True)
        assert (shown.said, shown.violations()) == ([], [])
        assert plot.evaluate(OVERLAPS) == [], (size, language)
        words = plot.evaluate("plot => [...plot.querySelectorAll('svg text')].map(one => one.textContent)")
        assert len(words) > 12
        assert any(re.search("[\u4e00-\u9fff]", one) for one in words) == (language == "zh")
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        shown.page.context.close()


def test_the_hours_that_decide_are_on_the_first_screen(served: Served) -> None:
    shown = served.drawn("excursion")
    plot = shown.page.locator(".chart-plot")
    box = plot.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < DESKTOP[1]
    words = plot.evaluate("plot => [...plot.querySelectorAll('svg text')].map(one => one.textContent)")
    assert any(one.startswith("Broke ") for one in words)
    assert any(one.startswith("Product limit: 8") for one in words)


def test_keys_and_buttons_move_the_window_and_finer_data_follow(served: Served) -> None:
    shown = served.drawn("dense")
    page, plot = shown.page, shown.page.locator(".chart-plot")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/charts/" in request.url else None)
    opened = _window(page)
    plot.focus()
    near = opened
    for _ in range(3):
        plot.press("+")
        near = _moved(page, near)
    assert near[1] - near[0] <= (opened[1] - opened[0]) / 8 + 2
    assert asked, "a narrower window asks again"
    assert all("from=" in one and "to=" in one for one in asked)
    plot.press("Home")
    first = _moved(page, near)
    assert first[0] < near[0]
    assert first[1] - first[0] == near[1] - near[0]
    page.get_by_role("button", name="Zoom out").click()
    wide = _moved(page, first)
    assert wide[1] - wide[0] > first[1] - first[0]
    page.get_by_role("button", name="Back").click()
    assert _moved(page, wide) == opened
    assert (shown.said, shown.violations()) == ([], [])


def _moved(page: Page, before: tuple[int, int]) -> tuple[int, int]:
    """The window that is drawn next."""
    was = f"{before[0]}-{before[1]}"
    page.wait_for_function("was => document.querySelector('[data-drawn]').dataset.drawn !== was", arg=was)
    return _window(page)


def _window(page: Page) -> tuple[int, int]:
    drawn = page.locator("[data-drawn]").get_attribute("data-drawn") or ""
    start, _, stop = drawn.partition("-")
    return int(start), int(stop)


def test_the_pointer_is_told_what_was_read_there(served: Served) -> None:
    shown = served.drawn("excursion")
    plot = shown.page.locator(".chart-plot")
    box = plot.bounding_box()
    assert box is not None
    shown.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 120)
    shown.page.mouse.move(box["x"] + box["width"] * 0.41, box["y"] + 121)
    said = plot.locator("svg text", has_text=re.compile(r"\d\d:\d\d:\d\d"))
    expect(said.first).to_be_visible()
    assert (shown.said, shown.violations()) == ([], [])


COLOUR = "plot => getComputedStyle(plot.querySelector('svg text')).fill"


def test_a_change_of_theme_needs_no_drawing_and_print_is_light(served: Served) -> None:
    shown = served.drawn("zone", scheme="dark")
    plot = shown.page.locator(".chart-plot")
    dark = plot.evaluate(COLOUR)
    shown.page.emulate_media(color_scheme="light")
    light = plot.evaluate(COLOUR)
    assert dark != light
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert plot.evaluate(COLOUR) not in {dark, light}


def test_it_is_named_and_reached_by_keyboard(served: Served) -> None:
    shown = served.drawn("excursion")
    plot = shown.page.get_by_role("group", name=re.compile("highest"))
    expect(plot).to_have_attribute("tabindex", "0")
    expect(shown.page.get_by_role("link", name="Readings as a table")).to_be_visible()
    for name in ("Earlier", "Later", "Zoom in", "Zoom out", "All", "Back"):
        expect(shown.page.get_by_role("button", name=name, exact=True)).to_be_visible()


def test_a_chart_that_cannot_be_read_says_so_and_the_table_stays(served: Served) -> None:
    context = served.context(DESKTOP, "en", "light")
    page = context.new_page()
    page.route("**/charts/zones/*", lambda route: route.fulfill(status=503, body="away"))
    page.goto(served.url + served.addresses["zone"])
    expect(page.locator(".chart-said")).to_contain_text("could not be loaded")
    expect(page.get_by_role("link", name="Readings as a table")).to_be_visible()


def test_a_live_region_may_bring_a_chart_and_take_it_away(served: Served) -> None:
    shown = served.drawn("zone")
    shown.page.evaluate(
        """() => {
            const old = document.querySelector('figure.chart'), made = old.cloneNode(true);
            made.removeAttribute('data-drawn');
            made.querySelector('.chart-plot').replaceChildren(
                Object.assign(document.createElement('p'), { className: 'chart-said' }));
            old.replaceWith(made);
        }"""
    )
    shown.page.wait_for_selector("[data-drawn]")
    assert shown.page.locator("figure.chart svg").count() > 1
    assert (shown.said, shown.violations()) == ([], [])


def test_what_people_write_is_text(served: Served) -> None:
    hostile = "<img src=x onerror=alert(1)> {b|bold} =1+1 \u202e" + "x" * 300
    with served.room.engine.begin() as conn:
        conn.execute(text("UPDATE zone SET name = :name WHERE address = 's1/a/room'"), {"name": hostile})
    try:
        shown = served.drawn("life")
        assert shown.page.locator("figure.chart img").count() == 0
        assert shown.page.locator(".chart-plot").evaluate(OVERLAPS) == []
        assert (shown.said, shown.violations()) == ([], [])
    finally:
        with served.room.engine.begin() as conn:
            conn.execute(text("UPDATE zone SET name = 'room' WHERE address = 's1/a/room'"))
