"""Tasks: for a permit or a person; taken, handed over, done; reminded of once; seen by whom they concern."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.app import create_app
from core.erp.catalog.service import create_site
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.events import Events
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.reminding import remind
from core.erp.kernel.tasks.rules import first_reminder, next_reminder
from core.erp.kernel.unit import Actor, Unit, system, transact, unit
from core.erp.kernel.words import Message
from core.settings import Settings
from core.wiring import build_events
from tests.serving import serving

PASSWORD = "correct horse battery"
NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)  # a Friday
HOUR = timedelta(hours=1)
SYSTEM = system("test")
STORE = "stock.move"
PEOPLE = (
    ("wanda", "warehouse", 0),
    ("walter", "warehouse", 0),
    ("olga", "warehouse", 1),
    ("pat", "planner", 0),
    ("lou", "logistics", 0),
    ("aud", "auditor", None),
    ("wall", "display", None),
)


@dataclass(frozen=True)
class Office:
    """The API at two sites, and who is signed in."""

    client: httpx.Client
    engine: Engine
    sites: list[int]
    tokens: dict[str, dict[str, str]]

    def get(self, login: str, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1{path}", headers=self.tokens[login], params=query)

    def post(self, login: str, path: str, **body: Any) -> Any:
        return self.client.post(f"/api/v1{path}", headers=self.tokens[login], json=body)

    def do(self, login: str, verb: str, task: int, **body: Any) -> tuple[int, str]:
        """(status, the new state or the refusal's id)"""
        answer = self.post(login, f"/tasks/{task}/{verb}", **body)
        return answer.status_code, answer.json().get("state") if answer.is_success else answer.json().get("id")

    def seen_by(self, login: str) -> list[int]:
        return [one["id"] for one in self.get(login, "/tasks").json()["items"]]

    def mine(self, login: str) -> list[int]:
        answer = self.get(login, "/my-tasks")
        assert answer.is_success, (login, answer.text)
        return [one["id"] for one in answer.json()["items"]]


@pytest.fixture
def office(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, SYSTEM, build_events()) as u:
        sites = [create_site(u, code, code, "Asia/Shanghai").id for code in ("sha", "zrh")]
        for login, role, site in PEOPLE:
            place = Place((sites[site],)) if site is not None else None
            create_user(u, login, login, PASSWORD, [role], place=place)
    settings = Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    with serving(create_app(settings, engine, run_background=False)) as client:
        tokens = {login: signed_in(client, login) for login, _, _ in PEOPLE}
        yield Office(client, engine, sites, tokens)


def signed_in(client: httpx.Client, login: str) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_task_is_taken_passed_on_and_done(office: Office) -> None:
    made = office.post("pat", "/tasks", title="Label pallet 7 anew", permit=STORE, site_id=office.sites[0])
    assert made.status_code == 201, made.text
    task = made.json()["id"]
    assert [office.mine(login) for login in ("wanda", "walter", "olga", "lou", "pat")] == [[task], [task], [], [], []]
    assert office.do("lou", "take", task) == (404, "kernel.no_record")
    assert office.do("olga", "take", task) == (404, "kernel.no_record")
    assert office.do("aud", "take", task)[0] == 403
    assert office.do("wanda", "take", task) == (200, "taken")
    assert (office.mine("wanda"), office.mine("walter")) == ([task], [])
    assert office.do("walter", "done", task, conclusion="labelled") == (403, "tasks.taken_by")
    assert office.do("walter", "give-back", task) == (403, "tasks.taken_by")
    assert office.do("wanda", "give-back", task) == (200, "open")
    assert office.do("wanda", "hand-over", task, to="lou") == (409, "tasks.lacks_permit")
    # one of another site is answered as one who is not there: nobody learns who works there
    assert office.do("wanda", "hand-over", task, to="olga") == (404, "kernel.no_record")
    assert office.do("wanda", "hand-over", task, to="nobody") == (404, "kernel.no_record")
    assert office.do("pat", "hand-over", task, to="walter", reason="wanda is away") == (200, "taken")
    assert office.do("walter", "done", task)[0] == 422
    assert office.do("walter", "done", task, conclusion="  ")[0] == 422
    assert office.do("walter", "done", task, conclusion="labelled, photo attached") == (200, "done")
    assert office.do("walter", "done", task, conclusion="again") == (409, "workflow.illegal_move")
    assert office.mine("walter") == office.seen_by("walter") == []
    (found,) = office.get("walter", "/tasks", state="done").json()["items"]
    assert (found["closed_by"], found["conclusion"]) == ("walter", "labelled, photo attached")
    entries = office.get("walter", f"/tasks/{task}/history").json()["items"]
    actions = [one["action"].partition(".")[2] for one in reversed(entries)]
    assert actions == ["create", "take", "give_back", "hand_over", "done"]


def test_who_sees_a_task(office: Office) -> None:
    def add(**more: Any) -> int:
        return int(office.post("pat", "/tasks", title="x", **more).json()["id"])

    here, there = office.sites
    store = add(permit=STORE, site_id=here)
    lous = add(assignee="lou")
    anywhere = add(permit=STORE)
    answer = office.post("pat", "/tasks", title="x", permit=STORE, site_id=there)
    assert answer.status_code == 404  # a site of others is none
    with unit(office.engine, SYSTEM, Events(), NOW) as u:
        abroad = tasks.open_task(u, "move", "x", due_at=NOW, permit=STORE, site_id=there).id
    assert sorted(office.seen_by("wanda")) == sorted([store, anywhere])
    assert sorted(office.seen_by("olga")) == sorted([anywhere, abroad])
    assert office.seen_by("lou") == [lous]
    assert sorted(office.seen_by("pat")) == sorted([store, lous, anywhere])
    assert sorted(office.seen_by("aud")) == sorted([store, lous, anywhere, abroad])
    assert office.get("wall", "/tasks").status_code == 403
    assert office.get("wanda", f"/tasks/{lous}").status_code == 404
    assert office.do("lou", "give-back", lous) == (409, "tasks.for_one_person")
    assert office.do("lou", "take", lous) == (200, "taken")
    assert office.do("lou", "give-back", lous) == (409, "tasks.for_one_person")
    assert office.do("wanda", "cancel", store, reason="not needed") == (403, "tasks.opened_by")
    assert office.do("pat", "cancel", store, reason="not needed") == (200, "withdrawn")


@pytest.mark.parametrize(
    ("body", "ident"),
    [
        ({}, "tasks.for_whom"),
        ({"permit": STORE, "assignee": "lou"}, "tasks.for_whom"),
        ({"permit": "stock.steal"}, "tasks.no_such_permit"),
        ({"assignee": "nobody"}, "kernel.no_record"),
        ({"assignee": "wall"}, "tasks.lacks_permit"),
        ({"permit": STORE, "due_at": "2020-01-01T00:00:00Z"}, "tasks.due_in_the_past"),
    ],
)
def test_what_is_no_task(office: Office, body: dict[str, str], ident: str) -> None:
    answer = office.post("pat", "/tasks", title="x", **body)
    assert answer.json()["id"] == ident, answer.text
    assert answer.status_code in {404, 409, 422}


def test_a_task_by_hand_is_due_when_the_next_working_day_ends_there(engine: Engine) -> None:
    with unit(engine, SYSTEM, build_events(), NOW) as u:
        site = create_site(u, "sha", "sha", "Asia/Shanghai").id
        made = tasks.add(u, title="x", permit=STORE, site_id=site)
        assert made.due_at == datetime(2026, 3, 9, 9, tzinfo=UTC)


def open_one(u: Unit, due_at: datetime = NOW + 48 * HOUR, **more: Any) -> Task:
    said = Message("tasks.no_such_permit", permit="x")
    given: dict[str, Any] = {"permit": STORE, "entity": "lot", "entity_id": 7} | more
    return tasks.open_task(u, "check", said, due_at=due_at, **given)


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as conn:
        return list(conn.execute(text(sql)).all())


def reminders(engine: Engine) -> list[tuple[int, str | None]]:
    found = rows(engine, "SELECT key, payload FROM outbox WHERE topic = 'task.remind' ORDER BY id")
    return [(int(row.key), row.payload.get("late_since")) for row in found]


def test_one_of_a_kind_stands_and_is_finished_by_its_act(engine: Engine) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        first, other = open_one(u).id, open_one(u, entity_id=8).id
        again = open_one(u, NOW + HOUR)
        assert (again.id, again.due_at) == (first, NOW + HOUR)
        assert open_one(u, permit="quality.read").id not in {first, other}
        assert tasks.finish(u, "lot", 7, "check", conclusion="checked") == 2
        assert tasks.finish(u, "lot", 7) == 0
        assert tasks.withdraw(u, "lot", 8, reason="no such lot") == 1
        assert [task.state for task in tasks.of(u, "lot", 7)] == ["done", "done"]
        assert open_one(u).id > other
    with pytest.raises(ValueError, match="no module declares"), unit(engine, SYSTEM, Events(), NOW) as u:
        open_one(u, permit="stock.steal")


def test_each_reminder_is_told_once_and_says_what_is_late(engine: Engine) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        early = open_one(u, remind_at=NOW + HOUR).id
        late = open_one(u, NOW + 2 * HOUR, entity_id=8).id
        gone = open_one(u, NOW + 2 * HOUR, entity_id=9).id
        tasks.withdraw(u, "lot", 9)
    assert gone
    assert remind(engine, Events(), NOW) == 0
    assert remind(engine, Events(), NOW + HOUR) == 1
    assert remind(engine, Events(), NOW + HOUR) == 0
    # the server was down for a week
    assert remind(engine, Events(), NOW + 168 * HOUR) == 2
    assert remind(engine, Events(), NOW + 168 * HOUR) == 0
    due, due_late = (f"{NOW + hours * HOUR:%Y-%m-%dT%H:%M:%S+00:00}" for hours in (48, 2))
    assert reminders(engine) == [(early, None), (late, due_late), (early, due)]


def test_two_leaders_remind_once(engine: Engine) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        for number in range(250):
            open_one(u, NOW, entity_id=number + 1)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(remind(engine, Events(), NOW))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 250
    assert len({key for key, _ in reminders(engine)}) == len(reminders(engine)) == 250


def test_when_somebody_is_reminded() -> None:
    assert first_reminder(None, NOW) == first_reminder(NOW + HOUR, NOW) == NOW
    assert first_reminder(NOW - HOUR, NOW) == NOW - HOUR
    assert next_reminder(NOW - HOUR, NOW) == NOW
    assert next_reminder(NOW, NOW) is next_reminder(NOW + HOUR, NOW) is None


ANOTHER = (
    "INSERT INTO task (kind, title, entity, entity_id, permit, due_at, state, created_at, created_by)"
    " VALUES ('check', 'x', 'lot', 7, {permit}, now(), 'open', now(), 'x')"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE task SET permit = 'user.manage'",
        "UPDATE task SET entity_id = 9",
        "UPDATE task SET state = 'taken'",
        "UPDATE task SET state = 'done'",
        "UPDATE task SET state = 'lost', closed_at = now(), closed_by = 'x'",
        "DELETE FROM task",
        "TRUNCATE task",
        ANOTHER.format(permit="'stock.move'"),
        ANOTHER.format(permit="NULL"),
    ],
)
def test_the_database_keeps_tasks_as_they_may_be(engine: Engine, owner: Engine, statement: str) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        open_one(u)
    with pytest.raises(DBAPIError) as refused, owner.begin() as conn:
        conn.execute(text(statement))
    assert (getattr(refused.value.orig, "sqlstate", "") or "")[:2] in {"LW", "23"}


def test_a_colleague_takes_a_task_over_and_the_trail_says_from_whom(engine: Engine) -> None:
    with unit(engine, SYSTEM, Events(), NOW) as u:
        task = open_one(u).id
    for login in ("wanda", "walter"):
        transact(engine, Actor(login, frozenset({"warehouse"})), Events(), lambda u: tasks.take(u, task), NOW)
    (row,) = rows(engine, "SELECT assignee FROM task")
    assert row.assignee == "walter"
    last = rows(engine, "SELECT after FROM audit WHERE action = 'task.take' ORDER BY id DESC LIMIT 1")[0]
    assert last.after == {"state": "taken", "assignee": "walter", "from_assignee": "wanda"}
