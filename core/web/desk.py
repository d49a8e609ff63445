"""What the pages ask of the core: each question one transaction, in the name of who signed in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.auth import actor_of, check_password, issue_token, now_utc
from core.erp.kernel.errors import Unauthenticated
from core.erp.kernel.events import Events
from core.erp.kernel.http import translate
from core.erp.kernel.unit import Actor, Unit, transact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The core, as a page sees it. `minutes` is how long a session lasts."""

    engine: Engine
    events: Events
    key: str
    minutes: int
    _out: dict[str, datetime] = field(default_factory=dict)
    """Tokens signed out before their time, and when. Tokens outlive no restart by more than `minutes`."""

    def sign_in(self, login: str, password: str, address: str) -> tuple[str, int]:
        """(token, seconds it lasts). Raises Unauthenticated, TooManyAttempts."""
        now = now_utc()
        user = check_password(self.engine, login, password, address, now)
        return issue_token(user, self.key, now, self.minutes)

    def sign_out(self, token: str) -> None:
        """From here on the token opens no page, in whatever tab it still is."""
        now = now_utc()
        for old in [old for old, at in self._out.items() if (now - at).total_seconds() > self.minutes * 60]:
            del self._out[old]
        self._out[token] = now

    def left(self, token: str | None) -> str:
        """Why a token opens nothing: there is none (`first`), its owner signed `out`, or it has `expired`."""
        return "first" if token is None else "out" if token in self._out else "expired"

    async def actor(self, token: str) -> Actor:
        """Who the token speaks for. Raises Unauthenticated."""
        return await asyncio.to_thread(self._actor, token)

    async def do(self, token: str, work: Callable[[Unit], T], permit: str = "read") -> T:
        """Runs `work` in one transaction in the name of who signed in.

        Raises what the core raises; what the database's own guards refuse is raised as the core's error.
        """
        return await asyncio.to_thread(self._do, token, work, permit)

    def _actor(self, token: str) -> Actor:
        if token in self._out:
            raise Unauthenticated("signed out: sign in again")
        return actor_of(self.engine, token, self.key)

    def _do(self, token: str, work: Callable[[Unit], T], permit: str) -> T:
        def inside(u: Unit) -> T:
            u.need(permit)
            return work(u)

        try:
            return transact(self.engine, self._actor(token), self.events, inside, now_utc())
        except DBAPIError as error:
            known = translate(error)
            if known is None:
                raise
            raise known from error
