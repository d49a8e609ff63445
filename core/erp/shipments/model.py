"""Tables of shipments: shipments, legs, lines, required loggers, field actions."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref
from core.erp.kernel.search_indexes import beginnings
from core.erp.lots.model import amount_column, positive


class Shipment(SQLModel, table=True):
    """What travels to one consignee. *Held* is not a state: any open shipment may have holds.

    `consignee` is as it was ordered, `consignee_id` the partner that is meant, once somebody has said so.

    `kind`: sale (leaves our stock), transfer (between our own zones), inbound (from a supplier).
    States: planned, picked, dispatched, in_transit, arrived, accepted, refused, cancelled. `receiving_zone_id` is
    where it arrives, if that place is ours or watched by us.
    """

    __tablename__ = "shipment"
    __table_args__ = (
        CheckConstraint("kind IN ('sale', 'transfer', 'inbound')"),
        CheckConstraint(
            "state IN ('planned', 'picked', 'dispatched', 'in_transit', 'arrived', 'accepted', 'refused', 'cancelled')"
        ),
        Index("shipment_due", "state", "due_at", "id"),
        Index("shipment_created", "created_at", "id"),
        beginnings("shipment", "code"),
    )

    id: int = identity()
    code: str = Field(unique=True)
    kind: str = "sale"
    consignee: str
    consignee_id: int | None = ref(nullable=True, index=True)
    market: str = ""
    receiving_zone_id: int | None = ref(nullable=True)
    state: str = "planned"
    created_at: datetime = moment()
    due_at: datetime | None = moment(nullable=True)
    picked_at: datetime | None = moment(nullable=True)
    dispatched_at: datetime | None = moment(nullable=True)
    departed_at: datetime | None = moment(nullable=True)
    arrived_at: datetime | None = moment(nullable=True)
    closed_at: datetime | None = moment(nullable=True)


class ShipmentLeg(SQLModel, table=True):
    """One stretch of the way in one vehicle. `to_zone_id` is where the goods stand after it, if we watch that place."""

    __tablename__ = "shipment_leg"
    __table_args__ = (UniqueConstraint("shipment_id", "number"),)

    id: int = identity()
    shipment_id: int = ref(index=True)
    number: int
    origin: str
    destination: str
    carrier: str = ""
    vehicle_zone_id: int | None = ref(nullable=True, index=True)
    to_zone_id: int | None = ref(nullable=True)
    departed_at: datetime | None = moment(nullable=True)
    arrived_at: datetime | None = moment(nullable=True)


class ShipmentLine(SQLModel, table=True):
    """An amount of one sublot in a shipment. Picking part of a sublot splits it: the line then names the part.

    States: planned, picked, shipped, put_back (taken out again). `from_zone_id` is where it stood when picked.
    """

    __tablename__ = "shipment_line"
    __table_args__ = (
        positive(),
        CheckConstraint("state IN ('planned', 'picked', 'shipped', 'put_back')"),
        Index("shipment_line_sublot", "sublot_id"),
    )

    id: int = identity()
    shipment_id: int = ref(index=True)
    sublot_id: int = ref()
    amount: Decimal = amount_column()
    handling_unit_id: int | None = ref(nullable=True)
    reservation_id: int | None = ref(nullable=True)
    from_zone_id: int | None = ref(nullable=True)
    state: str = "planned"


class ShipmentLogger(SQLModel, table=True):
    """A logger that must be read before the shipment's receipt leaves quarantine, or be waived with a signature.

    States: required, read, waived.
    """

    __tablename__ = "shipment_logger"
    __table_args__ = (
        UniqueConstraint("shipment_id", "serial"),
        CheckConstraint("state IN ('required', 'read', 'waived')"),
        CheckConstraint("(state = 'waived') = (signature_id IS NOT NULL)"),
        Index("shipment_logger_signature", "signature_id", unique=True),
    )

    id: int = identity()
    shipment_id: int = ref(index=True)
    serial: str
    zone_id: int | None = ref(nullable=True)
    """The zone whose climate the logger records (its box, or the truck)."""
    state: str = "required"
    read_at: datetime | None = moment(nullable=True)
    signature_id: int | None = ref(nullable=True)
    reason: str | None = None


class ShipmentHandOver(SQLModel, table=True):
    """Goods of a shipment passed from our hands: to the carrier, or to the consignee. Signed by who gave them.

    `taken_by` and `vehicle` are what was said at the ramp; `temperature` what was seen there, in °C.
    """

    __tablename__ = "shipment_hand_over"
    __table_args__ = (
        CheckConstraint("taker IN ('carrier', 'consignee')"),
        Index("shipment_hand_over_signature", "signature_id", unique=True),
    )

    id: int = identity()
    shipment_id: int = ref(index=True)
    taker: str
    taken_by: str
    vehicle: str = ""
    temperature: float | None = None
    remark: str = ""
    at: datetime = moment()
    signature_id: int = ref()


class FieldAction(SQLModel, table=True):
    """An excursion became known after goods had left: who must be told, by when. One row per excursion and sublot.

    `happened_at` is when the limit broke, `known_at` when we learned it. States: open, closed.
    """

    __tablename__ = "field_action"
    __table_args__ = (UniqueConstraint("excursion_id", "sublot_id"), CheckConstraint("state IN ('open', 'closed')"))

    id: int = identity()
    excursion_id: int = ref(index=True)
    sublot_id: int = ref(index=True)
    happened_at: datetime = moment()
    known_at: datetime = moment()
    deadline: datetime = moment()
    state: str = "open"
    conclusion: str | None = None
    closed_at: datetime | None = moment(nullable=True)
    closed_by: str | None = None


class FieldActionConsignee(SQLModel, table=True):
    """One consignee of a field action: how much went there with which shipment, and when he was told."""

    __tablename__ = "field_action_consignee"
    __table_args__ = (UniqueConstraint("action_id", "shipment_id"),)

    id: int = identity()
    action_id: int = ref(index=True)
    shipment_id: int | None = ref(nullable=True)
    consignee: str
    amount: Decimal = amount_column()
    notified_at: datetime | None = moment(nullable=True)
    notified_by: str | None = None
