"""The simulators' pages: the scenarios there are, what runs, and what is made to happen."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.errors import NotFound
from core.erp.kernel.unit import Unit
from core.web.desks.faults import faults
from core.web.desks.simulators.asking import FIELDS, LONGEST, NUMBERS, TEXTS, Errors, as_in_file, asked_of, event_of
from core.web.desks.simulators.port import Asked, KnownScenario, RunNow, Simulators, SimulatorsAway, SimulatorsRefuse
from core.web.desks.simulators.said import FIGURES, Said
from core.web.desks.simulators.trail import noted_and_done, port_of
from core.web.frame.routes import page_routes
from core.web.frame.visit import KEY, Visit, Visiting
from core.web.records.acts import names_of

router = page_routes()
ADDRESS = "/simulators"
HAPPENED = 20
"""Of what happened, the newest that a page shows."""
EVENT = (*TEXTS, *NUMBERS, "unit", "seconds")
AWAY = frozenset({"mqtt", "sparkplug"})
"""Protocols that speak by way of a broker."""
_RUN_ID = re.compile(r"[0-9a-f-]{8,64}").fullmatch


@router.get(ADDRESS)
@needs("simulator.run")
def desk(visit: Visiting) -> Response:
    """The scenarios there are, and what runs."""
    found = _runs(visit)
    known = port_of(visit).known()
    return visit.read(lambda u: visit.page("desks/simulators.html", known=known, **_of_runs(u, visit, found)))


@router.get(f"{ADDRESS}/runs")
@needs("simulator.run")
def runs(visit: Visiting) -> Response:
    """What runs, as a live region."""
    found = _runs(visit)
    return visit.read(lambda u: visit.fragment("desks/simulator_runs.html", **_of_runs(u, visit, found)))


def _runs(visit: Visit) -> list[RunNow] | None:
    """What runs and ran; None where nobody can say."""
    try:
        return list(port_of(visit).runs())
    except SimulatorsAway:
        return None


def _of_runs(u: Unit, visit: Visit, found: list[RunNow] | None) -> dict[str, Any]:
    names = names_of(u, [one.by for one in found or ()])
    return {"runs": found, "names": names, "said": Said(visit.words), "now": u.now}


# --- a scenario


@router.get(f"{ADDRESS}/scenarios/{{name}}")
@needs("simulator.run")
def scenario(visit: Visiting, name: str) -> Response:
    """What it shows, what happens when, with which figures it is started, and the gateway that reads it."""
    known, given = _known(visit, name), visit.request.query_params
    written = {field: given.get(field, value) for field, value in as_in_file(known).items()}
    return _scenario_page(visit, known, written)


@router.post(f"{ADDRESS}/scenarios/{{name}}")
@needs("simulator.run")
async def start(visit: Visiting, name: str) -> Response:
    """Starts it, once for the form."""
    known = await run_in_threadpool(_known, visit, name)
    written = {field: visit.given(field).strip()[:LONGEST] for field in as_in_file(known)}
    asked, errors = asked_of(known, written)
    if errors or visit.resumed:
        return await run_in_threadpool(_scenario_page, visit, known, written, 422 if errors else 200, errors)
    run_id = visit.given(KEY) if _RUN_ID(visit.given(KEY)) else uuid.uuid4().hex
    after = {"scenario": name, **written}

    def do(port: Simulators) -> None:
        port.start(run_id, asked, visit.actor.login)

    status, why = await noted_and_done(visit, "simulation.start", run_id, after, do)
    if why:
        return await run_in_threadpool(_scenario_page, visit, known, written, status, {}, why)
    return RedirectResponse(f"{ADDRESS}/runs/{run_id}", 303)


def _known(visit: Visit, name: str) -> KnownScenario:
    found = next((one for one in port_of(visit).known() if one.name == name), None)
    if found is None:
        raise NotFound("web.no_such_page")
    return found


def _scenario_page(
    visit: Visit,
    known: KnownScenario,
    written: Mapping[str, str],
    status: int = 200,
    errors: Errors | None = None,
    refused: str = "",
) -> Response:
    asked, wrong = asked_of(known, written)
    return visit.read(
        lambda _: visit.page(
            "desks/simulator_scenario.html",
            status,
            one=known,
            said=Said(visit.words),
            written=written,
            errors={name: visit.words.say(what) for name, what in (errors or {}).items()},
            faults=faults(visit.words, FIELDS, errors or {}),
            section=_section(visit, known, Asked(known.name) if wrong else asked),
            refused=refused,
        )
    )


def _section(visit: Visit, known: KnownScenario, asked: Asked) -> str:
    """The gateway's configuration; none for what cannot be run."""
    try:
        return port_of(visit).section(asked) if known.trouble is None else ""
    except SimulatorsRefuse:
        return ""


# --- a run


@router.get(f"{ADDRESS}/runs/{{run_id}}")
@needs("simulator.run")
def run(visit: Visiting, run_id: str) -> Response:
    """What runs, and what may be made to happen."""
    return _run_page(visit, run_id)


@router.get(f"{ADDRESS}/runs/{{run_id}}/now")
@needs("simulator.run")
def run_now(visit: Visiting, run_id: str) -> Response:
    """How it stands, as a live region."""
    found = _run(visit, run_id)
    return visit.read(lambda u: visit.fragment("desks/simulator_now.html", **_of_run(u, visit, found)))


@router.post(f"{ADDRESS}/runs/{{run_id}}/act")
@needs("simulator.run")
async def act(visit: Visiting, run_id: str) -> Response:
    """Makes something happen to a space or a device; to all that speak to the broker, where it is the broker."""
    written = {name: visit.given(name).strip() for name in EVENT}
    event, errors = event_of(written)
    if errors or visit.resumed:
        return await run_in_threadpool(_run_page, visit, run_id, 422 if errors else 200, errors, written=written)

    def do(port: Simulators) -> None:
        for one in _each(port, run_id, event):
            port.act(run_id, one)

    status, why = await noted_and_done(visit, "simulation.act", run_id, event, do)
    if why:
        return await run_in_threadpool(_run_page, visit, run_id, status, {}, why, written)
    return RedirectResponse(f"{ADDRESS}/runs/{run_id}", 303)


@router.post(f"{ADDRESS}/runs/{{run_id}}/stop")
@needs("simulator.run")
async def stop(visit: Visiting, run_id: str) -> Response:
    """Takes its devices down."""
    status, why = await noted_and_done(visit, "simulation.stop", run_id, {}, lambda port: port.stop(run_id))
    if why:
        return await run_in_threadpool(_run_page, visit, run_id, status, {}, why)
    return RedirectResponse(f"{ADDRESS}/runs/{run_id}", 303)


def _each(port: Simulators, run_id: str, event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The event; where no device is named, that of each that speaks to the broker. `device` may name a unit: box.2."""
    named = str(event.get("device", ""))
    found = next((one for one in port.runs() if one.id == run_id), None)
    devices = found.devices if found is not None else ()
    if "zone" in event:
        return [dict(event)]
    if named:
        one = next((each for each in devices if each.called == named), None)
        return [dict(event) if one is None or one.unit is None else {**event, "device": one.name, "unit": one.unit}]
    return [{**event, "device": one.name} for one in devices if one.protocol in AWAY and one.may_fail]


def _run(visit: Visit, run_id: str) -> RunNow:
    found = next((one for one in _runs(visit) or () if one.id == run_id), None)
    if found is None:
        raise NotFound("web.no_such_run")
    return found


def _of_run(u: Unit, visit: Visit, found: RunNow) -> dict[str, Any]:
    return {
        "run": found,
        "names": names_of(u, [found.by]),
        "said": Said(visit.words),
        "happened": found.happened[:HAPPENED],
        "key": uuid.uuid4().hex,
        "brokered": any(one.protocol in AWAY and one.may_fail for one in found.devices),
        "now": u.now,
    }


def _run_page(
    visit: Visit,
    run_id: str,
    status: int = 200,
    errors: Errors | None = None,
    refused: str = "",
    written: Mapping[str, str] | None = None,
) -> Response:
    found = _run(visit, run_id)
    return visit.read(
        lambda u: visit.page(
            "desks/simulator_run.html",
            status,
            **_of_run(u, visit, found),
            figures=FIGURES,
            written=dict.fromkeys(EVENT, "") | dict(written or {}),
            errors={name: visit.words.say(what) for name, what in (errors or {}).items()},
            faults=faults(visit.words, FIELDS, errors or {}),
            refused=refused,
        )
    )
