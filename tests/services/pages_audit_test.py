"""The audit desk: the trail is searched, verified, and a period of it reviewed by whoever signs that."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.audit import Sealer
from core.erp.kernel.auth import now_utc
from core.erp.kernel.deadlines.running import run
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.wiring import build_events
from tests.pages import PASSWORD, Browser, filled, pages, text_of
from tests.world import judging

PEOPLE = {"aud": ["auditor"], "qa": ["qa"], "adm": ["admin"], "wes": ["warehouse"]}
EARLY = "2020-01-01T00:00"
REVIEWS, VERIFY = "/audit-desk/reviews", "/audit-desk/verify"


@dataclass(frozen=True)
class Desk:
    people: dict[str, Browser]
    engine: Engine
    folder: Path

    def seal(self) -> None:
        Sealer(self.engine, Witness(self.folder / WITNESS_FILE)).seal(now_utc())

    def read(self, login: str = "aud") -> str:
        return text_of(self.people[login].get("/audit-desk"))

    def verify(self) -> None:
        self.seal()
        assert self.people["aud"].client.post(VERIFY, data={"_key": f"v{now_utc()}"}).status_code == 303

    def sign(self, status: int = 303, **fields: str) -> str:
        page = self.people["aud"].get("/audit-desk")
        form = re.search(rf'<form[^>]*action="{REVIEWS}".*?</form>', page, re.DOTALL)
        assert form is not None
        sent = {**filled(form[0]), "reason": "Nothing unexpected", "password": PASSWORD, **fields}
        answer = self.people["aud"].client.post(REVIEWS, data=sent)
        assert answer.status_code == status, text_of(answer.text)[:2000]
        return answer.text


@pytest.fixture(scope="module")
def desk(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    judging(module_engine).zone("room")
    folder = tmp_path_factory.mktemp("pages")
    with pages(module_engine, folder, PEOPLE) as people:
        yield Desk(people, module_engine, folder)


def test_a_review_needs_a_verification_and_keeps_what_was_typed(desk: Desk) -> None:
    assert "Never verified" in desk.read()
    page = desk.sign(409, reason="<b>looked at all</b>", start="2020-01-01T00:00", stop="2020-02-01T00:00")
    assert "verify it first" in page
    assert "&lt;b&gt;looked at all&lt;/b&gt;" in page
    assert "must be filled in" in text_of(desk.sign(422, reason=""))


def test_the_trail_is_verified_and_what_was_found_is_said(desk: Desk) -> None:
    desk.verify()
    read = desk.read()
    assert "Whole: nothing was edited, removed, added or cut" in read
    assert "Verified by Aud" in read
    assert re.search(r"The witness outside the database knows seal \d+ too", read)
    assert "Trail verified" in read, "it stands in the trail itself"


def test_a_period_is_reviewed_by_signature_once_and_says_when_the_next_is_due(desk: Desk) -> None:
    desk.verify()
    desk.sign(start=EARLY, next_due="2099-03-01")
    read = desk.read("qa")
    assert "Nothing unexpected" in read
    assert "1 Mar 2099" in read
    with desk.engine.connect() as conn:
        row = conn.execute(text("SELECT name, meaning, entity FROM signature ORDER BY id DESC LIMIT 1")).one()
    assert tuple(row) == ("Aud", "I have reviewed the audit trail of this period", "audit_review")
    assert "Trail reviewed" in read


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": "2026-02-01T00:00", "stop": "2026-01-01T00:00"}, "a review is of a period that has passed"),
        ({"stop": "2099-01-01T00:00"}, "a review is of a period that has passed"),
        ({"start": EARLY, "next_due": "2020-01-01"}, "the next review is due after today"),
        ({"password": "wrong " + PASSWORD}, "nothing was signed"),
        ({"stop": "yesterday"}, "Not saved"),
    ],
)
def test_what_cannot_be_signed_is_refused_in_words(desk: Desk, fields: dict[str, str], said: str) -> None:
    desk.verify()
    page = desk.people["aud"].get("/audit-desk")
    form = re.search(rf'<form[^>]*action="{REVIEWS}".*?</form>', page, re.DOTALL)
    assert form is not None
    sent = {**filled(form[0]), "reason": "looked", "password": PASSWORD, **fields}
    answer = desk.people["aud"].client.post(REVIEWS, data=sent)
    assert answer.status_code in {401, 403, 409, 422}
    assert said in text_of(answer.text)


def test_an_auditor_reviews_and_does_nothing_else_and_others_do_not(desk: Desk) -> None:
    assert "Sign a review" not in desk.read("adm")
    assert desk.people["adm"].client.post(VERIFY, data={"_key": "x"}).status_code == 403
    assert desk.people["wes"].client.get("/audit-desk").status_code == 403
    nav = desk.people["aud"].get("/")
    assert 'href="/audit-desk"' in nav


def test_the_trail_is_searched_by_who_what_and_when(desk: Desk) -> None:
    page = desk.people["aud"].get("/audit?entity=audit&actor=aud")
    assert re.search(r"/audit/\d+", page)
    by_name = desk.people["aud"].get("/audit?actor=Aud")
    assert re.search(r"/audit/\d+", by_name)
    assert 'data-pick="/pick/person"' in by_name
    assert "wes" in desk.people["aud"].get("/pick/person?q=we")


def test_the_next_review_is_a_deadline_and_a_task_of_who_may_review_until_it_is_done(desk: Desk) -> None:
    soon = (now_utc() + timedelta(days=10)).date().isoformat()
    desk.verify()
    desk.sign(start=EARLY, next_due=soon)
    run(desk.engine, build_events(), now_utc())
    for login in ("aud", "qa"):
        assert "Review the audit trail from" in text_of(desk.people[login].get("/")), login
        page = desk.people[login].get("/")
        assert page.count('href="/audit-desk"') == 3, "in the navigation, and once with its button"
        assert 'href="/signatures/' not in page
    assert "Review the audit trail from" not in text_of(desk.people["wes"].get("/"))
    desk.verify()
    desk.sign(start=EARLY, next_due="2099-03-01")
    assert "Review the audit trail from" not in text_of(desk.people["aud"].get("/"))
    client = desk.people["aud"].client
    met, standing = (client.get(f"/deadlines.json?state={one}&rows=200").json()["items"] for one in ("met", "open"))
    assert met
    assert len(standing) == 1


def test_the_api_verifies_and_signs_reviews_too(desk: Desk) -> None:
    api = desk.people["aud"].client
    token = api.post("/api/v1/token", data={"username": "aud", "password": PASSWORD}).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    verified = api.post("/api/v1/audit-verifications", headers=headers)
    assert (verified.status_code, verified.json()["findings"]) == (201, 0)
    now = now_utc()
    asked = {
        "start": "2020-01-01T00:00:00Z",
        "stop": (now - timedelta(minutes=1)).isoformat(),
        "next_due": "2099-03-01",
        "reason": "by program",
        "login": "aud",
    }
    wrong = api.post("/api/v1/audit-reviews", json={**asked, "password": "not it"}, headers=headers)
    assert wrong.status_code == 403
    signed = api.post("/api/v1/audit-reviews", json={**asked, "password": PASSWORD}, headers=headers)
    assert signed.status_code == 201, signed.text
    newest = api.get("/api/v1/audit-reviews", headers=headers).json()[0]
    assert (newest["remark"], newest["signature_id"]) == ("by program", signed.json()["signature_id"])
