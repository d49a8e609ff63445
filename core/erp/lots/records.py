"""The records of goods: lots, sublots, holds, restrictions, reservations, moves of the ledger, what holds ask for."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Row, select, true

from core.erp.kernel.http import not_future
from core.erp.kernel.records import Change, Column, Create, Entity, Filter, Hidden, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import queries, scopes, service
from core.erp.lots.model import Hold, Lot, Reservation, Restriction, StockMove, StockTask, Sublot
from core.erp.lots.rules import Purpose
from core.erp.lots.shapes import (
    ArriveIn,
    Context,
    ContextIn,
    CountIn,
    FactIn,
    HoldIn,
    HoldOut,
    LotChange,
    LotIn,
    LotOut,
    MoveIn,
    MoveOut,
    ReceiveIn,
    ReservationOut,
    ReserveIn,
    RestrictionIn,
    RestrictionOut,
    SplitIn,
    SublotHoldIn,
    SublotOut,
    TaskOut,
)
from core.erp.lots.workflow import RESERVATION, SUBLOT

_hold, _task, _sublot = table(Hold).c, table(StockTask).c, table(Sublot).c


def _context(given: Context | None) -> dict[str, Any]:
    return given.model_dump(exclude_none=True) if given is not None else {}


# --- acts, where the form is not what the service takes


def _receive(u: Unit, lot_id: int, **fields: Any) -> Row[Any]:
    """Goods came in: a sublot begins, in quarantine."""
    return queries.sublot_row(u, service.receive(u, lot_id, **fields).id)


def _arrive(
    u: Unit, sublot_id: int, *, amount: Decimal, zone_id: int | None, at: datetime | None, reason: str
) -> Sublot:
    """An expected sublot is here, in quarantine."""
    return service.arrive(u, sublot_id, amount, zone_id, at=not_future(at, u), reason=reason)


def _split(u: Unit, sublot_id: int, **fields: Any) -> Row[Any]:
    """Part of it becomes a sublot of its own, with the whole history."""
    return queries.sublot_row(u, service.split(u, sublot_id, **fields).id)


def _move(
    u: Unit,
    sublot_id: int,
    *,
    amount: Decimal,
    target: str,
    purpose: Purpose,
    reference: str,
    reason: str | None,
    context: Context | None,
) -> StockMove:
    """Takes stock out: an intention, checked again in the transaction that posts it. 409 names every obstacle."""
    return service.move(
        u,
        sublot_id,
        amount,
        target,
        purpose=purpose,
        reference=reference,
        reason=reason,
        context=_context(context),
    )


def _post_fact(
    u: Unit,
    sublot_id: int,
    *,
    amount: Decimal,
    target: str,
    purpose: Purpose,
    reference: str,
    at: datetime,
    reason: str,
) -> StockMove:
    """What has happened: posted with its true time, never refused; a breach opens a deviation and a hold."""
    return service.post_fact(u, sublot_id, amount, target, purpose=purpose, reference=reference, at=at, reason=reason)


def _reserve(
    u: Unit, sublot_id: int, *, amount: Decimal, purpose: Purpose, reference: str, context: Context | None
) -> Reservation:
    """Keeps a quantity for a work order or shipment."""
    return service.reserve(u, sublot_id, amount, purpose, reference, context=_context(context))


def _restrict(u: Unit, sublot_id: int, *, kind: str, value: Mapping[str, Any], reason: str) -> Restriction:
    """Puts a condition on use."""
    return service.restrict(u, sublot_id, kind, value, reason)


def _pick(u: Unit, reservation_id: int, **context: Any) -> Reservation:
    """Takes reserved goods to hand: refused for whatever stands against them now."""
    return service.pick(u, reservation_id, context=_context(Context(**context)))


def _consume(u: Unit, reservation_id: int, **context: Any) -> StockMove:
    """Posts reserved goods out of stock, for their purpose."""
    return service.consume(u, reservation_id, context=_context(Context(**context)))


def _place(u: Unit, *, since_at: datetime | None, **fields: Any) -> int:
    """Places a hold, and on everything it must reach; the one asked for is answered."""
    return service.place_hold(u, since_at=not_future(since_at, u), **fields)[0].id


def _place_on(u: Unit, sublot_id: int, *, since_at: datetime | None, **fields: Any) -> Hold:
    """Holds the sublot, and everything that the hold must reach."""
    placed = service.place_hold(u, since_at=not_future(since_at, u), sublot_id=sublot_id, **fields)
    return u.get_one(Hold, placed[0].id)


def _status(move: str) -> Verb:
    """A decision of QA. It moves no stock: what leaves does so by a posting for that purpose."""
    return Verb(move, ReasonIn, partial(service.change_status, move=move))


def _on_sublot(sublot_id: Any) -> ColumnElement[bool]:
    """A sublot's holds and its lot's."""
    lot = select(_sublot.lot_id).where(_sublot.id == sublot_id).scalar_subquery()
    condition: ColumnElement[bool] = (_hold.sublot_id == sublot_id) | (_hold.lot_id == lot)
    return condition


def _open_holds(only: bool) -> ColumnElement[bool]:
    return _hold.lifted_at.is_(None) if only else true()


def _open_tasks(only: bool) -> ColumnElement[bool]:
    return _task.done_at.is_(None) if only else true()


# --- what there is

LOTS = Entity(
    name="lot",
    path="lots",
    table=Lot,
    read="stock.read",
    scope=scopes.LOTS,
    answer=LotOut,
    label="number",
    columns=(
        Column("item_id", filter="eq", link="item"),
        Column("number", filter="eq", sort=True, search=True),
        Column("maker_id", filter="eq", link="partner"),
        Column("expiry", filter="range"),
    ),
    create=Create("stock.receive", LotIn, act=service.create_lot),
    change=Change(("stock.receive", "partner.manage"), LotChange, act=service.name_maker),
    verbs=(Verb("receive", ReceiveIn, _receive, permit="stock.receive", answer=SublotOut, status=201),),
    order="id",
)

SUBLOTS = Entity(
    name="sublot",
    path="sublots",
    table=Sublot,
    read="stock.read",
    scope=scopes.SUBLOTS,
    cycle=SUBLOT,
    statement=queries.SUBLOTS,
    answer=SublotOut,
    label="code",
    columns=(
        Column("code", filter="eq", sort=True, search=True),
        Column("state", filter="in"),
        Column("zone_id", filter="eq", link="zone"),
        Column("lot_id", filter="eq", link="lot"),
        Column("item_id", filter="eq", link="item"),
        Column("expiry", filter="range"),
        Column("created_at", filter="range", sort=True),
    ),
    filters=(Filter("held", bool, lambda held: queries.AMONG_HELD if held else queries.FREE),),
    verbs=(
        Verb("arrive", ArriveIn, _arrive, permit="stock.receive"),
        *(_status(move) for move in ("reject", "retest", "rework", "return", "destroy")),
        Verb("split", SplitIn, _split, permit="stock.move", answer=SublotOut, status=201),
        Verb("move", MoveIn, _move, permit="stock.move", answer=MoveOut, status=201),
        Verb("reserve", ReserveIn, _reserve, permit=("stock.move", "stock.reserve"), answer=ReservationOut, status=201),
        Verb(
            "restrict",
            RestrictionIn,
            _restrict,
            permit="lot.restrict",
            answer=RestrictionOut,
            status=201,
            many=True,
        ),
        Verb("hold", SublotHoldIn, _place_on, permit="hold.place", path="holds", answer=HoldOut, status=201, many=True),
        Verb("post_fact", FactIn, _post_fact, permit="fact.post", path="facts", answer=MoveOut, status=201),
        Verb("found", CountIn, service.post_found, permit="fact.post", answer=MoveOut, status=201),
        Verb("lost", CountIn, service.post_lost, permit="fact.post", answer=MoveOut, status=201),
    ),
    order="id",
)

HOLDS = Entity(
    name="hold",
    path="holds",
    table=Hold,
    read="stock.read",
    scope=scopes.HOLDS,
    answer=HoldOut,
    columns=(
        Column("lot_id", filter="eq", link="lot"),
        Column("sublot_id", link="sublot"),
        Column("shipment_id", filter="eq", link="shipment"),
        Column("excursion_id", filter="eq", link="excursion"),
        Column("kind", filter="in"),
    ),
    filters=(Filter("sublot_id", int, _on_sublot), Filter("open_only", bool, _open_holds)),
    hidden=Hidden(_hold.lifted_at.is_(None), unless="open_only"),
    create=Create("hold.place", HoldIn, act=_place, undo="lift"),
    verbs=(
        # which of these it needs, the hold itself says
        Verb("lift", ReasonIn, service.lift_hold, permit=service.LIFT_PERMITS),
    ),
)

RESTRICTIONS = Entity(
    name="restriction",
    path="restrictions",
    table=Restriction,
    read="stock.read",
    scope=scopes.RESTRICTIONS,
    answer=RestrictionOut,
    columns=(Column("sublot_id", filter="eq", link="sublot"), Column("kind", filter="in")),
    verbs=(Verb("lift", ReasonIn, service.lift_restriction, permit="lot.restrict"),),
    order="id",
)

RESERVATIONS = Entity(
    name="reservation",
    path="reservations",
    table=Reservation,
    read="stock.read",
    scope=scopes.RESERVATIONS,
    cycle=RESERVATION,
    answer=ReservationOut,
    columns=(
        Column("sublot_id", filter="eq", link="sublot"),
        Column("reference", filter="eq"),
        Column("state", filter="in"),
    ),
    verbs=(
        Verb("pick", ContextIn, _pick, permit="stock.pick"),
        Verb("consume", ContextIn, _consume, permit="stock.move", answer=MoveOut, status=201),
        Verb("cancel", ReasonIn, service.cancel_reservation, permit=("stock.pick", "stock.reserve")),
        Verb("resume", None, service.resume_reservation, permit="stock.pick"),
    ),
    order="id",
)

MOVES = Entity(
    name="stock_move",
    path="moves",
    table=StockMove,
    read="stock.read",
    scope=scopes.MOVES,
    answer=MoveOut,
    columns=(Column("sublot_id", filter="eq", link="sublot"), Column("reference", filter="eq")),
    verbs=(Verb("reverse", ReasonIn, service.reverse, permit="stock.move", answer=MoveOut, status=201),),
    order="id",
)

STOCK_TASKS = Entity(
    name="stock_task",
    path="stock-tasks",
    table=StockTask,
    read="stock.read",
    scope=scopes.STOCK_TASKS,
    answer=TaskOut,
    columns=(Column("kind", filter="in"), Column("sublot_id", filter="eq", link="sublot")),
    filters=(Filter("open_only", bool, _open_tasks),),
    hidden=Hidden(_task.done_at.is_(None), unless="open_only"),
    verbs=(Verb("done", None, service.close_task, permit="stock.pick"),),
    order="id",
)

ENTITIES = (LOTS, SUBLOTS, HOLDS, RESTRICTIONS, RESERVATIONS, MOVES, STOCK_TASKS)
