"""The records of shipments: shipments with their lines and loggers, and field actions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from core.erp.kernel.records import Column, Create, Entity, Filter, Hidden, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.shipments import queries, scopes, service
from core.erp.shipments.model import FieldAction, FieldActionConsignee, Shipment, ShipmentLine, ShipmentLogger
from core.erp.shipments.shapes import (
    ConclusionIn,
    ConsigneeOut,
    FactIn,
    FieldActionOut,
    HandOverIn,
    HandOverOut,
    HoldOut,
    LegIn,
    LegOut,
    LineIn,
    LineOut,
    LoggerIn,
    LoggerOut,
    LoggerReadIn,
    NotifiedIn,
    PackIn,
    PutBackIn,
    ReturnIn,
    ReturnOut,
    ShipmentIn,
    ShipmentOut,
    UnitOut,
    WaiveIn,
)
from core.erp.shipments.workflow import (
    ARRIVED,
    DISPATCHED,
    FIELD_ACTION,
    IN_TRANSIT,
    LINE,
    LOGGER,
    OPEN,
    PICKED,
    PLANNED,
    SHIPMENT,
)

_line = table(ShipmentLine).c
_NOT_ENDED = frozenset({PLANNED, PICKED, DISPATCHED, IN_TRANSIT, ARRIVED})


def _create(
    u: Unit, *, lines: Sequence[LineIn], legs: Sequence[LegIn], loggers: Sequence[LoggerIn], **fields: Any
) -> Shipment:
    """Plans a shipment and reserves its goods."""
    return service.create(
        u,
        lines=[(line.sublot_id, line.amount) for line in lines],
        legs=[
            service.PlannedLeg(leg.origin, leg.destination, leg.vehicle_zone_id, leg.to_zone_id, leg.carrier)
            for leg in legs
        ],
        loggers=[service.RequiredLogger(logger.serial, logger.zone_id) for logger in loggers],
        **fields,
    )


def _departed(u: Unit, shipment_id: int, *, at: datetime, reason: str, leg: int | None) -> Shipment:
    """A fact: it left then. It stands; a breach opens a deviation and holds the shipment."""
    return service.departed(u, shipment_id, at, reason, leg=leg or 1)


def _notified(u: Unit, action_id: int, *, consignee_id: int) -> FieldActionConsignee:
    """The consignee has been notified."""
    return service.notify_consignee(u, consignee_id, action_id)


def _carries(sublot: Any) -> ColumnElement[bool]:
    return table(Shipment).c.id.in_(select(_line.shipment_id).where(_line.sublot_id == sublot))


SHIPMENTS = Entity(
    name="shipment",
    path="shipments",
    table=Shipment,
    read="shipment.read",
    scope=scopes.SHIPMENTS,
    cycle=SHIPMENT,
    statement=queries.SHIPMENTS,
    answer=ShipmentOut,
    label="code",
    columns=(
        Column("code", filter="eq", sort=True, search=True),
        Column("state", filter="in"),
        Column("kind", filter="in"),
        Column("consignee", filter="eq"),
        Column("consignee_id", filter="eq", link="partner"),
        Column("receiving_zone_id", filter="eq", link="zone"),
        Column("created_at", filter="range", sort=True),
    ),
    filters=(
        Filter("held", bool, lambda held: queries.HELD if held else ~queries.HELD),
        Filter("sublot_id", int, _carries),
    ),
    create=Create("shipment.plan", ShipmentIn, act=_create),
    verbs=(
        Verb("pick", None, service.pick),
        Verb("dispatch", None, service.dispatch),
        # facts, of any leg: they stand whatever the state
        Verb(
            "depart",
            FactIn,
            _departed,
            path="departed",
            states=frozenset({PLANNED, PICKED, DISPATCHED, IN_TRANSIT}),
        ),
        Verb("arrive", FactIn, service.arrived, path="arrived"),
        Verb("accept", None, service.accept),
        Verb("refuse", ReasonIn, service.refuse),
        Verb("cancel", ReasonIn, service.cancel),
        Verb(
            "hand_over",
            HandOverIn,
            signing=service.hand_over_signing,
            permit="shipment.hand_over",
            states=frozenset({PICKED, ARRIVED}),
        ),
        Verb(
            "add_line",
            LineIn,
            service.add_line,
            permit="shipment.plan",
            states=frozenset({PLANNED}),
            path="lines",
            status=201,
        ),
        Verb(
            "require_logger",
            LoggerIn,
            service.require_logger,
            permit="shipment.plan",
            states=_NOT_ENDED,
            path="loggers",
            status=201,
        ),
        Verb(
            "read_logger",
            LoggerReadIn,
            service.confirm_logger_read,
            permit="logger.import",
            states=_NOT_ENDED,
            path="loggers/read",
        ),
        Verb(
            "waive_logger",
            WaiveIn,
            signing=service.waiver_signing,
            permit="logger.waive",
            states=_NOT_ENDED,
            path="loggers/waive",
        ),
    ),
    sections=(
        Section("lines", queries.lines, list[LineOut]),
        Section("legs", queries.legs, list[LegOut]),
        Section("loggers", queries.loggers, list[LoggerOut]),
        Section("hand_overs", queries.hand_overs, list[HandOverOut]),
        Section("holds", queries.holds, list[HoldOut]),
    ),
)

LINES = Entity(
    name="shipment_line",
    path="shipment-lines",
    table=ShipmentLine,
    read="shipment.read",
    scope=scopes.LINES,
    cycle=LINE,
    statement=queries.LINES,
    answer=LineOut,
    columns=(
        Column("shipment_id", filter="eq", link="shipment"),
        Column("sublot_id", filter="eq", link="sublot"),
        Column("state", filter="in"),
    ),
    verbs=(
        Verb("pack", PackIn, service.pack, permit=("stock.pick", "shipment.plan"), answer=UnitOut),
        Verb("put_back", PutBackIn, service.put_back, permit="stock.pick"),
        Verb("return", ReturnIn, service.returned, permit="stock.receive", answer=ReturnOut, status=201),
    ),
)

LOGGERS = Entity(
    name="shipment_logger",
    path="shipment-loggers",
    table=ShipmentLogger,
    read="shipment.read",
    scope=scopes.LOGGERS,
    cycle=LOGGER,
    answer=LoggerOut,
    label="serial",
    columns=(
        Column("shipment_id", filter="eq", link="shipment"),
        Column("serial", filter="eq"),
        Column("state", filter="in"),
    ),
)

FIELD_ACTIONS = Entity(
    name="field_action",
    path="field-actions",
    table=FieldAction,
    read="shipment.read",
    scope=scopes.FIELD_ACTIONS,
    cycle=FIELD_ACTION,
    statement=queries.FIELD_ACTIONS,
    answer=FieldActionOut,
    columns=(
        Column("excursion_id", filter="eq", link="excursion"),
        Column("sublot_id", filter="eq", link="sublot"),
        Column("state", filter="in"),
    ),
    hidden=Hidden(table(FieldAction).c.state == OPEN, unless="state"),
    verbs=(
        Verb("notified", NotifiedIn, _notified, permit=("shipment.report", "excursion.disposition")),
        Verb("close", ConclusionIn, service.close_field_action),
    ),
    sections=(Section("consignees", queries.consignees, list[ConsigneeOut]),),
)

ENTITIES = (SHIPMENTS, LINES, LOGGERS, FIELD_ACTIONS)
