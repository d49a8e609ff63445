"""Nothing that axe calls serious or critical on any template, light and dark: names, roles, order, contrast."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from jinja2 import Environment, Template
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine, text

from core.erp.alerting.model import Alert
from core.erp.shipments.model import Shipment
from core.web.desks.simulators.port import Asked
from core.web.frame.templating import FOLDER
from tests.pages import Importer, pages
from tests.servers import need_chromium
from tests.simulating import FakeSimulators, NoSources
from tests.world import OVER_8_FOR_60, at, every, judging

pytestmark = pytest.mark.browser

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
GRAVE = {"serious", "critical"}
LONG = timedelta(days=4000)
NOT_OPENED = {"bare.html", "resume.html", "records/many_done.html", "records/file.html"}
"""What others extend, the page that sends itself on at once, and what is made of the same parts after an act."""
PEOPLE = {
    "qa": ["qa"],
    "eng": ["plant_engineer"],
    "adm": ["admin"],
    "aud": ["auditor"],
    "lou": ["logistics"],
    "rp": ["responsible_person"],
    "tess": ["tester"],
}
PAGES = (
    ("eng", "/patterns"),
    ("qa", "/"),
    ("eng", "/plant"),
    ("eng", "/zones/{zone}"),
    ("eng", "/zones/{zone}/record"),
    ("eng", "/zones/{zone}/alarms/high/shelve"),
    ("qa", "/excursions"),
    ("qa", "/excursions/{excursion}"),
    ("qa", "/incidents/{incident}"),
    ("qa", "/alarms/{alarm}"),
    ("qa", "/alerts/{alert}"),
    ("qa", "/sublots/{sublot}"),
    ("qa", "/sublots"),
    ("qa", "/stock"),
    ("qa", "/sublots?state=nonsense"),
    ("aud", "/shipments"),
    ("aud", "/centres"),
    ("aud", "/wall"),
    ("lou", "/loggers/import"),
    ("aud", "/shipments/{shipment}"),
    ("aud", "/audit-desk"),
    ("aud", "/logistics"),
    ("aud", "/release"),
    ("rp", "/release/sign?sublot={sublot}"),
    ("lou", "/shipments/{shipment}/hand-over"),
    ("qa", "/sublots/views/new"),
    ("adm", "/zones/import"),
    ("adm", "/setup"),
    ("eng", "/setup/sources"),
    ("tess", "/simulators"),
    ("tess", "/simulators/scenarios/cold_room_failure"),
    ("tess", "/simulators/runs/00000000"),
    ("qa", "/setup/profiles/{profile}/preview"),
    ("adm", "/users"),
    ("adm", "/users/new"),
    ("qa", "/profiles/new"),
    ("qa", "/holds/new?sublot_id={sublot}"),
    ("qa", "/find?q=room"),
    ("qa", "/charts/zones/{zone}/readings"),
    ("qa", "/password"),
    ("qa", "/nowhere"),
    ("", "/login?why=expired"),
)
"""(who, one page of each template); nobody is signed in where none is named."""


@dataclass
class Served:
    url: str
    opened: set[str]
    """Templates that were asked for by name."""
    browser: Browser
    cookies: dict[str, list[Any]]
    ids: dict[str, int]
    kept: dict[tuple[str, str], Page] = field(default_factory=dict)

    def _page(self, login: str, scheme: Literal["light", "dark"]) -> Page:
        if (login, scheme) not in self.kept:
            context = self.browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
            context.add_cookies(self.cookies.get(login, []))
            self.kept[login, scheme] = context.new_page()
        return self.kept[login, scheme]

    def found(self, login: str, path: str, scheme: Literal["light", "dark"]) -> list[str]:
        """What axe finds that is grave, and on what."""
        page = self._page(login, scheme)
        page.goto(self.url + path.format(**self.ids))
        if page.locator("figure.chart").count():
            page.locator("figure.chart").scroll_into_view_if_needed()
            page.wait_for_selector("[data-drawn], .chart-said:not(:empty)")
        told = Axe().run(page).response["violations"]
        return [
            f"{path} {scheme}: {one['id']} {node['html'][:160]} {node['failureSummary']}"
            for one in told
            if one["impact"] in GRAVE
            for node in one["nodes"]
        ]


@pytest.fixture(scope="module")
def served(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    chromium = need_chromium()
    world = judging(module_engine)
    room = world.zone("room", band_low=2.0, band_high=8.0, gap=LONG)
    world.zone("other", band_low=2.0, band_high=8.0, gap=LONG)
    sublot = world.sublot(world.item(OVER_8_FOR_60, gap=LONG), room, at("00:00"))
    world.feed("other", every(5, at("00:00"), at("03:00"), 5.0), upto=at("03:00"))
    world.feed("room", every(5, at("00:00"), at("03:00"), 12.0), upto=at("03:00"))
    with module_engine.connect() as conn:
        excursion, incident = conn.execute(text("SELECT id, incident_id FROM excursion ORDER BY id")).one()
        alarm = conn.execute(text("SELECT id FROM zone_alarm ORDER BY id LIMIT 1")).scalar_one()
    alert = world._add(
        Alert(
            event="zone_high",
            severity="alarm",
            cause="zone_alarm:1",
            title="room",
            began_at=at("02:00"),
            raised_at=at("02:00"),
        )
    )
    shipment = world._add(Shipment(code="SH-1", consignee="clinic", created_at=at("00:00")))
    folder, simulators = tmp_path_factory.mktemp("pages"), FakeSimulators()
    simulators.start("00000000", Asked("cold_room_failure"), "tess")
    with (
        pages(module_engine, folder, PEOPLE, take=Importer(), simulators=simulators, sources=NoSources()) as people,
        sync_playwright() as play,
    ):
        url = str(people["qa"].client.base_url)
        cookies = {
            login: [{"name": one.name, "value": one.value, "url": url} for one in person.client.cookies.jar]
            for login, person in people.items()
        }
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        ids = {
            "zone": room,
            "sublot": sublot,
            "excursion": excursion,
            "incident": incident,
            "alarm": alarm,
            "alert": alert,
            "shipment": shipment,
            "profile": 1,
        }
        with pytest.MonkeyPatch.context() as patched:
            opened, get = set(), Environment.get_template

            def noted(self: Environment, name: str, *rest: Any, **more: Any) -> Template:
                opened.add(name)
                return get(self, name, *rest, **more)

            patched.setattr(Environment, "get_template", noted)
            yield Served(url, opened, browser, cookies, ids)
        browser.close()


@pytest.mark.timeout(600)
def test_axe_finds_nothing_grave_on_any_template(served: Served) -> None:
    found = [one for login, path in PAGES for one in served.found(login, path, "light")]
    assert not found, "\n".join(found)
    pages_of_ours = {
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html") if "{% extends" in path.read_text()
    }
    assert pages_of_ours - served.opened - NOT_OPENED == set(), "a new template is to stand above"


def test_nor_in_the_dark(served: Served) -> None:
    dark = ("/patterns", "/", "/plant", "/excursions/{excursion}", "/sublots", "/users/new", "/login?why=expired")
    found = [one for login, path in PAGES if path in dark for one in served.found(login, path, "dark")]
    assert not found, "\n".join(found)
