"""Who there is to be told, and how: people with what they may, their ways, rotas, absences. Read once a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import select

from core.erp.alerting.model import Absence, ContactWay, OnCallRota, OnCallSwap
from core.erp.alerting.rules import oncall
from core.erp.alerting.rules.oncall import Away, Rota, Swap
from core.erp.alerting.rules.ways import Way
from core.erp.alerting.workflow import ACTIVE
from core.erp.kernel.access.effective_permits import COMPOSED, permits
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import Calendar
from core.erp.kernel.model import User
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_user, _way, _rota, _swap, _absence = (table(m).c for m in (User, ContactWay, OnCallRota, OnCallSwap, Absence))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in, with what they may and where."""

    login: str
    name: str
    language: str
    roles: frozenset[str]
    permits: frozenset[str]
    sites: frozenset[int]

    def may_know(self, site_id: int | None) -> bool:
        """Whether they may be told of something there: nobody is told what they may not read."""
        return "alert.read" in self.permits and (site_id is None or not self.sites or site_id in self.sites)


@dataclass(frozen=True, slots=True)
class Place:
    """A way that is nobody's: a group, a siren."""

    way: Way
    name: str
    language: str


class People:
    """Everybody, as the transaction sees them."""

    def __init__(self, u: Unit) -> None:
        self._u = u
        self._calendars: dict[int | None, Calendar] = {}
        self._targets: dict[tuple[str, str, int | None], Sequence[Person]] = {}

    def calendar(self, site_id: int | None) -> Calendar:
        """The site's."""
        if site_id not in self._calendars:
            self._calendars[site_id] = calendars.of(self._u, site_id)
        return self._calendars[site_id]

    @cached_property
    def known(self) -> dict[str, Person]:
        """By login: who is active, and not of another firm."""
        wanted = select(_user.login, _user.name, _user.language, _user.roles, _user.site_ids, COMPOSED)
        rows = self._u.conn.execute(wanted.where(_user.active, _user.partner_id.is_(None)).order_by(_user.login))
        return {
            row.login: Person(
                row.login,
                row.name,
                row.language or "en",
                frozenset(row.roles),
                permits(row.roles, row.composed),
                frozenset(row.site_ids),
            )
            for row in rows
        }

    @cached_property
    def _ways(self) -> dict[str | None, list[tuple[Way, str, str]]]:
        found: dict[str | None, list[tuple[Way, str, str]]] = {}
        wanted = select(_way.id, _way.login, _way.kind, _way.quiet, _way.name, _way.language).where(
            _way.state == ACTIVE
        )
        for row in self._u.conn.execute(wanted.order_by(_way.id)):
            found.setdefault(row.login, []).append((Way(row.id, row.kind, row.quiet), row.name, row.language))
        return found

    def ways(self, login: str) -> list[Way]:
        """How the person is reached."""
        return [way for way, *_ in self._ways.get(login, ())]

    def place(self, way_id: int) -> Place | None:
        """The way that is nobody's, by its id."""
        return next((Place(*one) for one in self._ways.get(None, ()) if one[0].id == way_id), None)

    @cached_property
    def _absences(self) -> list[Away]:
        wanted = select(_absence.id, _absence.login, _absence.from_at, _absence.to_at, _absence.deputy)
        here = (_absence.state == ACTIVE, _absence.to_at > self._u.now)
        return [Away(*row) for row in self._u.conn.execute(wanted.where(*here))]

    def on_call(self, rota_id: int, at: datetime) -> str | None:
        """Who is on call of a rota; None where nobody is, or it is withdrawn."""
        row = self._u.conn.execute(select(table(OnCallRota)).where(_rota.id == rota_id, _rota.state == ACTIVE)).first()
        if row is None:
            return None
        wanted = select(_swap.id, _swap.from_at, _swap.to_at, _swap.login)
        here = (_swap.rota_id == rota_id, _swap.state == ACTIVE, _swap.from_at <= at, _swap.to_at > at)
        swaps = [Swap(*one) for one in self._u.conn.execute(wanted.where(*here))]
        rota = Rota(row.first_day, oncall.minutes(row.handover) or 0, row.days, tuple(row.logins))
        return oncall.on_call(rota, swaps, self.calendar(row.site_id), at)

    def target(self, kind: str, value: str, site_id: int | None) -> Sequence[Person]:
        """Whom a step tells now: those who may know of what is there, deputies in the place of who is away."""
        key = (kind, value, site_id)
        if key not in self._targets:
            self._targets[key] = self._found(*key)
        return self._targets[key]

    def _found(self, kind: str, value: str, site_id: int | None) -> Sequence[Person]:
        if kind == "rota":
            turn = self.on_call(int(value), self._u.now)
            logins = [turn] if turn is not None else []
        elif kind == "person":
            logins = [value]
        elif kind == "role":
            logins = [one.login for one in self.known.values() if value in one.roles]
        else:
            logins = [one.login for one in self.known.values() if value in one.permits]
        told = dict.fromkeys(oncall.stand_in(login, self._absences, self._u.now) for login in logins)
        found = [self.known[login] for login in told if login is not None and login in self.known]
        return [one for one in found if one.may_know(site_id)]
