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
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.signatures import Signing
from core.erp.kernel.tokens import actor_of, issue_token, renew, revoke
from core.erp.kernel.unit import Actor, Unit, transact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The core, as a page sees it. `minutes` is how long a session lasts."""

    engine: Engine
    events: Events
    checks: PasswordChecks
    key: str
    minutes: int

    async def sign_in(self, login: str, password: str, address: str) -> tuple[str, int, bool]:
        """(token, seconds it lasts, whether the password was a one-time one).

        Raises Unauthenticated, TooManyAttempts, Busy.
        """
        user = await self.checks.sign_in(login, password, address)
        return *issue_token(user, self.key, now_utc(), self.minutes), user.one_time_until is not None

    async def change_password(self, token: str, password: str, new_password: str) -> None:
        """The signed-in user's own choice of a password. Raises Unauthenticated, Forbidden, Invalid, Busy."""
        actor = await asyncio.to_thread(actor_of, self.engine, token, self.key)
        await self.checks.change_password(actor, password, new_password)

    def sign_out(self, token: str) -> None:
        """From here on the token opens nothing, in whatever tab and on whatever instance."""
        revoke(self.engine, token, self.key, now_utc())

    def renew(self, token: str) -> tuple[str, int]:
        """A fresh token for a wall display. Raises Unauthenticated, Forbidden."""
        return renew(self.engine, token, self.key, now_utc(), self.minutes)

    async def actor(self, token: str) -> Actor:
        """Who the token speaks for. Raises Unauthenticated."""
        return await asyncio.to_thread(self._actor, token)

    async def do(self, token: str, work: Callable[[Unit], T], *permits: str) -> T:
        """Runs `work` in one transaction in the name of who signed in and holds all of these permits, at least one.

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

    def _actor(self, token: str) -> Actor:
        actor = actor_of(self.engine, token, self.key)
        if actor.one_time:
            raise Unauthenticated("web.choose_password_first", extra={"why": "password"})
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
