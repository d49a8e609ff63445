"""Electronic signatures (21 CFR 11.50, 11.70, 11.200): name, time, meaning and the hash of what is signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from core.erp.kernel.auth import check_password
from core.erp.kernel.errors import Forbidden, Invalid, Unauthenticated
from core.erp.kernel.model import Signature
from core.erp.kernel.permits import Role
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, record_hash


@dataclass(frozen=True, slots=True)
class Pen:
    """Who has just shown by the password that it is they: signs the records of one act, each by itself."""

    u: Unit
    user_id: int
    name: str
    reason: str

    def sign(self, entity: str, entity_id: object, record: Mapping[str, Any], meaning: str) -> Signature:
        """Signs one record. Raises Invalid without a meaning."""
        u = self.u
        if not meaning.strip():
            raise Invalid("a signature says what it means and why")
        signature = Signature(
            user_id=self.user_id, name=self.name, at=u.now, meaning=meaning, entity=entity, entity_id=str(entity_id),
            record_hash=record_hash(record), reason=self.reason, session=u.actor.session,
        )  # fmt: skip
        u.session.add(signature)
        u.session.flush()
        u.audit("signature.sign", entity, entity_id, reason=self.reason, after={
            "signature_id": signature.id, "name": self.name, "meaning": meaning, "record_hash": signature.record_hash,
        })  # fmt: skip
        return signature


def take_pen(u: Unit, password: str, reason: str, *, login: str | None = None) -> Pen:
    """Re-enters the password for one act of signing; the first of a session gives the login as well.

    The password is checked once for the act, and a wrong one counted against the sign-in limit, in a transaction of
    its own. Raises Forbidden (the system, an administrator, wrong password or login), Invalid (no reason, first signing
    without login), TooManyAttempts.
    """
    actor = u.actor
    if actor.system or actor.user_id is None:
        raise Forbidden("only people sign")
    if Role.ADMIN in actor.roles:
        raise Forbidden("administrators sign no quality decision")
    if not reason.strip():
        raise Invalid("a signature says what it means and why")
    if login is None and not _signed_before(u):
        raise Invalid("the first signing of a session needs the login and the password", needs=["login", "password"])
    if login is not None and login != actor.login:
        raise Forbidden("sign with your own login", login=login)
    try:
        user = check_password(u.conn.engine, actor.login, password, "signature", u.now)
    except Unauthenticated as error:
        raise Forbidden("the password does not match: nothing was signed") from error
    return Pen(u, actor.user_id, user.name, reason)


def sign(
    u: Unit,
    password: str,
    entity: str,
    entity_id: object,
    record: Mapping[str, Any],
    meaning: str,
    reason: str,
    *,
    login: str | None = None,
) -> Signature:
    """Signs one record by re-entering the password. Raises what `take_pen` and `Pen.sign` raise."""
    return take_pen(u, password, reason, login=login).sign(entity, entity_id, record, meaning)


def _signed_before(u: Unit) -> bool:
    if u.actor.session is None:
        return False
    s = table(Signature)
    where = (s.c.session == u.actor.session, s.c.user_id == u.actor.user_id)
    return u.conn.execute(select(s.c.id).where(*where).limit(1)).first() is not None


def valid(u: Unit, signature: Signature, record: Mapping[str, Any]) -> bool:
    """Whether the signature still stands for the record: it dies when the record changes."""
    del u
    return signature.record_hash == record_hash(record)


def text_of(signature: Signature) -> str:
    """The signature as people read it: printed name, date and time, meaning (11.50)."""
    return f"{signature.name}, {signature.at:%Y-%m-%d %H:%M:%S} UTC, {signature.meaning}: {signature.reason or ''}"
