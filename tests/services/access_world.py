"""A company whose people make users, approve and compose: the world of the tests of access."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, text

from core.erp.catalog import handlers as catalog_handlers
from core.erp.kernel import tokens
from core.erp.kernel.access import roles, users
from core.erp.kernel.events import Events
from core.erp.kernel.model import User
from core.erp.kernel.unit import Actor, Unit, system, unit

PASSWORD = "correct horse battery"
KEY = "k" * 40
SYSTEM = system("command line")


class Company:
    """People who sign in, and what they do; each act in a transaction of its own, by the machine's clock."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events = Events()
        catalog_handlers.register(self.events)

    @contextmanager
    def as_(self, login: str) -> Iterator[Unit]:
        with unit(self.engine, self.actor(login), self.events) as u:
            yield u

    def add(self, login: str, *roles: str, by: str | None = None, **more: Any) -> int:
        actor = self.actor(by) if by is not None else SYSTEM
        with unit(self.engine, actor, self.events) as u:
            return users.create_user(u, login, login.title(), PASSWORD, roles, **more).id

    def actor(self, login: str) -> Actor:
        """As the door makes one of the session's token."""
        with self.engine.connect() as conn:
            row = conn.execute(text("SELECT * FROM app_user WHERE login = :login"), {"login": login}).one()
        token, _ = tokens.issue_token(User(**row._mapping), KEY, datetime.now(UTC), 15)
        return tokens.actor_of(self.engine, token, KEY)

    def id_of(self, login: str) -> int:
        return self.actor(login).user_id or 0

    def does(self, login: str, work: Callable[[Unit], Any]) -> Any:
        with self.as_(login) as u:
            return work(u)

    def role(self, code: str, *permits: str, by: str = "ada", outside: bool = False) -> int:
        made = self.does(
            by, lambda u: roles.compose_role(u, code=code, name=code, permits=list(permits), outside=outside).id
        )
        return int(made)

    def approved(self, code: str, *permits: str, **more: Any) -> int:
        role = self.role(code, *permits, **more)
        self.does("bea", lambda u: roles.approve_role(u, role))
        return role
