"""Routes of zone alarms: list, acknowledge, shelve, suppress, out of service."""

from collections.abc import Callable

from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.erp.catalog.model import Zone
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Cursor, Door, DoorKeeper, FilterId, Id, Limit, Page, paginate
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality import service
from core.erp.quality.model import ZoneAlarm, ZoneAlarmMode
from core.erp.quality.shapes import AlarmKind, AlarmOut, AlarmState, ModeIn, ModeOut, ShelveIn

router = routes(tags=["alarms"])

_a, _z, _m = table(ZoneAlarm), table(Zone), table(ZoneAlarmMode)
_ALARMS = select(_a, _z.c.address.label("zone")).join_from(_a, _z, _z.c.id == _a.c.zone_id)


@router.get("/alarms")
@needs("quality.read")
def list_alarms(
    door: Door,
    state: AlarmState | None = None,
    zone_id: FilterId = None,
    kind: AlarmKind | None = None,
    *,
    active: bool = False,
    shelved: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[AlarmOut]:
    """Zone alarms, newest first. `active`: not yet normal. `shelved`: only those shelved now, or only the others."""
    given = {_a.c.state: state, _a.c.zone_id: zone_id, _a.c.kind: kind}
    where = [column == value for column, value in given.items() if value is not None]
    if active:
        where.append(_a.c.state != "normal")

    def work(u: Unit) -> Page[AlarmOut]:
        query = _ALARMS.where(*where)
        if shelved is not None:
            now = _a.c.shelved_until.is_not(None) & (_a.c.shelved_until > u.now)
            query = query.where(now if shelved else ~now)
        rows, following = paginate(u, query, _a.c.id, cursor, limit, newest_first=True)
        return Page(items=[AlarmOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/alarms/{alarm_id}/acknowledge", response_model=AlarmOut)
@needs("alarm.acknowledge")
def acknowledge(alarm_id: Id, door: Door) -> JSONResponse:
    """Somebody has seen it. Releases nothing."""

    def work(u: Unit) -> AlarmOut:
        service.acknowledge(u, alarm_id)
        u.session.flush()
        return AlarmOut.model_validate(u.conn.execute(_ALARMS.where(_a.c.id == alarm_id)).one())

    return door.post(work, status=200)


@router.get("/alarm-modes")
@needs("quality.read")
def list_modes(door: Door) -> list[ModeOut]:
    """What is, or was last, shelved, suppressed or out of service, by zone and kind."""
    query = select(_m).order_by(_m.c.zone_id, _m.c.kind)
    return door.read(lambda u: [ModeOut.model_validate(row) for row in u.conn.execute(query)])


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
