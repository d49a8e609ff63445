"""Routes of alarm modes, by zone and kind: shelve, suppress, out of service."""

from collections.abc import Callable

from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Door, DoorKeeper, Id
from core.erp.kernel.scope import scoped
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality import service
from core.erp.quality.model import ZoneAlarmMode
from core.erp.quality.scopes import ALARM_MODES
from core.erp.quality.shapes import AlarmKind, ModeIn, ModeOut, ShelveIn

router = routes(tags=["quality", "alarms"])

_m = table(ZoneAlarmMode)


@router.get("/alarm-modes")
@needs("quality.read")
def list_modes(door: Door) -> list[ModeOut]:
    """What is, or was last, shelved, suppressed or out of service, by zone and kind."""
    query = select(_m).order_by(_m.c.zone_id, _m.c.kind)
    return door.read(
        lambda u: [ModeOut.model_validate(row) for row in u.conn.execute(scoped(query, ALARM_MODES, u.actor))]
    )


def _mode(door: DoorKeeper, zone_id: int, kind: str, change: Callable[[Unit], None]) -> JSONResponse:
    def work(u: Unit) -> ModeOut:
        change(u)
        row = u.conn.execute(select(_m).where(_m.c.zone_id == zone_id, _m.c.kind == kind)).one()
        return ModeOut.model_validate(row)

    return door.post(work, status=200)


@router.post("/zones/{zone_id}/alarms/{kind}/shelve", response_model=ModeOut)
@needs("alarm.shelve")
def shelve(zone_id: Id, kind: AlarmKind, body: ShelveIn, door: Door) -> JSONResponse:
    """Takes the alarm off the list for a while, at most a day. The judge goes on."""
    return _mode(door, zone_id, kind, lambda u: service.shelve(u, zone_id, kind, body.until, body.reason))


@router.post("/zones/{zone_id}/alarms/{kind}/unshelve", response_model=ModeOut)
@needs("alarm.shelve")
def unshelve(zone_id: Id, kind: AlarmKind, body: ReasonIn, door: Door) -> JSONResponse:
    """Puts it back on the list."""
    return _mode(door, zone_id, kind, lambda u: service.unshelve(u, zone_id, kind, body.reason))


@router.post("/zones/{zone_id}/alarms/{kind}/suppress", response_model=ModeOut)
@needs("alarm.shelve")
def suppress(zone_id: Id, kind: AlarmKind, body: ModeIn, door: Door) -> JSONResponse:
    """Suppresses the alarm by design, or stops doing so."""
    return _mode(door, zone_id, kind, lambda u: service.suppress(u, zone_id, kind, on=body.on, reason=body.reason))


@router.post("/zones/{zone_id}/alarms/{kind}/out-of-service", response_model=ModeOut)
@needs("alarm.shelve")
def out_of_service(zone_id: Id, kind: AlarmKind, body: ModeIn, door: Door) -> JSONResponse:
    """Takes the alarm out of service, or puts it back."""
    return _mode(
        door, zone_id, kind, lambda u: service.out_of_service(u, zone_id, kind, on=body.on, reason=body.reason)
    )
