"""What the pages ask of the core: each question one transaction, in the name of who signed in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.auth import now_utc
from core.erp.kernel.database_errors import translate
from core.erp.kernel.door import NothingAsked
from core.erp.kernel.errors import Forbidden, Unauthenticated
from core.erp.kernel.events import Events
from core.erp.kernel.http import LOCK_TIMEOUT
from core.erp.kernel.model import User
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.sessions.service import Limits, actor_of_session
from core.erp.kernel.signatures import Signing
from core.erp.kernel.unit import Actor, Unit, transact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The core, as a page sees it. A session is named by the value of its cookie."""

    engine: Engine
    events: Events
    checks: PasswordChecks
    limits: Limits

    async def sign_in(self, login: str, password: str, address: str) -> tuple[str, User]:
        """(the session's cookie, its user). Raises Unauthenticated, TooManyAttempts, Busy."""
        user = await self.checks.sign_in(login, password, address)
        return await asyncio.to_thread(sessions.begin, self.engine, user, now_utc(), address), user

    async def change_password(self, token: str, password: str, new_password: str) -> None:
        """The signed-in user's own choice of a password. Raises Unauthenticated, Forbidden, Invalid, Busy."""
        actor = await asyncio.to_thread(actor_of_session, self.engine, token, now_utc(), self.limits)
        await self.checks.change_password(actor, password, new_password)

    def sign_out(self, token: str) -> None:
        """From here on the session opens nothing, in whatever tab and on whatever instance."""
        sessions.end(self.engine, token, now_utc())

    async def actor(self, token: str) -> Actor:
        """Who the session is of, which goes on by this. Raises Unauthenticated."""
        return await asyncio.to_thread(self._actor, token, prolong=True)

    async def do(self, token: str, work: Callable[[Unit], T], *permits: str) -> T:
        """Runs `work` in one transaction in the name of who signed in and holds all of these permits, at least one.

        Pages ask by themselves: a session does not go on by it.

        Raises what the core raises; what the database's own guards refuse is raised as the core's error.
        """
        return await asyncio.to_thread(self._do, token, work, permits)

    async def sign(self, token: str, signing: Signing[T], login: str | None, password: str) -> T:
        """Does what is signed, after the password was checked. Raises what the core raises."""
        actor = await self.actor(token)
        proof = await self.checks.prove(actor, signing.act, password, login)
        try:
            return await self.do(token, lambda u: signing.work(u, proof), signing.permit)
        finally:
            proof.spent = True

    def _actor(self, token: str, *, prolong: bool = False) -> Actor:
        actor = actor_of_session(self.engine, token, now_utc(), self.limits, prolong=prolong)
        if actor.one_time:
            raise Unauthenticated("web.choose_password_first", extra={"why": "one_time"})
        return actor

    def _do(self, token: str, work: Callable[[Unit], T], permits: tuple[str, ...]) -> T:
        if not permits:
            raise NothingAsked(f"{work} names no permit")

        def inside(u: Unit) -> T:
            if u.actor.scoped:  # what these pages ask knows no scope
                raise Forbidden("web.of_every_site", login=u.actor.login)
            for permit in permits:
                u.need(permit)
            return work(u)

        try:
            return transact(self.engine, self._actor(token), self.events, inside, now_utc, lock_timeout=LOCK_TIMEOUT)
        except DBAPIError as error:
            known = translate(error)
            if known is None:
                raise
            raise known from error
