"""What holds of every declared kind of record, whatever module declares it.

One database for the whole file. Who asks is whoever the test says; passwords are not what is tested here.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.kernel import door
from core.erp.kernel import unit as units
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.permits import declared
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.read import sortable
from core.erp.kernel.records.registry import entities
from core.erp.kernel.rights import APP, OWNER
from core.erp.kernel.signatures import Act, Proof
from core.erp.kernel.unit import Actor, system, transact
from core.settings import Settings
from core.wiring import build_events
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.reference import api_description
from tests.contracts.record_rows import FOREIGN, OWN, Rows, target_of
from tests.keys import opened
from tests.rules.attachments_rules_test import PDF_FILE

NAMES = sorted(entities())
ABSENT = 987654321

# Written by hand: what everybody inside sees, and so is foreign to outside people only.
SEEN_BY_ALL_INSIDE = {
    "item",
    "storage_profile",
    "partner",
    "partner_site",
    "partner_contact",
    "supplier_certificate",
    "role",
    "user",
    "session",
    "import_run",
    "bom",
}
# Written by hand: what outside people see of their own partner, given the permit.
SEEN_BY_THEIR_PARTNER = {"partner", "partner_site", "partner_contact", "supplier_certificate"}


@dataclass
class Office:
    """The API, and people who are whatever a test says they are."""

    engine: Engine
    rows: Rows
    client: httpx.AsyncClient
    runner: asyncio.Runner
    description: dict[str, Any]
    people: dict[str, Actor] = field(default_factory=dict)

    def person(self, login: str, *permits: str, **more: Any) -> Actor:
        """Somebody at the own site with these permits."""
        number = 1000 + len(self.people)
        place = {"sites": frozenset({self.rows.row("site", OWN)})} | more
        made = Actor(login, user_id=number, session=f"s{number}", permits=frozenset(permits), **place)
        self.people[login] = made
        return made

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

    def audited(self) -> int:
        with self.engine.connect() as conn:
            return int(conn.execute(text("SELECT count(*) FROM audit")).scalar_one())


@pytest.fixture(scope="module")
def office(postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    name = "records_contract"
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())
    engine, owner = opened(postgres.url_as(APP, name), pool_size=10), opened(postgres.url(name))
    settings = Settings(
        instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path_factory.mktemp("records_contract")
    )
    app = create_app(settings, engine, run_background=False)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://office")
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        made = Office(engine, Rows(owner), client, runner, api_description())

        def actor_of(engine: Engine, token: str, key: str) -> Actor:
            del engine, key
            return made.people[token]

        async def prove(self: PasswordChecks, actor: Actor, act: Act, password: str, login: str | None) -> Proof:
            del self, password, login
            return Proof(actor.user_id or 0, actor.session or "", actor.login, 0, act, units.system_clock())

        def permits_now(conn: Any, user_id: int) -> frozenset[str]:
            del conn
            return next(one.permits for one in made.people.values() if one.user_id == user_id)

        patch.setattr(door, "actor_of", actor_of)
        patch.setattr(units, "permits_now", permits_now)
        patch.setattr(PasswordChecks, "prove", prove)
        yield made
        runner.run(client.aclose())
    engine.dispose()
    owner.dispose()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(params=NAMES)
def entity(request: pytest.FixtureRequest) -> Entity:
    return entities()[request.param]


def everything(entity: Entity) -> tuple[str, ...]:
    """Every permit that there is."""
    del entity
    return tuple(declared())


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


def without(answer: httpx.Response, number: int) -> str:
    """An answer without the number that was asked for."""
    return re.sub(rf"\b{number}\b", "#", answer.text)


def test_without_its_permit_nothing_is_told(office: Office, entity: Entity) -> None:
    own = office.rows.of(entity, OWN)
    bare = office.person(f"bare-{entity.name}")
    before = office.audited()
    told = []
    for method, path, operation in office.routes(entity):
        answer = office.ask(bare, method, path_of(path, own), **body_of(operation))
        if answer.status_code != 403:
            told.append((method, path, answer.status_code, answer.text[:200]))
    assert told == []
    assert office.audited() == before


def test_who_may_act_and_not_read_is_told_nothing(office: Office, entity: Entity) -> None:
    own = office.rows.of(entity, OWN)
    blind = office.person(f"blind-{entity.name}", *(set(declared()) - set(as_permits(entity.read))))
    before, told = office.audited(), []
    for verb in entity.verbs:
        path = f"/{entity.path}/{{record_id}}/{verb.path or verb.name.replace('_', '-')}"
        operation = office.description["paths"][f"/api/v1{path}"]["post"]
        given = body_of(operation)
        if "json" in given:
            given = {"json": with_own_links(office, given["json"])}
        answer = office.ask(blind, "POST", path_of(path, own), **given)
        if answer.status_code not in {403, 404}:  # 404: what it names otherwise, as of a work centre by its code
            told.append((path, answer.status_code, answer.text[:200]))
    assert told == []
    assert office.audited() == before


def stranger(office: Office, entity: Entity) -> Actor:
    """Somebody with every permit to whom the foreign record is foreign."""
    login = f"stranger-{entity.name}"
    if entity.name in SEEN_BY_ALL_INSIDE:
        return office.partners_person(login, *declared())
    return office.person(login, *declared())


def test_a_foreign_record_is_answered_through_every_route_as_one_that_is_not_there(
    office: Office, entity: Entity
) -> None:
    own, foreign = office.rows.of(entity, OWN), office.rows.of(entity, FOREIGN)
    who, before = stranger(office, entity), office.audited()
    told = []
    for method, path, operation in office.routes(entity):
        if "{" not in path:
            continue
        given = body_of(operation)
        answers = [office.ask(who, method, path_of(path, number), **given) for number in (foreign, ABSENT)]
        said = [(one.status_code, without(one, n)) for one, n in zip(answers, (foreign, ABSENT), strict=True)]
        if said[0] != said[1] or (method != "GET" and said[0][0] not in {403, 404, 422}):
            told.append((method, path, said))
    assert told == []
    assert office.audited() == before
    del own


def test_lists_counts_searches_and_exports_show_what_is_within_scope(office: Office, entity: Entity) -> None:
    own, foreign = office.rows.of(entity, OWN), office.rows.of(entity, FOREIGN)
    who = stranger(office, entity)
    shown = office.ask(who, "GET", f"/{entity.path}", params={"count": True, "limit": 500}).json()
    ids = {item["id"] for item in shown["items"]}
    assert foreign not in ids
    assert shown["total"] == len(ids)
    if entity.name not in SEEN_BY_ALL_INSIDE - SEEN_BY_THEIR_PARTNER:
        assert own in ids
    exported = office.ask(who, "GET", f"/{entity.path}/export")
    assert exported.status_code == 200
    assert len(exported.text.strip().splitlines()) == 1 + len(ids)
    if entity.searches:
        assert office.ask(who, "GET", f"/{entity.path}", params={"search": "foreign"}).json()["items"] == []


def test_pages_of_every_sort_follow_one_another(office: Office, entity: Entity) -> None:
    for place in (OWN, FOREIGN):
        office.rows.of(entity, place)
    who = office.person(f"turner-{entity.name}", *declared(), sites=None)
    for sort in sortable(entity):
        for order in (sort, f"-{sort}"):
            asked = {"sort": order, "limit": 1}
            whole = office.ask(who, "GET", f"/{entity.path}", params={"sort": order, "limit": 500}).json()["items"]
            found, cursor = [], None
            for _ in whole:
                page = office.ask(who, "GET", f"/{entity.path}", params=asked | ({"cursor": cursor} if cursor else {}))
                found += page.json()["items"]
                cursor = page.json()["next"]
            assert ([item["id"] for item in found], cursor) == ([item["id"] for item in whole], None)
            assert len(whole) >= 2


def test_exports_speak_both_languages(office: Office, entity: Entity) -> None:
    office.rows.of(entity, OWN)
    who = office.person(f"reader-{entity.name}", *declared())
    heads = {
        language: office.ask(who, "GET", f"/{entity.path}/export", params={"language": language}).text.splitlines()[0]
        for language in ("en", "zh")
    }
    assert heads["en"] != heads["zh"]
    assert re.search(r"[\u4e00-\u9fff]", heads["zh"])
    assert "field." not in heads["en"] + heads["zh"]


def test_refusals_speak_both_languages(office: Office, entity: Entity) -> None:
    who = office.person(f"lost-{entity.name}", *declared())
    said = {
        language: office.ask(who, "GET", f"/{entity.path}/{ABSENT}", language=language).json()
        for language in ("en", "zh-CN")
    }
    assert {one["id"] for one in said.values()} == {"kernel.no_record"}
    assert re.search(r"[\u4e00-\u9fff]", said["zh-CN"]["detail"])
    assert "record." not in said["en"]["detail"] + said["zh-CN"]["detail"]


def test_who_only_reads_is_offered_nothing(office: Office, entity: Entity) -> None:
    reader = office.person(f"auditor-{entity.name}", *(one.name for one in declared().values() if one.reads))
    answer = office.ask(reader, "GET", f"/{entity.path}/{office.rows.of(entity, OWN)}")
    assert (answer.status_code, answer.json().get("moves")) == (200, [])


def test_a_record_tells_its_history_field_by_field(office: Office, entity: Entity) -> None:
    own = office.rows.of(entity, OWN)
    transact(
        office.engine,
        system("test"),
        build_events(),
        lambda u: u.audit(f"{entity.name}.test", entity.name, own, before={"a": 1, "b": 1}, after={"a": 1, "b": 2}),
    )
    who = office.person(f"historian-{entity.name}", *as_permits(entity.read), "task.oversee")
    newest = office.ask(who, "GET", f"/{entity.path}/{own}/history").json()["items"][0]
    assert (newest["actor"], newest["action"]) == ("system:test", f"{entity.name}.test")
    assert newest["changes"] == [{"field": "b", "before": 1, "after": 2}]


def test_a_stale_change_is_told_who_changed_what(office: Office, entity: Entity) -> None:
    if entity.change is None:
        pytest.skip("is not changed")
    own = office.rows.of(entity, OWN)
    who = office.person(f"editor-{entity.name}", *declared())
    if entity.change.states is not None:
        office.rows.change(entity, OWN, state=min(entity.change.states))
    seen = office.ask(who, "GET", f"/{entity.path}/{own}").json()["version"]
    transact(
        office.engine,
        system("colleague"),
        build_events(),
        lambda u: u.audit(f"{entity.name}.change", entity.name, own, before={"x": 1}, after={"x": 2}),
    )
    operation = office.description["paths"][f"/api/v1/{entity.path}/{{record_id}}"]["patch"]
    given = body_of(operation)["json"]
    named = {column.name: column.link for column in entity.columns if column.link}
    own_links = {name: office.rows.linked(link, OWN) for name, link in named.items() if name in given}
    body = {**with_own_links(office, given), **own_links, "version": seen}
    answer = office.ask(who, "PATCH", f"/{entity.path}/{own}", json=body)
    assert answer.status_code == 409, answer.text
    assert f"system:colleague: {entity.name}.change" in answer.json()["detail"]


def test_a_foreign_id_in_a_body_is_answered_as_one_that_is_not_there(office: Office, entity: Entity) -> None:
    who, own = stranger(office, entity), office.rows.of(entity, OWN)
    if entity.change is not None and entity.change.states is not None:
        office.rows.change(entity, OWN, state=min(entity.change.states))
    before, told = office.audited(), []
    for method, path, operation in office.routes(entity):
        given = body_of(operation).get("json") if method != "GET" else None
        for name, kind in ids_in(office, given):
            if kind in SEEN_BY_ALL_INSIDE and who.partner_id is None:
                continue
            foreign = office.rows.linked(kind, FOREIGN)
            asked = [with_id(office, given, name, number) for number in (foreign, ABSENT)]
            answers = [office.ask(who, method, path_of(path, own), json=body) for body in asked]
            said = [(one.status_code, without(one, n)) for one, n in zip(answers, (foreign, ABSENT), strict=True)]
            if said[0] != said[1] or said[0][0] < 400:
                told.append((method, path, name, said))
    assert told == []
    assert office.audited() == before


def ids_in(office: Office, body: Any) -> set[tuple[str, str]]:
    """(field, kind of record) of every id in a body."""
    if isinstance(body, list):
        return set().union(*(ids_in(office, one) for one in body))
    if not isinstance(body, dict):
        return set()
    found = set().union(*(ids_in(office, one) for one in body.values()))
    kinds = {name: target_of(name) for name, value in body.items() if value}
    return found | {(name, kind) for name, kind in kinds.items() if kind is not None and office.rows.known(kind)}


def with_id(office: Office, body: Any, name: str, number: int) -> Any:
    """The body, with own ids everywhere but in this field."""
    if isinstance(body, list):
        return [with_id(office, one, name, number) for one in body]
    if not isinstance(body, dict):
        return body
    own = with_own_links(office, body)
    return {
        key: ([number] if isinstance(value, list) else number)
        if key == name
        else with_id(office, value, name, number)
        if isinstance(value, dict | list) and not key.endswith("_ids")
        else own[key]
        for key, value in body.items()
    }


def test_a_second_person_is_another_one(office: Office, entity: Entity) -> None:
    moves = entity.cycle.moves if entity.cycle is not None else {}
    verbs = [verb for verb in entity.verbs if verb.name in moves and moves[verb.name].second_person]
    if not verbs:
        pytest.skip("needs no second person")
    own = office.rows.of(entity, OWN)
    first = office.person(f"first-{entity.name}", *declared())
    second = office.person(f"second-{entity.name}", *declared())
    transact(office.engine, first, build_events(), lambda u: u.audit(f"{entity.name}.change", entity.name, own))
    for verb in verbs:
        office.rows.change(entity, OWN, state=min(moves[verb.name].sources))
        path = f"/{entity.path}/{own}/{verb.path or verb.name.replace('_', '-')}"
        form = office.description["paths"][path.replace(str(own), "{record_id}").replace("/", "/api/v1/", 1)]["post"]
        said = [office.ask(who, "POST", path, **body_of(form)).json().get("id") for who in (first, second)]
        assert said[0] == "workflow.second_person", verb.name
        assert said[1] != "workflow.second_person", verb.name


def with_own_links(office: Office, body: Any) -> Any:
    """A body whose ids are those of own records."""
    if isinstance(body, list):
        return [with_own_links(office, one) for one in body]
    if not isinstance(body, dict):
        return body
    found = {}
    for name, value in body.items():
        kind = target_of(name)
        if kind is not None and office.rows.known(kind):
            own = office.rows.linked(kind, OWN)
            found[name] = [own] if isinstance(value, list) else own
        else:
            found[name] = with_own_links(office, value)
    return found
