"""Everybody's handlers and declarations, put together: what each process of the core has, with or without an API."""

from sqlmodel import SQLModel

from core.erp.kernel import guarded, modules
from core.erp.kernel.events import Event, Events
from core.erp.kernel.outbox import Outbox
from core.erp.kernel.workflow import workflows


def event_kinds() -> list[type[Event]]:
    """Every in-transaction event that a module declares, by name."""
    found = {
        value
        for module in modules.found("events")
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    }
    return sorted(found, key=lambda kind: kind.__name__)


def check_declarations() -> None:
    """What modules declare of their tables and life cycles fits what there is. Raises ValueError: the core must not
    start.
    """
    guarded.declared()
    stateful = {name for name, made in SQLModel.metadata.tables.items() if "state" in made.c}
    apart = sorted(stateful ^ set(workflows()))
    if apart:
        raise ValueError(f"tables with a state are not those that have a life cycle: {', '.join(apart)}")


def build_events() -> Events:
    """Everybody's handlers. Raises MissingHandlers when an event lacks one it requires: the core must not start."""
    events = Events()
    for module in modules.found("handlers"):
        register = getattr(module, "register", None)
        if register is not None:
            register(events)
    events.check(*event_kinds())
    return events


def build_outbox() -> Outbox:
    """Everybody's outbox handlers (`register_outbox(outbox)` in a module's handlers)."""
    outbox = Outbox()
    for module in modules.found("handlers"):
        register = getattr(module, "register_outbox", None)
        if register is not None:
            register(outbox)
    return outbox
