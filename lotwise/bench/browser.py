"""A real browser behind a counter: bytes and requests that a page takes on the wire, and when its chart is drawn."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

_ASKED = re.compile(rb"(?m)^(GET|POST|HEAD) (\S+) HTTP/1\.1\r\n")
_QUIET = 0.6
"""Seconds without a byte after which a page is there. What a stream says by itself comes later."""
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
LIVE = "/live"


class BrowserMissing(RuntimeError):
    """There is no browser here, or nothing to drive it with."""


@dataclass(slots=True)
class Wire:
    """What went over the wire since it was last cleared: bytes from the server, headers and all, and what was asked."""

    received: int = 0
    asked: int = 0
    last: float = 0.0

    def clear(self) -> None:
        """From nothing again."""
        self.received = self.asked = 0


@contextlib.asynccontextmanager
async def counted(port: int) -> AsyncIterator[tuple[int, Wire]]:
    """(a port that leads to the server at `port`, what goes through it). The event stream is no request of a page."""
    wire = Wire()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, away = await asyncio.open_connection("127.0.0.1", port)

        async def ask() -> None:
            while data := await reader.read(65536):
                wire.asked += sum(not found[2].startswith(LIVE.encode()) for found in _ASKED.finditer(data))
                wire.last = asyncio.get_running_loop().time()
                away.write(data)
            away.close()

        async def answer() -> None:
            while data := await there.read(65536):
                wire.received += len(data)
                wire.last = asyncio.get_running_loop().time()
                writer.write(data)
                await writer.drain()
            writer.close()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(ask(), answer())

    server = await asyncio.start_server(through, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], wire
    finally:
        server.close()


def chromium() -> str:
    """The program. Raises BrowserMissing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise BrowserMissing("no chromium on the PATH")
    return found


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator["Browser"]:
    """Chromium without a window. Raises BrowserMissing."""
    program = chromium()
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise BrowserMissing("playwright is not installed (make setup)") from error
    async with async_playwright() as play:
        found = await play.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield found
        finally:
            await found.close()


@dataclass(frozen=True, slots=True)
class Opened:
    """A page opened with nothing kept, and again once all is kept that may be."""

    cold_kb: float
    warm_kb: float
    cold_requests: int
    warm_requests: int


async def opened(found: "Browser", port: int, wire: Wire, cookies: Sequence[Any], address: str) -> Opened:
    """Opens the page twice in a browser that has been nowhere yet."""
    context = await _context(found, cookies)
    try:
        counts = []
        for _ in range(2):
            wire.clear()
            page = await context.new_page()
            await page.goto(f"http://127.0.0.1:{port}{address}", wait_until="load")
            await _quiet(wire)
            counts.append((wire.received / 1000, wire.asked))
            await page.close()
        (cold, cold_asked), (warm, warm_asked) = counts
        return Opened(cold, warm, cold_asked, warm_asked)
    finally:
        await context.close()


_ALL_DRAWN = """async () => {
    const figure = document.querySelector('[data-chart]'), before = figure.dataset.drawn, at = performance.now();
    const drawn = new Promise(done => new MutationObserver(() => {
        if (figure.dataset.drawn !== before) requestAnimationFrame(() => done(performance.now() - at));
    }).observe(figure, { attributes: true, attributeFilter: ['data-drawn'] }));
    figure.querySelector('[data-chart-act=all]').click();
    return drawn;
}"""


async def drawn(found: "Browser", port: int, cookies: Sequence[Any], address: str, times: int) -> list[float]:
    """Milliseconds from the click on "everything" until the chart of all of it is drawn."""
    took = []
    context = await _context(found, cookies)
    try:
        for _ in range(times):
            page = await context.new_page()
            await page.goto(f"http://127.0.0.1:{port}{address}", wait_until="load")
            await page.wait_for_selector("[data-chart][data-drawn]")
            took.append(float(await page.evaluate(_ALL_DRAWN)))
            await page.close()
    finally:
        await context.close()
    return took


async def _context(found: "Browser", cookies: Sequence[Any]) -> "BrowserContext":
    context = await found.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    await context.add_cookies(cookies)
    return context


async def _quiet(wire: Wire) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() - wire.last < _QUIET:  # noqa: ASYNC110 - silence is no event
        await asyncio.sleep(_QUIET / 4)
