"""One verb on many records: chosen in a list, looked at once more, each done by itself, and told of by name."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Response
from markupsafe import Markup
from pydantic import BaseModel
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.errors import absent
from core.erp.kernel.http import BIGGEST_ID
from core.erp.kernel.model import IdempotencyKey
from core.erp.kernel.records import verbs
from core.erp.kernel.records.declare import Entity, Verb, as_permits
from core.erp.kernel.records.history import versions_of
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.shown import shown
from core.erp.kernel.records.write import require_version
from core.erp.kernel.scope import scoped
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.signatures import Proof, Signing
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.web.frame.signing_in import own
from core.web.frame.visit import KEY, Outcome, Visit, Visiting
from core.web.records.acts import act_said
from core.web.records.forms import Form, form_page, meaning_of, sent, two_routes
from core.web.records.inputs import Filled
from core.web.records.record import verb_name
from core.web.records.shown import Cells, labels, title, usual_columns

MOST = 500
"""Records that one form is sent for: as many as a list shows at most."""
BESIDE = 4
"""Columns that tell the records apart."""
RECORD, SEEN = "record", "_seen"
"""Fields of the form: ids of the records; `7:1042`, the version of record 7 that its sender saw."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One record on the form: what it is called, what tells it from others, and what will become of it."""

    id: int
    called: str
    cells: tuple[Any, ...]
    now: Markup | str
    then: Markup | str
    possible: bool
    version: int


class Told(BaseModel):
    """What became of one record, in the words of whoever sent the form."""

    id: int
    called: str
    done: bool
    said: str
    state: str | None = None


class Results(BaseModel):
    """What became of all of them."""

    verb: str
    records: list[Told]


def on_many(entity: Entity) -> tuple[Verb, ...]:
    """The verbs that one form does with many records."""
    return tuple(verb for verb in entity.verbs if _suits(entity, verb))


def _suits(entity: Entity, verb: Verb) -> bool:
    if verb.many is not None:
        return verb.many
    return verb.signing is None and entity.form(verb) in {None, ReasonIn}


def offered_on_many(entity: Entity, visit: Visit) -> list[Verb]:
    """Those that their reader holds a permit of."""
    return [verb for verb in on_many(entity) if visit.may(*entity.permits(verb))]


def add(made: APIRouter, entity: Entity) -> None:
    """The pages of every such verb: the form, what comes of it, and what came of it."""
    for verb in on_many(entity):
        _add_verb(made, entity, verb)


def address(entity: Entity, verb: Verb) -> str:
    """Where the verb is done with many."""
    return f"/{entity.path}/many/{verb.address}"


def _add_verb(made: APIRouter, entity: Entity, verb: Verb) -> None:
    here = address(entity, verb)

    def show(visit: Visiting) -> Response:
        asked = chosen_ids(visit.request.query_params.getlist(RECORD))
        return visit.read(lambda u: form_page(u, visit, _form(u, visit, entity, verb, asked), Filled()))

    async def send(visit: Visiting) -> Response:
        ids = chosen_ids(visit.form.get(RECORD, []))
        form = await run_in_threadpool(visit.read, lambda u: _form(u, visit, entity, verb, ids))
        key = visit.given(KEY) or uuid.uuid4().hex

        async def act(parsed: Any) -> Outcome:
            if not ids:
                return Outcome(422, {"detail": visit.words.t("web.choose_records")})
            called = {one.id: one.called for one in form.chosen}
            return await _each(visit, entity, verb, key, {one: called.get(one, str(one)) for one in ids}, parsed)

        back = {"key": key, "back": visit.given("_back")}
        return await sent(visit, form, act, lambda _: f"{here}/done?{urlencode(back)}")

    two_routes(made, here, entity.permits(verb), show, send)

    @needs(*entity.permits(verb))
    def done(visit: Visiting, key: str = "", back: str = "") -> Response:
        return visit.read(lambda u: _done_page(u, visit, entity, verb, key, back))

    made.add_api_route(f"{here}/done", done, methods=["GET"])


def chosen_ids(texts: Sequence[str]) -> list[int]:
    """The ids given, each once, MOST of them."""
    numbers = [whole(one) for one in texts]
    return list(dict.fromkeys(one for one in numbers if one is not None and 0 < one <= BIGGEST_ID))[:MOST]


def _back(entity: Entity, back: str) -> str:
    """Where they were chosen: the entity's list as it was asked for, or the desk whose address it is."""
    return own(back) if back.startswith("/") else f"/{entity.path}" + (f"?{back}" if back else "")


# --- the form


def _form(u: Unit, visit: Visit, entity: Entity, verb: Verb, ids: Sequence[int]) -> Form:
    """Raises Forbidden for who may act on such records and not read them: the form shows what they are."""
    u.actor.need(*as_permits(entity.read))
    name = verb_name(entity, verb, visit)
    chosen = _chosen(u, visit, entity, verb, ids)
    possible = sum(one.possible for one in chosen)
    back = visit.given("_back") or visit.request.query_params.get("back", "")
    return Form(
        entity,
        visit.words.t("web.verb_on_many", verb=name, what=visit.words.label(f"records.{entity.name}"), count=possible),
        name,
        entity.form(verb),
        address(entity, verb),
        _back(entity, back),
        verb.signing is not None,
        meaning=meaning_of(entity, verb, visit),
        title=visit.words.label(f"records.{entity.name}"),
        many=True,
        chosen=chosen,
        beside=[one.label for one in usual_columns(entity) if one.name not in {"state", entity.label}][:BESIDE],
        back_query=back,
    )


def _chosen(u: Unit, visit: Visit, entity: Entity, verb: Verb, ids: Sequence[int]) -> list[Chosen]:
    """Those of the ids that their reader sees, in the order of the list that they were chosen in."""
    statement = scoped(entity.select.where(entity.rows.c.id.in_(ids)), entity.scope, u.actor)
    rows = {row["id"]: dict(row) for row in u.conn.execute(statement).mappings()} if ids else {}
    cells = Cells(entity, visit.words, labels(u, entity, list(rows.values())))
    beside = [one for one in usual_columns(entity) if one.name not in {"state", entity.label}][:BESIDE]
    versions = versions_of(u, entity, list(rows))
    found = []
    for row in (rows[one] for one in ids if one in rows):
        state = row.get("state") if entity.cycle is not None else None
        possible = verb.name in entity.moves(u.actor, state)
        facts = tuple(cells.cell(column, row) for column in beside)
        now = visit.words.state(entity.cycle.noun, str(state), bare=True) if entity.cycle and state else ""
        then = _then(visit, entity, verb) if possible else visit.words.t("web.not_in_state")
        called = title(entity, row, visit.words)
        found.append(Chosen(row["id"], called, facts, now, then, possible, versions[row["id"]]))
    return found


def _then(visit: Visit, entity: Entity, verb: Verb) -> Markup | str:
    """What the records will be afterwards, where the verb is a move."""
    move = entity.cycle.moves.get(verb.name) if entity.cycle is not None else None
    if entity.cycle is None or move is None:
        return verb_name(entity, verb, visit)
    return visit.words.state(entity.cycle.noun, move.target, bare=True)


# --- doing it


async def _each(visit: Visit, entity: Entity, verb: Verb, key: str, called: Mapping[int, str], parsed: Any) -> Outcome:
    """Does it with each record in a transaction of its own: what is refused of one keeps back no other.

    The same form sent again finds what was done by its key.
    """
    seen = _versions(visit)
    signings: dict[int, Signing[Any]] = {}
    proofs: dict[int, Proof] = {}
    if verb.signing is not None:
        signings = {one: verbs.signing_of(entity, verb, one, parsed) for one in called}
        proved = await visit.prove_each([one.act for one in signings.values()], parsed)
        if isinstance(proved, Outcome):
            return proved
        proofs = dict(zip(signings, proved, strict=True))
    told = []
    for record_id, name in called.items():

        def work(u: Unit, record_id: int = record_id) -> BaseModel:
            row_of(u, entity, record_id)
            if record_id in seen:
                require_version(u, entity, record_id, seen[record_id])
            if record_id in signings:
                u.need(signings[record_id].permit)
                signings[record_id].work(u, proofs[record_id])
            else:
                verbs.do(u, entity, verb, record_id, parsed)
            return shown(u, entity, record_id)

        bodies = () if parsed is None else (parsed,)
        told.append(_told(visit, entity, record_id, name, await visit.post(work, *bodies, key=f"{key}.{record_id}")))
    for proof in proofs.values():
        proof.spent = True
    return await visit.post(lambda _: Results(verb=verb.name, records=told), key=key)


def _versions(visit: Visit) -> dict[int, int]:
    """The versions that the form says its sender saw."""
    pairs = (one.partition(":") for one in visit.form.get(SEEN, []))
    numbers = ((whole(a), whole(b)) for a, _, b in pairs)
    return {a: b for a, b in numbers if a is not None and b is not None}


def _told(visit: Visit, entity: Entity, record_id: int, called: str, outcome: Outcome) -> Told:
    if outcome.stale:
        words, since = visit.words, reversed(outcome.body["since"])
        done = [
            words.t(
                "web.who_did_when",
                login=one["actor"],
                action=act_said(one["action"], words),
                at=words.clock(datetime.fromisoformat(one["at"])),
            )
            for one in since
        ]
        said = words.t("web.changed_by", done=words.listed(done))
        return Told(id=record_id, called=called, done=False, said=said)
    if outcome.refused:
        return Told(id=record_id, called=called, done=False, said=outcome.detail)
    state = outcome.body.get("state") if entity.cycle is not None else None
    return Told(id=record_id, called=called, done=True, said=visit.words.t("web.done"), state=state)


def _done_page(u: Unit, visit: Visit, entity: Entity, verb: Verb, key: str, back: str) -> Response:
    """What came of it, for who did it, as long as answers are kept. Raises NotFound."""
    keys = table(IdempotencyKey)
    kept = u.conn.scalar(select(keys.c.response).where(keys.c.key == key, keys.c.actor == visit.actor.login))
    if not isinstance(kept, Mapping) or kept.get("verb") != verb.name or "records" not in kept:
        raise absent(entity.name, 0)
    results = Results.model_validate(kept)
    refused = [one for one in results.records if not one.done]
    again = urlencode([(RECORD, one.id) for one in refused] + [("back", back)])
    return visit.page(
        "records/many_done.html",
        entity=entity,
        verb=verb_name(entity, verb, visit),
        done=[one for one in results.records if one.done],
        refused=refused,
        again=f"{address(entity, verb)}?{again}",
        back=_back(entity, back),
        may_read=visit.may(*as_permits(entity.read)),
    )
