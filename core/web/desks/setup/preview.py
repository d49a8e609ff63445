"""A new version of a profile tried on what a zone went through, before anybody makes it; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import Response

from core.erp.catalog import rules
from core.erp.catalog.limit_words import limit_of
from core.erp.catalog.queries import versions_of
from core.erp.catalog.shapes import VersionIn
from core.erp.exposure.history.preview import Preview, preview
from core.erp.exposure.readings.profiles import drafted
from core.erp.exposure.rules.assess import Break
from core.erp.exposure.times import moment
from core.erp.kernel.door import needs
from core.erp.kernel.errors import Invalid, LotwiseError
from core.erp.kernel.http import Id
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, render
from core.web.desks.limits import broken_look, limit_name
from core.web.frame.routes import page_routes
from core.web.frame.states import Tone
from core.web.frame.visit import Visit, Visiting
from core.web.records.forms import MORE
from core.web.records.inputs import Filled, Input, inputs, summary
from core.web.records.parsing import read_form
from core.web.records.pickers import find

router = page_routes()
DAYS = ("7", "30", "90")


@dataclass(frozen=True, slots=True)
class FoundBreak:
    """One break as it is told: how surely, of which limit, when, and how long it was out."""

    look: Tone
    certainty: str
    limit: str
    started_at: datetime
    broke_at: datetime
    ended_at: datetime | None
    out: timedelta


@dataclass(frozen=True, slots=True)
class Told:
    """What a version would have found, and over what."""

    start: datetime
    stop: datetime
    covered: float
    lowest: float | None
    highest: float | None
    breaks: Sequence[FoundBreak]


@dataclass(frozen=True, slots=True)
class Tried:
    """The version written and the one before it, each on the same span; None where nobody measures."""

    zone: str
    new: Told
    old: Told | None
    old_number: int | None


@router.get("/setup/profiles/{profile_id:int}/preview")
@needs("catalog.read")
def show(visit: Visiting, profile_id: Id) -> Response:
    """The form, with what the newest version says."""

    def work(u: Unit) -> Response:
        row = row_of(u, entities()["storage_profile"], profile_id)
        versions = versions_of(u, row)
        fields = _fields(visit, Filled(values=versions[-1].model_dump() if versions else {}))
        for one in fields:
            del one.rows[max(len(one.rows) - 1, 1) :]  # the empty line is asked for
        return _page(visit, row, fields)

    return visit.read(work)


@router.post("/setup/profiles/{profile_id:int}/preview")
@needs("catalog.read")
def tried(visit: Visiting, profile_id: Id) -> Response:
    """What the version that is written would have found."""

    def work(u: Unit) -> Response:
        u.actor.need("exposure.read")
        row = row_of(u, entities()["storage_profile"], profile_id)
        written = Filled(written=visit.form, more=visit.given(MORE))
        if visit.resumed or written.more:
            return _page(visit, row, _fields(visit, written))
        body, errors = read_form(u, entities()["storage_profile"], VersionIn, visit.form, visit.zone)
        zone = find(u, entities()["zone"], visit.given("zone").strip())
        if not zone:
            errors["zone"] = Message(
                "web.none_called", what=render(Message("record.zone"), visit.language), text=visit.given("zone")
            )
        said = {path: render(what, visit.language, visit.zone) for path, what in errors.items()}
        fields = _fields(visit, Filled(written=visit.form, errors=said))
        if body is None or errors:
            return _page(visit, row, fields, 422, zone_error=said.get("zone", ""))
        try:
            return _page(visit, row, fields, found=_try(u, visit, row, body, zone[0]))
        except LotwiseError as error:
            return _page(visit, row, fields, error.status, refused=error.text(visit.language))

    return visit.door.look(work)


def _fields(visit: Visit, filled: Filled) -> list[Input]:
    return inputs(entities()["storage_profile"], VersionIn, visit.words, filled)


def _page(
    visit: Visit,
    row: Any,
    fields: list[Input],
    status: int = 200,
    *,
    found: Tried | None = None,
    refused: str = "",
    zone_error: str = "",
) -> Response:
    zone = Input("zone", visit.words.label("record.zone"), "link", required=True, link="zone", error=zone_error)
    zone.value = visit.given("zone")
    return visit.page(
        "desks/preview.html",
        status,
        profile=row,
        zone=zone,
        days=DAYS,
        chosen=visit.given("days") or DAYS[1],
        fields=fields,
        faults=summary([zone, *fields]),
        refused=refused,
        found=found,
        address=f"/setup/profiles/{row.id}/preview",
    )


def _try(u: Unit, visit: Visit, row: Any, body: VersionIn, zone_id: int) -> Tried:
    wrong = rules.faults(body.limits, body.allowed_gap)  # type: ignore[arg-type]  # shapes have a limit's fields
    if wrong:
        raise Invalid("catalog.limits_wrong", faults=wrong)
    days = visit.given("days")
    start = u.now - timedelta(days=int(days if days in DAYS else DAYS[1]))
    zone = row_of(u, entities()["zone"], zone_id)
    versions = versions_of(u, row)
    new = preview(u.conn, zone_id, drafted(body), start, u.now)
    if new is None:
        raise Invalid("web.nobody_measures", zone=zone.address)
    before = versions[-1] if versions else None
    old = preview(u.conn, zone_id, drafted(before), start, u.now) if before is not None else None
    return Tried(
        zone.name,
        _told(new, body.limits, visit),
        _told(old, before.limits, visit) if old is not None and before is not None else None,
        before.version if before is not None else None,
    )


def _told(found: Preview, limits: Sequence[Any], visit: Visit) -> Told:
    length = found.stop - found.start
    return Told(
        moment(found.start),
        moment(found.stop),
        found.covered / length if length else 0.0,
        found.lowest,
        found.highest,
        [_break(one, limits, visit) for one in sorted(found.breaks, key=lambda one: one.broke)],
    )


def _break(one: Break, limits: Sequence[Any], visit: Visit) -> FoundBreak:
    look, word = broken_look(one.certainty)
    return FoundBreak(
        look,
        visit.words.t(word),
        limit_name(limit_of(limits, one.limit_key), visit.words),
        moment(one.started),
        moment(one.broke),
        moment(one.ended) if one.ended is not None else None,
        timedelta(microseconds=one.out),
    )
