"""The API over a database of its own, with a row of every kind of record, and people who are whatever a test says.

Who asks is whoever the test says; passwords are not what is tested here.
"""

import asyncio
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.kernel import door, tokens
from core.erp.kernel import unit as units
from core.erp.kernel.access import effective_permits
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.rights import APP, OWNER
from core.erp.kernel.signatures import Act, Proof
from core.erp.kernel.unit import Actor
from core.settings import Settings
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.reference import api_description
from tests.contracts.record_rows import OWN, SEEN_BY_ALL_INSIDE, Rows, target_of
from tests.keys import opened
from tests.rules.attachments_rules_test import PDF_FILE

ABSENT = 987654321
CHANGED_BY_ALL_SITES = SEEN_BY_ALL_INSIDE - {"session", "user"}


@dataclass
class Office:
    """The API, and people who are whatever a test says they are."""

    engine: Engine
    rows: Rows
    client: httpx.AsyncClient
    runner: asyncio.Runner
    description: dict[str, Any]
    people: dict[str, Actor] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def person(self, login: str, *permits: str, place: str = OWN, **more: Any) -> Actor:
        """Somebody at the site of a place, the own one by default, with these permits."""
        number = next(self.numbers)
        where = {"sites": frozenset({self.rows.row("site", place)})} | more
        known: dict[str, Any] = {"user_id": number, "session": f"s{number}"} | where
        made = Actor(login, permits=frozenset(permits), **known)
        self.people[login] = made
        return made

    @staticmethod
    def where(entity: Entity) -> dict[str, Any]:
        """Where somebody belongs who changes such records."""
        return {"sites": None} if entity.name in CHANGED_BY_ALL_SITES else {}

    def shown(self, who: Actor, entity: Entity, record_id: int) -> dict[str, Any]:
        """One record as its reader sees it."""
        answer = self.ask(who, "GET", f"/{entity.path}/{record_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def partners_person(self, login: str, *permits: str) -> Actor:
        """Somebody of the own partner."""
        return self.person(login, *permits, sites=None, partner_id=self.rows.row("partner", OWN))

    def ask(self, who: Actor, method: str, path: str, *, language: str = "en", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {who.login}", "Accept-Language": language}
        sent = self.client.request(method, f"/api/v1{path}", headers=headers, **more)
        return self.runner.run(sent)

    def routes(self, entity: Entity) -> list[tuple[str, str, dict[str, Any]]]:
        """(method, path, operation) of every route below the entity's path, hand-written ones too."""
        begins = re.compile(rf"/api/v1/{re.escape(entity.path)}(/|$)")
        return [
            (method.upper(), path.removeprefix("/api/v1"), operation)
            for path, operations in self.description["paths"].items()
            if begins.match(path)
            for method, operation in operations.items()
        ]

    def acts_of(self, who: Actor) -> list[str]:
        """What the audit trail says that somebody did."""
        with self.engine.connect() as conn:
            return list(conn.scalars(text("SELECT action FROM audit WHERE actor = :login"), {"login": who.login}))

    def audited(self) -> int:
        with self.engine.connect() as conn:
            return int(conn.execute(text("SELECT count(*) FROM audit")).scalar_one())


def opened_office(postgres: EmbeddedPostgres, template: str, folder: Path) -> Iterator[Office]:
    """Its database is dropped behind it."""
    name = "records_contract"
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())
    engine, owner = opened(postgres.url_as(APP, name), pool_size=10), opened(postgres.url(name))
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=folder)
    app = create_app(settings, engine, run_background=False)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://office")
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)  # what the app has opened besides is closed with it
        runner.run(lifespan.__aenter__())
        made = Office(engine, Rows(owner), client, runner, api_description())

        # Other tests of the same process have databases of their own: theirs are asked as ever.
        actor_kept, permits_kept, prove_kept = tokens.actor_of, effective_permits.permits_now, PasswordChecks.prove

        def actor_of(asked: Engine, token: str, key: str) -> Actor:
            return made.people[token] if asked.url == engine.url else actor_kept(asked, token, key)

        async def prove(self: PasswordChecks, actor: Actor, act: Act, password: str, login: str | None) -> Proof:
            if self._engine.url != engine.url:
                return await prove_kept(self, actor, act, password, login)
            return Proof(actor.user_id or 0, actor.session or "", actor.login, 0, act, units.system_clock())

        def permits_now(conn: Any, user_id: int) -> frozenset[str]:
            if conn.engine.url != engine.url:
                return permits_kept(conn, user_id)
            return next(one.permits for one in made.people.values() if one.user_id == user_id)

        patch.setattr(door, "actor_of", actor_of)
        patch.setattr(units, "permits_now", permits_now)
        patch.setattr(PasswordChecks, "prove", prove)
        yield made
        runner.run(client.aclose())
        runner.run(lifespan.__aexit__(None, None, None))
    engine.dispose()
    owner.dispose()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def path_of(path: str, record_id: int) -> str:
    """A route's path with its record; whatever else it has is absent."""
    head, _, rest = path.partition("}")
    return re.sub(r"\{\w+\}", str(ABSENT), f"{re.sub(r'{[^}]*$', str(record_id), head)}{rest}")


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """What the description shows as a body, or a file."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        shown = content["application/json"]
        return {"json": shown.get("example") or next(iter(shown["examples"].values()))["value"]}
    return {"files": {"file": ("report.pdf", PDF_FILE)}} if content else {}


def with_own_links(office: Office, body: Any, place: str = OWN) -> Any:
    """A body whose ids are those of own records, or of those at another place."""
    if isinstance(body, list):
        return [with_own_links(office, one, place) for one in body]
    if not isinstance(body, dict):
        return body
    found = {}
    for name, value in body.items():
        kind = target_of(name)
        if kind is not None and office.rows.known(kind):
            own = office.rows.linked(kind, place)
            found[name] = [own] if isinstance(value, list) else own
        else:
            found[name] = with_own_links(office, value, place)
    return found
