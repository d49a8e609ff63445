"""Doing things with records: a verb's own service, or the move of its life cycle that it is."""

from typing import Any

from pydantic import BaseModel

from core.erp.kernel.errors import absent
from core.erp.kernel.records.declare import Entity, Verb
from core.erp.kernel.records.links import require_linked
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.write import fields_of
from core.erp.kernel.shapes import SignIn
from core.erp.kernel.signatures import Proof, Signing
from core.erp.kernel.unit import Unit


def do(u: Unit, entity: Entity, verb: Verb, record_id: int, form: BaseModel | None) -> Any:
    """Does an unsigned verb, on a record that the door has looked for. Raises what the service or the move raises."""
    if form is not None:
        require_linked(u, entity, form)
    fields = fields_of(form) if form is not None else {}
    if verb.act is not None:
        return verb.act(u, record_id, **fields)
    return move(u, entity, verb.name, record_id, **fields)


def signing_of(entity: Entity, verb: Verb, record_id: int, form: BaseModel) -> Signing[Any]:
    """The act that a signed verb's form signs, on a record and with links that the signer may know of."""
    assert verb.signing is not None
    fields = {name: value for name, value in fields_of(form).items() if name not in SignIn.model_fields}
    signing = verb.signing(record_id, **fields)

    def work(u: Unit, proof: Proof) -> Any:
        row_of(u, entity, record_id)
        require_linked(u, entity, form)
        return signing.work(u, proof)

    return Signing(signing.permit, signing.act, work)


def move(u: Unit, entity: Entity, name: str, record_id: int, *, reason: str | None = None) -> Any:
    """Applies a move of the life cycle to the locked record."""
    assert entity.cycle is not None
    record: Any = u.get(entity.table, record_id, lock=True)
    if record is None:
        raise absent(entity.name, record_id)
    entity.cycle.apply(u, record, name, reason=reason)
    return record


def about(entity: Entity, verb: Verb) -> str:
    """What the verb does, as its service says it, or from where to where it moves."""
    done = verb.act or verb.signing
    done = getattr(done, "func", done)  # of a partial, what it is part of
    if done is not None and done.__doc__:
        return done.__doc__.strip().split("\n\n")[0]
    states = entity.states(verb) or frozenset()
    return f"{verb.name.replace('_', ' ').capitalize()} a {entity.words} that is {' or '.join(sorted(states))}."
