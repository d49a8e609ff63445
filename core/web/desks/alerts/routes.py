"""Pages of alerts and zone alarms with who was told; and the way in from a message, by which it counts as seen."""

from fastapi import Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from core.erp.alerting.records import ALERTS, MESSAGES
from core.erp.alerting.service.taking import see
from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.read import row_of
from core.erp.kernel.unit import Unit
from core.erp.lots.records import HOLDS
from core.erp.quality.records import ALARMS
from core.web.desks.alerts.telling import Telling, lines_of, parts_of, telling_of, telling_of_holds
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.record import record_page

router = page_routes()


class Seen(BaseModel):
    """The alerts that a message is about."""

    alert_ids: list[int]


@router.get("/told/{message_id:int}")
@needs("alert.read")
async def from_message(visit: Visiting, message_id: Id) -> Response:
    """Where a message's link leads: to what it is about. Whoever it was for has seen it now; following it twice, or by
    somebody else, changes nothing.
    """

    def work(u: Unit) -> Seen:
        row = row_of(u, MESSAGES, message_id)
        see(u, message_id)
        return Seen(alert_ids=row.alert_ids)

    outcome = await visit.post(work, key=f"seen-{message_id}")
    if outcome.refused:
        return visit.read(lambda u: record_page(u, MESSAGES, visit, message_id))  # says that it is not there
    ids = outcome.body["alert_ids"]
    return RedirectResponse(f"/alerts/{ids[0]}" if len(ids) == 1 else "/alerts", 303)


@router.get("/alerts/{record_id:int}")
@needs("alert.read")
def alert(visit: Visiting, record_id: Id) -> Response:
    """One alert: who was told, who has taken it, what belongs to it."""

    def page(u: Unit) -> Response:
        row_of(u, ALERTS, record_id)
        telling = Telling((), lines_of(u, [record_id]))
        parts, count = parts_of(u, record_id)
        return record_page(
            u,
            ALERTS,
            visit,
            record_id,
            template="desks/alert.html",
            shows=("tellings", "parts"),
            telling=telling,
            parts=parts,
            count=count,
        )

    return visit.read(page)


@router.get("/alarms/{record_id:int}")
@needs("quality.read")
def alarm(visit: Visiting, record_id: Id) -> Response:
    """One zone alarm, with who was told of it."""
    return visit.read(lambda u: _alarm(u, visit, record_id))


@router.get("/holds/{record_id:int}")
@needs("stock.read")
def hold(visit: Visiting, record_id: Id) -> Response:
    """One hold, with who was told of it, or of what it comes from."""

    def page(u: Unit) -> Response:
        row_of(u, HOLDS, record_id)
        telling = telling_of_holds(u, visit, [record_id])
        return record_page(u, HOLDS, visit, record_id, template="desks/told_record.html", telling=telling)

    return visit.read(page)


def _alarm(u: Unit, visit: Visit, record_id: int) -> Response:
    row_of(u, ALARMS, record_id)
    telling = telling_of(u, visit, "alarm", record_id)
    return record_page(u, ALARMS, visit, record_id, template="desks/told_record.html", telling=telling)
