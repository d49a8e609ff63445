"""Taking an alarm off the list: shelved for a while, suppressed by design, out of service; and back again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.registry import entities
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.unit import Unit
from core.erp.quality import service
from core.erp.quality.shapes import AlarmKind, ModeIn, ShelveIn
from core.web.frame.routes import page_routes
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records.forms import Form, form_page, sent
from core.web.records.inputs import Filled

router = page_routes()


@dataclass(frozen=True, slots=True)
class Mode:
    """One act: the id of its name, its form, and what does it."""

    name: str
    form: type[BaseModel]
    act: Callable[[Unit, int, str, Any], None]


def _shelve(u: Unit, zone: int, kind: str, body: ShelveIn) -> None:
    service.shelve(u, zone, kind, body.until, body.reason)


def _unshelve(u: Unit, zone: int, kind: str, body: ReasonIn) -> None:
    service.unshelve(u, zone, kind, body.reason)


def _suppress(u: Unit, zone: int, kind: str, body: ModeIn) -> None:
    service.suppress(u, zone, kind, on=body.on, reason=body.reason)


def _out_of_service(u: Unit, zone: int, kind: str, body: ModeIn) -> None:
    service.out_of_service(u, zone, kind, on=body.on, reason=body.reason)


MODES = {
    "shelve": Mode("web.act_shelve", ShelveIn, _shelve),
    "unshelve": Mode("web.act_unshelve", ReasonIn, _unshelve),
    "suppress": Mode("web.act_suppress", ModeIn, _suppress),
    "out-of-service": Mode("web.act_out_of_service", ModeIn, _out_of_service),
}
"""By the last part of their address."""


class Done(BaseModel):
    """What an act answers."""

    zone_id: int


def _form(u: Unit, visit: Visit, zone_id: int, kind: str, verb: str) -> Form:
    mode, words = MODES[verb], visit.words
    zone = row_of(u, entities()["zone"], zone_id)
    what = words.t("web.alarm_said", kind=words.t(f"choice.kind.{kind}"), zone=zone.address)
    heading = words.t("web.verb_on", verb=words.t(mode.name), what=what)
    address, back = f"/zones/{zone_id}/alarms/{kind}/{verb}", f"/zones/{zone_id}"
    return Form(entities()["alarm"], heading, words.t(mode.name), mode.form, address, back, record={}, title=zone.name)


def _add(verb: str) -> None:
    def show(visit: Visiting, zone_id: Id, kind: AlarmKind) -> Response:
        return visit.read(lambda u: form_page(u, visit, _form(u, visit, zone_id, kind, verb), Filled()))

    async def send(visit: Visiting, zone_id: Id, kind: AlarmKind) -> Response:
        found = await run_in_threadpool(visit.read, lambda u: _form(u, visit, zone_id, kind, verb))

        async def act(body: Any) -> Outcome:
            def work(u: Unit) -> Done:
                row_of(u, entities()["zone"], zone_id)
                MODES[verb].act(u, zone_id, kind, body)
                return Done(zone_id=zone_id)

            return await visit.post(work, body)

        return await sent(visit, found, act, lambda _: f"/zones/{zone_id}")

    path = f"/zones/{{zone_id}}/alarms/{{kind}}/{verb}"
    router.add_api_route(path, needs("alarm.shelve")(show), methods=["GET"])
    router.add_api_route(path, needs("alarm.shelve")(send), methods=["POST"])


for _verb in MODES:
    _add(_verb)
