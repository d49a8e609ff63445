"""In-transaction events: what must happen in the same transaction, further up than the module that causes it.

Modules declare an event class; the app registers its handlers; an event class that declares handlers by name
refuses to start without them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from core.erp.kernel.unit import Unit


class Event:
    """Base of in-transaction events; subclasses are frozen dataclasses. `required` names handlers that must exist."""

    required: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class UserPlaced(Event):
    """A user belongs to these sites from now on, or to a partner; whoever keeps these refuses what there is not."""

    user_id: int
    site_ids: tuple[int, ...]
    partner_id: int | None
    required: ClassVar[tuple[str, ...]] = ("catalog.known_sites", "partners.known_partner")


Handler = Callable[["Unit", Any], None]


class MissingHandlers(RuntimeError):
    """An event's declared handlers are not all registered: the app must not start."""


class Events:
    """Who listens to what. Built once by the app; handlers run in the order of registration."""

    def __init__(self) -> None:
        self._handlers: dict[type[Event], list[tuple[str, Handler]]] = defaultdict(list)

    def on(self, event: type[Event], name: str, handler: Handler) -> None:
        """Registers a handler under a name (`production.stop_orders`)."""
        self._handlers[event].append((name, handler))

    def run(self, work: Unit, event: Event) -> None:
        """Runs every handler of the event's class, in order."""
        for _, handler in self._handlers.get(type(event), ()):
            handler(work, event)

    def handlers(self, kind: type[Event]) -> list[tuple[str, Handler]]:
        """The handlers of an event's class with their names, in the order in which they run."""
        return list(self._handlers.get(kind, ()))

    def check(self, *kinds: type[Event]) -> None:
        """Raises MissingHandlers if a class lacks one of its required handlers."""
        for kind in kinds:
            names = {name for name, _ in self.handlers(kind)}
            missing = [name for name in kind.required if name not in names]
            if missing:
                raise MissingHandlers(f"{kind.__name__} lacks {', '.join(missing)}")
