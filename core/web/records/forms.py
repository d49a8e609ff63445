"""Forms: making a record, changing it, and every verb; a refusal shows the form again with what was written in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records import verbs, write
from core.erp.kernel.records.declare import Entity, Verb, as_permits
from core.erp.kernel.records.history import history, version_of
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.shown import change_form, shown
from core.erp.kernel.shapes import id_in
from core.erp.kernel.signatures import Proof, Signing
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, render
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records.inputs import Filled, inputs, kind_of, link_of, summary
from core.web.records.offered import offered
from core.web.records.parsing import read_form
from core.web.records.pickers import offers
from core.web.records.record import said_entries, verb_name
from core.web.records.shown import Facts, brief_facts, named, title

MORE = "_more"
"""The button that asks for one line more in a table."""


CHANGE = "change"
"""The verb that changes a record where no plain change does."""
CHANGES = 5
"""Newest of what others did meanwhile that a refused form tells."""


@dataclass(frozen=True)
class Form:
    """One form: what it says, the body it fills, and the record it is about."""

    entity: Entity
    heading: str
    button: str
    model: type[BaseModel] | None
    address: str
    back: str
    signed: bool = False
    reasoned: bool = False
    meaning: str = ""
    record: Mapping[str, Any] | None = None
    title: str = ""
    version: int | None = None
    notes: tuple[str, ...] = ()
    """What is to be known before it is sent: what stands against it."""
    many: bool = False
    chosen: Sequence[Any] = ()
    """The records of a form that is sent for many, and with `beside` the headings of what tells them apart."""
    beside: Sequence[Message] = ()
    back_query: str = ""
    facts: Facts = ()
    """What is moved, signed or changed by it: its record in a few facts."""
    template: str = "records/form.html"
    about: Any = None
    """What a template of its own shows above the form."""


def add(made: APIRouter, entity: Entity) -> None:
    """The forms' pages."""
    if entity.create is not None:
        _add_create(made, entity)
    if entity.change is not None:
        _add_change(made, entity)
    for verb in entity.verbs:
        _add_verb(made, entity, verb)
    _add_picker(made, entity)


def two_routes(
    made: APIRouter, path: str, permits: tuple[str, ...], show: Callable[..., Any], send: Callable[..., Any]
) -> None:
    """A form's page, and where it is sent."""
    made.add_api_route(path, needs(*permits)(show), methods=["GET"])
    made.add_api_route(path, needs(*permits)(send), methods=["POST"])


# --- making


def _add_create(made: APIRouter, entity: Entity) -> None:
    assert entity.create is not None
    body, address = entity.create.body, f"/{entity.path}/new"

    def form(visit: Visit) -> Form:
        heading = visit.words.t("web.new_record", what=entity.called)
        return Form(entity, heading, visit.words.t("web.create"), body, address, f"/{entity.path}")

    def show(visit: Visiting) -> Response:
        given = {name: visit.request.query_params[name] for name in visit.request.query_params}
        return visit.read(lambda u: form_page(u, visit, form(visit), _prefilled(u, entity, body, given)))

    async def send(visit: Visiting) -> Response:
        async def act(parsed: Any) -> Outcome:
            return await visit.post(lambda u: shown(u, entity, write.create(u, entity, parsed)), parsed)

        return await sent(visit, form(visit), act, lambda done: f"/{entity.path}/{done['id']}")

    two_routes(made, address, as_permits(entity.create.permit), show, send)


def _prefilled(u: Unit, entity: Entity, body: type[BaseModel], given: Mapping[str, str]) -> Filled:
    """What a link to the form fills in: `?item_id=7`."""
    values: dict[str, Any] = {}
    called: dict[tuple[str, int], str] = {}
    for name, text in given.items():
        info = body.model_fields.get(name)
        if info is None:
            continue
        link = link_of(entity, name, info)
        number = id_in(text) if link is not None else None
        if link is not None and number is not None:
            values[name] = number
            called |= named(u, link, {number})
        else:
            values[name] = text
    return Filled(values=values, called=called)


# --- changing


def _add_change(made: APIRouter, entity: Entity) -> None:
    assert entity.change is not None
    body, path = change_form(entity), f"/{entity.path}/{{record_id}}/edit"

    def form(u: Unit, visit: Visit, record_id: int) -> tuple[Form, Filled]:
        record = shown(u, entity, record_id)
        row = {name: getattr(record, name) for name in type(record).model_fields}
        here, called = f"/{entity.path}/{record_id}", title(entity, row, visit.words)
        heading = visit.words.t("web.change_record", what=called)
        made_form = Form(
            entity,
            heading,
            visit.words.t("web.save"),
            body,
            f"{here}/edit",
            here,
            record=row,
            title=called,
            version=row["version"],
        )
        return made_form, Filled(values=row, called=_called(u, entity, body, row))

    def show(visit: Visiting, record_id: Id) -> Response:
        def work(u: Unit) -> Response:
            return form_page(u, visit, *form(u, visit, record_id))

        return visit.read(work)

    async def send(visit: Visiting, record_id: Id) -> Response:
        found, _ = await run_in_threadpool(visit.read, lambda u: form(u, visit, record_id))

        async def act(parsed: Any) -> Outcome:
            def work(u: Unit) -> BaseModel:
                row_of(u, entity, record_id)
                write.change(u, entity, record_id, parsed.version, parsed)
                return shown(u, entity, record_id)

            return await visit.post(work, parsed)

        return await sent(visit, found, act, lambda _: f"/{entity.path}/{record_id}")

    two_routes(made, path, as_permits(entity.change.permit), show, send)


def _called(u: Unit, entity: Entity, body: type[BaseModel], row: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    known: dict[tuple[str, int], str] = {}
    for name, info in body.model_fields.items():
        (kind, leaf), value = kind_of(entity, name, info), row.get(name)
        if value is None:
            continue
        if kind == "group":
            known |= _called(u, entity, leaf, value)
        elif (link := link_of(entity, name, info)) is not None:
            known |= named(u, link, value if isinstance(value, (list, tuple)) else [value])
    return known


# --- verbs


def _add_verb(made: APIRouter, entity: Entity, verb: Verb) -> None:
    path, model = f"/{entity.path}/{{record_id}}/{verb.address}", entity.form(verb)

    def form(u: Unit, visit: Visit, record_id: int) -> Form:
        row = values_of(row_of(u, entity, record_id))
        here, called = f"/{entity.path}/{record_id}", title(entity, row, visit.words)
        name = verb_name(entity, verb, visit)
        heading = visit.words.t("web.verb_on", verb=name, what=called)
        meaning = meaning_of(entity, verb, visit)
        signed = verb.signing is not None
        return Form(
            entity,
            heading,
            name,
            model,
            f"{here}/{verb.address}",
            here,
            signed,
            meaning=meaning,
            record=row,
            title=called,
            version=version_of(u, entity, record_id),
            facts=brief_facts(u, entity, row, visit.words),
        )

    def show(visit: Visiting, record_id: Id) -> Response:
        given = {name: visit.request.query_params[name] for name in visit.request.query_params}

        def work(u: Unit) -> Response:
            filled = _prefilled(u, entity, model, given) if model is not None else Filled()
            if model is not None:
                filled = _begun(u, entity, verb, model, record_id, filled)
            return form_page(u, visit, form(u, visit, record_id), filled)

        return visit.read(work)

    async def send(visit: Visiting, record_id: Id) -> Response:
        found = await run_in_threadpool(visit.read, lambda u: form(u, visit, record_id))

        def work(u: Unit, parsed: Any = None) -> BaseModel:
            _require_seen(u, entity, record_id, visit)
            verbs.do(u, entity, verb, record_id, parsed)
            return shown(u, entity, record_id)

        async def act(parsed: Any) -> Outcome:
            if verb.signing is not None:
                signing = _as_seen(verbs.signing_of(entity, verb, record_id, parsed), entity, record_id, visit)
                return await visit.sign(signing, parsed, lambda u, _: shown(u, entity, record_id))
            bodies = () if parsed is None else (parsed,)
            return await visit.post(lambda u: work(u, parsed), *bodies)

        return await sent(visit, found, act, lambda _: f"/{entity.path}/{record_id}")

    two_routes(made, path, entity.permits(verb), show, send)


def _begun(u: Unit, entity: Entity, verb: Verb, model: type[BaseModel], record_id: int, given: Filled) -> Filled:
    """What the form begins with: of a change what the record has, since it would take away what it does not show."""
    before = verb.begins(u, record_id) if verb.begins is not None else None
    row = values_of(row_of(u, entity, record_id)) if verb.name == CHANGE else {}
    values = {**(before.model_dump() if before is not None else {}), **row}
    return Filled(values={**values, **given.values}, called={**_called(u, entity, model, values), **given.called})


def _require_seen(u: Unit, entity: Entity, record_id: int, visit: Visit) -> None:
    """Raises NotFound, and Conflict where the record is no longer what the form's sender saw."""
    row_of(u, entity, record_id)
    seen = seen_version(visit)
    if seen is not None:
        write.require_version(u, entity, record_id, seen)


def _as_seen(signing: Signing[Any], entity: Entity, record_id: int, visit: Visit) -> Signing[Any]:
    """The act, unless the record is no longer what its signer saw."""

    def work(u: Unit, proof: Proof) -> Any:
        _require_seen(u, entity, record_id, visit)
        return signing.work(u, proof)

    return replace(signing, work=work)


def meaning_of(entity: Entity, verb: Verb, visit: Visit) -> str:
    """What a signature of this verb means; empty where its move says nothing of that."""
    move = entity.cycle.moves.get(verb.name) if entity.cycle is not None else None
    return visit.words.t(move.meaning) if move is not None and move.meaning is not None else ""


# --- what all forms share


def form_page(u: Unit, visit: Visit, form: Form, filled: Filled, status: int = 200, **more: Any) -> Response:
    """A form, filled."""
    filled = replace(filled, offered=offered(u, form.entity, visit.words))
    fields = inputs(form.entity, form.model, visit.words, filled) if form.model is not None else []
    changed = _changed(u, visit, form) if more.get("refused") else []
    context = {
        "refused": "",
        "stale": False,
        "changed": changed,
        "faults": summary(fields),
        "password_error": "",
        **more,
    }
    return visit.page(form.template, status, form=form, entity=form.entity, fields=fields, **context)


def seen_version(visit: Visit) -> int | None:
    """The version of the record that the form's sender saw; None where it says none."""
    return id_in(visit.given("_version"))


def _changed(u: Unit, visit: Visit, form: Form) -> list[Any]:
    """What others did with the record since the sender of a refused form saw it, the newest last."""
    seen = seen_version(visit)
    if seen is None or form.record is None:
        return []
    entries, _ = history(u, form.entity, form.record["id"], limit=CHANGES, after=seen)
    return said_entries(u, form.entity, entries[::-1], visit)


async def sent(
    visit: Visit, form: Form, act: Callable[[Any], Any], done: Callable[[Mapping[str, Any]], str]
) -> Response:
    """Reads the form, acts once, and leads on; or shows it again with what was written, and what is wrong."""
    written = Filled(written=visit.form or {"_": [""]}, more=visit.given(MORE))
    if visit.resumed or written.more:
        return await _again(visit, form, written, 200)
    parsed, errors = await run_in_threadpool(visit.read, lambda u: _parsed(u, visit, form))
    if errors:
        said = {path: render(what, visit.language, visit.zone) for path, what in errors.items()}
        wrong = Filled(written=written.written, errors=said)
        return await _again(visit, form, wrong, 422, password_error=said.get("password", ""))
    outcome: Outcome = await act(parsed)
    if outcome.refused:
        return await _again(
            visit, form, written, outcome.status, refused=outcome.detail, stale=outcome.stale and not form.many
        )
    return RedirectResponse(done(outcome.body), 303)


def _parsed(u: Unit, visit: Visit, form: Form) -> tuple[Any, dict[str, Message]]:
    if form.model is None:
        return None, {}
    sent_form = dict(visit.form)
    if form.version is not None:
        sent_form["version"] = [visit.given("_version")]
    parsed, errors = read_form(u, form.entity, form.model, sent_form, visit.zone)
    return parsed, errors


async def _again(visit: Visit, form: Form, filled: Filled, status: int, **more: Any) -> Response:
    def work(u: Unit) -> Response:
        return form_page(u, visit, form, filled, status, **more)

    return await run_in_threadpool(visit.read, work)


# --- pickers


def _add_picker(made: APIRouter, entity: Entity) -> None:
    @needs(*as_permits(entity.read))
    def pick(visit: Visiting, q: str = "") -> Response:
        found = visit.read(lambda u: offers(u, entity, q.strip()[:200]))
        return visit.fragment("parts/offers.html", offers=found)

    made.add_api_route(f"/pick/{entity.name}", pick, methods=["GET"])
