"""The page of sources: a broker or server is asked, or a configuration pasted; its points go into the catalog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from core.erp.catalog.model import Point, Site, Zone
from core.erp.catalog.scopes import ZONES
from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.errors import Invalid
from core.erp.kernel.records import write
from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.web.desks.sources.port import AskedSource, CannotAsk, NotOfThePlant, Offered, OfferedPoint, Sources
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting

router = page_routes()
ADDRESS = "/setup/sources"
ASKED = ("address", "zone", "gateway", "user", "seconds", "topics", "units", "registers")
"""Fields of the form, but the password, which is never shown again."""
BEGUN: Mapping[str, str] = {
    "address": "",
    "zone": "",
    "gateway": "",
    "user": "",
    "seconds": "15",
    "topics": "#",
    "units": "1",
    "registers": "input:0-31 holding:0-31",
}
SECONDS_MOST, LONGEST, PASTED_MOST = 60, 400, 200_000
POINTS_MOST = 500
"""Points that are taken at once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A point that is offered: whether the catalog has it, and its zone."""

    point: OfferedPoint
    known: bool
    zone: str
    zone_id: int | None


class Taken(BaseModel):
    """How many points were made."""

    made: int


def _port(visit: Visit) -> Sources:
    port: Sources = visit.request.app.state.sources
    return port


@router.get(ADDRESS)
@needs("catalog.points")
def sources(visit: Visiting) -> Response:
    """The two ways: ask, or paste."""
    return _page(visit, {})


@router.post(f"{ADDRESS}/ask")
@needs("catalog.points")
async def ask(visit: Visiting) -> Response:
    """Asks a broker or server; that somebody did stands in the trail, before it is done."""
    written = {name: visit.given(name).strip()[:LONGEST] for name in ASKED}
    if visit.resumed:
        return await run_in_threadpool(_page, visit, written)
    seconds = whole(written["seconds"])
    if not written["address"] or "@" in written["address"] or not seconds or seconds > SECONDS_MOST:
        refused = visit.words.t("web.source_unfit", most=SECONDS_MOST)
        return await run_in_threadpool(_page, visit, written, 422, refused)
    asked = AskedSource(**{**written, "seconds": float(seconds)}, password=visit.given("password")[:LONGEST])  # type: ignore[arg-type]  # seconds is the only number

    def work(u: Unit) -> list[BaseModel]:
        u.audit("source.browse", "gateway", asked.gateway or "-", after={"address": asked.address})
        return []

    outcome = await visit.post(work)
    if outcome.refused:
        return await run_in_threadpool(_page, visit, written, outcome.status, outcome.detail)
    try:
        found = await _port(visit).ask(asked)
    except CannotAsk as error:
        return await run_in_threadpool(_page, visit, written, 422, visit.words.t("web.source_refuses", why=str(error)))
    except NotOfThePlant:
        said = visit.words.t("web.source_not_of_plant", address=asked.address)
        return await run_in_threadpool(_page, visit, written, 403, said)
    return await run_in_threadpool(_page, visit, written, found=found)


@router.post(f"{ADDRESS}/paste")
@needs("catalog.points")
async def paste(visit: Visiting) -> Response:
    """Reads a gateway's configuration that was pasted."""
    text = visit.given("text")
    if visit.resumed:
        return await run_in_threadpool(_page, visit, {}, text=text)
    if not text.strip() or len(text) > PASTED_MOST:
        said = visit.words.t("web.paste_unfit", most=PASTED_MOST)
        return await run_in_threadpool(_page, visit, {}, 422, said, text=text[:PASTED_MOST])
    try:
        found = await _port(visit).read(text)
    except CannotAsk as error:
        said = visit.words.t("web.paste_refused", why=str(error))
        return await run_in_threadpool(_page, visit, {}, 422, said, text=text)
    return await run_in_threadpool(_page, visit, {}, found=found, text=text)


@router.post(f"{ADDRESS}/points")
@needs("catalog.points")
async def take(visit: Visiting) -> Response:
    """Makes the points that were chosen, all or none."""
    chosen = visit.form.get("point", [])

    def work(u: Unit) -> Taken:
        if not chosen or len(chosen) > POINTS_MOST:
            raise Invalid("web.points_unfit", most=POINTS_MOST)
        addresses = [one.partition(" ")[0] for one in chosen]
        if visit.given("zones"):
            _make_zones(u, addresses)
        zones = _zones(u, addresses)
        bodies = [_body(one, zones) for one in chosen]
        for body in bodies:
            write.create(u, entities()["point"], body)
        return Taken(made=len(bodies))

    outcome = await visit.post(work)
    if outcome.refused:
        return await run_in_threadpool(_page, visit, {}, outcome.status, outcome.detail)
    return RedirectResponse(f"{ADDRESS}?made={outcome.body['made']}", 303)


def _make_zones(u: Unit, addresses: Sequence[str]) -> None:
    """Makes the zones of these points that are not there, called as the last part of their address says.

    Raises Forbidden, Invalid (a site that is not there), and as the making of a zone does.
    """
    zone = entities()["zone"]
    assert zone.create is not None
    z, s = table(Zone).c, table(Site).c
    wanted = {_zone_of(one) for one in addresses}
    there = set(u.conn.scalars(select(z.address).where(z.address.in_(wanted))))
    sites = {row.code: row.id for row in u.conn.execute(select(s.code, s.id))}
    for address in sorted(wanted - there):
        u.actor.need(*as_permits(zone.create.permit))
        code, _, name = address.partition("/")
        try:
            body = zone.create.body.model_validate(
                {"site_id": sites.get(code), "address": address, "name": name.rpartition("/")[2]}
            )
        except ValidationError as error:
            raise Invalid("web.point_unfit", address=address) from error
        write.create(u, zone, body)


def _body(chosen: str, zones: Mapping[str, int]) -> BaseModel:
    """What makes the point of `ADDRESS QUANTITY ROLE UNIT`. Raises Invalid."""
    create = entities()["point"].create
    assert create is not None
    address, quantity, role, unit = (*chosen.split(" ", 3), "", "", "")[:4]
    try:
        return create.body.model_validate(
            {
                "zone_id": zones.get(_zone_of(address)),
                "address": address,
                "quantity": quantity,
                "role": role,
                "unit": unit,
            }
        )
    except ValidationError as error:
        raise Invalid("web.point_unfit", address=address) from error


def _zone_of(address: str) -> str:
    return "/".join(address.split("/")[:3])


def _zones(u: Unit, addresses: Sequence[str]) -> dict[str, int]:
    """By address the zones of these points that the reader sees."""
    z = table(Zone).c
    wanted = select(z.address, z.id).where(z.address.in_({_zone_of(one) for one in addresses}))
    return {row.address: row.id for row in u.conn.execute(scoped(wanted, ZONES, u.actor))}


def _standing(u: Unit, points: Sequence[OfferedPoint]) -> list[Standing]:
    p = table(Point).c
    addresses = [one.address for one in points]
    known = set(u.conn.scalars(select(p.address).where(p.address.in_(addresses))))
    zones = _zones(u, addresses)
    return [
        Standing(one, one.address in known, _zone_of(one.address), zones.get(_zone_of(one.address))) for one in points
    ]


def _page(
    visit: Visit,
    written: Mapping[str, str],
    status: int = 200,
    refused: str = "",
    *,
    found: Offered | None = None,
    text: str = "",
) -> Response:
    def work(u: Unit) -> Response:
        standing, makes = _standing(u, found.points) if found is not None else [], visit.may("catalog.manage")
        context: dict[str, Any] = {
            "written": {**BEGUN, **written},
            "text": text,
            "refused": refused,
            "found": found,
            "standing": standing,
            "missing": sorted({one.zone for one in standing if one.zone_id is None}),
            "takes": any((one.zone_id is not None or makes) and not one.known for one in standing),
            "makes": makes,
            "networks": _port(visit).networks,
            "made": whole(visit.request.query_params.get("made", "")),
        }
        return visit.page("desks/sources.html", status, **context)

    return visit.read(work)
