"""People as forms and lists name them: found by how their name or login begins, by whoever may give somebody something
to do or look for what somebody did.
"""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Select, func, or_, select

from core.erp.kernel.access.scopes import USERS
from core.erp.kernel.door import needs
from core.erp.kernel.model import User
from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.filters import parameters
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.shapes import names_person
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.web.frame.visit import Visiting
from core.web.records.pickers import OFFERED, Offer

_U = table(User).c


def _seen(u: Unit, wanted: Select[Any]) -> Select[Any]:
    """Of those who work here, whom the actor may know of."""
    return scoped(wanted.where(_U.active, _U.partner_id.is_(None)), USERS, u.actor)


def people(u: Unit, text: str) -> list[Offer]:
    """The first people whose login or name, or a later part of the name, begins so; any, where nothing is written."""
    wanted = select(_U.id, _U.login, _U.name).order_by(_U.name, _U.id).limit(OFFERED)
    if text:
        name, begins = func.lower(_U.name), text.lower()
        wanted = wanted.where(
            or_(
                func.lower(_U.login).startswith(begins, autoescape=True),
                name.startswith(begins, autoescape=True),
                name.contains(f" {begins}", autoescape=True),
            )
        )
    return [Offer(row.id, row.login, row.name) for row in u.conn.execute(_seen(u, wanted))]


def logins_of(u: Unit, text: str) -> list[str]:
    """The login that this is, or those of the people who are called so."""
    rows = u.conn.execute(_seen(u, select(_U.login).where(or_(_U.login == text, _U.name == text)))).scalars().all()
    return [text] if text in rows else list(rows)


def _asking() -> set[str]:
    """The permits of every form that names somebody, and of every list that is asked by somebody's name."""
    found: set[str] = set()
    for entity in entities().values():
        fields = entity.shape.model_fields
        if any(names_person(fields[name]) for name in parameters(entity) if name in fields):
            found |= set(as_permits(entity.read))
        asked = [(one.body, as_permits(one.permit)) for one in (entity.create, entity.change) if one is not None]
        asked += [(form, entity.permits(verb)) for verb in entity.verbs if (form := entity.form(verb)) is not None]
        for body, permits in asked:
            if any(map(names_person, body.model_fields.values())):
                found |= set(permits)
    return found


def add(made: APIRouter) -> None:
    """Where people are looked for."""

    @needs(*sorted(_asking()))
    def pick(visit: Visiting, q: str = "") -> Response:
        found = visit.read(lambda u: people(u, q.strip()[:200]))
        return visit.fragment("parts/offers.html", offers=found)

    made.add_api_route("/pick/person", pick, methods=["GET"])
