"""What a refusal says of records outside somebody's scope is left out: their labels and ids become `…`.

A service sees everything and says what stands in the way. Whoever may not know of it is told that something does.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, select, union_all
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.database_errors import translate
from core.erp.kernel.errors import LotwiseError, NotFound
from core.erp.kernel.named import hidden, kind_named, kinds
from core.erp.kernel.scope import sees
from core.erp.kernel.unit import Actor
from core.erp.kernel.words import Message

MASKED = "…"


@contextmanager
def masking(engine: Engine, actor: Actor) -> Iterator[None]:
    """Refusals raised within, the database's own too, are masked for this actor."""
    try:
        yield
    except LotwiseError as error:
        if not actor.scoped:
            raise
        raise mask(engine, actor, error) from error
    except DBAPIError as error:
        known = translate(error) if actor.scoped else None
        if known is None:
            raise
        raise mask(engine, actor, known) from error


def mask(engine: Engine, actor: Actor, error: LotwiseError) -> LotwiseError:
    """`masked_error`, by a connection of its own: the transaction that was refused is over, or of no use any more."""
    if not actor.scoped:
        return error
    with engine.connect() as conn:
        return masked_error(conn, actor, error)


def masked_error(conn: Connection, actor: Actor, error: LotwiseError) -> LotwiseError:
    """The refusal as this actor may read it; itself for whoever sees everything, for what is said not to be there
    (that is all that was asked for), and for one whose parts were masked one by one.
    """
    if not actor.scoped or isinstance(error, NotFound) or error.masked_within:
        return error
    message, extra = masked(conn, actor, [error.message, error.extra])
    return error.reworded(message, extra)


def masked(conn: Connection, actor: Actor, value: Any) -> Any:
    """The value (messages, lists, mappings) without labels and ids of records that the actor does not see."""
    if not actor.scoped:
        return value
    secret = _labels(conn, actor, set(_texts(value)))
    ids = {name: hidden(conn, actor, kind_named(name) or "", found) for name, found in _ids(value).items()}
    return _Secrets(secret, ids).within(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for _, part in _parts(value):
        yield from _texts(part)


def _ids(value: Any, name: str = "") -> dict[str, set[int | str]]:
    """By the name of a parameter: the ids of records that it holds."""
    found: dict[str, set[int | str]] = {}
    if isinstance(value, int) and not isinstance(value, bool) and kind_named(name) is not None:
        found.setdefault(name, set()).add(value)
    for key, part in _parts(value):
        for called, ids in _ids(part, key or name).items():
            found.setdefault(called, set()).update(ids)
    return found


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of what a value is made of; without a name in a list."""
    if isinstance(value, Message):
        value = value.params
    if isinstance(value, Mapping):
        yield from ((str(name), part) for name, part in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield from (("", part) for part in value)


def _labels(conn: Connection, actor: Actor, texts: set[str]) -> set[str]:
    """Those of the texts that are labels of records the actor does not see, and of none that they see."""
    asked = [
        select(one.label.label("label"), sees(one.scope, actor).label("seen")).where(one.label.in_(texts))
        for one in kinds().values()
        if one.label is not None and one.scope(actor) is not None
    ]
    if not texts or not asked:
        return set()
    rows = conn.execute(union_all(*asked)).all()
    return {row.label for row in rows if not row.seen} - {row.label for row in rows if row.seen}


class _Secrets:
    """What must not be told: texts, and ids by the names of parameters."""

    def __init__(self, texts: set[str], ids: Mapping[str, set[int | str]]) -> None:
        self._texts, self._ids = texts, ids

    def of_message(self, message: Message) -> Message:
        """The message with masked parameters."""
        return Message(message.id, **{name: self.within(value, name) for name, value in message.params.items()})

    def within(self, value: Any, name: str = "") -> Any:
        """The value without what must not be told."""
        if isinstance(value, Message):
            return self.of_message(value)
        if isinstance(value, str):
            return MASKED if value in self._texts else value
        if isinstance(value, Mapping):
            return {key: self.within(part, str(key)) for key, part in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.within(part, name) for part in value]
        if isinstance(value, int) and not isinstance(value, bool) and value in self._ids.get(name, ()):
            return MASKED
        return value
