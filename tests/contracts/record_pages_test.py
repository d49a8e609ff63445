"""What holds of the pages of every declared kind of record: acts on many, what hostile people write, foreign ids."""

import contextlib
import csv
import io
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, String, Text, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.access.users import Place
from core.erp.kernel.permits import declared
from core.erp.kernel.records.declare import Entity, Verb
from core.erp.kernel.records.filters import parameters
from core.erp.kernel.records.registry import entities
from core.web.records.many import address, on_many
from core.web.records.shown import columns
from lotwise.embedded.postgres import EmbeddedPostgres
from tests.contracts.office import ABSENT
from tests.contracts.record_rows import FOREIGN, OWN, SEEN_BY_ALL_INSIDE, Rows
from tests.keys import opened
from tests.pages import PASSWORD, Browser, pages, text_of
from tests.rules.attachments_rules_test import PDF_FILE

NAMES = sorted(entities())
MANY = [(name, verb.name) for name in NAMES for verb in on_many(entities()[name])]
HOSTILE = '<script>alert("x")</script> =1+1 \U0001f9ca'

# Written by hand: what the forms of verbs on many are filled with, besides a reason.
FIELDS: dict[tuple[str, str], dict[str, str]] = {
    ("calibration", "sign_off"): {"login": "one", "password": PASSWORD},
    ("excursion", "assess"): {"assessment": "seen on the curve"},
    ("item", "assign_profile"): {"version_id": "1"},
    ("sublot", "restrict"): {"kind": "market", "value": "only: DE"},
    ("task", "done"): {"conclusion": "seen to"},
    ("task", "hand_over"): {"to": "all"},
}
KINDS = {"kind", "unit", "timezone", "status", "purpose"}
"""Columns of few words, which no form lets anybody write freely."""
HAND: dict[str, dict[str, str]] = {}


class Hall:
    """The pages over a database with a row of every kind at two sites, and people of the one."""

    def __init__(self, people: dict[str, Browser], rows: Rows, engine: Engine) -> None:
        self.people, self.rows, self.engine = people, rows, engine

    @property
    def one(self) -> Browser:
        """Somebody of the own site with every permit but those of an administrator."""
        return self.people["one"]

    def audited(self) -> int:
        with self.engine.connect() as conn:
            return int(conn.execute(text("SELECT count(*) FROM audit WHERE action NOT LIKE 'session.%'")).scalar_one())


@pytest.fixture(scope="module")
def hall(postgres: EmbeddedPostgres, module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    owner = opened(postgres.url(module_engine.url.database or ""))
    rows = Rows(owner)
    rows.fit(
        "role", "everything", code="everything", permits=sorted(set(declared()) - {"user.manage"}), state="approved"
    )
    rows.row("role", "everything")
    blind = sorted(name for name, one in declared().items() if not one.reads and name != "user.manage")
    rows.fit("role", "blind", code="blind", permits=blind, state="approved")
    rows.row("role", "blind")
    for entity in entities().values():
        for place in (OWN, FOREIGN):
            rows.of(entity, place)
    places = {"one": Place((rows.row("site", OWN),))}
    with pages(
        module_engine,
        tmp_path_factory.mktemp("hall"),
        {"one": ["everything"], "all": ["everything"], "blind": ["blind"]},
        places,
    ) as people:
        yield Hall(people, rows, module_engine)
    owner.dispose()


def verb_of(name: str, verb_name: str) -> tuple[Entity, Verb]:
    entity = entities()[name]
    return entity, next(one for one in entity.verbs if one.name == verb_name)


def possible(hall: Hall, entity: Entity, verb: Verb, place: str) -> int:
    """The id of the place's record, in a state that the verb may begin in."""
    states = entity.states(verb)
    record_id = hall.rows.of(entity, place)
    if states and "state" in entity.rows.c:
        with contextlib.suppress(DBAPIError):  # a state that needs more than its name
            hall.rows.change(entity, place, state=min(states))
    return record_id


@pytest.mark.parametrize(("name", "verb_name"), MANY)
def test_records_of_others_are_not_shown_to_who_acts_on_many_and_not_acted_on(
    hall: Hall, name: str, verb_name: str
) -> None:
    entity, verb = verb_of(name, verb_name)
    if name in SEEN_BY_ALL_INSIDE:
        pytest.skip("seen by all inside")
    own, foreign = (possible(hall, entity, verb, place) for place in (OWN, FOREIGN))
    here = address(entity, verb)
    page = hall.one.get(f"{here}?record={own}&record={foreign}&record={ABSENT}")
    assert set(re.findall(r'name="record" value="(\d+)"', page)) <= {str(own)}
    assert f"/{entity.path}/{own}" in page
    assert f"/{entity.path}/{foreign}" not in page
    before = hall.audited()
    sent = {"_key": f"foreign-{name}-{verb_name}", "record": [str(foreign), str(ABSENT)], "reason": "not mine"}
    answer = hall.one.client.post(here, data={**sent, **FIELDS.get((name, verb_name), {})})
    assert answer.status_code == 303, text_of(answer.text)[:1500]
    told = hall.one.get(answer.headers["location"])
    said = [
        text_of(cell).replace(str(foreign), "#").replace(str(ABSENT), "#") for cell in re.findall("<td>.*?</td>", told)
    ]
    assert len(said) == 2
    assert said[0] == said[1]
    assert hall.audited() == before


def test_who_may_act_and_not_read_is_shown_nothing_of_what_they_would_act_on(hall: Hall) -> None:
    told = []
    for name, verb_name in MANY:
        entity, verb = verb_of(name, verb_name)
        link = f"{address(entity, verb)}?record={hall.rows.of(entity, OWN)}"
        answers = [hall.people["blind"].client.request(method, link).status_code for method in ("GET", "POST")]
        if answers != [403, 403]:
            told.append((link, answers))
    assert told == []


def every_state(entity: Entity) -> str:
    """The query that asks for each state, where a list shows only some unasked."""
    if entity.hidden is None or entity.hidden.unless != "state" or entity.cycle is None:
        return ""
    return "".join(f"&state={state}" for state in sorted(entity.cycle.states))


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_json_and_csv_at_its_own_address_with_the_same_permits_scope_and_filters(
    hall: Hall, name: str
) -> None:
    entity = entities()[name]
    own, foreign = hall.rows.of(entity, OWN), hall.rows.of(entity, FOREIGN)
    every = every_state(entity)  # what a list hides unasked, another test may have made of ours
    found = hall.one.client.get(f"/{entity.path}.json?rows=200{every}")
    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    ids = {row["id"] for row in found.json()["items"]}
    assert found.json()["total"] == len(ids)
    if name not in SEEN_BY_ALL_INSIDE:
        assert own in ids
        assert foreign not in ids
    table = hall.one.client.get(f"/{entity.path}.csv?{every}")
    lines = list(csv.reader(io.StringIO(table.text, newline="")))
    assert (table.status_code, len(lines)) == (200, 1 + len(ids))
    page = hall.one.get(f"/{entity.path}?sort=-id&rows=200")
    assert f'href="/{entity.path}.json?sort=-id"' in page
    assert f'href="/{entity.path}.csv?sort=-id"' in page
    for kind in ("json", "csv", "xlsx"):
        assert hall.people["blind"].client.get(f"/{entity.path}.{kind}").status_code == 403
    if entity.cycle is not None and "state" in parameters(entity):
        wrong = hall.one.client.get(f"/{entity.path}.json?state=nonsense")
        assert (wrong.status_code, wrong.json()["status"]) == (422, 422), "not left out"


@pytest.mark.parametrize("name", NAMES)
def test_what_hostile_people_have_written_is_text_on_every_page_of_a_record(hall: Hall, name: str) -> None:
    entity, place = entities()[name], f"hostile-{name}"
    hall.rows.fit(str(entity.rows.name), place, **HAND.get(name, {}))
    record_id = hall.rows.of(entity, place)
    written = []
    for column in entity.rows.c:
        if isinstance(column.type, (String, Text)) and column.name not in {"state", *KINDS}:
            with contextlib.suppress(DBAPIError):  # what the database itself lets nobody write
                hall.rows.change(entity, place, **{column.name: HOSTILE})
                written.append(column.name)
    every = "&".join(f"columns={one.name}" for one in columns(entity))
    links = [
        f"/{entity.path}?sort=-id&rows=200&{every}",
        f"/{entity.path}/{record_id}",
        f"/{entity.path}/{record_id}/record",
    ]
    links += [f"{address(entity, verb)}?record={record_id}" for verb in on_many(entity)[:2]]
    wrong = []
    for link in links:
        answer = hall.people["all"].client.get(link)
        if answer.status_code not in {200, 403} or "<script>alert" in answer.text:
            wrong.append((link, answer.status_code, written, text_of(answer.text)[:300]))
    assert wrong == []
    for verb in on_many(entity)[:1]:  # whatever comes of it is told of by name
        sent = {"record": str(record_id), "reason": HOSTILE, **FIELDS.get((name, verb.name), {})}
        told = hall.people["all"].client.post(address(entity, verb), data=sent, follow_redirects=True)
        assert "<script>alert" not in told.text


def test_one_password_signs_each_of_many_by_itself_and_a_wrong_one_nothing(hall: Hall) -> None:
    entity, verb = verb_of("calibration", "sign_off")
    places = ("signed-1", "signed-2")
    for place in places:
        hall.rows.fit("calibration", place, to_sign=True, recorded_by="somebody")
    ids = [possible(hall, entity, verb, place) for place in places]
    one, here = hall.people["all"], address(entity, verb)
    for each in ids:
        attached = one.client.post(f"/calibrations/{each}/files", files={"file": ("certificate.pdf", PDF_FILE)})
        assert attached.status_code == 303, text_of(attached.text)[:1500]
    sent = {"_key": "wrong", "record": [str(each) for each in ids], "reason": "all of them read", "login": "all"}
    wrong = one.client.post(here, data={**sent, "password": "not the password"})
    assert wrong.status_code == 403
    assert "all of them read" in wrong.text
    assert "not the password" not in wrong.text
    assert signatures(hall, ids) == 0
    for _ in range(2):
        done = one.client.post(here, data={**sent, "_key": "right", "password": PASSWORD})
        assert done.status_code == 303, text_of(done.text)[:1500]
    assert "2 done, 0 refused" in text_of(one.get(done.headers["location"]))
    assert signatures(hall, ids) == 2


def signatures(hall: Hall, ids: list[int]) -> int:
    """How many signatures stand under these calibrations."""
    asked = text("SELECT count(*) FROM signature WHERE entity = 'calibration' AND entity_id = ANY(:ids)")
    with hall.engine.connect() as conn:
        return int(conn.execute(asked, {"ids": [str(one) for one in ids]}).scalar_one())
