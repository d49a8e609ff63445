"""The pictures of the README: `python -m lotwise.demo.pictures`, of the sample plant in a real browser.

Needs Chromium on the PATH. Writes docs/pictures/*.png, each of at most 150 kB.
"""

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine, text

from core.erp.kernel.rights import APP, OWNER
from core.settings import Settings
from lotwise.bench.browser import ARGUMENTS, chromium
from lotwise.bench.core_server import core
from lotwise.demo.sample.seed import seed
from lotwise.demo.sample.site import PASSWORD
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.runtime import load_audit_keys

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
DESK, PHONE = (1120, 700), (390, 844)
MOST = 150_000
"""Bytes of one picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown: a page as somebody sees it. `find` is a statement whose one value is put into the address."""

    name: str
    address: str
    login: str
    find: str = ""
    language: str = "en"
    size: tuple[int, int] = DESK
    dark: bool = False


PICTURES = (
    Picture("front", "/", "qa"),
    Picture(
        "excursion",
        "/excursions/{}",
        "qa",
        "SELECT min(e.id) FROM excursion e JOIN zone z ON z.id = e.zone_id"
        " WHERE z.address = 'north/trucks/truck-7' AND e.state = 'ended'",
    ),
    Picture("plant", "/plant", "engineer"),
    Picture(
        "lot",
        "/sublots/{}",
        "qa",
        "SELECT min(e.sublot_id) FROM excursion e JOIN zone z ON z.id = e.zone_id"
        " WHERE z.address = 'north/cold/room-1' AND e.state = 'dispositioned'",
        size=(1120, 900),
    ),
    Picture("front-zh", "/", "qa", language="zh"),
    Picture(
        "shipment-phone",
        "/shipments/{}",
        "logistics",
        "SELECT max(id) FROM shipment WHERE state = 'in_transit'",
        size=PHONE,
    ),
    Picture("wall", "/wall", "wall", dark=True),
)


def draw(folder: Path = FOLDER) -> list[Path]:
    """The pictures' files. Raises ServerFailed, BrowserMissing, RuntimeError for a picture that is too large."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lotwise-pictures-") as name, ExitStack() as stack:
        place = Path(name)
        postgres = EmbeddedPostgres(place / "postgres", durable=False)
        postgres.start()
        stack.callback(postgres.stop)
        data = place / "data"
        keys = load_audit_keys(Settings(data_dir=data, audit_key=None))
        sample, _, _ = seed(postgres.url_as(OWNER), postgres.url_as(APP), keys, data)
        stack.callback(sample.engine.dispose)
        _, port = core(stack, place, postgres.url_as(APP))
        play = stack.enter_context(sync_playwright())
        browser = play.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, "--hide-scrollbars"])
        stack.callback(browser.close)
        made = [_take(browser, f"http://127.0.0.1:{port}", one, sample.engine, folder) for one in PICTURES]
    large = [f"{file.name} has {file.stat().st_size} bytes" for file in made if file.stat().st_size > MOST]
    if large:
        raise RuntimeError(f"{', '.join(large)}: more than {MOST}")
    return made


def _take(browser: Browser, url: str, wanted: Picture, engine: Engine, folder: Path) -> Path:
    address = wanted.address
    if wanted.find:
        with engine.connect() as conn:
            address = address.format(conn.scalar(text(wanted.find)))
    width, height = wanted.size
    form = {"login": wanted.login, "password": PASSWORD, "back": "/"}
    cookies = httpx.post(f"{url}/login", data=form, timeout=60).cookies
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="zh-CN" if wanted.language == "zh" else "en-GB",
        color_scheme="dark" if wanted.dark else "light",
    )
    try:
        context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies.items()])
        page = context.new_page()
        page.goto(url + address, wait_until="load")
        if page.locator("[data-chart]").count():
            page.wait_for_selector("[data-chart][data-drawn]")
        file = folder / f"{wanted.name}.png"
        page.screenshot(path=file)
    finally:
        context.close()
    return file


if __name__ == "__main__":
    for made in draw():
        print(os.path.relpath(made), made.stat().st_size)
