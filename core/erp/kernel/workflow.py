"""Life cycles: states and guarded moves, declared once per entity as a table.

`apply` checks the move, the permit, the second person, the reason and the guard, sets the state, and writes the audit
and outbox rows; `apply_many` does so for many records at once. The database's own guard, diagrams, buttons and routes
are made from the same table.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key
from sqlmodel import SQLModel

from core.erp.kernel import modules, permits
from core.erp.kernel.errors import Forbidden, IllegalMove, Invalid, NotFound
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor, Unit
from core.erp.kernel.words import Message, kept


class Stateful(Protocol):
    """An entity with a life cycle."""

    id: int
    state: str


Guard = Callable[[Unit, Any], None]
"""Raises Refused when the entity may not make the move now."""


@dataclass(frozen=True, slots=True)
class Move:
    """One legal move.

    `permit` is what its maker holds (of several, one). A `system` move is made by the system, or follows from an act
    on another record that has asked for its own permit: it has no permit, no button and no route. `meaning` is the
    message id of what the signature of a signed move means. `second_person`: refused to whoever has created the
    record, and to whoever has changed or moved it since a second person last looked at it.
    """

    name: str
    sources: frozenset[str]
    target: str
    permit: str | tuple[str, ...] | None = None
    guard: Guard | None = None
    reasoned: bool = False
    meaning: str | None = None
    second_person: bool = False
    system: bool = False

    @property
    def permits(self) -> tuple[str, ...]:
        """Of these, its maker holds one; none for a system move."""
        return (self.permit,) if isinstance(self.permit, str) else self.permit or ()

    def open_to(self, actor: Actor) -> bool:
        """Whether the actor may make it by permit: a button, a route. No guard is asked."""
        return not self.system and any(actor.may(permit) for permit in self.permits)


class Workflow:
    """An entity's life cycle: in which states a record `begins`, and the moves from there.

    `table` is the database's name for it where that is not the noun. Raises ValueError for a table that cannot be
    meant: two moves of a name, a move that nobody may make, a state that nothing leads to.
    """

    def __init__(
        self, noun: str, moves: tuple[Move, ...], *, begins: tuple[str, ...], table: str | None = None
    ) -> None:
        self.noun = noun
        self.table = table or noun
        self.begins = begins
        self.moves = {move.name: move for move in moves}
        if len(self.moves) != len(moves):
            raise ValueError(f"{noun}: two moves share a name")
        for move in moves:
            if bool(move.permits) == move.system:
                raise ValueError(f"{noun}.{move.name}: a move has a permit, or is the system's")
            if move.meaning is not None and move.system:
                raise ValueError(f"{noun}.{move.name}: the system signs nothing")
        lost = set(self.states) - set(begins) - {move.target for move in moves}
        if lost:
            raise ValueError(f"{noun}: nothing leads to {', '.join(sorted(lost))}")

    @property
    def words(self) -> str:
        """The noun in English, for the database's own guard."""
        return self.noun.replace("_", " ")

    @property
    def states(self) -> tuple[str, ...]:
        """Every state, in the order in which the table first names it."""
        ordered = (*self.begins, *(s for m in self.moves.values() for s in (*sorted(m.sources), m.target)))
        return tuple(dict.fromkeys(ordered))

    def available(self, actor: Actor, state: str) -> list[Move]:
        """The moves that the state and the actor's permits allow; guards and the second person are asked by `apply`."""
        return [move for move in self.moves.values() if state in move.sources and move.open_to(actor)]

    def apply(
        self,
        u: Unit,
        entity: Stateful,
        name: str,
        *,
        reason: str | Message | None = None,
        also: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes the move on a record whose row is locked; `also` is what audit and outbox say of it besides.

        Raises IllegalMove, Forbidden (permit, second person), Invalid (no reason) or what the guard raises.
        """
        move = self.moves[name]
        before = entity.state
        if before not in move.sources:
            raise self._illegal(move, {entity.id: before})
        self._ask(u, move, [entity.id], reason)
        if move.guard is not None:
            move.guard(u, entity)
        entity.state = move.target
        u.session.add(entity)
        u.session.flush()
        self._record_move(u, move, entity.id, before, reason, also or {})

    def apply_many(
        self,
        u: Unit,
        model: type[SQLModel],
        ids: Collection[int],
        name: str,
        *,
        reason: str | Message | None = None,
        also: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> dict[int, str]:
        """Makes the move on many records in two statements, all or none; gives the state that each has left.

        The rows are locked here, ascending. `also` is by id, as in `apply`. Raises NotFound and IllegalMove with those
        that are not there or may not, and whatever `apply` raises.
        """
        if not ids:
            return {}
        move, t = self.moves[name], table(model)
        u.session.flush()
        wanted = sorted(set(ids))
        here = t.c.id == func.any(bindparam("ids", wanted))
        rows = u.lock(select(t.c.id, t.c.state).where(here).order_by(t.c.id).with_for_update())
        before = {int(row.id): str(row.state) for row in rows}
        if missing := [one for one in wanted if one not in before]:
            raise NotFound("workflow.none_such", record=self._record, ids=missing)
        if unfit := {one: state for one, state in before.items() if state not in move.sources}:
            raise self._illegal(move, unfit)
        self._ask(u, move, wanted, reason)
        if move.guard is not None:
            for one in wanted:
                move.guard(u, u.get_one(model, one))
        u.conn.execute(update(t).where(here).values(state=move.target))
        for one in wanted:
            loaded = u.session.identity_map.get(identity_key(model, one))
            if loaded is not None:
                set_committed_value(loaded, "state", move.target)
            self._record_move(u, move, one, before[one], reason, (also or {}).get(one, {}))
        return before

    def pairs(self) -> list[tuple[str, str]]:
        """The legal (from, to) pairs of states, in order: what the database's own guard goes by."""
        return sorted({(source, move.target) for move in self.moves.values() for source in move.sources})

    def diagram(self) -> str:
        """The life cycle as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in self.begins)]
        for move in self.moves.values():
            lines += [f"    {source} --> {move.target}: {move.name}" for source in sorted(move.sources)]
        return "\n".join(lines)

    def _ask(self, u: Unit, move: Move, ids: list[int], reason: str | Message | None) -> None:
        """What a move asks of its maker, whatever the record."""
        if not move.system:
            u.need(*move.permits)
        if move.reasoned and not (reason and kept(reason)[0].strip()):
            raise Invalid("workflow.reason_missing", move=self._move(move), record=self._record)
        if move.second_person and (theirs := self._own(u, ids)):
            who = {"move": self._move(move), "record": self._record, "login": u.actor.login}
            raise Forbidden("workflow.second_person", **who, extra={"ids": theirs})

    def _own(self, u: Unit, ids: list[int]) -> list[int]:
        """Which of the records the actor has created, or has changed since a second person last looked at them."""
        looked = [f"{self.noun}.{move.name}" for move in self.moves.values() if move.second_person]
        asked = {"entity": self.noun, "ids": [str(one) for one in ids], "looked": looked, "actor": u.actor.login}
        theirs = set(u.conn.scalars(_OWN, asked)) | u.audited(self.noun, by=u.actor.login)
        return [one for one in ids if str(one) in theirs]

    def _illegal(self, move: Move, unfit: Mapping[int, str]) -> IllegalMove:
        state = next(iter(unfit.values()))
        moves = [each.name for each in self.moves.values() if state in each.sources and not each.system]
        extra = {"state": state, "moves": moves, "ids": list(unfit)}
        message = Message("workflow.illegal_move", move=self._move(move), state=self._state(state), record=self._record)
        if len(unfit) == 1:
            return IllegalMove(message, extra=extra)
        each_one = [Message("workflow.one_is", number=one, state=self._state(was)) for one, was in unfit.items()]
        return IllegalMove("workflow.illegal_moves", illegal=message, records=each_one, extra=extra)

    @property
    def _record(self) -> Message:
        return Message(f"record.{self.noun}")

    def _move(self, move: Move) -> Message:
        return Message(f"move.{self.noun}.{move.name}")

    def _state(self, state: str) -> Message:
        return Message(f"state.{self.noun}.{state}")

    def _record_move(
        self, u: Unit, move: Move, entity_id: int, before: str, reason: str | Message | None, also: Mapping[str, Any]
    ) -> None:
        """The audit row and the outbox row of a move that was made."""
        u.audit(
            f"{self.noun}.{move.name}",
            self.noun,
            entity_id,
            before={"state": before},
            after={"state": move.target, **also},
            reason=reason,
        )
        told = {"from": before, "to": move.target, "reason": None if reason is None else kept(reason)[0], **also}
        u.outbox(f"{self.noun}.{move.name}", entity_id, told)


@cache
def workflows() -> dict[str, Workflow]:
    """Every life cycle that a module's `workflow.py` declares, by its table.

    Raises ValueError for a table with two, UnknownPermit where a move asks for a permit that no module declares.
    """
    found: dict[str, Workflow] = {}
    for module in modules.found("workflow"):
        for value in vars(module).values():
            if not isinstance(value, Workflow):
                continue
            if found.setdefault(value.table, value) is not value:
                raise ValueError(f"two life cycles of {value.table}, the second in {module.__name__}")
    permits.check(name for workflow in found.values() for move in workflow.moves.values() for name in move.permits)
    return found


# a signature is the act itself, not a change of what it signs
_OWN = text("""
    WITH trail AS (
        SELECT a.id, a.entity_id, a.actor, row_number() OVER w AS number,
            max(a.id) FILTER (WHERE a.action = ANY (CAST(:looked AS text[]))) OVER (PARTITION BY a.entity_id) AS looked
        FROM audit a
        WHERE a.entity = :entity AND a.entity_id = ANY (CAST(:ids AS text[])) AND a.action <> 'signature.sign'
        WINDOW w AS (PARTITION BY a.entity_id ORDER BY a.id)
    )
    SELECT DISTINCT entity_id FROM trail
    WHERE actor = :actor AND (number = 1 OR id >= COALESCE(looked, 0))
""")
