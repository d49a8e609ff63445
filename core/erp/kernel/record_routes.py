"""The routes of every declared entity, made from its declaration.

`GET /things` and `/things/{id}`, its history, `POST /things`, `PATCH /things/{id}`, `POST /things/{id}/{verb}`. Filters
are typed parameters of the description; a list's rows are written from their columns.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter

from core.erp.kernel.attachments.record_attachments import Attachable, attachment_routes
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Cursor, Door, DoorKeeper, Id, Limit, at_once
from core.erp.kernel.print_routes import sheet_routes
from core.erp.kernel.record_json import writer
from core.erp.kernel.record_parameters import as_endpoint, asked_of, asked_parameters
from core.erp.kernel.record_tables import table_routes
from core.erp.kernel.records import read, verbs, write
from core.erp.kernel.records.declare import Entity, Files, Permits, Verb, as_permits
from core.erp.kernel.records.history import history
from core.erp.kernel.records.registry import entities, module_of
from core.erp.kernel.records.shown import EntryOut, Listed, change_form, detail, shown
from core.erp.kernel.shapes import Page
from core.erp.kernel.unit import Unit

JSON = "application/json"


@cache
def router() -> APIRouter:
    """The routes of all entities, module by module: the same for every app, and most of what making one takes."""
    made = routes()
    for entity in entities().values():
        _add(made, entity)
    return made


def _add(made: APIRouter, entity: Entity) -> None:
    add = partial(_route, made, module_of(entity))
    things, thing = f"/{entity.path}", f"/{entity.path}/{{record_id}}"
    add("GET", things, at_once(_list(entity)), entity.read, Listed[entity.shape])  # type: ignore[name-defined]  # known when run
    made.routes.extend(table_routes(entity, module_of(entity)).routes)  # before what has an id behind its path
    add("GET", thing, at_once(_one(entity)), entity.read, detail(entity))
    made.routes.extend(sheet_routes(entity, module_of(entity)).routes)
    add("GET", f"{thing}/history", at_once(_history(entity)), entity.read, Page[EntryOut])
    if entity.create is not None:
        add("POST", things, _create(entity), entity.create.permit, detail(entity), status=201)
    if entity.change is not None:
        add("PATCH", thing, _change(entity), entity.change.permit, detail(entity))
    if entity.files is not None:
        made.routes.extend(attachment_routes(attachable(entity, entity.files)).routes)
    for verb in entity.verbs:
        path, answer = f"{thing}/{verb.address}", verb.answer or detail(entity)
        add("POST", path, _verb(entity, verb), entity.permits(verb), answer, status=verb.status)


def attachable(entity: Entity, files: Files) -> Attachable:
    """Files hang on what is seen, and are added to nothing that somebody is about to conclude: its row is locked."""

    def may_read(u: Unit, record_id: int) -> None:
        read.row_of(u, entity, record_id)

    def may_attach(u: Unit, record_id: int) -> None:
        record: Any = read.row_of(u, entity, record_id)
        if "state" in entity.rows.c:  # what is append-only has no state of its own that a move could change meanwhile
            record = u.get_one(entity.table, record_id, lock=True)
        write.require_state(entity, getattr(record, "state", None), files.states)

    return Attachable(entity.name, entity.path, as_permits(entity.read)[0], files.permit, may_read, may_attach)


def _route(
    made: APIRouter,
    tag: str,
    method: str,
    path: str,
    endpoint: Callable[..., Any],
    permits: Permits,
    answer: Any,
    *,
    status: int = 200,
) -> None:
    marked = needs(*as_permits(permits))(endpoint)
    made.add_api_route(path, marked, methods=[method], response_model=answer, status_code=status, tags=[tag])


def _about(entity: Entity) -> str:
    return (entity.table.__doc__ or f"Every {entity.words}.").strip().split("\n\n")[0]


# --- reading


def _list(entity: Entity) -> Callable[..., Any]:
    writer(entity)  # what it cannot write stops the start

    def endpoint(door: DoorKeeper, **given: Any) -> Response:
        found = door.read(lambda u: read.page(u, entity, asked_of(given)), longest=read.LONGEST)
        return listed_json(entity, found, door.actor.language)

    parameters = asked_parameters(entity)
    parameters |= {"cursor": (Cursor, None), "limit": (Limit, 100), "count": (Count, False)}
    return as_endpoint(endpoint, f"list_{entity.name}", _about(entity), door=Door, **parameters)


Count = Annotated[bool, Query(description=f"count them all too, up to {read.COUNTED_MOST}")]


def listed_json(entity: Entity, found: read.Listed, language: str) -> Response:
    """A page of a list as it goes over the wire."""
    return Response(_written(writer(entity).json(found.rows, language), found), media_type=JSON)


def _written(rows: bytes, found: read.Listed) -> bytes:
    following = b"null" if found.next is None else f'"{found.next}"'.encode()
    total = b""
    if found.total is not None:
        total = f',"total":{found.total},"total_capped":{"true" if found.capped else "false"}'.encode()
    return b'{"items":%b,"next":%b%b}' % (rows, following, total)


def _one(entity: Entity) -> Callable[..., Any]:
    def endpoint(door: DoorKeeper, record_id: int) -> Response:
        return Response(door.read(lambda u: shown(u, entity, record_id)).model_dump_json(), media_type=JSON)

    about = f"One {entity.words}, what this user may do with it by permit and state (`moves`), and its version."
    return as_endpoint(endpoint, f"one_{entity.name}", about, door=Door, record_id=Id)


def _history(entity: Entity) -> Callable[..., Any]:
    def endpoint(door: DoorKeeper, record_id: int, cursor: str | None, limit: int) -> Response:
        def work(u: Unit) -> Page[EntryOut]:
            read.row_of(u, entity, record_id)
            entries, following = history(u, entity, record_id, cursor, limit)
            return Page(items=[EntryOut.model_validate(entry) for entry in entries], next=following)

        return Response(door.read(work).model_dump_json(), media_type=JSON)

    about = f"What was done to one {entity.words}, newest first, field by field."
    parameters = {"door": Door, "record_id": Id, "cursor": (Cursor, None), "limit": (Limit, 100)}
    return as_endpoint(endpoint, f"history_of_{entity.name}", about, **parameters)


# --- writing


def _create(entity: Entity) -> Callable[..., Any]:
    assert entity.create is not None

    def endpoint(door: DoorKeeper, body: BaseModel) -> JSONResponse:
        return door.post(lambda u: shown(u, entity, write.create(u, entity, body)))

    return as_endpoint(endpoint, f"create_{entity.name}", _about(entity), body=entity.create.body, door=Door)


def _change(entity: Entity) -> Callable[..., Any]:
    def endpoint(door: DoorKeeper, record_id: int, body: Any) -> JSONResponse:
        def work(u: Unit) -> BaseModel:
            read.row_of(u, entity, record_id)
            write.change(u, entity, record_id, body.version, body)
            return shown(u, entity, record_id)

        return door.post(work, status=200)

    about = f"Changes one {entity.words}: the fields that are given. `version` is that of the record one has seen."
    return as_endpoint(endpoint, f"change_{entity.name}", about, record_id=Id, body=change_form(entity), door=Door)


def _verb(entity: Entity, verb: Verb) -> Callable[..., Any]:
    def answered(u: Unit, record_id: int, made: Any) -> Any:
        if verb.answer is None:
            return shown(u, entity, record_id)
        u.flush()
        return TypeAdapter(verb.answer).validate_python(made, from_attributes=True)

    def unsigned(door: DoorKeeper, record_id: int, body: BaseModel | None = None) -> JSONResponse:
        def work(u: Unit) -> Any:
            read.require_seen(u, entity, record_id)
            return answered(u, record_id, verbs.do(u, entity, verb, record_id, body))

        return door.post(work, status=verb.status)

    async def signed(door: DoorKeeper, record_id: int, body: Any) -> JSONResponse:
        act = verbs.signing_of(entity, verb, record_id, body)
        return await door.sign(act, body, lambda u, made: answered(u, record_id, made), status=verb.status)

    form = entity.form(verb)
    parameters = {"record_id": Id} | ({"body": form} if form is not None else {}) | {"door": Door}
    endpoint = unsigned if verb.signing is None else signed
    return as_endpoint(endpoint, f"{verb.name}_{entity.name}", verbs.about(entity, verb), **parameters)
