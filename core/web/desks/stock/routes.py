"""The stock desk's routes: goods for a purpose, and the way from chosen goods to what stands on them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Response
from fastapi.responses import RedirectResponse
from sqlalchemy import ColumnElement, Select, func, select

from core.erp.catalog.model import Item, Zone
from core.erp.kernel.door import needs
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import Scope, scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.model import Hold, Restriction, Sublot
from core.erp.lots.rules import Purpose
from core.erp.lots.scopes import HOLDS, RESTRICTIONS
from core.web.desks.stock.finding import SHOWN, Goods, goods
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.lists import Listing
from core.web.records.many import RECORD, address, chosen_ids
from core.web.records.shown import named

router = page_routes()
HERE = "/stock"
ACTS = {"hold": "web.stock_hold", "restrict": "web.stock_restrict"}
"""Verbs that are done with many sublots from here, and the ids of what their buttons say."""
LIFTS = {
    f"{HERE}/holds": ("web.stock_lift_holds", lots.LIFT_PERMITS),
    f"{HERE}/restrictions": ("web.stock_lift_restrictions", ("lot.restrict",)),
}
_h, _r, _s, _i, _z = (table(one).c for one in (Hold, Restriction, Sublot, Item, Zone))


class StockListing(Listing):
    """The list of sublots, at this desk's address."""

    def address(self, **changed: str | None) -> str:
        """As of any list."""
        return HERE + super().address(**changed).removeprefix(f"/{self.entity.path}")


@router.get(HERE)
@needs("stock.read")
def stock(visit: Visiting) -> Response:
    """Goods, and what stands against each for the purpose asked."""
    return visit.read(lambda u: _page(u, visit))


def _page(u: Unit, visit: Visit) -> Response:
    sublots, query = entities()["sublot"], visit.request.query_params
    listing = StockListing(sublots, visit)
    purpose = query.get("purpose", "") if query.get("purpose", "") in set(Purpose) else str(Purpose.SALE)
    shown = query.get("shown", "") if query.get("shown", "") in SHOWN else "all"
    context = {name: text for name in ("market", "customer") if (text := query.get(name, "").strip())}
    asked, refused = listing.asked(u), ""
    try:
        found = goods(u, asked, purpose, context, shown, empty="empty" in query)
    except LotwiseError as error:
        found, refused = Goods((), None, 0), error.text(visit.language)
    known: dict[tuple[str, int], str] = {}
    for link, ids in listing.linked().items():
        known |= named(u, link, ids)
    return visit.page(
        "desks/stock.html",
        422 if refused else 200,
        listing=listing,
        bar={one.name: one for one in listing.bar(known)},
        found=found,
        refused=refused,
        purposes=list(Purpose),
        purpose=purpose,
        context=context,
        shown=shown,
        choices=SHOWN,
        empty="empty" in query,
        units=_of(u, _i.uom, _i.id, [good.row["item_id"] for good in found.found]),
        places=_of(u, func.coalesce(_z.name, _z.address), _z.id, [good.row["zone_id"] for good in found.found]),
        acts=[
            (address(sublots, verb), word)
            for verb in sublots.verbs
            if (word := ACTS.get(verb.name)) and visit.may(*sublots.permits(verb))
        ],
        lifts=[(at, word) for at, (word, permits) in LIFTS.items() if visit.may(*permits)],
    )


def _of(u: Unit, what: Any, key: ColumnElement[Any], ids: Sequence[int | None]) -> dict[int, str]:
    wanted = sorted({one for one in ids if one is not None})
    return {row[0]: row[1] for row in u.conn.execute(select(key, what).where(key.in_(wanted)))} if wanted else {}


@router.get(f"{HERE}/holds")
@needs(*lots.LIFT_PERMITS)
def holds(visit: Visiting) -> Response:
    """Leads to the lifting of what holds the chosen goods, their lots' holds too."""
    ids = chosen_ids(visit.request.query_params.getlist(RECORD))
    lots_of = select(_s.lot_id).where(_s.id.in_(ids))
    wanted = select(_h.id).where(_h.lifted_at.is_(None), _h.sublot_id.in_(ids) | _h.lot_id.in_(lots_of))
    return _lifting(visit, "hold", wanted.order_by(_h.id), HOLDS)


@router.get(f"{HERE}/restrictions")
@needs("lot.restrict")
def restrictions(visit: Visiting) -> Response:
    """Leads to the lifting of the conditions on the chosen goods."""
    ids = chosen_ids(visit.request.query_params.getlist(RECORD))
    wanted = select(_r.id).where(_r.lifted_at.is_(None), _r.sublot_id.in_(ids))
    return _lifting(visit, "restriction", wanted.order_by(_r.id), RESTRICTIONS)


def _lifting(visit: Visit, name: str, wanted: Select[Any], scope: Scope) -> Response:
    ids, entity = visit.read(lambda u: u.conn.scalars(scoped(wanted, scope, u.actor)).all()), entities()[name]
    lift = next(verb for verb in entity.verbs if verb.name == "lift")
    query = [(RECORD, one) for one in ids] + [("back", visit.request.query_params.get("back", HERE))]
    return RedirectResponse(f"{address(entity, lift)}?{urlencode(query)}", 303)
