"""Where a record is in its life cycle: what it went through, what lies ahead, and the verb that leads on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.history import Entry
from core.web.frame.states import tone


@dataclass(frozen=True, slots=True)
class Step:
    """One state of the life cycle's path: whether it was passed, is now or may come; since when, by whom, why."""

    state: str
    place: str
    at: datetime | None = None
    by: str = ""
    reason: str | None = None


def forward(entity: Entity, row: Mapping[str, Any]) -> str | None:
    """The verb that leads on along the main way of the life cycle, where its reader may do it now."""
    if entity.cycle is None or row.get("state") is None:
        return None
    following = ahead(entity, row["state"])[:1]
    moves = entity.cycle.moves
    return next((one for one in row["moves"] if one in moves and moves[one].target in following), None)


def path_of(entity: Entity, state: str | None, entries: Sequence[Entry]) -> list[Step]:
    """The states the record went through, the one it is in, and those that lie ahead on the main way."""
    if entity.cycle is None or state is None:
        return []
    passed: list[Step] = []
    for entry in reversed(entries):
        change = next((one for one in entry.changes if one.field == "state" and one.after), None)
        if change is not None and change.before and not passed:
            passed.append(Step(str(change.before), "done"))
        if change is not None and (not passed or passed[-1].state != change.after):
            passed.append(Step(str(change.after), "done", entry.at, entry.actor, entry.reason))
    if not passed or passed[-1].state != state:
        passed.append(Step(state, "now"))
    last = passed[-1]
    steps = [*passed[:-1], Step(last.state, "now", last.at, last.by, last.reason)]
    return steps + [Step(name, "to") for name in ahead(entity, state)]


def ahead(entity: Entity, state: str) -> list[str]:
    """The states that follow one another by the first move that leads on: neither back, but from where something
    stands still, nor to a stop or an end that nobody wishes for.
    """
    assert entity.cycle is not None
    moves = entity.cycle.moves.values()
    reached = (one for move in moves for one in (*sorted(move.sources), move.target))
    order = list(dict.fromkeys((*entity.cycle.begins, *reached)))
    noun, found, here = entity.cycle.noun, list[str](), state
    while len(found) <= 4:  # noqa: PLR2004 - more is no longer a glance
        resumes = tone(noun, here) == "hold"
        following = next(
            (
                move.target
                for move in moves
                if here in move.sources
                and move.target not in {state, *found}
                and tone(noun, move.target) not in {"hold", "no"}
                and (resumes or order.index(move.target) > order.index(here))
            ),
            None,
        )
        if following is None:
            break
        found.append(following)
        here = following
    return found
