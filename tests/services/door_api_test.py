"""The front door: who is nobody is not read, who may not learns nothing, and what is too large is not kept."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.kernel import http, passwords
from core.erp.kernel.access.users import create_user
from core.erp.kernel.concurrency import Turns
from core.erp.kernel.door import MAX_BODY
from core.erp.kernel.permits import PEOPLE, Role
from core.erp.kernel.unit import system, unit
from core.ingest.file_import import FileImporter
from core.settings import Settings
from core.web.frame.installing import install
from core.wiring import build_events
from lotwise.reference import api_description
from tests.serving import serving

PASSWORD = "correct horse battery"
ROLES = ("display", "qa", "warehouse", "admin")
OWN = {"/api/v1/password", "/api/v1/me/language"}
"""Acts that concern only oneself."""
FREE = {
    "/api/v1/token",
    "/api/v1/token/renew",
    "/api/v1/token/revoke",
    "/api/v1/instance",
    "/api/v1/alert-replies",  # a gateway's own token opens it: alerting_replies_test
}


@pytest.fixture
def app(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        for role in ROLES:
            create_user(u, role, role.title(), PASSWORD, [role])
        create_user(u, "all", "All", PASSWORD, sorted(PEOPLE - {Role.ADMIN}))
        create_user(u, "fresh", "Fresh", PASSWORD, ["qa"], one_time=True)
    settings = Settings(
        instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path, trusted_proxies="127.0.0.1, 10.0.0.0/8"
    )
    return create_app(settings, engine, run_background=False)


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    with serving(app) as client:
        yield client


def signed_in(client: httpx.Client, login: str) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def operations() -> list[tuple[str, str]]:
    """(method, path with ids of nothing) of every operation of the API."""
    return [
        (method.upper(), re.sub(r"\{[^}]*\}", "999999", path))
        for path, said in api_description()["paths"].items()
        for method in said
        if path.startswith("/api/v1")
    ]


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    said: dict[str, Any] = answer.json()
    assert said["status"] == answer.status_code
    return said


def test_without_a_token_every_operation_is_refused_and_nothing_is_read(client: httpx.Client) -> None:
    port = client.base_url.port
    assert port is not None
    for method, path in operations():
        if path in FREE:
            continue
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 314572800\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
            wire.sendall(head.encode())  # and not one byte of the body
            assert wire.recv(12) == b"HTTP/1.1 401", (method, path)


def chunks(size: int) -> Iterator[bytes]:
    yield b'{"reason": "'
    for _ in range(size // 65536 + 1):
        yield b"x" * 65536
    yield b'"}'


def test_every_body_is_bounded_also_without_a_length(client: httpx.Client) -> None:
    who = [signed_in(client, login) for login in ("all", "admin")]  # one of them may
    large = MAX_BODY + 1
    bounded = 0
    for method, path in operations():
        if method == "GET" or path.startswith("/api/v1/imports") or path in FREE:
            continue
        answers = set()
        for token in who:
            for body in (b"x" * large, chunks(large)):
                headers = {**token, "Content-Type": "application/json"}
                answer = client.request(method, path, content=body, headers=headers)
                answers.add(answer.status_code)
                if problem(answer)["status"] == 403:
                    break
        bounded += 413 in answers
        # where a file is taken the record is looked for before a byte is read
        none_such = {404} if "/attachments" in path else set()
        none_such |= {422} if path.endswith("/import") else set()  # that is no form with a file: nothing is read
        assert answers <= {403, 413} | none_such, (method, path, answers)
    assert bounded > 100, "the test tries what it says"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"username=x&password=" + b"x" * 20_000, chunks(20_000)):
        assert problem(client.post("/api/v1/token", content=body, headers=form))["status"] == 413


def test_who_may_not_learns_nothing_of_what_is_there(client: httpx.Client) -> None:
    """403 before 404, before 422, and before the body: every act as a display, with ids and bodies of nothing."""
    display = signed_in(client, "display")
    for method, path in operations():
        if method == "GET" or path in FREE | OWN:
            continue
        for body in (b"{}", b"not json", b""):
            answer = client.request(method, path, content=body, headers={**display, "Content-Type": "application/json"})
            assert answer.status_code == 403, (method, path, answer.text)
            assert "permit" in problem(answer)


def test_a_display_reads_what_is_its_own_and_no_more(client: httpx.Client) -> None:
    display = signed_in(client, "display")
    for path in ("/api/v1/users", "/api/v1/audit", "/api/v1/audit/999", "/api/v1/audit/verify"):
        assert client.get(path, headers=display).status_code == 403
    assert client.get("/api/v1/sublots/999", headers=display).status_code == 404


def test_a_one_time_password_opens_the_choice_of_another_and_nothing_else(client: httpx.Client) -> None:
    answer = client.post("/api/v1/token", data={"username": "fresh", "password": PASSWORD}).json()
    assert answer["one_time"] is True
    fresh = {"Authorization": f"Bearer {answer['access_token']}"}
    for method, path in operations():
        if path in FREE or path in {"/api/v1/password", "/api/v1/me"}:
            continue
        said = problem(client.request(method, path, headers=fresh))
        assert (said["status"], said["needs"]) == (403, ["password"]), (method, path)
    me = client.get("/api/v1/me", headers=fresh).json()
    assert (me["one_time"], me["permits"]) == (True, [])
    chosen = {"password": PASSWORD, "new_password": "another horse battery"}
    assert client.post("/api/v1/password", json=chosen | {"new_password": PASSWORD}, headers=fresh).status_code == 422
    assert client.post("/api/v1/password", json=chosen, headers=fresh).json() == {"changed": True}
    assert client.get("/api/v1/me", headers=fresh).status_code == 401, "its sessions have ended"
    again = client.post("/api/v1/token", data={"username": "fresh", "password": "another horse battery"}).json()
    assert again["one_time"] is False
    who = {"Authorization": f"Bearer {again['access_token']}"}
    assert "excursion.disposition" in client.get("/api/v1/me", headers=who).json()["permits"]


@pytest.mark.parametrize("method", ["QUERY", "PROPFIND", "LINK"])
def test_a_method_that_nobody_knows_is_a_problem_document(client: httpx.Client, method: str) -> None:
    for path in ("/api/v1/sublots", "/api/v1/nowhere", "/"):
        said = problem(client.request(method, path, content=b"{}"))
        assert said["status"] == 501


def test_a_method_that_a_path_has_not_is_one_too(client: httpx.Client) -> None:
    assert problem(client.delete("/api/v1/sublots"))["status"] == 405
    assert problem(client.get("/api/v1/nowhere"))["status"] == 404


def test_headers_that_browsers_go_by(client: httpx.Client) -> None:
    answer = client.get("/api/v1/instance")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "strict-transport-security" not in answer.headers
    behind_tls = client.get("/api/v1/instance", headers={"X-Forwarded-Proto": "https"})
    assert behind_tls.headers["strict-transport-security"] == "max-age=31536000"


def test_no_page_of_the_description_loads_scripts_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/docs", "/redoc", "/api/v1/docs"):
        assert client.get(path).status_code == 404


def tries(client: httpx.Client, count: int, forwarded: str) -> set[int]:
    wrong = {"username": "qa", "password": "wrong"}
    return {
        client.post("/api/v1/token", data=wrong, headers={"X-Forwarded-For": forwarded.format(n)}).status_code
        for n in range(count)
    }


def test_a_forwarded_address_that_rotates_passes_no_limit(client: httpx.Client) -> None:
    """The client writes what it likes; the proxy adds where it really came from."""
    assert tries(client, 12, "198.51.100.{0}, 203.0.113.7, 10.1.2.3") == {401, 429}
    assert tries(client, 1, "198.51.100.99, 203.0.113.8") == {401}, "another client of the proxy is not kept out"
    right = {"username": "qa", "password": PASSWORD}
    assert client.post("/api/v1/token", data=right, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 200
    assert tries(client, 60, "2001:db8:0:1:{0:x}::7") == {401, 429}, "an IPv6 subscriber is one address"


def test_a_locked_record_is_told_and_not_waited_for(
    engine: Engine, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LOCK_TIMEOUT", http.LOCK_TIMEOUT / 10)
    admin = signed_in(client, "admin")
    with engine.begin() as conn:
        conn.execute(text("SELECT FROM app_user FOR UPDATE"))
        answer = client.post("/api/v1/users/1/change", json={"active": True}, headers=admin)
    assert problem(answer)["status"] == 503
    assert "somebody else" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0


def test_forms_from_another_site_do_nothing(app: FastAPI) -> None:
    install(app, FileImporter(live=True))
    form = {"login": "qa", "password": PASSWORD}
    with serving(app) as client:
        own = str(client.base_url).rstrip("/")
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": own + ".evil.example"},
            {"Origin": "http://127.0.0.1:1"},
        ):
            for path in ("/login", "/logout", "/password"):
                answer = client.post(path, data=form, headers=headers)
                assert problem(answer)["status"] == 403, (path, headers)
                assert "set-cookie" not in answer.headers
        inside = client.post("/login", data=form, headers={"Origin": own, "Sec-Fetch-Site": "same-origin"})
        assert inside.status_code == 303
        cookie = {"Cookie": inside.headers["set-cookie"].partition(";")[0]}
        elsewhere = {"Origin": "https://evil.example"}
        assert client.post("/api/v1/holds", json={}, headers=cookie | elsewhere).status_code == 403
        assert client.post("/anything", headers=cookie | elsewhere).status_code == 403
        secure = client.post(
            "/login", data=form, headers={"X-Forwarded-Proto": "https", "Origin": own.replace("http", "https")}
        )
        assert "secure" in secure.headers["set-cookie"].lower()
        assert "frame-ancestors 'none'" in client.get("/login").headers["content-security-policy"]
        assert client.post("/login", content=b"x" * 2_000_000).status_code == 413
        chosen = {"password": PASSWORD, "chosen": "another horse battery", "again": "another horse battery"}
        first = client.post("/login", data=form | {"login": "fresh"})
        assert first.headers["location"] == "/password"
        cookie = {"Cookie": first.headers["set-cookie"].partition(";")[0]}
        assert client.get("/", headers=cookie).headers["location"] == "/password"
        assert "Choose your password" in client.get("/password", headers=cookie).text
        assert client.post("/password", data=chosen | {"again": "x"}, headers=cookie).status_code == 422
        assert "why=chosen" in client.post("/password", data=chosen, headers=cookie).headers["location"]


def test_a_session_that_wrong_passwords_ended_says_so(client: httpx.Client) -> None:
    qa, body = signed_in(client, "qa"), {"excursion_ids": [1], "decision": "accept", "reason": "x", "login": "qa"}
    for _ in range(4):
        answer = client.post("/api/v1/dispositions", json=body | {"password": "wrong"}, headers=qa)
        assert problem(answer)["status"] == 403
    ended = client.post("/api/v1/dispositions", json=body | {"password": "wrong"}, headers=qa)
    assert problem(ended)["session_ended"] is True
    after = client.post("/api/v1/dispositions", json=body | {"password": PASSWORD}, headers=qa)
    assert (problem(after)["status"], after.json()["why"]) == (401, "wrong")
    again = client.post("/api/v1/dispositions", json=body | {"password": PASSWORD}, headers=signed_in(client, "qa"))
    assert again.status_code == 404, "signed in again, the password is right, the excursion is none"


def test_refusals_are_told_in_the_language_that_is_asked_for(client: httpx.Client) -> None:
    admin = signed_in(client, "admin")
    for asked, language in (("zh-CN,zh;q=0.9", "zh"), ("de, en;q=0.5", "en")):
        answer = client.get("/api/v1/audit/999999", headers=admin | {"Accept-Language": asked})
        assert (answer.status_code, answer.headers["content-language"]) == (404, language)
    taken = {"login": "qa", "name": "Q", "password": "four unrelated words", "roles": ["qa"]}
    answer = client.post("/api/v1/users", json=taken, headers=admin | {"Accept-Language": "zh-Hans"})
    said = problem(answer)
    assert said["id"] == "access.user_exists"
    assert said["params"] == {"login": "qa"}
    assert (said["title"], said["detail"], said["type"]) == ("冲突", "用户 qa 已存在", "urn:lotwise:conflict")
    assert said["login"] == "qa", "parameters stand flat as well"


def test_values_that_do_not_fit_are_told_in_the_language_that_is_asked_for(client: httpx.Client) -> None:
    admin = signed_in(client, "admin") | {"Accept-Language": "zh"}
    said = problem(client.post("/api/v1/users", json={"login": "", "name": 5, "more": True}, headers=admin))
    assert said["id"] == "kernel.bad_request"
    told = {fault["where"]: (fault["id"], fault["what"]) for fault in said["errors"]}
    assert told["body/password"] == ("value.missing", "必填")
    assert told["body/more"] == ("value.extra_forbidden", "不允许有此字段")
    assert told["body/name"] == ("value.string_type", "应为文本")
    said = problem(client.get("/api/v1/audit", params={"since": "1970-01-01T00:00:00Z"}, headers=admin))
    assert said["detail"] == "请求内容有误：query/since：早于 2000 年或晚于 2099 年"


@pytest.mark.parametrize(
    ("method", "path", "status", "id_", "detail"),
    [
        ("GET", "/api/v1/no-such-thing", 404, "kernel.no_route", "该地址不存在"),
        ("DELETE", "/api/v1/sublots", 405, "kernel.wrong_method", "该地址不支持 DELETE"),
    ],
)
def test_what_the_framework_refuses_is_told_in_the_language_that_is_asked_for(
    client: httpx.Client, method: str, path: str, status: int, id_: str, detail: str
) -> None:
    said = problem(client.request(method, path, headers={"Accept-Language": "zh"}))
    assert (said["status"], said["id"], said["detail"]) == (status, id_, detail)


def test_an_answer_kept_under_a_key_is_in_the_language_it_was_given_in(client: httpx.Client) -> None:
    admin = signed_in(client, "admin") | {"Idempotency-Key": "once"}
    taken = {"login": "qa", "name": "Q", "password": "four unrelated words", "roles": ["qa"]}
    first = client.post("/api/v1/users", json=taken, headers=admin | {"Accept-Language": "zh"})
    again = client.post("/api/v1/users", json=taken, headers=admin | {"Accept-Language": "en"})
    assert (first.status_code, first.json()) == (409, again.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json()["detail"] == "用户 qa 已存在"


@pytest.mark.as_owner
def test_no_parameter_of_a_statement_is_told_or_logged(
    engine: Engine, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    admin = signed_in(client, "admin")
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE site RENAME COLUMN timezone TO gone"))
    with caplog.at_level("DEBUG"):
        answer = client.post(
            "/api/v1/sites", json={"code": "sekrit", "name": "sekrit", "timezone": "Europe/Berlin"}, headers=admin
        )
    assert answer.status_code == 500
    assert "sekrit" not in answer.text + caplog.text
    assert json.loads(answer.text)["number"] in caplog.text


class _Watched(Turns):
    """Counts the turns that are taken."""

    taken = 0

    async def begin(self) -> None:
        await super().begin()
        self.taken += 1


def test_who_reads_waits_for_a_turn(client: httpx.Client, app: FastAPI) -> None:
    headers = signed_in(client, "qa")
    app.state.turns = turns = _Watched(1, 60)
    for path in ("/sublots", "/lots?limit=1", "/tasks", "/sublots/1"):  # made from a declaration, and by hand
        before = turns.taken
        client.get(f"/api/v1{path}", headers=headers)
        assert turns.taken > before, path
        assert turns.free == 1, path
    assert client.get("/api/v1/sublots").status_code == 401
    assert turns.free == 1
