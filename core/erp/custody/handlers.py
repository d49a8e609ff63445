"""What custody does on others' events: it writes the first fact of a birth, or copies the history of a split."""

from core.erp.custody import service
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots.events import SublotCreated, ZonesToLock


def enter(u: Unit, event: SublotCreated) -> None:
    """A split takes its parent's history; every other birth begins where it stands."""
    if event.how == "split":
        service.inherit_history(u, event.parent_ids[0], event.sublot_id)
    else:
        service.record_location(u, event.sublot_id, event.zone_id, event.at, event.reason)


def leave(u: Unit, sublot_ids: tuple[int, ...]) -> None:
    """Sublots that were merged into another are with us no more as themselves."""
    for sublot_id in sublot_ids:
        service.record_location(u, sublot_id, None, u.now, Message("custody.merged"))


def _sublot_created(u: Unit, event: SublotCreated) -> None:
    enter(u, event)
    if event.how == "merge":
        leave(u, event.parent_ids)


def _lock_zones(u: Unit, event: ZonesToLock) -> None:
    service.lock_zones(u, event.sublot_ids, event.zone_ids)


def register(events: Events) -> None:
    """Tells the app what custody listens to."""
    events.on(SublotCreated, "custody.enter", _sublot_created)
    events.on(ZonesToLock, "custody.lock_zones", _lock_zones)
