"""Saved views of lists: kept by name, offered to a role, never a cursor, deleted by who made them."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from tests.pages import Browser, pages, text_of


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    roles = {"ann": ["warehouse"], "bob": ["warehouse"], "aud": ["auditor"]}
    with pages(module_engine, tmp_path_factory.mktemp("pages"), roles) as found:
        yield found


def save(one: Browser, query: str, name: str, role: str = "") -> str:
    """Where the list is found under the view."""
    return one.send(f"/tasks/views/new?{query}", {"name": name, "role": role}).headers["location"]


def tabs(one: Browser, path: str = "/tasks") -> dict[str, str]:
    nav = re.search(r'<nav class="tabs".*?</nav>', one.get(path), re.DOTALL)
    assert nav is not None
    return {text_of(name): href for href, name in re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', nav[0])}


def test_a_view_keeps_filters_search_sort_and_columns_and_no_cursor(
    people: dict[str, Browser], module_engine: Engine
) -> None:
    at = save(people["ann"], "state=done&sort=-due_at&columns=title&columns=kind&cursor=abc&all=1&x=1", "Done, late")
    assert at == "/tasks?state=done&sort=-due_at&columns=title&columns=kind"
    assert tabs(people["ann"])["Done, late"].replace("&amp;", "&") == at
    assert "aria-current=page>Done, late" in people["ann"].get(at)
    with module_engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM saved_view WHERE query LIKE '%cursor%'")) == 0


def test_a_view_is_its_owners_or_a_roles(people: dict[str, Browser]) -> None:
    save(people["ann"], "kind=by_hand", "Mine")
    save(people["ann"], "kind=by_hand&sort=-id", "Ours", "warehouse")
    save(people["ann"], "kind=by_hand&sort=id", "Not theirs", "qa")
    assert {"Mine", "Ours", "Not theirs"} <= set(tabs(people["ann"]))
    assert "Ours" in tabs(people["bob"])
    assert not {"Mine", "Not theirs"} & set(tabs(people["bob"]))
    assert not {"Mine", "Ours", "Not theirs"} & set(tabs(people["aud"]))


def test_who_made_a_view_deletes_it_and_nobody_else(people: dict[str, Browser]) -> None:
    ann, bob = people["ann"], people["bob"]
    at = save(ann, "state=taken", "Taken", "warehouse")
    delete = re.search(r'action="(/tasks/views/\d+/delete)"', ann.get(at))
    assert delete is not None
    assert "/delete" not in bob.get(at)
    assert bob.client.post(delete[1]).status_code == 404
    assert people["aud"].client.post(delete[1].replace("tasks", "sites")).status_code == 404
    assert ann.client.post(delete[1]).status_code == 303
    assert "Taken" not in tabs(ann)


def test_one_name_is_one_view_and_a_bad_name_is_told(people: dict[str, Browser]) -> None:
    ann = people["ann"]
    save(ann, "state=open", "Again")
    save(ann, "state=done", "Again")
    assert tabs(ann)["Again"] == "/tasks?state=done"
    refused = ann.send("/tasks/views/new?state=open", {"name": " "}, 422)
    assert 'href="#f-name"' in refused.text
    hidden = ann.send("/tasks/views/new?state=open", {"name": "a\u202eb"}, 422)
    assert "a\u202eb" in hidden.text
    script = '<script>alert("x")</script>'
    save(ann, "state=open&sort=-id", script)
    assert "<script>alert" not in ann.get("/tasks")
    assert script in tabs(ann)


def test_nobody_keeps_more_views_than_they_can_choose_from(people: dict[str, Browser], module_engine: Engine) -> None:
    with module_engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO saved_view (owner, entity, name, query, saved_at)"
                " SELECT 'bob', 'sublot', 'v' || n, '', now() FROM generate_series(1, 40) n"
            )
        )
    assert "40 views" in text_of(people["bob"].send("/sublots/views/new", {"name": "one more"}, 409).text)
    assert people["bob"].send("/sublots/views/new", {"name": "v7"}).status_code == 303
