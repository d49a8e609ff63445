"""Signing: who may, with which proof, and what wrong passwords do: to the session, and to nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, text

from core.erp.kernel import auth, login_throttle, passwords, signatures
from core.erp.kernel.access import users
from core.erp.kernel.errors import Forbidden, Invalid, TooManyAttempts, Unauthenticated
from core.erp.kernel.events import Events
from core.erp.kernel.permits import Role
from core.erp.kernel.signatures import Act, Proof, begin_signing, prove
from core.erp.kernel.unit import Actor, Unit, system, unit
from core.erp.kernel.words import Message

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SYSTEM = system("test")
PASSWORD = "correct horse battery"
ACT = Act(Message("meaning.disposition"), "disposition", ("1",), "assessed")
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)


@contextmanager
def work(engine: Engine, actor: Actor = SYSTEM, now: datetime = NOW) -> Iterator[Unit]:
    with unit(engine, actor, Events(), now) as u:
        yield u


def person(engine: Engine, login: str, *roles: Role, **more: Any) -> Actor:
    with work(engine) as u:
        user = users.create_user(u, login, login.title(), PASSWORD, roles, **more)
    return Actor(login, frozenset(roles), user.id, session="s1")


def count(engine: Engine, table: str) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def sign(engine: Engine, actor: Actor, proof: Proof, act: Act = ACT, at: datetime = NOW, number: int = 1) -> None:
    with work(engine, actor, at) as u:
        begin_signing(u, proof, act).sign(number, {"lot": 7})


def test_a_signature_is_bound_to_its_record(engine: Engine) -> None:
    qa, record = person(engine, "quality", Role.QA), {"lot": 7, "decision": "accept"}
    with pytest.raises(Invalid, match="login"):
        prove(engine, qa, ACT, PASSWORD, now=NOW)
    proof = prove(engine, qa, ACT, PASSWORD, login="quality", now=NOW)
    with work(engine, qa) as u:
        signed = begin_signing(u, proof, ACT).sign(1, record)
        assert signatures.still_valid(u, signed, dict(record))
        assert not signatures.still_valid(u, signed, record | {"decision": "reject"}), "it dies when the record changes"
        assert (
            signatures.manifestation(signed) == "Quality, 2026-03-02 12:00:00 UTC, disposition of excursion: assessed"
        )
    prove(engine, qa, ACT, PASSWORD, now=NOW)
    with pytest.raises(Invalid, match="login"):
        prove(engine, replace(qa, session="s2"), ACT, PASSWORD, now=NOW)


def test_a_proof_serves_its_owner_its_act_and_its_moment_only(engine: Engine) -> None:
    qa, other = person(engine, "quality", Role.QA), person(engine, "another", Role.QA)
    proof = prove(engine, qa, ACT, PASSWORD, login="quality", now=NOW)
    for actor, act, at, number in (
        (other, ACT, NOW, 1),
        (replace(qa, session="s2"), ACT, NOW, 1),
        (qa, replace(ACT, ids=("2",)), NOW, 2),
        (qa, ACT, NOW, 2),
        (qa, replace(ACT, meaning=Message("meaning.batch_release")), NOW, 1),
        (qa, replace(ACT, reason="something else"), NOW, 1),
        (qa, replace(ACT, entity="sublot"), NOW, 1),
        (qa, ACT, NOW + timedelta(minutes=3), 1),
    ):
        with pytest.raises(Forbidden):
            sign(engine, actor, proof, act, at, number)
    proof.spent = True
    with pytest.raises(Forbidden, match="again"):
        sign(engine, qa, proof)
    assert count(engine, "signature") == 0


def test_who_is_sent_away_or_gets_another_password_meanwhile_does_not_sign(engine: Engine) -> None:
    for change in ({"active": False}, {"password": "another horse battery"}):
        login = f"qa{len(change)}{next(iter(change))}"
        qa = person(engine, login, Role.QA)
        proof = prove(engine, qa, ACT, PASSWORD, login=login, now=NOW)
        with work(engine) as u:
            users.change_user(u, qa.user_id or 0, **change)
        with pytest.raises(Forbidden, match="meanwhile"):
            sign(engine, qa, proof)


def test_who_signs_nothing_is_told_before_any_password_is_tried(engine: Engine) -> None:
    qa, admin = person(engine, "quality", Role.QA), person(engine, "root", Role.ADMIN)
    for actor, act, login in (
        (admin, ACT, "root"),
        (SYSTEM, ACT, None),
        (replace(qa, session=None), ACT, "quality"),
        (replace(qa, one_time=True), ACT, "quality"),
        (qa, ACT, "root"),
    ):
        with pytest.raises(Forbidden):
            prove(engine, actor, act, PASSWORD, login=login, now=NOW)
    for act in (replace(ACT, reason=" "), replace(ACT, reason="")):
        with pytest.raises(Invalid):
            prove(engine, qa, act, PASSWORD, login="quality", now=NOW)
    assert count(engine, "login_attempt") == 0


def test_wrong_signatures_end_their_own_session_and_touch_nobody_else(engine: Engine) -> None:
    qa, other = person(engine, "quality", Role.QA), replace(person(engine, "another", Role.QA), session="s9")
    for _ in range(3):
        with pytest.raises(Forbidden, match="nothing was signed"):
            prove(engine, qa, ACT, "wrong", login="quality", now=NOW)
    prove(engine, qa, ACT, PASSWORD, login="quality", now=NOW)  # the right one sets the count back
    for _ in range(login_throttle.MAX_SIGNING_FAILURES - 1):
        with pytest.raises(Forbidden):
            prove(engine, qa, ACT, "wrong", login="quality", now=NOW)
    with pytest.raises(Forbidden, match="session has ended"):
        prove(engine, qa, ACT, "wrong", login="quality", now=NOW)
    with pytest.raises(Unauthenticated):
        prove(engine, qa, ACT, PASSWORD, login="quality", now=NOW)
    again = replace(qa, session="s2")
    prove(engine, again, ACT, PASSWORD, login="quality", now=NOW)
    auth.check_password(engine, "quality", PASSWORD, "here", NOW)
    for number in range(40):  # many sessions, many wrong ones: the plant goes on signing
        with pytest.raises(Forbidden):
            prove(engine, replace(qa, session=f"w{number}"), ACT, "wrong", login="quality", now=NOW)
    prove(engine, other, ACT, PASSWORD, login="another", now=NOW)
    with engine.connect() as conn:
        assert (
            conn.execute(text("SELECT actor, reason FROM audit WHERE action = 'session.end'")).one().actor == "quality"
        )


def test_wrong_sign_ins_never_keep_a_signed_in_person_from_signing(engine: Engine) -> None:
    qa = person(engine, "quality", Role.QA)
    for number in range(40):
        with pytest.raises((Unauthenticated, TooManyAttempts)):
            auth.check_password(engine, "quality", "wrong", f"10.0.0.{number}", NOW)
    sign(engine, qa, prove(engine, qa, ACT, PASSWORD, login="quality", now=NOW))


def test_sign_ins_wait_by_login_and_address_longer_and_longer(engine: Engine) -> None:
    person(engine, "quality", Role.QA)
    person(engine, "another", Role.QA)

    def wrong(login: str, address: str, at: datetime = NOW) -> None:
        with pytest.raises(Unauthenticated):
            auth.check_password(engine, login, "wrong", address, at)

    def waits(login: str, address: str, at: datetime = NOW) -> int:
        with pytest.raises(TooManyAttempts) as told:
            auth.check_password(engine, login, PASSWORD, address, at)
        return int(told.value.extra["retry_after"])

    for _ in range(login_throttle.FREE_ATTEMPTS):
        wrong("quality", "a1")
    assert waits("quality", "a1") == 2
    assert auth.check_password(engine, "quality", PASSWORD, "a2", NOW), "its owner signs in from elsewhere"
    assert auth.check_password(engine, "another", PASSWORD, "a1", NOW), "others sign in from the same address"
    wrong("quality", "a1", NOW + 2 * SECOND)
    assert waits("quality", "a1", NOW + 3 * SECOND) == 2
    wrong("quality", "a1", NOW + 5 * SECOND)
    assert waits("quality", "a1", NOW + 6 * SECOND) == 4
    assert auth.check_password(engine, "quality", PASSWORD, "a1", NOW + 10 * SECOND), "the delay has an end"
    wrong("quality", "a1", NOW + 11 * SECOND)
    assert auth.check_password(engine, "quality", PASSWORD, "a1", NOW + 12 * SECOND), "the right one sets it back"
    for number in range(60):
        wrong(f"guess{number}", "a1")
    assert auth.check_password(engine, "another", PASSWORD, "a1", NOW)
    assert auth.check_password(engine, "quality", PASSWORD, "a1", NOW + 13 * SECOND)


def test_many_addresses_have_few_tries_all_the_same_and_the_owner_is_known(engine: Engine) -> None:
    person(engine, "quality", Role.QA)
    assert auth.check_password(engine, "quality", PASSWORD, "home", NOW)
    for number in range(login_throttle.FREE_ATTEMPTS_UNKNOWN_ADDRESSES):
        with pytest.raises(Unauthenticated):
            auth.check_password(engine, "quality", "wrong", f"10.1.0.{number}", NOW + SECOND)
    with pytest.raises(TooManyAttempts):
        auth.check_password(engine, "quality", PASSWORD, "10.2.0.1", NOW + SECOND)
    assert auth.check_password(engine, "quality", PASSWORD, "home", NOW + SECOND)


def test_delays_grow_and_have_an_end() -> None:
    most = timedelta(minutes=5)
    assert [login_throttle.delay(n, 5, most).total_seconds() for n in (0, 4, 5, 6, 7, 13, 14, 1_000_000)] == [
        0,
        0,
        1,
        2,
        4,
        256,
        300,
        300,
    ]


def test_a_hash_of_yesterdays_cost_is_made_anew_at_sign_in(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    person(engine, "quality", Role.QA)
    dearer = PasswordHasher(time_cost=2, memory_cost=128, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: dearer)
    for _ in range(2):
        auth.check_password(engine, "quality", PASSWORD, "here", NOW)
        with engine.connect() as conn:
            kept = conn.execute(text("SELECT password_hash FROM app_user")).scalar_one()
        assert "m=128,t=2,p=1" in kept


def test_a_reset_ends_in_the_owners_own_choice(engine: Engine) -> None:
    admin, qa = person(engine, "root", Role.ADMIN), person(engine, "quality", Role.QA)
    store = person(engine, "store", Role.WAREHOUSE)
    once = "given by the administrator"
    with work(engine, admin) as u:
        users.change_user(u, qa.user_id or 0, password=once)
        users.change_user(u, store.user_id or 0, password=once)
    with engine.connect() as conn:
        told = conn.execute(text("SELECT payload FROM outbox WHERE topic = 'user.signer' ORDER BY id")).scalars().all()
        kept = conn.execute(text("SELECT after ->> 'password' FROM audit WHERE action = 'user.change'")).scalars().all()
    assert [(one["act"], one["login"], one["by"]) for one in told] == [
        ("made", "root", "system:test"),
        ("made", "quality", "system:test"),
        ("reset", "quality", "root"),
    ]
    assert kept == ["reset", "reset"]
    user = auth.check_password(engine, "quality", once, "here", NOW)
    assert user.one_time_until is not None
    restricted = replace(qa, one_time=True)
    assert not any(restricted.may(permit) for permit in ("stock.read", "excursion.disposition"))
    with pytest.raises(Forbidden, match="one-time"):
        prove(engine, restricted, ACT, once, login="quality", now=NOW)
    for unfit in ("short", once, "password123", "quality-2026"):
        with pytest.raises(Invalid):
            signatures.confirm_password(engine, restricted, once, NOW, new_password=unfit)
    with pytest.raises(Forbidden, match="stays as it was"):
        signatures.confirm_password(engine, restricted, "not it", NOW, new_password="my very own choice")
    signatures.confirm_password(engine, restricted, once, NOW, new_password="my very own choice")
    assert auth.check_password(engine, "quality", "my very own choice", "here", NOW).one_time_until is None
    with pytest.raises(Unauthenticated):
        auth.check_password(engine, "quality", once, "here", NOW)


def test_a_one_time_password_runs_out(engine: Engine) -> None:
    person(engine, "quality", Role.QA, one_time=True)
    assert auth.check_password(engine, "quality", PASSWORD, "here", NOW + timedelta(hours=71))
    with pytest.raises(Unauthenticated, match="run out"):
        auth.check_password(engine, "quality", PASSWORD, "here", NOW + timedelta(hours=73))


def test_whoever_is_given_the_means_to_sign_is_told_of(engine: Engine) -> None:
    store = person(engine, "store", Role.WAREHOUSE)
    for change in ({"roles": ["qa"]}, {"roles": ["qa", "warehouse"]}, {"active": False}, {"active": True}):
        with work(engine) as u:
            users.change_user(u, store.user_id or 0, **change)
    with engine.connect() as conn:
        told = conn.execute(text("SELECT payload FROM outbox WHERE topic = 'user.signer' ORDER BY id")).scalars().all()
    assert [(one["act"], one["roles"]) for one in told] == [("changed", ["qa"]), ("changed", ["qa", "warehouse"])]
