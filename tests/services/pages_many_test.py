"""One act on many records: looked at before, done record by record, told by name, and done once."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.tasks.model import BY_HAND
from core.erp.kernel.tasks.service import open_task
from core.erp.kernel.unit import system, unit
from core.wiring import build_events
from tests.pages import Browser, filled, pages, text_of


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    roles = {"ann": ["warehouse"], "bob": ["warehouse"], "aud": ["auditor"]}
    with pages(module_engine, tmp_path_factory.mktemp("pages"), roles) as found:
        yield found


def tasks(one: Browser, *titles: str) -> list[str]:
    """Tasks of one's own, by id."""
    made = [one.send("/tasks/new", {"title": title, "permit": "stock.pick"}) for title in titles]
    return [answer.headers["location"].rpartition("/")[2] for answer in made]


def confirmed(one: Browser, ids: list[str], verb: str = "cancel") -> dict[str, str | list[str]]:
    """What the form sends that the list leads to."""
    page = one.get(f"/tasks/many/{verb}?" + "&".join(f"record={record_id}" for record_id in ids))
    found = re.search(rf'<form[^>]*action="/tasks/many/{verb}".*?</form>', page, re.DOTALL)
    assert found is not None
    boxes = re.findall(r'type="checkbox" name="record" value="(\d+)"[^>]* checked', found[0])
    return {**filled(found[0]), "record": boxes}


def states(engine: Engine, ids: list[str]) -> list[str]:
    with engine.connect() as conn:
        found = {str(row.id): row.state for row in conn.execute(text("SELECT id, state FROM task"))}
    return [found[one] for one in ids]


def test_the_list_offers_what_its_reader_may_do_with_many_and_boxes_to_choose(people: dict[str, Browser]) -> None:
    ann = people["ann"]
    ids = tasks(ann, "count the cold room", "sweep the dock")
    page = ann.get("/tasks")
    assert 'formaction="/tasks/many/cancel"' in page
    assert all(f'form="many" name="record" value="{one}"' in page for one in ids)
    assert page.count(" checked></td>") == 0
    assert ann.get("/tasks?all=1").count(" checked></td>") >= 2
    assert 'name="record"' not in people["aud"].get("/tasks")


def test_each_is_done_by_itself_and_what_is_refused_is_told_by_name(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    ann, bob = people["ann"], people["bob"]
    ids = tasks(ann, "first", "second", "third")
    form = confirmed(ann, ids)
    assert form["record"] == ids
    bob.send(f"/tasks/{ids[1]}/take", {})
    answer = ann.client.post("/tasks/many/cancel", data={**form, "reason": "not needed any more"})
    assert answer.status_code == 303, text_of(answer.text)[:800]
    told = text_of(ann.get(answer.headers["location"]))
    assert "2 done, 1 refused" in told
    assert re.search(r"second .{0,20}changed meanwhile: bob, .{6,16}: Take", told), told
    assert states(module_engine, ids) == ["withdrawn", "taken", "withdrawn"]


def test_a_form_sent_twice_is_done_once_and_told_the_same(people: dict[str, Browser], module_engine: Engine) -> None:
    ann = people["ann"]
    ids = tasks(ann, "one", "two")
    sent = {**confirmed(ann, ids), "reason": "twice"}
    one, two = (ann.client.post("/tasks/many/cancel", data=sent) for _ in range(2))
    assert one.headers["location"] == two.headers["location"]
    assert "2 done, 0 refused" in text_of(ann.get(two.headers["location"]))
    with module_engine.connect() as conn:
        done = conn.scalar(
            text("SELECT count(*) FROM audit WHERE action = 'task.cancel' AND entity_id = ANY(:ids)"), {"ids": ids}
        )
    assert done == 2
    assert people["bob"].client.get(two.headers["location"]).status_code == 404


def test_nothing_is_done_without_a_reason_or_a_record_and_what_was_typed_stays(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    ann = people["ann"]
    ids = tasks(ann, "stays")
    form = confirmed(ann, ids)
    assert ann.client.post("/tasks/many/cancel", data={**form, "reason": ""}).status_code == 422
    none = ann.client.post("/tasks/many/cancel", data={**form, "record": [], "reason": "because"})
    assert none.status_code == 422
    assert "because" in none.text
    assert states(module_engine, ids) == ["open"]


def test_what_cannot_be_done_in_a_state_is_left_out_before(people: dict[str, Browser]) -> None:
    ann = people["ann"]
    ids = tasks(ann, "over", "not over")
    ann.send(f"/tasks/{ids[0]}/cancel", {"reason": "over"})
    form = confirmed(ann, ids)
    assert form["record"] == ids[1:]
    page = text_of(ann.get(f"/tasks/many/cancel?record={ids[0]}&record={ids[1]}"))
    assert "not possible in this state" in page


def test_one_does_not_come_back_from_a_list_to_another_site(people: dict[str, Browser]) -> None:
    page = people["ann"].get("/tasks/many/cancel?back=//evil.example")
    assert re.search(r'href="(https?:)?//evil', page) is None


def test_five_hundred_are_chosen_by_a_click_and_done_by_one_form(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    ann = people["ann"]
    with unit(module_engine, system("test"), build_events()) as u:
        due = u.now + timedelta(days=1)
        for number in range(500):
            open_task(u, BY_HAND, f"shelf {number}", due_at=due, permit="stock.receive")
    page = ann.get("/tasks?permit=stock.receive&state=open")
    link = re.search(r'href="([^"]+)">Choose all 500 found', page)
    assert link is not None, text_of(page)[:1500]
    ids = re.findall(r'name="record" value="(\d+)"[^>]* checked', ann.get(html.unescape(link[1])))
    assert len(ids) == 500
    answer = ann.client.post("/tasks/many/take", data=confirmed(ann, ids, "take"), timeout=120)
    assert answer.status_code == 303, text_of(answer.text)[:800]
    assert set(states(module_engine, ids)) == {"taken"}
    assert "500" in text_of(ann.get(answer.headers["location"])).partition("Back to the list")[0]
