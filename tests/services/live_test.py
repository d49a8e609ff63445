"""The event stream: who is told of what, when it ends, and that nothing is missed."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access import users
from core.erp.kernel.access.users import Place
from core.erp.kernel.auth import now_utc
from core.erp.kernel.live import telling
from core.erp.kernel.live.telling import CHANNEL, tell
from core.erp.kernel.model import User
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.unit import Actor, Unit, system, unit
from core.settings import Settings
from core.web import live
from core.web.live import fragments, hub, stream
from core.web.live.fragments import Fragments
from core.web.live.hub import Hub
from core.wiring import build_events
from tests.processes import until
from tests.serving import serving

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)


def done(engine: Engine, work: Callable[[Unit], Any]) -> Any:
    with unit(engine, system("test"), build_events()) as u:
        return work(u)


def person(engine: Engine, login: str, *roles: str, place: Place | None = None) -> User:
    return done(engine, lambda u: users.create_user(u, login, login.title(), PASSWORD, roles, place=place))  # type: ignore[no-any-return]  # what the helper gives is untyped


def happens(engine: Engine, topic: str, key: object, **payload: object) -> None:
    """Something is done that the outbox tells, and the background work comes by."""
    done(engine, lambda u: u.outbox(topic, key, payload))
    tell(engine)


# --- telling


@pytest.fixture
def ear(postgres_url: str) -> Iterator[psycopg.Connection]:
    conninfo = postgres_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(f"LISTEN {CHANNEL}")
        yield conn


def heard(ear: psycopg.Connection) -> list[str]:
    ear.execute("SELECT 1")
    return [notice.payload for notice in ear.notifies(timeout=0.2)]


def test_a_commit_is_told_once_and_what_was_undone_never(engine: Engine, ear: psycopg.Connection) -> None:
    done(engine, lambda u: u.outbox("hold.placed", 41, {"sublot_id": 7}))

    def undone(u: Unit) -> None:
        u.outbox("hold.placed", 42, {})
        u.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        done(engine, undone)
    assert heard(ear) == [], "whoever posts notifies nobody"
    assert tell(engine) == 1
    assert heard(ear) == ["hold:41 sublot:7"]
    assert tell(engine) == 0
    assert heard(ear) == []


def test_one_pass_tells_of_many_in_one_notification(
    engine: Engine, ear: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def many(u: Unit) -> None:
        for number in range(300):
            u.outbox("hold.placed", number, {"sublot_id": number})

    done(engine, many)
    assert tell(engine) == 300
    assert heard(ear) == ["hold sublot"]
    monkeypatch.setattr(telling, "MOST_ROWS", 200)
    done(engine, many)
    assert [tell(engine) for _ in range(3)] == [200, 100, 0]


def test_what_becomes_of_users_and_sessions_is_told_too(engine: Engine, ear: psycopg.Connection) -> None:
    user = person(engine, "quinn", "qa")
    cookie = sessions.begin(engine, user, now_utc(), "here")
    tell(engine)
    heard(ear)
    sessions.actor_of_session(engine, cookie, now_utc() + timedelta(minutes=2), sessions.Limits.of(30, 12))
    assert tell(engine) == 0, "use of a session is no news"
    sessions.end(engine, cookie, now_utc())
    done(engine, lambda u: users.change_user(u, user.id, roles=["warehouse"]))
    tell(engine)
    assert heard(ear) == [f"session:1 user:{user.id}"]


# --- streams


class Ear(threading.Thread):
    """A browser's stream: what it hears, as (event, data)."""

    def __init__(self, client: httpx.Client, cookie: str, **asked: Any) -> None:
        super().__init__(daemon=True)
        self.events: list[tuple[str, str]] = []
        self.ids: list[int] = []
        self.status = 0
        self._url, self._headers = f"{client.base_url}/live".replace("//live", "/live"), {"Cookie": cookie}
        self._headers |= asked.pop("headers", {})
        self._asked = asked
        self.start()

    def run(self) -> None:
        with (
            contextlib.suppress(httpx.TransportError, httpx.StreamError),
            httpx.stream("GET", self._url, params=self._asked, headers=self._headers, timeout=60) as response,
        ):
            self.status = response.status_code
            name = ""
            for line in response.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    self.ids.append(int(value))
                elif field == "data" and name != "beat":
                    self.events.append((name, value))

    def hears(self, *event: str) -> None:
        until(lambda: event in self.events, f"{event} among {self.events}")

    def is_told(self, topic: str) -> None:
        """With or without others: what happens within one pass is told together."""
        until(lambda: any(topic in told.split() for told in self.told()), f"{topic} among {self.events}")

    def told(self) -> list[str]:
        return [data for name, data in self.events if name == "changed"]


class Office:
    def __init__(self, engine: Engine, client: httpx.Client, hub: Hub) -> None:
        self.engine, self.client, self.hub = engine, client, hub
        self.cookies: dict[str, str] = {}

    def sign_in(self, login: str, *roles: str, place: Place | None = None) -> str:
        user = person(self.engine, login, *roles, place=place)
        self.cookies[login] = sessions.begin(self.engine, user, now_utc(), "here")
        return f"lotwise_session={self.cookies[login]}"

    def open(self, cookie: str, **asked: Any) -> Ear:
        """A stream of a page that was drawn just now, once it has read everything anew for the first time."""
        ear = Ear(self.client, cookie, since=self.hub.now(), **asked)
        until(lambda: self.hub._whole_since is not None and ear.status == 200 and ear.ids, "the stream")
        return ear


@pytest.fixture
def office(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(hub, "LINGER", 0.0)
    app = create_app(
        Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path), engine, run_background=False
    )
    live.install(app)
    with serving(app) as client:
        yield Office(engine, client, app.state.live)


def test_a_stream_tells_which_records_have_changed(office: Office) -> None:
    ear = office.open(office.sign_in("wanda", "warehouse"))
    happens(office.engine, "hold.placed", 41, sublot_id=7, reason="never told")
    ear.hears("changed", "hold:41 sublot:7")
    assert "never told" not in str(ear.events)


def test_nobody_is_told_without_a_session(office: Office) -> None:
    good = office.sign_in("wanda", "warehouse")
    for headers in ({}, {"Cookie": "lotwise_session=x"}, {"Cookie": good.replace("lotwise_session", "__Host-lotwise")}):
        for path in ("/live", "/live/alive"):
            answer = office.client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert office.client.get("/live/alive", headers={"Cookie": good}).status_code == 204
    done(office.engine, lambda u: users.create_user(u, "new", "New", PASSWORD, ["qa"], one_time=True))
    with office.engine.connect() as conn:
        row = conn.execute(text("SELECT * FROM app_user WHERE login = 'new'")).one()
    once = sessions.begin(office.engine, User(**row._mapping), now_utc(), "here")
    assert office.client.get("/live", headers={"Cookie": f"lotwise_session={once}"}).status_code == 403


def test_kinds_are_told_to_who_may_read_them(office: Office) -> None:
    wanda, quinn = (
        office.open(office.sign_in(login, role)) for login, role in (("wanda", "warehouse"), ("quinn", "qa"))
    )
    happens(office.engine, "user.signer", 3, user_id=3)
    happens(office.engine, "hold.placed", 41)
    for ear in (wanda, quinn):
        ear.is_told("hold:41")
    assert not any("user" in told for told in wanda.told())
    quinn.is_told("user:3")


def test_a_stream_is_no_use_of_a_session(office: Office) -> None:
    ear = office.open(office.sign_in("wanda", "warehouse"))
    with office.engine.begin() as conn:
        conn.execute(text("UPDATE browser_session SET last_used_at = now() - interval '5 minutes'"))
    happens(office.engine, "user.signer", 1, user_id=1)  # it is looked whether the session still stands
    happens(office.engine, "hold.placed", 41)
    ear.hears("changed", "hold:41")
    with office.engine.connect() as conn:
        assert conn.scalar(text("SELECT now() - last_used_at > interval '4 minutes' FROM browser_session"))


@pytest.mark.parametrize("how", ["out", "inactive", "administrator", "permits", "expired"])
def test_it_ends_with_the_session(office: Office, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHECK_EVERY", 1.0 if how == "expired" else 60.0)
    ear, engine = office.open(office.sign_in("wanda", "warehouse")), office.engine
    if how == "out":
        sessions.end(engine, office.cookies["wanda"], now_utc())
    elif how == "inactive":
        done(engine, lambda u: users.change_user(u, 1, active=False))
    elif how == "administrator":
        done(engine, lambda u: sessions.end_for(u, 1, reason="left"))
    elif how == "permits":
        with engine.begin() as conn:
            conn.execute(text("UPDATE app_user SET roles = '{supplier}'"))
    else:
        with engine.begin() as conn:
            conn.execute(text("UPDATE browser_session SET last_used_at = now() - interval '31 minutes'"))
    tell(engine)
    ear.hears("ended", {"inactive": "invalid", "administrator": "ended"}.get(how, how))
    ear.join(10)
    assert not ear.is_alive(), "and is closed"
    until(lambda: not office.hub._streams, "the hub forgets it")


def test_other_permits_hold_at_once_and_pages_are_read_anew(office: Office) -> None:
    ear = office.open(office.sign_in("quinn", "qa"))
    happens(office.engine, "user.signer", 9, user_id=9)
    until(lambda: any("user:9" in told for told in ear.told()), "QA is told of users")
    before = ear.events.count(("resync", "-"))
    done(office.engine, lambda u: users.change_user(u, 1, roles=["warehouse"]))
    tell(office.engine)
    until(lambda: ear.events.count(("resync", "-")) > before, "read anew")
    happens(office.engine, "user.signer", 8, user_id=8)
    happens(office.engine, "hold.placed", 41)
    ear.hears("changed", "hold:41")
    assert not any("user:8" in told for told in ear.told())


def test_who_was_away_is_told_what_happened_or_to_read_everything(office: Office) -> None:
    cookie = office.sign_in("wanda", "warehouse")
    keeping = office.open(office.sign_in("wendy", "warehouse"))
    since = office.hub.now() + 1_001
    time.sleep(1.1)
    happens(office.engine, "hold.placed", 41)
    keeping.hears("changed", "hold:41")
    for back in (
        Ear(office.client, cookie, since=since),
        Ear(office.client, cookie, headers={"Last-Event-ID": str(since)}),
    ):
        back.hears("changed", "hold:41")
        assert ("resync", "-") not in back.events
    Ear(office.client, cookie, since=since - 100_000).hears("resync", "-")


def test_a_listener_that_is_cut_off_comes_back_and_pages_are_read_anew(office: Office, owner: Engine) -> None:
    ear = office.open(office.sign_in("wanda", "warehouse"))
    before = ear.events.count(("resync", "-"))
    with owner.connect() as conn:
        conn.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lotwise live'")
        )
    until(lambda: ear.events.count(("resync", "-")) > before, "resync")
    happens(office.engine, "hold.placed", 41)
    ear.hears("changed", "hold:41")


def test_a_new_value_of_a_zone_is_told_within_a_second_or_two(office: Office, owner: Engine) -> None:
    with owner.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        conn.execute(text("INSERT INTO zone_judged (zone_id, last_value, version) VALUES (12, 4.1, 1), (13, 4.1, 1)"))
    ear = office.open(office.sign_in("eve", "plant_engineer"))
    ear.hears("changed", "zone")
    with owner.begin() as conn:
        conn.execute(text("UPDATE zone_judged SET last_value = 4.2 WHERE zone_id = 12"))
    ear.hears("changed", "zone:12")
    assert not any("zone:13" in told for told in ear.told())


def test_a_session_has_few_streams(office: Office) -> None:
    cookie = office.sign_in("wanda", "warehouse")
    for _ in range(hub.MOST_OF_A_SESSION):
        office.open(cookie)
    refused = office.client.get("/live", headers={"Cookie": cookie})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert office.open(office.sign_in("wendy", "warehouse")).status == 200


# --- parts that many look at


def test_a_part_is_made_once_a_second_for_all_who_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    parts, made = Fragments(), list[int]()

    def get(actor: Actor, what: str = "tiles", told: float = 0.0) -> int:
        def make() -> int:
            made.append(1)
            return len(made)

        return parts.get(actor, what, int(told * 1000), make)

    one, same = (
        Actor("a", frozenset({"warehouse"}), 1, language="en"),
        Actor("b", frozenset({"warehouse"}), 2, language="en"),
    )
    assert [get(one), get(same), get(one)] == [1, 1, 1]
    others = (
        Actor("c", frozenset({"qa"}), 3, language="en"),
        Actor("d", frozenset({"warehouse"}), 4, language="zh"),
        Actor("e", frozenset({"warehouse"}), 5, language="en", sites=frozenset({1})),
        Actor("f", frozenset({"warehouse"}), 6, language="en", partner_id=1),
    )
    assert [get(actor) for actor in others] == [2, 3, 4, 5]
    assert get(one, "other tiles") == 6
    clock[0] += 0.5
    assert get(same) == 1
    assert get(same, told=clock[0] - 0.4) == 7, "made before the change that it is to show"
    clock[0] += 0.2
    assert [get(one, told=clock[0] - 0.6), get(one, told=clock[0] - 0.15)] == [7, 8]
    clock[0] += 1.1
    assert get(one) == 9, "a second old"
    for number in range(fragments.MOST):
        get(one, f"part {number}")
    assert len(parts._parts) == fragments.MOST


def test_many_who_ask_at_once_wait_for_the_one_who_makes_it() -> None:
    parts, made, actor = Fragments(), list[int](), Actor("a", frozenset({"qa"}), 1)
    begun = threading.Barrier(8)

    def make() -> str:
        time.sleep(0.1)
        made.append(1)
        return "<p>"

    def ask() -> None:
        begun.wait()
        assert parts.get(actor, "tiles", 0, make) == "<p>"

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
