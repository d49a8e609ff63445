"""Life cycles: states and guarded moves, declared once per entity as a table.

`apply` checks the move, the permit, the guard and the reason, sets the state, and writes the audit and outbox
rows. Diagrams and buttons are drawn from the same table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from core.erp.kernel.errors import IllegalMove, Invalid
from core.erp.kernel.unit import Unit


class Stateful(Protocol):
    """An entity with a life cycle."""

    id: int
    state: str


Guard = Callable[[Unit, Any], None]
"""Raises Refused when the entity may not make the move now."""


@dataclass(frozen=True, slots=True)
class Move:
    """One legal move. `needs` is a permit, or None for moves only the system or a verb's own check makes."""

    name: str
    sources: frozenset[str]
    target: str
    needs: str | None = None
    guard: Guard | None = None
    reasoned: bool = False


class Workflow:
    """An entity's life cycle."""

    def __init__(self, noun: str, moves: tuple[Move, ...]) -> None:
        self.noun = noun
        self.moves = {move.name: move for move in moves}
        if len(self.moves) != len(moves):
            raise ValueError(f"{noun}: two moves share a name")

    @property
    def words(self) -> str:
        """The noun as people say it."""
        return self.noun.replace("_", " ")

    def available(self, state: str) -> list[str]:
        """Names of the moves that the state allows, whatever the permits and guards say."""
        return [move.name for move in self.moves.values() if state in move.sources]

    def apply(self, work: Unit, entity: Stateful, name: str, *, reason: str | None = None) -> None:
        """Makes the move. Raises IllegalMove, Forbidden, Invalid (no reason) or what the guard raises."""
        move = self.moves[name]
        if entity.state not in move.sources:
            raise IllegalMove(
                f"cannot {name} a {entity.state} {self.words}",
                state=entity.state,
                moves=self.available(entity.state),
            )
        if move.needs is not None:
            work.need(move.needs)
        if move.reasoned and not (reason and reason.strip()):
            raise Invalid(f"to {name} a {self.words} needs a reason")
        if move.guard is not None:
            move.guard(work, entity)
        before = entity.state
        entity.state = move.target
        work.session.add(entity)
        work.session.flush()
        work.audit(
            f"{self.noun}.{name}",
            self.noun,
            entity.id,
            before={"state": before},
            after={"state": move.target},
            reason=reason,
        )
        work.outbox(f"{self.noun}.{name}", entity.id, {"from": before, "to": move.target, "reason": reason})

    def pairs(self) -> list[tuple[str, str]]:
        """The legal (from, to) pairs of states, in order: what the database's own guard goes by."""
        return sorted({(source, move.target) for move in self.moves.values() for source in move.sources})

    def diagram(self) -> str:
        """The life cycle as a Mermaid state diagram."""
        lines = ["stateDiagram-v2"]
        for move in self.moves.values():
            lines += [f"    {source} --> {move.target}: {move.name}" for source in sorted(move.sources)]
        return "\n".join(lines)
