"""What the pages ask of the core: each question one transaction, in the name of who signed in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.auth import check_password, now_utc
from core.erp.kernel.events import Events
from core.erp.kernel.problems import translate
from core.erp.kernel.tokens import actor_of, issue_token, renew, revoke
from core.erp.kernel.unit import Actor, Unit, transact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The core, as a page sees it. `minutes` is how long a session lasts."""

    engine: Engine
    events: Events
    key: str
    minutes: int

    def sign_in(self, login: str, password: str, address: str) -> tuple[str, int]:
        """(token, seconds it lasts). Raises Unauthenticated, TooManyAttempts."""
        now = now_utc()
        user = check_password(self.engine, login, password, address, now)
        return issue_token(user, self.key, now, self.minutes)

    def sign_out(self, token: str) -> None:
        """From here on the token opens nothing, in whatever tab and on whatever instance."""
        revoke(self.engine, token, self.key, now_utc())

    def renew(self, token: str) -> tuple[str, int]:
        """A fresh token for a wall display. Raises Unauthenticated, Forbidden."""
        return renew(self.engine, token, self.key, now_utc(), self.minutes)

    async def actor(self, token: str) -> Actor:
        """Who the token speaks for. Raises Unauthenticated."""
        return await asyncio.to_thread(self._actor, token)

    async def do(self, token: str, work: Callable[[Unit], T], permit: str = "read") -> T:
        """Runs `work` in one transaction in the name of who signed in.

        Raises what the core raises; what the database's own guards refuse is raised as the core's error.
        """
        return await asyncio.to_thread(self._do, token, work, permit)

    def _actor(self, token: str) -> Actor:
        return actor_of(self.engine, token, self.key)

    def _do(self, token: str, work: Callable[[Unit], T], permit: str) -> T:
        def inside(u: Unit) -> T:
            u.need(permit)
            return work(u)

        try:
            return transact(self.engine, self._actor(token), self.events, inside, now_utc)
        except DBAPIError as error:
            known = translate(error)
            if known is None:
                raise
            raise known from error
