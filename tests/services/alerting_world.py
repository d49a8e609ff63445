"""A plant whose people are told: users with ways, routes, and the passes that the background makes, by hand."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.erp.alerting import running
from core.erp.alerting.model import ContactWay
from core.erp.kernel.access.users import create_user
from core.erp.kernel.outbox import Outbox
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import Actor, Unit
from core.erp.quality import service as quality
from core.outbound.messages.registering import register_messages
from core.outbound.settings import OutboundSettings
from core.wiring import build_events, build_outbox
from tests.world import World

PASSWORD = "correct horse battery"


@dataclass
class Post:
    """What a mail server has taken; `answers` it gives to the next letters, "250 …" when there are none left."""

    port: int
    letters: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return [str(one["Subject"]) for one in self.letters]

    def to(self, address: str) -> list[str]:
        return [str(one["Subject"]) for one in self.letters if one["To"] == address]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's
        del server, session
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        letter = message_from_bytes(envelope.content, policy=default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        return "250 taken"


@contextmanager
def mail_server() -> Iterator[Post]:
    """A real SMTP server on a port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    post = Post(port)
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


class Plant:
    """`now` is handed in; `turn` does what the background does within a second."""

    def __init__(
        self,
        engine: Engine,
        start: datetime,
        port: int | None = None,
        *,
        first: bool = True,
        mail_timeout: float | None = None,
        **settings: Any,
    ) -> None:
        self.engine, self.now = engine, start
        if first:
            self.world = World(engine, build_events())
        self.events = build_events()
        if mail_timeout is not None:
            settings["smtp_timeout"] = mail_timeout
        if port is not None:
            settings["smtp_url"] = SecretStr(f"smtp+plain://127.0.0.1:{port}")
        chosen = OutboundSettings(public_url="https://lotwise.example.com", **settings)
        self.outbox: Outbox = build_outbox()
        self._external = Outbox()
        register_messages(self._external, chosen)
        self.outbox._external.update(self._external._external)  # the channels of these settings
        self.outbox.subscribe(engine)

    def person(self, login: str, role: Role, *ways: tuple[str, str], language: str = "en", **more: Any) -> Actor:
        """Somebody with ways to be reached, `(kind, address)` each."""

        def make(u: Unit) -> int:
            user = create_user(u, login, login.title(), PASSWORD, [role])
            user.language = language
            u.session.add(user)
            for kind, address in ways:
                u.session.add(ContactWay(name=f"{login}, {kind}", login=login, kind=kind, address=address, **more))
            u.session.flush()
            return user.id

        number = self.world.do(make, now=self.now)
        return Actor(login, frozenset({role}), user_id=number)

    def raise_alarm(self, zone: int, kind: str = "high", value: float | None = 12.0) -> int:
        return self.world.do(lambda u: quality.raise_alarm(u, zone, kind, self.now, value), now=self.now)

    def end_alarm(self, zone: int, kind: str = "high") -> None:
        self.world.do(lambda u: quality.return_alarm(u, zone, kind, self.now), now=self.now)

    def turn(self, *, send: bool = True) -> None:
        """The outbox and the alerts, until nothing is left to do at this moment."""
        for _ in range(3):
            self.run(self.outbox.internal_names)
            running.run(self.engine, self.events, self.now)
        if send:
            self.run(sorted(self._external.names))

    def run(self, names: Sequence[str]) -> None:
        """These handlers of the outbox."""
        self.outbox.run(self.engine, self.events, self.now, names=names)

    def after(self, **span: float) -> None:
        """Time passes, and what is due is done."""
        self.now += timedelta(**span)
        self.turn()

    def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(statement), parameters)]
