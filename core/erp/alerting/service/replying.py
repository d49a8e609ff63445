"""Answers to messages: whoever answers takes the alerts that the message is of, and says with it what is done.

An address is that of one person's way. Whoever hands an answer in has proved itself (a gateway by its token), or the
answer has (a mail, by the message that it answers).
"""

import hmac
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select

from core.erp.alerting.model import Alert, AlertMessage, ContactWay
from core.erp.alerting.rules import replies
from core.erp.alerting.service import taking
from core.erp.alerting.workflow import ACTIVE, STANDING
from core.erp.kernel.access.effective_permits import COMPOSED
from core.erp.kernel.audit_keys import keys_of
from core.erp.kernel.errors import Invalid, Refused
from core.erp.kernel.events import Events
from core.erp.kernel.model import User
from core.erp.kernel.tables import table
from core.erp.kernel.tokens import user_actor
from core.erp.kernel.unit import Actor, Unit, When, transact

_user, _way, _alert, _message = (table(m).c for m in (User, ContactWay, Alert, AlertMessage))
MOST = 500
"""Alerts of one summary that are taken by one answer."""
SESSION = "reply"


@dataclass(frozen=True, slots=True)
class Reply:
    """From which address, and what it says; `message_id` where it is known which message it answers."""

    sender: str
    text: str
    message_id: int | None = None


def proof_of(conn: Connection, message_id: int) -> str:
    """What only somebody can know who has got the message: part of its mail's Message-ID."""
    return keys_of(conn).sign(_proved(message_id))[:8].hex()


def _proved(message_id: int) -> bytes:
    return f"answer to alert message {message_id}".encode()


def is_proof(conn: Connection, message_id: int, proof: str) -> bool:
    """Whether it is the message's, by the key of today or an older one."""
    keys = keys_of(conn).by_id.values()
    return any(hmac.compare_digest(hmac.digest(key, _proved(message_id), "sha256")[:8].hex(), proof) for key in keys)


def take_reply(engine: Engine, events: Events, reply: Reply, when: When = None) -> list[int]:
    """The ids of the alerts that are taken by it. Raises Refused for an unknown sender and where nothing waits for an
    answer, Invalid where nothing is said, Forbidden.
    """
    with engine.connect() as conn:
        actor = _writer(conn, reply.sender)
    if actor is None:
        raise Refused("alerting.reply_from_nobody")
    return transact(engine, actor, events, lambda u: _take(u, reply), when)


def take_mail(engine: Engine, events: Events, letter: EmailMessage, when: When = None) -> list[int]:
    """As `take_reply`, of a mail; nothing of one that no person has written. Raises Refused for one that answers no
    message of ours.
    """
    if replies.by_robot(letter):
        return []
    found = replies.answered(letter)
    with engine.connect() as conn:
        if found is None or not is_proof(conn, *found):
            raise Refused("alerting.reply_to_nothing")
    reply = Reply(replies.sender_of(letter), replies.body_of(letter), found[0])
    return take_reply(engine, events, reply, when)


def _writer(conn: Connection, address: str) -> Actor | None:
    """The one person who has that address; nobody, where several have it."""
    plain = _plain(address)
    ways = conn.execute(
        select(_way.login, _way.address).where(_way.login.is_not(None), _way.state == ACTIVE).order_by(_way.id)
    )
    logins = {row.login for row in ways if plain and _plain(row.address) == plain}
    if len(logins) != 1:
        return None
    wanted = select(table(User), COMPOSED).where(_user.login == logins.pop(), _user.active)
    row: Any = conn.execute(wanted).first()
    return None if row is None else user_actor(row, SESSION)


def _plain(address: str) -> str:
    """As it is compared: a mail address in small letters, of a number its digits."""
    if "@" in address:
        return address.strip().casefold()
    digits = "".join(sign for sign in address if sign.isdigit())
    return digits.lstrip("0") if len(digits) > 4 else address.strip().casefold()  # noqa: PLR2004 - no number is shorter


def _take(u: Unit, reply: Reply) -> list[int]:
    message_id, said = replies.named(replies.own_words(reply.text))
    message = _answered(u, reply.message_id or message_id)
    if not said or replies.is_echo(said, message.subject, message.short):
        raise Invalid("alerting.reply_says_nothing")
    taking.see(u, message.id)
    wanted = select(_alert.id).where(
        _alert.id == func.any(bindparam("ids", list(message.alert_ids))), _alert.state == STANDING
    )
    ids = list(u.conn.scalars(wanted.order_by(_alert.id).limit(MOST)))
    if not ids:
        raise Refused("alerting.reply_too_late")
    for alert_id in ids:
        taking.take(u, alert_id, reason=said)
    return ids


def _answered(u: Unit, message_id: int | None) -> AlertMessage:
    """The message that is named; else the newest that somebody has to act on. Always one of the writer's own."""
    m = _message
    wanted = select(AlertMessage).where(m.login == u.actor.login, m.kind != "all_clear")
    if message_id is not None:
        wanted = wanted.where(m.id == message_id)
    else:
        standing = select(_alert.id).where(_alert.id == func.any(m.alert_ids), _alert.state == STANDING)
        wanted = wanted.where(standing.exists())
    found = u.session.scalars(wanted.order_by(m.created_at.desc(), m.id.desc()).limit(1)).first()
    if found is None:
        raise Refused("alerting.reply_to_nothing")
    return found
