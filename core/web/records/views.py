"""Saved views of a list: kept by name by who made them, offered to a role where they say so, and let go of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from core.erp.kernel.door import needs
from core.erp.kernel.errors import NotFound, Refused
from core.erp.kernel.http import Id
from core.erp.kernel.misfits import misfit
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.filters import parameters
from core.erp.kernel.shapes import Body, Text
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.web.frame.visit import Visit, Visiting
from core.web.model import SavedView

MOST = 40
"""Views that one person has of one list."""
_V = table(SavedView)
_BESIDE = frozenset({"q", "sort", "columns", "rows"})
"""Of a list's address what is kept besides its filters."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One view as the list offers it."""

    id: int
    name: str
    address: str
    current: bool
    own: bool


class ViewIn(Body):
    """What a view is called."""

    name: Annotated[Text, Field(max_length=60)]


class _Kept(BaseModel):
    """The view that was kept or let go of."""

    id: int


def tabs(u: Unit, entity: Entity, visit: Visit) -> list[Tab]:
    """The reader's own views of the list, and those of their roles; the one whose address this is, is current."""
    mine = (_V.c.owner == visit.actor.login) | _V.c.role.in_(sorted(visit.actor.roles))
    rows = u.conn.execute(select(_V).where(_V.c.entity == entity.name, mine).order_by(_V.c.name, _V.c.id)).all()
    here = sorted(parse_qsl(kept(entity, visit.request.query_params.multi_items())))
    return [
        Tab(
            row.id,
            row.name,
            f"/{entity.path}" + (f"?{row.query}" if row.query else ""),
            sorted(parse_qsl(row.query)) == here,
            row.owner == visit.actor.login,
        )
        for row in rows
    ]


def kept(entity: Entity, items: Iterable[tuple[str, str]]) -> str:
    """What a view keeps of a list's address: known filters, search, sort, columns, rows; never a cursor."""
    known = _BESIDE | set(parameters(entity))
    return urlencode([(name, value) for name, value in items if name in known and value.strip()])


def add(made: APIRouter, entity: Entity) -> None:
    """The form of a view, and where one is let go of."""
    path, permits = f"/{entity.path}/views", as_permits(entity.read)

    @needs(*permits)
    def show(visit: Visiting) -> Response:
        query = kept(entity, visit.request.query_params.multi_items())
        return _page(visit, entity, query)

    @needs(*permits)
    async def save(visit: Visiting) -> Response:
        query = kept(entity, parse_qsl(visit.given("query")))
        try:
            name = ViewIn(name=visit.given("name").strip()).name
        except ValidationError as error:
            fault = misfit(error.errors()[0]) if visit.given("name").strip() else Message("web.fill_in")
            return _page(visit, entity, query, 422, wrong=visit.words.say(fault))
        role = visit.given("role") if visit.given("role") in visit.actor.roles else None
        if visit.resumed:
            return _page(visit, entity, query)
        outcome = await visit.post(lambda u: _Kept(id=_save(u, entity, name, role, query)))
        if outcome.refused:
            return _page(visit, entity, query, outcome.status, refused=outcome.detail)
        return RedirectResponse(f"/{entity.path}" + (f"?{query}" if query else ""), 303)

    @needs(*permits)
    async def drop(visit: Visiting, view_id: Id) -> Response:
        outcome = await visit.post(lambda u: _Kept(id=_drop(u, entity, view_id)))
        if outcome.refused:
            raise NotFound("web.no_such_view")
        return RedirectResponse(f"/{entity.path}", 303)

    made.add_api_route(f"{path}/new", show, methods=["GET"])
    made.add_api_route(f"{path}/new", save, methods=["POST"])
    made.add_api_route(f"{path}/{{view_id}}/delete", drop, methods=["POST"])


def _page(
    visit: Visit, entity: Entity, query: str, status: int = 200, *, wrong: str = "", refused: str = ""
) -> Response:
    roles = [(code, _role(visit, code)) for code in sorted(visit.actor.roles)]
    return visit.page(
        "records/view.html",
        status,
        entity=entity,
        query=query,
        name=visit.given("name"),
        role=visit.given("role"),
        roles=roles,
        wrong=wrong,
        refused=refused,
    )


def _role(visit: Visit, code: str) -> str:
    """A role as people call it; the site's own by its code."""
    return visit.words.label(f"role.{code}") if visit.words.has(f"role.{code}") else code


def _save(u: Unit, entity: Entity, name: str, role: str | None, query: str) -> int:
    """Keeps it; one's own view of that name is it from now on. Raises Refused for one too many."""
    mine = (_V.c.owner == u.actor.login, _V.c.entity == entity.name)
    others = u.conn.scalar(select(func.count()).select_from(_V).where(*mine, _V.c.name != name)) or 0
    if others >= MOST:
        raise Refused("web.views_enough", most=MOST)
    values = {"owner": u.actor.login, "entity": entity.name, "name": name}
    now = {"role": role, "query": query, "saved_at": u.now}
    saved = insert(_V).values(values | now).on_conflict_do_update(index_elements=list(values), set_=now)
    return int(u.conn.execute(saved.returning(_V.c.id)).scalar_one())


def _drop(u: Unit, entity: Entity, view_id: int) -> int:
    """Lets go of one's own view. Raises NotFound, the same for one of another."""
    mine = (_V.c.id == view_id, _V.c.entity == entity.name, _V.c.owner == u.actor.login)
    if u.conn.execute(delete(_V).where(*mine).returning(_V.c.id)).scalar_one_or_none() is None:
        raise NotFound("web.no_such_view")
    return view_id
