"""Many people sign at once, and one tries wrong passwords: what a bystander notices, and how long signing takes."""

import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import Engine, text

from core.erp.kernel.access.users import create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import system, transact
from core.erp.migrations import upgrade
from core.wiring import build_events
from lotwise.bench.core_server import core
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS, Plant, build
from lotwise.embedded.postgres import EmbeddedPostgres

PASSWORD = "four words of a bench"  # noqa: S105 - of users in the benchmark's own database
ZONES, EVERY, START_TIMEOUT = 20, 0.02, 120.0
BYSTANDER = "bystander"
SETTLE = 1.0
"""Seconds that the bystander reads before."""
REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
METHOD = (
    "`lotwise serve` as a process of its own on embedded PostgreSQL (fsync on); a bystander reads one sublot every"
    f" {EVERY * 1000:.0f} ms meanwhile; the client shares the machine; "
)


@dataclass
class Timings:
    """Seconds that answers took, and what was wrong with those that were not as they should be."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def p95(self) -> float:
        """Of the answers that were as they should be; of none, not a number."""
        return float(np.percentile(self.seconds, 95)) if self.seconds else float("nan")


class Client:
    """One person with a connection of their own."""

    def __init__(self, url: str, login: str) -> None:
        self.login = login
        self._http = httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=START_TIMEOUT)

    async def sign_in(self, timings: Timings) -> None:
        """Signs in; the time it took is kept."""
        given = {"username": self.login, "password": PASSWORD}
        answer = await _asked(timings, self._http.post("/token", data=given), {HTTPStatus.OK})
        if answer is not None:
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def release(self, timings: Timings, sublot: int, password: str, expected: frozenset[HTTPStatus]) -> None:
        """Signs, or tries to."""
        body = {"login": self.login, "password": password, "reason": "reviewed"}
        await _asked(timings, self._http.post(f"/sublots/{sublot}/release", json=body), expected)

    async def look(self, timings: Timings, sublot: int) -> None:
        """Reads one sublot again and again until cancelled."""
        while True:
            await _asked(timings, self._http.get(f"/sublots/{sublot}"), {HTTPStatus.OK})
            await asyncio.sleep(EVERY)

    async def close(self) -> None:
        """Closes the connection."""
        await self._http.aclose()


async def _asked(
    timings: Timings, asking: Any, expected: frozenset[HTTPStatus] | set[HTTPStatus]
) -> httpx.Response | None:
    began = time.perf_counter()
    try:
        answer: httpx.Response = await asking
    except httpx.HTTPError as error:
        timings.errors.append(f"{type(error).__name__}: {error}")
        return None
    if answer.status_code not in expected:
        timings.errors.append(f"{answer.status_code} {answer.text[:200]}")
        return None
    timings.seconds.append(time.perf_counter() - began)
    return answer


def _people(engine: Engine, count: int) -> list[str]:
    """Signers, and the bystander."""
    logins = [f"signer-{number}" for number in range(count)]
    events = build_events()
    for login in (*logins, BYSTANDER):
        role = Role.WAREHOUSE if login == BYSTANDER else Role.RESPONSIBLE_PERSON
        transact(engine, system("bench"), events, lambda u, w=login, r=role: create_user(u, w, w, PASSWORD, [r]))  # type: ignore[misc]  # mypy cannot infer such a lambda
    return logins


async def _measure(url: str, logins: list[str], plant: Plant, wrong: int) -> dict[str, Timings]:
    found = {name: Timings() for name in ("token", "signed", "others", "wrong", "others_wrong")}
    signers, other = [Client(url, login) for login in logins], Client(url, BYSTANDER)
    everybody = [*signers, other]
    try:
        await other.sign_in(Timings())
        await asyncio.gather(*(one.sign_in(found["token"]) for one in signers))
        made = frozenset({HTTPStatus.CREATED})
        acts = [one.release(found["signed"], plant.sublots[i], PASSWORD, made) for i, one in enumerate(signers)]
        await _beside(other, found["others"], plant.sublots[-1], acts)
        tries = [signers[0].release(found["wrong"], plant.sublots[-1], "not it", REFUSED) for _ in range(wrong)]
        await _beside(other, found["others_wrong"], plant.sublots[-1], tries)
    finally:
        for one in everybody:
            await one.close()
    return found


async def _beside(other: Client, timings: Timings, sublot: int, acts: list[Any]) -> None:
    """Does all at once while the bystander reads; what it read before does not count."""
    looking = asyncio.create_task(other.look(timings, sublot))
    await asyncio.sleep(SETTLE)
    timings.seconds.clear()
    await asyncio.gather(*acts)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


def run(n: int, wrong: int) -> None:
    """Prints the figures. Raises TimeoutError if the server does not come up."""
    since = datetime.now(UTC) - timedelta(hours=1)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        upgrade(engine)
        plant = build(engine, since, zones=ZONES, profiles=1, sublots=n + 1)
        with engine.begin() as conn:
            conn.execute(text("UPDATE sublot SET state = 'quarantine'"))
        logins = _people(engine, n)
        _, port = core(stack, Path(name), postgres.url())
        url = f"http://127.0.0.1:{port}"
        _print(asyncio.run(_measure(url, logins, plant, wrong)), n, wrong)


def _print(found: dict[str, Timings], n: int, wrong: int) -> None:
    signing = METHOD + f"{n} signers sign in at once, then each releases a sublot of their own, all at once"
    trying = METHOD + f"one signed-in person tries {wrong} wrong passwords on one sublot's release, all at once"
    token, signed, others = found["token"], found["signed"], found["others"]
    figure("signers", "token_p95_s", token.p95(), "s", n, signing)
    figure("signers", "signed_p95_s", signed.p95(), "s", n, signing)
    figure("signers", "others_p95_ms", others.p95() * 1000, "ms", len(others.seconds), signing)
    errors = [*token.errors, *signed.errors, *others.errors]
    figure("signers", "errors", len(errors), "1", n, signing)
    if wrong:
        looked, tried = found["others_wrong"], found["wrong"]
        figure("signers", "wrong_p95_s", tried.p95(), "s", wrong, trying)
        figure("signers", "wrong_others_p95_ms", looked.p95() * 1000, "ms", len(looked.seconds), trying)
        unfit = [*tried.errors, *looked.errors]
        figure("signers", "wrong_errors", len(unfit), "1", wrong, trying)
        errors += unfit
    for error in errors[:5]:
        print(error, file=sys.stderr)
