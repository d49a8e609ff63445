"""Deadlines on a real PostgreSQL: each step once and in order, whoever leads and however long the server was down."""

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.catalog.service import create_site
from core.erp.kernel.attachments.model import Attachment
from core.erp.kernel.attachments.workflow import ATTACHMENT
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import days, working_days
from core.erp.kernel.calendars.shapes import DayIn
from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.deadlines.model import Deadline
from core.erp.kernel.deadlines.rules import Escalation
from core.erp.kernel.deadlines.running import run
from core.erp.kernel.deadlines.terms import Term, moves, opens, terms
from core.erp.kernel.errors import Conflict, Refused
from core.erp.kernel.events import Events
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit, system, unit
from core.wiring import build_events

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SYSTEM = system("test")
DUE = NOW + 100 * DAY
PLAN = Term(
    "plan",
    "excursion.assess",
    within=working_days(15),
    warnings=(days(5),),
    escalations=(Escalation(days(3), "user.manage"),),
)


def effect(u: Unit, deadline: Deadline) -> None:
    u.audit("expired", deadline.entity, deadline.entity_id)


def refuse(u: Unit, deadline: Deadline) -> None:
    u.audit("half done", deadline.entity, deadline.entity_id)
    u.session.flush()
    raise Refused("tasks.no_such_permit", permit="x")


def break_down(u: Unit, deadline: Deadline) -> None:
    del u, deadline
    raise ZeroDivisionError


def violate(u: Unit, deadline: Deadline) -> None:
    u.conn.execute(text("UPDATE deadline SET state = 'met' WHERE id = :id"), {"id": deadline.id})


EXPIRY = Term("expiry", "excursion.assess", warnings=(days(90), days(30)), effect=effect)
REFUSED = Term("refused", "excursion.assess", escalations=PLAN.escalations, effect=refuse)
BROKEN = Term("broken", "excursion.assess", effect=break_down)
VIOLATING = Term("violating", "excursion.assess", effect=violate)
CHECK = Term("check", "excursion.assess", effect=opens("look_again", "calendar.manage", working_days(1)))
WITHDRAWAL = Term("withdrawal", "excursion.assess", effect=moves(ATTACHMENT, Attachment, "withdraw", reason="over"))
KNOWN = {one.name: one for one in (PLAN, EXPIRY, REFUSED, BROKEN, VIOLATING, CHECK, WITHDRAWAL)}


def begin(engine: Engine, term: Term, record: int = 1, now: datetime = NOW, **more: Any) -> int:
    with unit(engine, SYSTEM, Events(), now) as u:
        return deadlines.begin(u, term, "lot", record, f"lot L-{record}", **more).id


def go(engine: Engine, now: datetime, known: Mapping[str, Term] = KNOWN) -> list[str]:
    return [one.kind for one in run(engine, Events(), now, known=known)]


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as conn:
        return [tuple(row) if len(row) > 1 else row[0] for row in conn.execute(text(sql))]


STEPS = "SELECT kind, outcome FROM deadline_step ORDER BY at, id"
TASKS = "SELECT permit, state FROM task ORDER BY id"
TOLD_ONCE = """
    SELECT count(*), count(DISTINCT (key, topic, payload->>'at')) FROM outbox
    WHERE topic IN ('deadline.warn', 'deadline.due')
"""
OUT_OF_ORDER = """
    SELECT count(*) FROM deadline_step a JOIN deadline_step b USING (deadline_id)
    WHERE a.at < b.at AND a.done_at > b.done_at
"""
AUDIT = "SELECT action FROM audit WHERE entity = 'lot' ORDER BY id"


def test_it_warns_and_then_happens_by_itself(engine: Engine) -> None:
    begin(engine, EXPIRY, due_at=DUE)
    assert go(engine, NOW) == []
    assert go(engine, NOW + 10 * DAY) == ["warn"]
    assert go(engine, NOW + 10 * DAY) == []
    assert rows(engine, TASKS) == [("excursion.assess", "open")]
    assert go(engine, NOW + 71 * DAY) == ["warn"]
    assert rows(engine, TASKS) == [("excursion.assess", "open")]  # the same task, told again
    assert rows(engine, AUDIT) == []
    assert go(engine, DUE) == ["due"]
    assert rows(engine, AUDIT) == ["expired"]
    assert rows(engine, TASKS) == [("excursion.assess", "withdrawn")]
    assert rows(engine, "SELECT state, next_at FROM deadline") == [("passed", None)]
    assert go(engine, DUE + 1000 * DAY) == []


def test_a_week_down_each_step_once_in_order_and_what_is_late_is_said(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Three deadlines, one server that was away from before the first step until a week behind the last."""
    for record, due in ((1, DUE), (2, DUE + DAY), (3, DUE - 2 * DAY)):
        begin(engine, EXPIRY, record, due_at=due)
    begin(engine, PLAN, 4, due_at=DUE)
    back = DUE + 10 * DAY
    with caplog.at_level(logging.WARNING):
        assert len(run(engine, Events(), back, known=KNOWN)) == 12
    assert run(engine, Events(), back, known=KNOWN) == []
    assert "12 steps of deadlines came late, the latest by 102 days" in caplog.text
    done = rows(
        engine,
        "SELECT (payload->>'at')::timestamptz FROM outbox WHERE topic LIKE 'deadline.%' AND payload ? 'at' ORDER BY id",
    )
    assert done == sorted(done)
    late = rows(
        engine, "SELECT payload->>'late' FROM outbox WHERE topic LIKE 'deadline.%' AND payload ? 'late' ORDER BY id"
    )
    assert float(late[0]) == 102 * 86400
    assert all(float(one) >= 7 * 86400 for one in late)
    assert rows(engine, AUDIT) == ["expired"] * 3
    assert rows(engine, "SELECT term, state FROM deadline ORDER BY id") == [("expiry", "passed")] * 3 + [
        ("plan", "open")
    ]


def test_two_leaders_do_each_step_once(engine: Engine) -> None:
    for record in range(40):
        begin(engine, EXPIRY, record + 1, due_at=DUE)
    failures: list[BaseException] = []

    def lead() -> None:
        try:
            while run(engine, Events(), DUE, known=KNOWN, most=7):
                pass
        except BaseException as error:  # noqa: BLE001 - the thread hands over whatever it was
            failures.append(error)

    leaders = [threading.Thread(target=lead) for _ in range(4)]
    for leader in leaders:
        leader.start()
    for leader in leaders:
        leader.join()
    assert failures == []
    assert rows(engine, "SELECT outcome, count(*) FROM deadline_step GROUP BY 1") == [("done", 120)]
    assert rows(engine, TOLD_ONCE) == [(120, 120)]
    assert len(rows(engine, AUDIT)) == 40
    assert rows(engine, OUT_OF_ORDER) == [0]


def test_one_that_is_not_met_is_escalated_and_met_late(engine: Engine) -> None:
    with unit(engine, SYSTEM, build_events(), NOW) as u:
        site = create_site(u, "sha", "Shanghai", "Asia/Shanghai").id
        u.flush()
        (calendar,) = u.conn.execute(text("SELECT id FROM work_calendar")).scalars()
        calendars.change(u, calendar, days=[DayIn.model_validate({"day": "2026-03-09", "name": "off"})])
    number = begin(engine, PLAN, site_id=site)
    due = datetime(2026, 3, 24, 9, tzinfo=UTC)  # 15 working days, one of them off, at 17:00 there
    assert rows(engine, "SELECT due_at, counted FROM deadline") == [(due, "15 working_days")]
    assert go(engine, due) == ["warn", "due"]
    assert rows(engine, TASKS) == [("excursion.assess", "open")]
    assert go(engine, due + 3 * DAY) == ["escalate"]
    assert rows(engine, TASKS) == [("excursion.assess", "open"), ("user.manage", "open")]
    assert rows(engine, "SELECT title FROM task ORDER BY id")[1].startswith("overdue: ")
    assert rows(engine, "SELECT state, next_at FROM deadline") == [("open", None)]
    with unit(engine, SYSTEM, Events(), due + 4 * DAY) as u:
        assert deadlines.meet(u, PLAN, "lot", 1)
        assert not deadlines.meet(u, PLAN, "lot", 1)
        assert [one.state for one in deadlines.of(u, "lot", 1)] == ["met"]
    assert rows(engine, "SELECT state FROM task") == ["done", "done"]
    assert number


def test_met_in_time_nothing_more_is_told(engine: Engine) -> None:
    begin(engine, PLAN, due_at=DUE)
    go(engine, DUE - 5 * DAY)
    with unit(engine, SYSTEM, Events(), DUE - DAY) as u:
        deadlines.meet(u, PLAN, "lot", 1)
    assert go(engine, DUE + 100 * DAY) == []
    assert rows(engine, STEPS) == [("warn", "done"), ("due", "void"), ("escalate", "void")]
    assert begin(engine, PLAN, due_at=DUE) == 2  # another may begin


def test_moved_it_warns_anew_and_cancelled_it_is_silent(engine: Engine) -> None:
    begin(engine, PLAN, due_at=DUE)
    begin(engine, PLAN, 2, due_at=DUE)
    with pytest.raises(Conflict, match="there is an open deadline already"):
        begin(engine, PLAN, due_at=DUE)
    go(engine, DUE - 5 * DAY)
    with unit(engine, SYSTEM, Events(), DUE - DAY) as u:
        deadlines.reschedule(u, PLAN, "lot", 1, DUE + 20 * DAY, reason="parts come later")
        assert deadlines.cancel(u, PLAN, "lot", 2)
        with pytest.raises(Conflict):
            deadlines.reschedule(u, PLAN, "lot", 2, DUE, reason="x")
    assert go(engine, DUE) == []
    assert [state for _, state in rows(engine, TASKS)] == ["withdrawn", "withdrawn"]
    assert go(engine, DUE + 15 * DAY) == ["warn"]
    assert [state for _, state in rows(engine, TASKS)] == ["withdrawn", "withdrawn", "open"]
    assert rows(engine, "SELECT reason FROM audit WHERE action = 'deadline.reschedule'") == ["parts come later"]


@pytest.mark.parametrize(("term", "note"), [(REFUSED, "no such permit: x"), (VIOLATING, "a rule on values is broken")])
def test_a_refused_effect_leaves_nothing_and_is_told(engine: Engine, term: Term, note: str) -> None:
    begin(engine, term, due_at=DUE)
    begin(engine, EXPIRY, 2, due_at=DUE + DAY)
    assert go(engine, DUE + 2 * DAY)[-2:] == ["due", "due"]  # it holds up nothing else
    ((outcome, said),) = rows(engine, "SELECT outcome, note FROM deadline_step WHERE deadline_id = 1 AND kind = 'due'")
    assert outcome == "refused"
    assert note in said
    assert rows(engine, "SELECT action FROM audit WHERE entity_id = '1' AND entity = 'lot'") == []
    assert rows(engine, "SELECT state FROM deadline") == ["open", "passed"]
    (title,) = rows(engine, "SELECT title FROM task WHERE entity_id = 1")
    assert note in title


def test_a_step_that_breaks_down_is_tried_again_later_and_costs_no_other(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    begin(engine, BROKEN, due_at=DUE)
    begin(engine, EXPIRY, 2, due_at=DUE)
    assert go(engine, DUE) == ["warn", "warn", "due", "due"]
    assert "ZeroDivisionError" in caplog.text
    assert go(engine, DUE + timedelta(seconds=9)) == []
    assert go(engine, DUE + timedelta(seconds=10)) == ["due"]
    assert rows(engine, "SELECT failures, last_error, outcome FROM deadline_step WHERE deadline_id = 1") == [
        (2, "ZeroDivisionError: ", None)
    ]
    mended = KNOWN | {"broken": Term("broken", "excursion.assess", effect=effect)}
    assert go(engine, DUE + DAY, mended) == ["due"]
    assert rows(engine, "SELECT last_error, outcome FROM deadline_step WHERE deadline_id = 1") == [(None, "done")]
    assert rows(engine, AUDIT) == ["expired", "expired"]


def test_a_term_that_no_module_declares_any_more_waits(engine: Engine) -> None:
    begin(engine, EXPIRY, due_at=DUE)
    assert go(engine, DUE, {}) == ["warn", "warn", "due"]
    (error,) = rows(engine, "SELECT last_error FROM deadline_step WHERE kind = 'due'")
    assert error == "UnknownTerm: no module declares the term expiry"


def test_effects_that_many_need(engine: Engine) -> None:
    begin(engine, CHECK, due_at=DUE)
    with unit(engine, SYSTEM, Events(), NOW) as u:
        document = Attachment(entity="lot", entity_id=1, title="x", created_at=NOW, created_by="x")
        u.session.add(document)
        u.session.flush()
        deadlines.begin(u, WITHDRAWAL, "attachment", document.id, "x", due_at=DUE)
        deadlines.begin(u, WITHDRAWAL, "attachment", 999, "y", due_at=DUE)
    assert go(engine, DUE) == ["due"] * 3
    assert rows(engine, "SELECT state FROM attachment") == ["withdrawn"]
    assert rows(engine, "SELECT kind, permit, state, due_at > created_at FROM task ORDER BY id") == [
        ("look_again", "calendar.manage", "open", True),
        ("deadline.withdrawal", "excursion.assess", "open", False),
    ]
    assert rows(engine, "SELECT state FROM deadline ORDER BY id") == ["passed", "passed", "open"]


def test_an_act_and_the_runner_that_meet_do_it_once(engine: Engine) -> None:
    """Whoever meets it holds its record, and waits for the runner; the runner goes on to others meanwhile."""
    begin(engine, PLAN, due_at=DUE)
    begin(engine, EXPIRY, 2, due_at=DUE)
    with unit(engine, SYSTEM, Events(), DUE) as u:
        assert deadlines.meet(u, PLAN, "lot", 1)
        assert go(engine, DUE) == ["warn", "warn", "due"]
    assert go(engine, DUE) == []
    assert rows(engine, "SELECT state FROM deadline ORDER BY id") == ["met", "passed"]


def test_when_it_is_due_must_be_said(engine: Engine) -> None:
    with pytest.raises(ValueError, match="when is expiry of lot 1 due"):
        begin(engine, EXPIRY)


def test_every_declared_term_can_be() -> None:
    assert all(term.name == name for name, term in terms().items())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE deadline_step SET outcome = 'refused' WHERE kind = 'warn'",
        "UPDATE deadline_step SET done_at = NULL, outcome = NULL WHERE kind = 'warn'",
        "UPDATE deadline_step SET at = at + interval '1 day'",
        "UPDATE deadline_step SET done_at = now() WHERE kind = 'due'",
        "UPDATE deadline SET state = 'lost', closed_at = now()",
        "UPDATE deadline SET state = 'met'",
        "UPDATE deadline SET entity_id = 9",
        "DELETE FROM deadline_step",
        "DELETE FROM deadline",
        "TRUNCATE deadline_step",
    ],
)
def test_the_database_lets_no_step_be_done_twice(engine: Engine, owner: Engine, statement: str) -> None:
    begin(engine, EXPIRY, due_at=DUE)
    go(engine, NOW + 20 * DAY)
    with pytest.raises(DBAPIError) as refused, owner.begin() as conn:
        conn.execute(text(statement))
    assert (getattr(refused.value.orig, "sqlstate", "") or "")[:2] in {"LW", "23"}


def test_tasks_are_about_the_record(engine: Engine) -> None:
    begin(engine, PLAN, due_at=DUE)
    go(engine, DUE)
    with unit(engine, SYSTEM, Events(), DUE) as u:
        (task,) = tasks.of(u, "lot", 1)
        assert (task.kind, task.due_at) == ("deadline.plan", DUE)
