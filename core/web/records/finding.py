"""One search for everything: every kind of record that its reader may read, and codes as scanners give them."""

import re
from dataclasses import dataclass

from fastapi import Response
from fastapi.responses import RedirectResponse

from core.erp.kernel.door import signed_in_only
from core.erp.kernel.gs1_elements import BadElements
from core.erp.kernel.gs1_elements import read as elements_of
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.pickers import Offer, find, offers

router = page_routes()
LONGEST = 200
SOUGHT = (
    "sublot",
    "lot",
    "shipment",
    "work_order",
    "zone",
    "item",
    "partner",
    "sensor",
    "shipment_logger",
    "point",
    "supplier_certificate",
    "capa",
    "work_centre",
    "site",
    "user",
)
"""Kinds that have names, those that are asked for most first."""
PARTS = {"21": "serial", "10": "lot", "00": "handling unit"}
"""GS1 application identifiers whose value is looked for: serial number, lot, SSCC."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What one kind of record has of that name."""

    entity: Entity
    offers: list[Offer]


@router.get("/find")
@signed_in_only()
def found(visit: Visiting, q: str = "") -> Response:
    """What is called so, or begins so; a single record that is called so is opened at once."""
    return visit.read(lambda u: _page(u, visit, q.strip()[:LONGEST]))


def _page(u: Unit, visit: Visit, words: str) -> Response:
    if not words:
        return visit.page("records/find.html", words=words, hits=[])
    sought = scanned(words)
    kinds = [entities()[name] for name in SOUGHT if visit.may(*as_permits(entities()[name].read))]
    exact = [(kind, one) for kind in kinds if kind.label != "id" for text in sought for one in find(u, kind, text)]
    if len(exact) == 1:
        return RedirectResponse(f"/{exact[0][0].path}/{exact[0][1]}", 303)
    hits = [Hits(kind, offered) for kind in kinds if (offered := _offers(u, kind, sought))]
    return visit.page("records/find.html", words=words, hits=hits)


def scanned(words: str) -> list[str]:
    """What to look for: the words themselves, and the serial, lot and handling unit of what a scanner read."""
    code = _CODE.fullmatch(words)
    if code is None:
        return [words]
    try:
        parts = {one.ai: one.value for one in elements_of(code[1] or code[2])}
    except BadElements:
        return [words]
    return [words, *(parts[ai] for ai in PARTS if ai in parts)]


_CODE = re.compile(r"(?:\][A-Za-z]\d)?((?:01\d{14}|00\d{18}).*)|\][A-Za-z]\d(.+)", re.DOTALL)
"""A GS1 message: behind its symbology identifier, or beginning with a GTIN or an SSCC of full length."""


def _offers(u: Unit, kind: Entity, sought: list[str]) -> list[Offer]:
    found = {one.id: one for text in sought if len(text) > 1 or not text.isascii() for one in offers(u, kind, text)}
    return list(found.values())
