"""Sessions of browsers: how long they last, what ends them, and that they end everywhere at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel import passwords, signatures
from core.erp.kernel.access import users
from core.erp.kernel.errors import Forbidden, Invalid, NotFound, Refused, Unauthenticated
from core.erp.kernel.model import User
from core.erp.kernel.permits import Role
from core.erp.kernel.retention import SESSIONS_KEPT, delete_expired
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.sessions.service import Limits, actor_of_session, begin
from core.erp.kernel.signatures import Act, begin_signing, prove
from core.erp.kernel.unit import Actor, Unit, system, unit
from core.erp.kernel.words import Message
from core.wiring import build_events
from tests.keys import opened

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMITS = Limits.of(30, 12)
PASSWORD = "correct horse battery"
ACT = Act(Message("meaning.disposition"), "disposition", ("1",), "assessed")


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)


@contextmanager
def work(engine: Engine, actor: Actor | None = None, now: datetime = NOW) -> Iterator[Unit]:
    with unit(engine, actor or system("test"), build_events(), now) as u:
        yield u


def person(engine: Engine, login: str, *roles: str, **more: Any) -> User:
    with work(engine) as u:
        return users.create_user(u, login, login.title(), PASSWORD, roles, **more)


def signed_in(engine: Engine, login: str = "quinn", *roles: str, at: datetime = NOW) -> str:
    return begin(engine, person(engine, login, *(roles or (Role.QA,))), at, "10.0.0.7")


def why(engine: Engine, cookie: str, at: datetime = NOW, limits: Limits = LIMITS) -> str | None:
    """Why the session opens nothing; None where it does. Asking is no use of it."""
    try:
        actor_of_session(engine, cookie, at, limits, prolong=False)
    except Unauthenticated as error:
        return str(error.extra["why"])
    return None


def use(engine: Engine, cookie: str, at: datetime) -> Actor:
    return actor_of_session(engine, cookie, at, LIMITS)


def one(engine: Engine, query: str) -> Any:
    with engine.connect() as conn:
        return conn.execute(text(query)).one()


def test_a_cookie_speaks_for_its_user_with_the_permits_of_this_moment(engine: Engine) -> None:
    cookie = signed_in(engine)
    actor = use(engine, cookie, NOW)
    assert (actor.login, sorted(actor.roles), actor.one_time) == ("quinn", ["qa"], False)
    assert actor.may("excursion.disposition")
    with work(engine) as u:
        users.change_user(u, actor.user_id or 0, roles=["warehouse"])
    assert not use(engine, cookie, NOW).may("excursion.disposition")


def test_the_database_cannot_be_read_for_a_cookie(engine: Engine) -> None:
    cookie = signed_in(engine)
    row = one(engine, "SELECT * FROM browser_session")
    assert cookie not in str(row)
    for guess in (row.secret_hash.hex(), str(row.id), "", cookie[:-1], cookie + "x", sessions.name_of(row.id)):
        assert why(engine, guess) == "invalid"


def test_two_browsers_are_two_sessions_and_signing_out_ends_one(engine: Engine, postgres_url: str) -> None:
    user = person(engine, "quinn", Role.QA)
    office, home = (begin(engine, user, NOW, where) for where in ("10.0.0.7", "10.0.0.8"))
    assert use(engine, office, NOW).session != use(engine, home, NOW).session
    sessions.end(engine, office, NOW + MINUTE)
    elsewhere = opened(postgres_url)
    try:  # another instance of the core, or this one started again
        assert why(elsewhere, office, NOW + MINUTE) == "out", "also for who has copied the cookie"
        assert why(elsewhere, home, NOW + MINUTE) is None
    finally:
        elsewhere.dispose()
    sessions.end(engine, office, NOW + 2 * MINUTE)
    sessions.end(engine, "no cookie of anybody's", NOW)
    assert one(engine, "SELECT ended_at FROM browser_session WHERE ended_at IS NOT NULL").ended_at == NOW + MINUTE


def test_half_an_hour_unused_ends_it_and_use_carries_it_on_for_twelve_hours(engine: Engine) -> None:
    cookie = signed_in(engine)
    assert why(engine, cookie, NOW + 30 * MINUTE - SECOND) is None
    assert why(engine, cookie, NOW + 30 * MINUTE) == "expired"
    for minutes in range(0, 12 * 60, 20):
        use(engine, cookie, NOW + minutes * MINUTE)
    last = NOW + 12 * HOUR - SECOND
    use(engine, cookie, last)
    with pytest.raises(Unauthenticated, match="time is over"):
        use(engine, cookie, last + SECOND)


def test_a_page_that_asks_by_itself_does_not_carry_it_on(engine: Engine) -> None:
    cookie = signed_in(engine)
    for minute in range(30):
        assert why(engine, cookie, NOW + minute * MINUTE) is None
    assert why(engine, cookie, NOW + 30 * MINUTE) == "expired"


def test_use_is_written_once_a_minute(engine: Engine, owner: Engine) -> None:
    cookie = signed_in(engine)
    with owner.begin() as conn:
        conn.execute(text("CREATE TABLE written (at timestamptz)"))
        conn.execute(text("GRANT INSERT ON written TO lotwise_app"))
        conn.execute(
            text(
                "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN INSERT INTO written VALUES (NEW.last_used_at); RETURN NEW; END$$"
            )
        )
        conn.execute(text("CREATE TRIGGER n AFTER UPDATE ON browser_session FOR EACH ROW EXECUTE FUNCTION note()"))
    for second in range(0, 301, 5):
        use(engine, cookie, NOW + second * SECOND)
    assert one(owner, "SELECT count(*) AS n FROM written").n == 5


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.integers(0, 45 * 60), min_size=1, max_size=40))
def test_it_lives_exactly_while_it_is_used(engine: Engine, gaps: list[int]) -> None:
    """Never longer than the limits allow; never shorter by more than the minute to which use is written down."""
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM browser_session"))
        row = conn.execute(text("SELECT * FROM app_user WHERE login = 'quinn'")).one_or_none()
    user = User(**row._mapping) if row is not None else person(engine, "quinn", Role.QA)
    cookie, at, used = begin(engine, user, NOW, "here"), NOW, NOW
    for gap in gaps:
        at += gap * SECOND
        told = why(engine, cookie, at)
        if at >= NOW + LIMITS.longest or at - used >= LIMITS.idle:
            assert told == "expired"
        elif at - used < LIMITS.idle - sessions.USE_WRITTEN_EVERY:
            assert told is None
        if told is not None:
            return
        use(engine, cookie, at)
        used = at


def test_a_wall_display_goes_on_for_a_month_and_only_as_a_wall_display(engine: Engine) -> None:
    cookie = signed_in(engine, "wall", Role.DISPLAY)
    assert why(engine, cookie, NOW + 29 * DAY) is None, "nobody touches it"
    assert why(engine, cookie, NOW + 30 * DAY) == "expired"
    wall = use(engine, cookie, NOW + 28 * DAY)
    assert {permit.rpartition(".")[2] for permit in wall.permits} == {"read"}
    with work(engine) as u:
        users.change_user(u, wall.user_id or 0, roles=["display", "warehouse"])
    assert why(engine, cookie, NOW + 29 * DAY) == "expired", "whoever may do more signs in again"


@pytest.mark.parametrize(
    ("change", "told"), [({"password": "another horse battery"}, "password"), ({"active": False}, "invalid")]
)
def test_a_new_password_and_a_deactivation_end_every_session(engine: Engine, change: Any, told: str) -> None:
    user = person(engine, "quinn", Role.QA)
    cookies = [begin(engine, user, NOW, "here") for _ in range(2)]
    other = signed_in(engine, "rita", Role.RESPONSIBLE_PERSON)
    with work(engine) as u:
        users.change_user(u, user.id, **change)
    assert [why(engine, cookie) for cookie in cookies] == [told, told]
    assert why(engine, other) is None
    assert one(engine, "SELECT count(*) AS n FROM browser_session WHERE ended_at IS NULL").n == 1
    late = begin(engine, user, NOW, "here")  # its password was checked before the change
    assert why(engine, late) == told
    with work(engine) as u:
        users.change_user(u, user.id, active=True)
    assert all(why(engine, cookie) is not None for cookie in (*cookies, late)), "what has ended never comes back"


def test_ones_own_new_password_ends_this_session_too(engine: Engine) -> None:
    cookie = signed_in(engine)
    actor = use(engine, cookie, NOW)
    signatures.confirm_password(engine, actor, PASSWORD, NOW, new_password="my very own choice")
    assert why(engine, cookie) == "password"


def test_a_one_time_password_opens_nothing_but_the_choice_of_another(engine: Engine) -> None:
    user = person(engine, "quinn", Role.QA, one_time=True)
    actor = use(engine, begin(engine, user, NOW, "here"), NOW)
    assert (actor.one_time, actor.permits) == (True, frozenset())


def test_the_first_signing_of_each_session_takes_login_and_password(engine: Engine) -> None:
    user = person(engine, "quinn", Role.QA)
    for _ in range(2):
        actor = use(engine, begin(engine, user, NOW, "here"), NOW)
        with pytest.raises(Invalid, match="login"):
            prove(engine, actor, ACT, PASSWORD, now=NOW)
        proof = prove(engine, actor, ACT, PASSWORD, login="quinn", now=NOW)
        with work(engine, actor) as u:
            begin_signing(u, proof, ACT).sign(1, {"lot": 7})
        prove(engine, actor, ACT, PASSWORD, now=NOW)


def test_too_many_wrong_passwords_end_the_session_they_were_tried_in(engine: Engine) -> None:
    user = person(engine, "quinn", Role.QA)
    tried, other = (begin(engine, user, NOW, "here") for _ in range(2))
    actor = use(engine, tried, NOW)
    for _ in range(5):
        with pytest.raises(Forbidden):
            prove(engine, actor, ACT, "wrong", login="quinn", now=NOW)
    with pytest.raises(Unauthenticated):
        prove(engine, actor, ACT, PASSWORD, login="quinn", now=NOW)
    assert (why(engine, tried), why(engine, other)) == ("wrong", None)


def test_a_signature_begun_in_a_session_that_was_signed_out_is_refused(engine: Engine) -> None:
    cookie = signed_in(engine)
    actor = use(engine, cookie, NOW)
    sessions.end(engine, cookie, NOW)
    with pytest.raises(Unauthenticated):
        prove(engine, actor, ACT, PASSWORD, login="quinn", now=NOW)


def test_an_administrator_ends_a_session_for_a_reason(engine: Engine) -> None:
    cookie, admin = signed_in(engine), signed_in(engine, "ada", Role.ADMIN)
    ada, number = use(engine, admin, NOW), one(engine, "SELECT min(id) AS id FROM browser_session").id
    with work(engine, ada) as u:
        sessions.end_for(u, number, reason="left the desk")
    assert why(engine, cookie) == "ended"
    assert why(engine, admin) is None
    kept = one(engine, "SELECT actor, entity, entity_id, reason FROM audit WHERE action = 'session.end'")
    assert kept == ("ada", "session", str(number), "left the desk")
    for absent, error in ((number, Refused), (999_999, NotFound)):
        with pytest.raises(error), work(engine, ada) as u:
            sessions.end_for(u, absent, reason="again")


def test_what_has_ended_stays_ended_and_whose_it_is_stays(engine: Engine) -> None:
    sessions.end(engine, signed_in(engine), NOW)
    signed_in(engine, "rita")
    ended, standing = "ended_at IS NOT NULL", "ended_at IS NULL"
    for change, which in (
        ("ended_at = NULL, ended_why = NULL", ended),
        ("last_used_at = now()", ended),
        ("user_id = 2", standing),
        ("secret_hash = '\\x00'", standing),
        ("began_at = now()", standing),
    ):
        with pytest.raises(DBAPIError), engine.begin() as conn:
            conn.execute(text(f"UPDATE browser_session SET {change} WHERE {which}"))


def test_sessions_whose_time_is_over_are_written_down_as_ended_and_forgotten_later(engine: Engine) -> None:
    for login, role, at in (
        ("idle", "qa", NOW - 31 * MINUTE),
        ("used", "qa", NOW - 29 * MINUTE),
        ("wall", "display", NOW - 29 * DAY),
        ("old-wall", "display", NOW - 30 * DAY),
    ):
        signed_in(engine, login, role, at=at)
    old = signed_in(engine, "old", at=NOW - 12 * HOUR)
    with engine.begin() as conn:
        conn.execute(text("UPDATE browser_session SET last_used_at = :at WHERE address = 'x'"), {"at": NOW})
    assert sessions.end_expired(engine, NOW, LIMITS) == 3
    assert sessions.end_expired(engine, NOW, LIMITS) == 0
    query = "SELECT u.login FROM browser_session s JOIN app_user u ON u.id = s.user_id WHERE ended_why = 'expired'"
    with engine.connect() as conn:
        assert set(conn.scalars(text(query))) == {"idle", "old", "old-wall"}
    assert why(engine, old) == "expired"
    assert delete_expired(engine, NOW + SESSIONS_KEPT - 31 * DAY)["browser_session"] == 0
    assert delete_expired(engine, NOW + SESSIONS_KEPT + SECOND)["browser_session"] == 5
