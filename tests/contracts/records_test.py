"""What holds of every declared kind of record, whatever module declares it.

One database for the whole file. Who asks is whoever the test says; passwords are not what is tested here.
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from core.erp.kernel.events import Events
from core.erp.kernel.permits import declared
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.read import sortable
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Actor, system, transact, unit
from core.web.records.pickers import find, offers
from core.wiring import build_events
from tests.contracts.office import ABSENT, Office, body_of, path_of, with_own_links
from tests.contracts.record_acts import READY, STORIES, Ready
from tests.contracts.record_rows import FOREIGN, OWN, SEEN_BY_ALL_INSIDE, target_of

NAMES = sorted(entities())

# Written by hand: what outside people see of their own partner, given the permit.
SEEN_BY_THEIR_PARTNER = {"partner", "partner_site", "partner_contact", "supplier_certificate"}


@pytest.fixture(params=NAMES)
def entity(request: pytest.FixtureRequest) -> Entity:
    return entities()[request.param]


def everything(entity: Entity) -> tuple[str, ...]:
    """Every permit that there is."""
    del entity
    return tuple(declared())


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
    lines = list(csv.reader(io.StringIO(exported.text, newline="")))  # a cell may have several
    assert len(lines) == 1 + len(ids)
    if entity.searches:
        assert office.ask(who, "GET", f"/{entity.path}", params={"search": "foreign"}).json()["items"] == []


def test_pickers_offer_and_find_what_is_within_scope(office: Office, entity: Entity) -> None:
    own, foreign = office.rows.of(entity, OWN), office.rows.of(entity, FOREIGN)
    who, everybody = stranger(office, entity), office.person(f"picker-{entity.name}", *declared(), sites=None)
    label = entity.column(entity.label)

    def picked(by: Actor, record_id: int) -> tuple[bool, bool]:
        """Whether the record is offered, and found by its whole name."""
        with unit(office.engine, by, Events()) as u:
            called = str(u.conn.execute(select(label).where(entity.rows.c.id == record_id)).scalar_one())
            offered = {one.id for text in ("", called) for one in offers(u, entity, text)}
            return record_id in offered, record_id in find(u, entity, called)

    assert picked(who, foreign) == (False, False)
    if entity.name not in SEEN_BY_ALL_INSIDE:
        assert picked(everybody, own)[1]


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
    assert (answer.status_code, answer.json().get("moves")) == (200, []), answer.text


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
    who = office.person(f"editor-{entity.name}", *declared(), **office.where(entity))
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
    first = office.person(f"first-{entity.name}", *declared(), **office.where(entity))
    second = office.person(f"second-{entity.name}", *declared(), **office.where(entity))
    transact(office.engine, first, build_events(), lambda u: u.audit(f"{entity.name}.change", entity.name, own))
    for verb in verbs:
        office.rows.change(entity, OWN, state=min(moves[verb.name].sources))
        path = f"/{entity.path}/{own}/{verb.path or verb.name.replace('_', '-')}"
        form = office.description["paths"][path.replace(str(own), "{record_id}").replace("/", "/api/v1/", 1)]["post"]
        said = [office.ask(who, "POST", path, **body_of(form)).json().get("id") for who in (first, second)]
        assert said[0] == "workflow.second_person", verb.name
        assert said[1] != "workflow.second_person", verb.name


VERBS = [(name, verb.name) for name in NAMES for verb in entities()[name].verbs]


@pytest.mark.parametrize(("name", "verb_name"), [one for one in VERBS if one not in STORIES])
def test_who_has_the_permit_does_it_and_it_is_on_record(office: Office, name: str, verb_name: str) -> None:
    entity = entities()[name]
    verb = next(one for one in entity.verbs if one.name == verb_name)
    ready, place, rows = READY.get((name, verb_name), Ready()), f"{name}-{verb_name}", office.rows
    for table, values in ready.rows.items():
        rows.fit(table, place, **values)
    record_id = rows.of(entity, place)
    for table in ready.rows:
        rows.row(table, place)
    states = entity.states(verb)
    state = ready.state or (min(states) if states else None)
    if state is not None and "state" in entity.rows.c:
        rows.change(entity, place, state=state)
    signer = {} if verb.signing is None else {"user_id": rows.row("app_user", place)}
    permits = (*as_permits(entity.read), *entity.permits(verb), *ready.permits)
    who = office.person(place, *permits, place=place, **signer, **office.where(entity))
    assert verb.name in office.shown(who, entity, record_id)["moves"]
    path = f"/{entity.path}/{{record_id}}/{verb.address}"
    given = body_of(office.description["paths"][f"/api/v1{path}"]["post"])
    if "json" in given:
        body = {key: value(rows, place) if callable(value) else value for key, value in ready.body.items()}
        given = {"json": with_own_links(office, given["json"], place) | body}
    answer = office.ask(who, "POST", path_of(path, record_id), **given)
    assert answer.status_code == verb.status, answer.text
    assert office.acts_of(who)
    move = entity.cycle.moves.get(verb.name) if entity.cycle is not None else None
    if move is not None:
        assert office.shown(who, entity, record_id)["state"] == move.target
        newest = office.ask(who, "GET", f"/{entity.path}/{record_id}/history").json()["items"]
        made = [one for one in newest if one["action"] == f"{entity.name}.{verb.name}" and one["actor"] == who.login]
        assert {"field": "state", "before": state, "after": move.target} in made[0]["changes"]


def test_what_needs_more_than_rows_is_shown_by_a_test_that_there_is() -> None:
    assert set(STORIES) <= set(VERBS)
    assert set(READY) <= set(VERBS) - set(STORIES)
    for shown in STORIES.values():
        file, _, name = shown.partition("::")
        assert f"def {name}(" in Path(file).read_text("utf-8"), shown
