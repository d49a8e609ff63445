"""Pages of a firm of volume: how long lists, desks and records take, what they weigh on the wire, and a long chart."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
from sqlalchemy import Engine

from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.permits import Role
from core.erp.kernel.sessions.cookies import PLAIN_COOKIE
from core.erp.kernel.unit import system, transact
from core.erp.migrations import upgrade
from core.wiring import build_events
from lotwise.bench import browser as browsing
from lotwise.bench.api import client
from lotwise.bench.core_server import core
from lotwise.bench.figures import busy_of, figure
from lotwise.bench.http_load import Answers, Load
from lotwise.bench.pages_asked import DESKS, LISTS, Address, ids_of, records
from lotwise.bench.plant import BENCH_KEYS
from lotwise.bench.volume import Loaded, Volume, load
from lotwise.embedded.postgres import EmbeddedPostgres

PASSWORD = "four words of a bench"  # noqa: S105 - of users in the benchmark's own database
WARM_UP, AT_MOST = 5, 60.0
"""Requests before those that count, and seconds for those of one page."""
CHART_WIDTH, CHARTS, DRAWN = 1140, 20, 5
METHOD = (
    "`lotwise serve` on embedded PostgreSQL (fsync on); {v.zones} zones, {v.sublots} sublots, {v.shipments} shipments,"
    " {v.excursions} excursions, {v.days} days of readings; "
)
ON_SERVER = (
    "one request after the other over HTTP, in turn of QA of all sites and of QA of one; from the request to its last"
    " byte; {n} requests of each page; load average {load:.1f}; "
)
ON_WIRE = (
    "Chromium, nothing kept; bytes from the server, headers too, until nothing has come for 0.6 s; requests with what a"
    " browser keeps kept, without the event stream, which all tabs share; the most of {pages}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is, and how often each page is asked for."""

    volume: Volume
    requests: int


def run(size: Size, *, browser: bool = True) -> None:
    """Prints `list_p95_ms`, `desk_p95_ms`, `record_p95_ms`, `page_p95_ms` of each, `chart_ms`, and where there is a
    browser `cold_kb`, `warm_requests` and `chart_drawn_ms`. Raises ServerFailed.
    """
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        upgrade(engine)
        loaded = load(engine, size.volume)
        logins = _people(engine)
        with engine.connect() as conn:
            pages = {"list": LISTS, "desk": DESKS, "record": records(ids_of(conn, loaded))}
        engine.dispose()
        server, port = core(stack, Path(name), postgres.url())
        assert server.pid is not None
        assert postgres.pid is not None
        cookies = [_sign_in(port, login) for login in logins]
        put = stack.enter_context(client(port))
        bench = _Bench(size, port, cookies, put, (server.pid, postgres.pid))
        for kind, addresses in pages.items():
            bench.measure(kind, addresses)
        bench.chart(loaded)
        if not browser:
            return
        try:
            asyncio.run(_in_browser(size, port, cookies[0], loaded, pages))
        except browsing.BrowserMissing as error:
            print(f"nothing was measured in a browser: {error}", file=sys.stderr)


def _people(engine: Engine) -> list[str]:
    """QA of all sites, and of the first one only."""
    events = build_events()
    for login, place in (("everywhere", Place()), ("here", Place((1,)))):
        make = partial(create_user, login=login, name=login, password=PASSWORD, roles=[Role.QA], place=place)
        transact(engine, system("bench"), events, make)
    return ["everywhere", "here"]


def _sign_in(port: int, login: str) -> str:
    form = {"login": login, "password": PASSWORD, "back": "/"}
    answer = httpx.post(f"http://127.0.0.1:{port}/login", data=form, timeout=60)
    return answer.cookies[PLAIN_COOKIE]


class _Bench:
    """Asks for one page after the other and prints how long it took."""

    def __init__(
        self,
        size: Size,
        port: int,
        cookies: Sequence[str],
        put: Callable[[Load], Answers],
        pids: tuple[int, int],
    ) -> None:
        self._size, self._port, self._cookies, self._put, self._pids = size, port, cookies, put, pids
        self._dice = np.random.default_rng(1)

    def measure(self, kind: str, addresses: Mapping[str, Address]) -> None:
        """Every page of a kind, and all of them."""
        every: list[float] = []
        for name, address in addresses.items():
            every += self._page(name, [address(self._dice) for _ in range(self._size.requests)])
        self._print(f"{kind}_p95_ms", every, f"p95 over all of {', '.join(addresses)}")

    def _page(self, name: str, addresses: Sequence[str]) -> list[float]:
        self._put(self._load(addresses[:WARM_UP]))
        before = [busy_of([pid]) for pid in self._pids]
        answers = self._put(self._load(addresses))
        busy = [busy_of([pid]) - was for pid, was in zip(self._pids, before, strict=True)]
        if answers.failed:
            raise RuntimeError(f"{addresses[0]}: {answers.errors}")
        core_ms, database_ms = (one * 1000 / answers.asked for one in busy)
        took = f"the core took {core_ms:.1f} ms of a processor for one, PostgreSQL {database_ms:.1f} ms"
        self._print("page_p95_ms", answers.latencies, f"{addresses[0]}; {took}", operation=name)
        return answers.latencies

    def _load(self, addresses: Sequence[str]) -> Load:
        requests = [self._request(*pair) for pair in enumerate(addresses)]
        return Load(requests, 1, AT_MOST, 200, once=True, warm_up=0.0, json=False)

    def _request(self, number: int, address: str) -> str:
        cookie = self._cookies[number % len(self._cookies)]
        head = f"Host: 127.0.0.1:{self._port}\r\nCookie: {PLAIN_COOKIE}={cookie}\r\nAccept-Encoding: gzip\r\n"
        return f"GET {address} HTTP/1.1\r\n{head}\r\n"

    def chart(self, loaded: Loaded) -> None:
        """The document of a chart of all days of the zone with a reading a minute."""
        query = urlencode({"from": loaded.since.isoformat(), "to": loaded.until.isoformat(), "width": str(CHART_WIDTH)})
        address = f"/charts/zones/{loaded.watched}?{query}"
        self._put(self._load([address]))
        answers = self._put(self._load([address] * CHARTS))
        if answers.failed:
            raise RuntimeError(f"{address}: {answers.errors}")
        what = f"p95; the document of a chart {CHART_WIDTH} pixels wide of {self._size.volume.days} days of one point"
        self._print("chart_ms", answers.latencies, f"{what} at a reading a minute")

    def _print(self, metric: str, latencies: Iterable[float], what: str, **of: str) -> None:
        took = list(latencies)
        method = METHOD.format(v=self._size.volume) + ON_SERVER.format(n=self._size.requests, load=os.getloadavg()[0])
        figure("pages", metric, float(np.percentile(took, 95)) * 1000, "ms", len(took), method + what, **of)


async def _in_browser(
    size: Size, port: int, cookie: str, loaded: Loaded, pages: Mapping[str, Mapping[str, Address]]
) -> None:
    """What pages weigh, and how long the longest chart takes until it is drawn."""
    dice, method = np.random.default_rng(5), METHOD.format(v=size.volume)
    addresses = [address(dice) for kind in pages.values() for address in kind.values()]
    cookies: list[dict[str, Any]] = [{"name": PLAIN_COOKIE, "value": cookie, "domain": "127.0.0.1", "path": "/"}]
    async with browsing.browser() as found, browsing.counted(port) as (through, wire):
        weighed = {address: await browsing.opened(found, through, wire, cookies, address) for address in addresses}
        with_chart = {
            one for one in weighed if one.split("/")[1] in {"zones", "excursions", "sublots"} and one.count("/") > 1
        }
        say = partial(figure, "pages")
        for metric, chosen in (("cold_kb", set(weighed) - with_chart), ("cold_chart_kb", with_chart)):
            most = max(chosen, key=lambda one: weighed[one].cold_kb)
            what = method + ON_WIRE.format(pages=f"{len(chosen)} pages: {most}")
            say(metric, weighed[most].cold_kb, "kB", len(chosen), what)
        most = max(weighed, key=lambda one: weighed[one].warm_requests)
        what = method + ON_WIRE.format(pages=f"{len(weighed)} pages: {most}")
        say("warm_requests", weighed[most].warm_requests, "1", len(weighed), what)
        took = await browsing.drawn(found, through, cookies, f"/zones/{loaded.watched}", DRAWN)
        what = f"median; Chromium, from the click on everything until the chart of {size.volume.days} days is drawn"
        say("chart_drawn_ms", float(np.median(took)), "ms", len(took), method + what)
