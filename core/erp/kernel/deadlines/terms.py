"""Kinds of deadlines, as modules declare them in their `deadlines.py`: TERMS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from sqlmodel import SQLModel

from core.erp.kernel import modules, permits
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import Count, due
from core.erp.kernel.deadlines.model import Deadline
from core.erp.kernel.deadlines.rules import Escalation
from core.erp.kernel.errors import NotFound
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.kernel.workflow import Workflow

Effect = Callable[[Unit, Deadline], None]
"""What happens by itself when it is due. A refusal is kept with the step, and told to those the deadline is for."""


@dataclass(frozen=True, slots=True)
class Term:
    """A kind of deadline: `Term("certificate_expiry", "certificate.manage", warnings=(days(90), days(30)), effect=…)`.

    Holders of `permit` (or the person whom a deadline is begun for) get a task with the first warning, and hear of it
    again with each other and when it is due.
    `within` is how long there is, where whoever begins one says nothing else. Its words are `term.NAME`.
    """

    name: str
    permit: str
    within: Count | None = None
    warnings: tuple[Count, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    effect: Effect | None = None

    @property
    def called(self) -> Message:
        """As people say it."""
        return Message(f"term.{self.name}")

    @property
    def permits(self) -> frozenset[str]:
        """Of whoever it is for."""
        return frozenset({self.permit, *(one.permit for one in self.escalations)})


def moves(cycle: Workflow, model: type[SQLModel], move: str, *, reason: str | None = None) -> Effect:
    """The effect that the record makes a move of its life cycle, by the system."""

    def effect(u: Unit, deadline: Deadline) -> None:
        record = u.get(model, deadline.entity_id, lock=True)
        if record is None:
            raise NotFound("deadlines.record_gone")
        cycle.apply(u, record, move, reason=reason)  # type: ignore[arg-type]  # a model with a life cycle has id and state

    return effect


def opens(kind: str, permit: str, within: Count) -> Effect:
    """The effect that somebody else gets a task, to be done within so much; its words are those of the deadline."""

    def effect(u: Unit, deadline: Deadline) -> None:
        at = due(calendars.of(u, deadline.site_id), u.now, within)
        tasks.open_task(
            u,
            kind,
            about_sentence(deadline),
            due_at=at,
            permit=permit,
            entity=deadline.entity,
            entity_id=deadline.entity_id,
            site_id=deadline.site_id,
        )

    return effect


def about_sentence(deadline: Deadline) -> Message:
    """What it is about and when it is due."""
    about = sentence(deadline.about, deadline.about_message)
    return Message("deadlines.due", term=Message(f"term.{deadline.term}"), about=about, due=deadline.due_at)


@cache
def terms() -> Mapping[str, Term]:
    """Every module's terms by name. Raises ValueError where two are called the same, UnknownPermit."""
    found: dict[str, Term] = {}
    for module in modules.found("deadlines"):
        for one in getattr(module, "TERMS", ()):  # the kernel's is this package
            if one.name in found:
                raise ValueError(f"two terms are called {one.name}, the second in {module.__name__}")
            found[one.name] = one
    permits.check(name for one in found.values() for name in one.permits)
    return MappingProxyType(found)
