"""An act on simulators: into the trail first, then to whoever runs them; why it was not done, if so."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.unit import Unit
from core.web.desks.simulators.port import Simulators, SimulatorsAway, SimulatorsRefuse
from core.web.frame.visit import Visit


class Noted(BaseModel):
    """The run that an act is on."""

    run: str


def port_of(visit: Visit) -> Simulators:
    """What runs the simulators."""
    port: Simulators = visit.request.app.state.simulators
    return port


async def noted_and_done(
    visit: Visit, action: str, run_id: str, after: Mapping[str, Any], do: Callable[[Simulators], None]
) -> tuple[int, str]:
    """(status, why not): why is empty where it was done. The trail has it in both cases: it was asked for."""

    def work(u: Unit) -> BaseModel:
        u.audit(action, "simulation", run_id, after=after)
        return Noted(run=run_id)

    outcome = await visit.post(work)
    if outcome.refused:
        return outcome.status, outcome.detail
    try:
        await run_in_threadpool(do, port_of(visit))
    except SimulatorsRefuse as error:
        return 422, visit.words.t("web.simulators_refuse", why=str(error))
    except SimulatorsAway:
        return 503, visit.words.t("web.simulators_away")
    return 303, ""
