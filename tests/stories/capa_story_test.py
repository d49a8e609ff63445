"""QA finds a cause, plans against it by signature, and is believed once another has seen that it was effective."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.catalog.service import create_site
from core.erp.kernel import http, signatures
from core.erp.kernel.access.users import Place
from core.erp.kernel.deadlines.running import run
from core.erp.kernel.unit import system, unit
from core.erp.quality.model import Deviation
from core.wiring import build_events
from tests.desks import PASSWORD, Desk, office, seat
from tests.rules.attachments_rules_test import PDF_FILE

PEOPLE = {"quinn": ["qa"], "quentin": ["qa"], "wes": ["warehouse"], "lou": ["logistics"], "audra": ["auditor"]}
MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)
"""10:00 in Shanghai."""
CHECK_FROM = datetime(2026, 8, 31, 16, tzinfo=UTC)
"""The 1st of September begins in Shanghai."""


@dataclass
class Firm:
    """Two sites, people at their desks, and a clock that is set by hand."""

    engine: Engine
    desks: dict[str, Desk]
    sites: dict[str, int]
    deviation: int
    patch: pytest.MonkeyPatch

    def at(self, now: datetime) -> None:
        """It is that time: deadlines run, and the API says so."""
        self.patch.setattr(http, "now_utc", lambda: now)
        run(self.engine, build_events(), now)

    def opened(self, **more: Any) -> dict[str, Any]:
        """A CAPA that a deviation led to."""
        body = {
            "kind": "corrective",
            "source": "deviation",
            "deviation_id": self.deviation,
            "title": "Left at the dock",
        }
        body |= {"site_id": self.sites["sha"], "problem": "Two pallets stood at the dock for 50 min."} | more
        made: dict[str, Any] = self.desks["quinn"].post("/capas", 201, **body)
        return made

    def action(self, capa: int, what: str = "put a bell at the dock", **more: Any) -> int:
        body = {"capa_id": capa, "what": what, "owner": "wes", "due_on": "2026-04-30"} | more
        return int(self.desks["quinn"].post("/capa-actions", 201, **body)["id"])

    def analysed(self) -> str:
        """The path of one whose plan lacks nothing but the signature."""
        made = self.opened()
        path = f"/capas/{made['id']}"
        seen = self.desks["quinn"].post(f"{path}/analyse", cause_method="five_whys", cause="nobody hears of arrivals")
        body: dict[str, Any] = {"criterion": "no pallet stands for more than 15 min", "check_on": "2026-09-01"}
        self.desks["quinn"].patch(path, version=seen["version"], **body)
        return path

    def planned(self) -> tuple[str, int]:
        """The path of one with a plan that quinn has signed, and its action."""
        path = self.analysed()
        action = self.action(int(path.rpartition("/")[2]))
        assert self.sign("quinn", path, "plan")["state"] == "planned"
        return path, action

    def done(self) -> str:
        """The path of one that waits for the check of its effectiveness."""
        path, action = self.planned()
        self.desks["wes"].post(f"/capa-actions/{action}/done", result="the bell rings")
        self.desks["quinn"].post(f"/capa-actions/{action}/verify")
        assert self.desks["quinn"].post(f"{path}/complete")["state"] == "done"
        return path

    def sign(self, who: str, path: str, verb: str, status: int = 200, **body: Any) -> Any:
        return self.desks[who].post(f"{path}/{verb}", status, password=PASSWORD, login=who, **body)

    def tasks(self, who: str) -> list[str]:
        return [one["title"] for one in self.desks[who].get("/my-tasks")["items"]]


@pytest.fixture
def firm(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Firm]:
    with unit(engine, system("test"), build_events()) as u:
        sites = {code: create_site(u, code, code, "Asia/Shanghai").id for code in ("sha", "wuh")}
        found = Deviation(title="late", detail="late", happened_at=MONDAY, known_at=MONDAY)
        u.session.add(found)
        u.session.flush()
        deviation = found.id
    monkeypatch.setattr(signatures, "PROOF_LIFETIME", timedelta(days=9999))  # the clock is set by hand
    with office(engine, tmp_path, monkeypatch, PEOPLE) as desks:
        made = Firm(engine, desks, sites, deviation, monkeypatch)
        made.at(MONDAY)
        yield made


def test_a_plan_is_made_signed_and_done(firm: Firm) -> None:
    quinn, wes = firm.desks["quinn"], firm.desks["wes"]
    made = firm.opened()
    assert (made["number"], made["state"]) == ("CAPA-2026-0001", "open")
    assert made["moves"] == ["analyse", "withdraw"]
    path = f"/capas/{made['id']}"
    quinn.attach(path, PDF_FILE, "photo.pdf")
    seen = quinn.post(f"{path}/analyse", cause_method="five_whys", cause="nobody hears of arrivals")
    assert (seen["state"], seen["cause"]) == ("analysed", "nobody hears of arrivals")
    quinn.patch(path, version=seen["version"], criterion="no pallet stands for 15 min", check_on="2026-09-01")
    bell = firm.action(made["id"])
    planned = firm.sign("quinn", path, "plan")
    (plan,) = planned["plans"]
    assert (plan["signed_by"], plan["record"]["actions"][0]["owner"]) == ("quinn", "wes")
    assert plan["record"]["cause"] == "nobody hears of arrivals"
    assert len(plan["record"]["files"]) == 1
    assert firm.tasks("wes") == ["CAPA-2026-0001: put a bell at the dock"]
    wes.post(f"/capa-actions/{bell}/done", result="rings at the gate")
    assert firm.tasks("wes") == []
    assert any("verify what was done for CAPA-2026-0001" in title for title in firm.tasks("quentin"))
    quinn.post(f"/capa-actions/{bell}/send-back", reason="not heard in the hall")
    assert firm.tasks("wes") == ["CAPA-2026-0001: put a bell at the dock"]
    wes.post(f"/capa-actions/{bell}/done", result="rings in the hall")
    assert quinn.post(f"/capa-actions/{bell}/verify")["state"] == "verified"
    assert any("every action of CAPA-2026-0001 is verified" in title for title in firm.tasks("quinn"))
    assert quinn.post(f"{path}/complete")["moves"] == ["revise", "close", "reopen"]
    assert firm.tasks("quinn") == []


def test_not_effective_is_open_again_and_effective_is_closed(firm: Firm) -> None:
    quinn, quentin = firm.desks["quinn"], firm.desks["quentin"]
    path = firm.done()
    plan = quinn.get(path)["plans"][0]
    firm.at(CHECK_FROM + timedelta(hours=17))
    assert any("effectiveness of a CAPA" in title for title in firm.tasks("quentin"))
    quentin.attach(path, PDF_FILE + b"\n", "times.pdf")
    again = firm.sign("quentin", path, "reopen", finding="3 of 20 pallets stood for 20 min")
    assert (again["state"], again["checks"][0]["effective"]) == ("open", False)
    assert again["plans"] == [plan], "what was signed stays as it was signed"
    assert not any("effectiveness" in title for title in firm.tasks("quentin"))

    quinn.post(f"{path}/analyse", cause_method="fishbone", cause="nights are not staffed")
    version = quinn.get(path)["version"]
    quinn.patch(path, version=version, check_on="2027-02-01")
    assert "no action" in firm.sign("quinn", path, "plan", 409)["detail"], "the one before was not enough"
    staff = firm.action(plan["record"]["id"], "staff the dock at night", owner="lou", due_on="2026-10-30")
    firm.sign("quinn", path, "plan")
    firm.desks["lou"].post(f"/capa-actions/{staff}/done", result="two people since Monday")
    quinn.post(f"/capa-actions/{staff}/verify")
    quinn.post(f"{path}/complete")
    firm.at(datetime(2027, 2, 1, tzinfo=UTC))
    closed = firm.sign("quentin", path, "close", finding="none of 60 pallets stood for 15 min")
    assert (closed["state"], closed["moves"], len(closed["plans"])) == ("closed", [], 2)
    assert [one["effective"] for one in closed["checks"]] == [False, True]
    assert [one["state"] for one in closed["actions"]] == ["verified", "verified"]
    assert firm.tasks("quinn") == firm.tasks("quentin") == firm.tasks("wes") == firm.tasks("lou") == []
    actions = [entry["action"] for entry in firm.desks["audra"].get(f"{path}/history")["items"]]
    assert [one for one in reversed(actions) if one.startswith("capa.")] == [
        *("capa.create", "capa.analyse", "capa.change", "capa.plan", "capa.complete", "capa.reopen"),
        *("capa.analyse", "capa.change", "capa.plan", "capa.complete", "capa.close"),
    ]
    assert actions.count("signature.sign") == 4
    quinn.attach(path, PDF_FILE + b"\n\n", "late.pdf", 409)
    sheet = quinn.client.get(f"/api/v1{path}/sheet", headers=quinn.headers)
    assert (sheet.status_code, sheet.content[:4]) == (200, b"%PDF")
    assert [one["number"] for one in quinn.get("/capas", deviation_id=firm.deviation, state="closed")["items"]] == [
        "CAPA-2026-0001"
    ]


def test_it_is_closed_by_nothing_but_a_check(firm: Firm, owner: Engine) -> None:
    path, action = firm.planned()
    firm.at(CHECK_FROM)
    assert "planned" in firm.sign("quentin", path, "close", 409, finding="effective")["detail"]
    assert "planned" in firm.desks["quinn"].post(f"{path}/withdraw", 409, reason="enough")["detail"]
    firm.at(MONDAY)
    firm.desks["wes"].post(f"/capa-actions/{action}/done", result="done")
    assert "not verified" in firm.desks["quinn"].post(f"{path}/complete", 409)["detail"]
    firm.desks["quinn"].post(f"/capa-actions/{action}/verify")
    firm.desks["quinn"].post(f"{path}/complete")
    for state in ("closed", "open"):
        with pytest.raises(DBAPIError, match="no plan or check is signed") as refused, owner.begin() as conn:
            conn.execute(text(f"UPDATE capa SET state = '{state}'"))
        assert getattr(refused.value.orig, "sqlstate", "") == "LW001"
    firm.desks["quinn"].post(f"{path}/revise", reason="wrong bell")
    assert "is not withdrawn" in firm.desks["quinn"].post(f"{path}/withdraw", 409, reason="enough")["detail"]
    for state in ("planned", "withdrawn"):
        with pytest.raises(DBAPIError, match="no plan or check is signed"), owner.begin() as conn:
            conn.execute(text(f"UPDATE capa SET state = '{state}'"))


def test_its_effectiveness_is_not_seen_before_its_day(firm: Firm, owner: Engine) -> None:
    path = firm.done()
    firm.at(CHECK_FROM - timedelta(seconds=1))
    for verb in ("close", "reopen"):
        told = firm.sign("quentin", path, verb, 409, finding="looks good")
        assert (told["id"], told["since"]) == ("capa.checked_too_early", "2026-08-31T16:00:00+00:00")
    check = """
        INSERT INTO capa_check (capa_id, plan_id, effective, finding, signature_id, signed_by, signed_at, record)
        SELECT capa_id, id, true, 'x', signature_id, 'quentin', check_from - interval '1 s', '{}' FROM capa_plan
    """
    with pytest.raises(DBAPIError, match="checked too early"), owner.begin() as conn:
        conn.execute(text(check))
    firm.at(CHECK_FROM)
    assert firm.sign("quentin", path, "close", finding="looks good")["state"] == "closed"


def test_who_has_signed_the_plan_does_not_check_it(firm: Firm, owner: Engine) -> None:
    path = firm.done()
    firm.at(CHECK_FROM)
    for verb in ("close", "reopen"):
        assert "somebody else" in firm.sign("quinn", path, verb, 403, finding="looks good")["detail"]
    check = """
        WITH signed AS (
            INSERT INTO signature (user_id, name, at, meaning, entity, entity_id, record_hash)
            SELECT user_id, name, at, meaning, entity, entity_id, record_hash FROM signature RETURNING id)
        INSERT INTO capa_check (capa_id, plan_id, effective, finding, signature_id, signed_by, signed_at, record)
        SELECT p.capa_id, p.id, true, 'x', s.id, 'quentin', p.check_from, '{}' FROM capa_plan p, signed s
    """
    with pytest.raises(DBAPIError, match="checked by who has planned it"), owner.begin() as conn:
        conn.execute(text(check))
    firm.desks["wes"].post(f"{path}/close", 403, password=PASSWORD, login="wes", finding="looks good")


def test_what_was_signed_is_not_edited(firm: Firm, owner: Engine) -> None:
    path, action = firm.planned()
    quinn, capa = firm.desks["quinn"], int(path.rpartition("/")[2])
    seen = quinn.get(path)["version"]
    assert "planned" in quinn.patch(path, 409, version=seen, criterion="fewer")["detail"]
    assert "planned" in quinn.post(f"{path}/analyse", 409, cause_method="other", cause="other")["detail"]
    seen = quinn.get(f"/capa-actions/{action}")["version"]
    assert "revise the plan" in quinn.patch(f"/capa-actions/{action}", 409, version=seen, due_on="2027-01-01")["detail"]
    more = {"capa_id": capa, "what": "more", "owner": "wes", "due_on": "2026-04-30"}
    assert "revise the plan" in quinn.post("/capa-actions", 409, **more)["detail"]
    assert "revise the plan" in quinn.post(f"/capa-actions/{action}/drop", 409, reason="not needed")["detail"]
    for change in (
        "UPDATE capa SET criterion = 'fewer'",
        "UPDATE capa SET cause = 'other'",
        "UPDATE capa_action SET due_on = '2027-01-01'",
        "UPDATE capa_action SET owner = 'lou'",
        "INSERT INTO capa_action (capa_id, what, owner, due_on, state) SELECT id, 'x', 'x', now(), 'open' FROM capa",
        "UPDATE capa_plan SET record = '{}'",
        "DELETE FROM capa_plan",
        "DELETE FROM capa",
        "UPDATE capa SET number = 'CAPA-2026-0009'",
    ):
        with pytest.raises(DBAPIError) as refused, owner.begin() as conn:
            conn.execute(text(change))
        assert getattr(refused.value.orig, "sqlstate", "").startswith("LW"), change
    quinn.post(f"{path}/revise", reason="the bell comes late")
    assert firm.tasks("wes") == [], "nobody has to do anything meanwhile"
    assert "plan is in force" in firm.desks["wes"].post(f"/capa-actions/{action}/done", 409, result="done")["detail"]
    seen = quinn.get(f"/capa-actions/{action}")["version"]
    quinn.patch(f"/capa-actions/{action}", version=seen, due_on="2026-05-29")
    assert [one["record"]["actions"][0]["due_on"] for one in firm.sign("quinn", path, "plan")["plans"]] == [
        "2026-04-30",
        "2026-05-29",
    ]


def test_a_plan_that_is_not_whole_is_not_signed(firm: Firm) -> None:
    path = firm.analysed()
    quinn, capa = firm.desks["quinn"], int(path.rpartition("/")[2])
    assert "no action" in firm.sign("quinn", path, "plan", 409)["detail"]
    for owner, words in (("nobody", "nobody"), ("audra", "audra")):
        body = {"capa_id": capa, "what": "x", "owner": owner, "due_on": "2026-04-30"}
        assert words in quinn.post("/capa-actions", 422 if owner == "nobody" else 409, **body)["detail"]
    action = firm.action(capa, due_on="2026-02-27")
    assert "was due on" in firm.sign("quinn", path, "plan", 409)["detail"]
    quinn.post(f"/capa-actions/{action}/drop", reason="too late")
    firm.action(capa, due_on="2026-09-01")
    assert "not done before the end" in firm.sign("quinn", path, "plan", 409)["detail"]
    quinn.patch(path, version=quinn.get(path)["version"], check_on=None)
    assert "by what its effectiveness" in firm.sign("quinn", path, "plan", 409)["detail"]
    quinn.patch(path, version=quinn.get(path)["version"], check_on="2026-09-02")
    firm.desks["wes"].post(f"{path}/plan", 403, password=PASSWORD, login="wes")
    assert [one["what"] for one in firm.sign("quinn", path, "plan")["plans"][0]["record"]["actions"]] == [
        "put a bell at the dock"
    ]


def test_there_is_time_between_the_last_action_and_the_check(firm: Firm) -> None:
    path, action = firm.planned()
    firm.desks["wes"].post(f"/capa-actions/{action}/done", result="done")
    firm.desks["quinn"].post(f"/capa-actions/{action}/verify")
    firm.at(CHECK_FROM)
    assert "leaves no time" in firm.desks["quinn"].post(f"{path}/complete", 409)["detail"]
    seen = firm.desks["quinn"].post(f"{path}/revise", reason="done late")["version"]
    firm.desks["quinn"].patch(path, version=seen, check_on="2026-12-01")
    firm.sign("quinn", path, "plan")
    assert firm.desks["quinn"].post(f"{path}/complete")["state"] == "done"


def test_an_action_is_its_owners_and_seen_by_another(firm: Firm) -> None:
    path = firm.analysed()
    capa = int(path.rpartition("/")[2])
    mine, theirs = firm.action(capa, owner="quentin"), firm.action(capa)
    firm.sign("quinn", path, "plan")
    assert "wes's" in firm.desks["lou"].post(f"/capa-actions/{theirs}/done", 403, result="done")["detail"]
    firm.desks["audra"].post(f"/capa-actions/{theirs}/done", 403, result="done")
    done = firm.desks["quinn"].post(f"/capa-actions/{theirs}/done", result="wes has left")
    assert done["done_by"] == "quinn"
    firm.desks["wes"].attach(f"/capa-actions/{theirs}", PDF_FILE, "bell.pdf")
    firm.desks["quentin"].post(f"/capa-actions/{mine}/done", result="done")
    told = firm.desks["quentin"].post(f"/capa-actions/{mine}/verify", 403)
    assert told["id"] == "workflow.second_person"
    firm.desks["wes"].post(f"/capa-actions/{theirs}/verify", 403)
    assert firm.desks["quentin"].post(f"/capa-actions/{theirs}/verify")["moves"] == []


def test_its_source_is_what_it_names(firm: Firm) -> None:
    quinn = firm.desks["quinn"]
    body = {"site_id": firm.sites["sha"], "kind": "corrective", "title": "t", "problem": "p"}
    for wrong, status, words in (
        ({"source": "deviation"}, 422, "names it"),
        ({"source": "complaint", "deviation_id": firm.deviation}, 422, "no other does"),
        ({"source": "incident", "incident_id": 999}, 404, "incident"),
        ({"source": "complaint"}, 422, "reference"),
        ({"source": "gossip", "reference": "x"}, 422, "source"),
    ):
        assert words in quinn.post("/capas", status, **body, **wrong)["detail"]
    firm.desks["wes"].post("/capas", 403, **body, source="complaint", reference="C-7")
    made = quinn.post("/capas", 201, **body, source="audit_finding", reference="audit 2026-03, finding 4")
    assert made["number"] == "CAPA-2026-0001", "what was refused leaves no hole"
    assert quinn.post(f"/capas/{made['id']}/withdraw", reason="twice")["state"] == "withdrawn"
    assert firm.tasks("quinn") == []


def test_nobody_sees_those_of_other_sites(firm: Firm) -> None:
    path, action = firm.planned()
    here = Place(site_ids=(firm.sites["wuh"],))
    client = firm.desks["quinn"].client
    foreign = {login: seat(firm.engine, client, login, roles, here) for login, roles in OTHERS.items()}
    qing = foreign["qing"]
    assert qing.get("/capas")["items"] == qing.get("/capa-actions")["items"] == []
    for one in (path, f"{path}/history", f"/capa-actions/{action}", f"/capas/{path.rpartition('/')[2]}/attachments"):
        qing.get(one, 404)
    for verb, body in (("revise", {"reason": "x"}), ("complete", {}), ("withdraw", {"reason": "x"})):
        qing.post(f"{path}/{verb}", 404, **body)
    qing.post(f"{path}/close", 404, password=PASSWORD, login="qing", finding="x")
    qing.post(f"/capa-actions/{action}/done", 404, result="x")
    more = {"capa_id": int(path.rpartition("/")[2]), "what": "x", "owner": "qing", "due_on": "2026-04-30"}
    qing.post("/capa-actions", 404, **more)
    body = {"kind": "corrective", "source": "other", "reference": "x", "title": "t", "problem": "p"}
    qing.post("/capas", 404, site_id=firm.sites["sha"], **body)
    made = qing.post("/capas", 201, site_id=firm.sites["wuh"], **body)
    assert made["number"] == "CAPA-2026-0002", "one series for all sites"
    stranger = {"capa_id": made["id"], "what": "x", "owner": "wu", "due_on": "2026-04-30"}
    assert qing.post("/capa-actions", 201, **stranger)["owner"] == "wu"
    there = seat(firm.engine, client, "shan", ["warehouse"], Place(site_ids=(firm.sites["sha"],)))
    assert [one["number"] for one in there.get("/capas")["items"]] == ["CAPA-2026-0001"]
    assert qing.post("/capa-actions", 404, **{**stranger, "owner": "shan"})["id"] == "kernel.no_record"


OTHERS = {"qing": ["qa"], "wu": ["warehouse"]}


def test_owners_are_told_in_time_and_qa_when_it_is_late(firm: Firm) -> None:
    quinn = firm.desks["quinn"]
    (calendar,) = quinn.get("/calendars", site_id=firm.sites["sha"])["items"]
    holidays = [{"day": f"2026-05-0{day}", "name": "Labour Day", "hours": []} for day in range(1, 6)]
    seen = quinn.get(f"/calendars/{calendar['id']}")["version"]
    quinn.patch(f"/calendars/{calendar['id']}", version=seen, days=holidays)
    _, action = firm.planned()
    (deadline,) = firm.desks["wes"].get("/deadlines", entity="capa_action", entity_id=action)["items"]
    assert (deadline["due_at"], deadline["assignee"]) == ("2026-04-30T09:00:00Z", "wes")
    assert firm.desks["lou"].get("/deadlines", entity="capa_action", entity_id=action)["items"] == []
    firm.at(datetime(2026, 4, 23, 9, 1, tzinfo=UTC))
    assert any("due" in title for title in firm.tasks("wes")), "5 working days before"
    firm.at(datetime(2026, 5, 5, 9, tzinfo=UTC))
    assert not any("CAPA" in title for title in firm.tasks("quentin")), "nobody works on Labour Day"
    firm.at(datetime(2026, 5, 6, 9, tzinfo=UTC))
    assert any("CAPA-2026-0001: put a bell at the dock" in title for title in firm.tasks("quentin"))
    assert firm.tasks("lou") == []
    firm.desks["wes"].post(f"/capa-actions/{action}/done", result="late")
    assert firm.tasks("wes") == []
    assert not any("put a bell" in title and "verify" not in title for title in firm.tasks("quentin"))


def test_a_capa_that_nobody_plans_is_asked_for(firm: Firm) -> None:
    made = firm.opened()
    (deadline,) = firm.desks["quinn"].get("/deadlines", entity="capa", entity_id=made["id"])["items"]
    assert (deadline["term"], deadline["counted"]) == ("capa_plan", "15 working_days")
    assert deadline["due_at"] == "2026-03-23T09:00:00Z"
    firm.at(datetime(2026, 3, 24, 9, tzinfo=UTC))
    assert any("Left at the dock" in title for title in firm.tasks("quinn"))


def test_old_ones_are_imported_and_taken_back(firm: Firm) -> None:
    quinn = firm.desks["quinn"]
    rows = [
        ["site_id", "kind", "source", "reference", "title", "problem"],
        *(["sha", "preventive", "audit_finding", f"finding {n}", f"title {n}", "problem"] for n in range(1, 4)),
    ]
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    files = {"file": ("capas.csv", written.getvalue().encode())}
    answer = quinn.client.post("/api/v1/capas/import", files=files, headers=quinn.headers)
    assert answer.status_code == 201, answer.text
    assert [one["number"] for one in quinn.get("/capas", sort="number")["items"]] == [
        f"CAPA-2026-000{n}" for n in range(1, 4)
    ]
    quinn.post(f"/import-runs/{answer.json()['run_id']}/undo", reason="the wrong file")
    assert {one["state"] for one in quinn.get("/capas")["items"]} == {"withdrawn"}
    assert quinn.get("/deadlines", entity="capa")["items"] == [], "nobody is told of what was taken back"
    assert firm.opened()["number"] == "CAPA-2026-0004"
