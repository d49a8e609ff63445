"""Electronic signatures (21 CFR 11.50, 11.70, 11.200): name, time, meaning and the hash of what is signed.

The password is checked before the transaction of the act opens (`prove`), so that nobody waits for a lock behind it.
What it gives is a `Proof`: good for that person, session and act, for a short while and once. Meaning and record are
bound inside the transaction (`begin_signing`, `Signer.sign`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel import login_throttle, passwords
from core.erp.kernel.errors import Forbidden, Invalid, Unauthenticated
from core.erp.kernel.events import Events
from core.erp.kernel.model import RevokedToken, Signature, User
from core.erp.kernel.permits import MANAGES_USERS
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.tokens import MAX_SESSION
from core.erp.kernel.unit import Actor, Unit, record_hash, unit
from core.erp.kernel.words import Message, render

T = TypeVar("T")

PROOF_LIFETIME = timedelta(minutes=2)
"""How long after the password was checked the act must begin: a request's time, queues included."""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody means to sign: the meaning, the records, and why."""

    meaning: Message
    entity: str
    ids: tuple[str, ...]
    reason: str


@dataclass(slots=True)
class Proof:
    """Somebody has just shown by the password that it is they, for this one act. Only a check of it makes one."""

    user_id: int
    session: str
    name: str
    epoch: int
    act: Act
    at: datetime
    spent: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class Signing(Generic[T]):
    """An act that is done by signing: the permit it needs, what is signed, and the work that takes the proof."""

    permit: str
    act: Act
    work: Callable[[Unit, Proof], T]


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs the records of one act, each by itself."""

    u: Unit
    name: str
    act: Act

    @property
    def reason(self) -> str:
        """Why it is signed."""
        return self.act.reason

    def sign(self, entity_id: object, record: Mapping[str, Any], *, listed_as: str | None = None) -> Signature:
        """Signs one record of the act; `listed_as` is what the act calls it, where that is not its id. Raises Forbidden
        for any other.
        """
        u, act = self.u, self.act
        if (listed_as or str(entity_id)) not in act.ids:
            raise Forbidden("kernel.signed_other_records", entity=act.entity, entity_id=str(entity_id))
        assert u.actor.user_id is not None
        meaning = render(act.meaning, u.language)
        signature = Signature(
            user_id=u.actor.user_id,
            name=self.name,
            at=u.now,
            meaning=meaning,
            meaning_message=act.meaning.as_json(),
            entity=act.entity,
            entity_id=str(entity_id),
            record_hash=record_hash(record),
            reason=act.reason,
            session=u.actor.session,
        )
        u.session.add(signature)
        u.session.flush()
        u.audit(
            "signature.sign",
            act.entity,
            entity_id,
            reason=act.reason,
            after={
                "signature_id": signature.id,
                "name": self.name,
                "meaning": meaning,
                "record_hash": signature.record_hash,
            },
        )
        return signature


def may_sign(actor: Actor, act: Act) -> None:
    """Raises Forbidden (the system, an administrator, a one-time password), Invalid (no reason)."""
    if actor.system or actor.user_id is None or actor.session is None:
        raise Forbidden("kernel.only_people_sign")
    if actor.may(MANAGES_USERS):
        raise Forbidden("kernel.administrators_sign_nothing")
    if actor.one_time:
        raise Forbidden("kernel.one_time_signs_nothing")
    if not act.reason.strip():
        raise Invalid("kernel.signature_without_reason")


def prove(engine: Engine, actor: Actor, act: Act, password: str, *, login: str | None = None, now: datetime) -> Proof:
    """Checks the password re-entered for one act of signing; the first of a session gives the login as well.

    In a transaction of its own, which remembers the try before it is answered; sign-ins do not count here, nor does
    anything that others do. Raises what `may_sign` raises, Invalid (first signing without login), Forbidden (wrong
    password or login; with the fifth wrong one in a row the session has ended), Unauthenticated (a session that has).
    """
    may_sign(actor, act)
    if login is not None and login != actor.login:
        raise Forbidden("kernel.sign_as_yourself", extra={"login": login})
    user = confirm_password(engine, actor, password, now, first_needs_login=login is None)
    assert actor.session is not None
    return Proof(user.id, actor.session, user.name, user.token_epoch, act, now)


def confirm_password(
    engine: Engine,
    actor: Actor,
    password: str,
    now: datetime,
    *,
    first_needs_login: bool = False,
    new_password: str | None = None,
) -> User:
    """The signed-in user, if the password is theirs; with `new_password`, which is their password from then on.

    Raises Forbidden, Unauthenticated, and with `first_needs_login` Invalid before the first signing of the session.
    """
    session, users = actor.session or "", table(User)
    with unit(engine, actor, Events(), now) as u:
        login_throttle.lock_attempts(u.conn, "signing", session)
        row = u.conn.execute(select(users).where(users.c.id == actor.user_id)).one_or_none()
        if row is None or not row.active or not session or _session_ended(u, session):
            raise Unauthenticated("kernel.session_ended", extra={"why": "out"})
        if first_needs_login and not _has_signed(u):
            raise Invalid("kernel.first_signing", extra={"needs": ["login", "password"]})
        ok = passwords.matches(row.password_hash, password)
        login_throttle.record_attempt(u.conn, actor.login, now, ok=ok, session=session)
        wrong = 0 if ok else login_throttle.signing_failures(u.conn, session)
        if wrong >= login_throttle.MAX_SIGNING_FAILURES:
            _end_session(u, session)
        if ok and new_password is not None:
            _change_password(u, row, new_password)
    if wrong >= login_throttle.MAX_SIGNING_FAILURES:
        raise Forbidden("kernel.wrong_password_ended", times=wrong, extra={"session_ended": True})
    if not ok:
        raise Forbidden("kernel.wrong_password_signing" if new_password is None else "kernel.wrong_password_choosing")
    return User(**values_of(row))


def _change_password(u: Unit, row: Any, password: str) -> None:
    """The user's own choice of a password. Every session that was begun with the old one ends."""
    passwords.check_rules(password, row.login, row.name)
    if passwords.matches(row.password_hash, password):
        raise Invalid("kernel.password_same")
    users = table(User)
    chosen = {"password_hash": passwords.hash_of(password), "one_time_until": None, "token_epoch": row.token_epoch + 1}
    u.conn.execute(update(users).where(users.c.id == row.id).values(chosen))
    sessions.end_all_of(u, row.id, "password")
    u.audit("user.password", "user", row.id, after={"password": "chosen by its owner"})


def _session_ended(u: Unit, session: str) -> bool:
    browser = sessions.id_named(session)
    if browser is not None:
        return sessions.has_ended(u.conn, browser)
    revoked = table(RevokedToken)
    return u.conn.execute(select(revoked.c.jti).where(revoked.c.jti == session)).first() is not None


def _end_session(u: Unit, session: str) -> None:
    """Too many wrong passwords: the session ends, and its owner signs in again."""
    u.audit("session.end", "user", u.actor.user_id, reason=Message("kernel.too_many_wrong_signing"))
    browser = sessions.id_named(session)
    if browser is not None:
        sessions.end_wrong(u, browser)
        return
    row = {"jti": session, "user_id": u.actor.user_id, "at": u.now, "until": u.now + MAX_SESSION, "why": "wrong"}
    u.conn.execute(upsert(RevokedToken).values(row).on_conflict_do_nothing())


def begin_signing(u: Unit, proof: Proof, act: Act) -> Signer:
    """Begins the signing of an act whose password was checked before. Raises Forbidden for a proof of anything else, an
    old one, one that was used, or one whose owner was sent away or changed the password meanwhile.
    """
    may_sign(u.actor, act)
    if (proof.user_id, proof.session) != (u.actor.user_id, u.actor.session):
        raise Forbidden("kernel.proof_of_another")
    if proof.act != act:
        raise Forbidden("kernel.proof_of_another_act")
    if proof.spent or u.now - proof.at > PROOF_LIFETIME:
        raise Forbidden("kernel.proof_spent")
    users = table(User)
    where = (users.c.id == proof.user_id, users.c.active, users.c.token_epoch == proof.epoch)
    if u.conn.execute(select(users.c.id).where(*where, users.c.one_time_until.is_(None))).first() is None:
        raise Forbidden("kernel.proof_withdrawn")
    return Signer(u, proof.name, act)


def _has_signed(u: Unit) -> bool:
    s = table(Signature)
    where = (s.c.session == u.actor.session, s.c.user_id == u.actor.user_id)
    return u.conn.execute(select(s.c.id).where(*where).limit(1)).first() is not None


def still_valid(u: Unit, signature: Signature, record: Mapping[str, Any]) -> bool:
    """Whether the signature still stands for the record: it dies when the record changes."""
    del u
    return signature.record_hash == record_hash(record)


def manifestation(signature: Signature) -> str:
    """The signature as people read it: printed name, date and time, meaning (11.50)."""
    return f"{signature.name}, {signature.at:%Y-%m-%d %H:%M:%S} UTC, {signature.meaning}: {signature.reason or ''}"
