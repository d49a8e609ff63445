"""A plant as plain rows, with something for every panel of Grafana's boards: the views are what is tested."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine
from sqlmodel import Session, SQLModel

from core.erp.alerting.model import Alert, AlertMessage
from core.erp.catalog.model import (
    Calibration,
    Installation,
    Item,
    Point,
    ProfileLimit,
    ProfileVersion,
    Sensor,
    Site,
    StorageProfile,
    Zone,
)
from core.erp.custody.model import CustodyFact
from core.erp.exposure.model import GapRecord, PointHour, SourceWatermark, ZoneProfile
from core.erp.kernel.model import Heartbeat, OutboxRow, OutboxTask, Signature
from core.erp.lots.model import Hold, Lot, Sublot, ZoneJudged
from core.erp.production.model import Bom, WorkCentre, WorkCentreState, WorkOrder, WorkOrderOperation
from core.erp.quality.model import BatchRelease, Disposition, Excursion, ZoneAlarm
from core.erp.shipments.model import Shipment, ShipmentLeg
from core.ingest.model import BatchFold, BatchRow, DeadLetter, IngestAlarm, IngestWorker
from core.series.landing import write_rows
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from lotwise.bench.plant import unguarded

NOW = datetime.now(UTC).replace(microsecond=0)
AGO = NOW - timedelta(minutes=30)
DAYS_AGO = NOW - timedelta(days=20)
ZONE, TRUCK, GATEWAY, LOT, ITEM = "s1/a/cold-1", "s1/a/truck-1", "gw-1", "L1", "I1"
CHOSEN = {
    "site": ["s1"],
    "area": ["a"],
    "zone": [ZONE, TRUCK],
    "gateway": [GATEWAY],
    "item": [ITEM],
    "lot": [LOT],
}
"""What is chosen on the boards: of an item and a lot one."""
_QUANTITIES = ("temperature", "humidity", "door", "compressor", "state", "good", "reject")


def readings() -> Iterator[Reading]:
    """Half an hour of each quantity of both zones, and of each a bad and an uncertain one."""
    for zone in (ZONE, TRUCK):
        for quantity in _QUANTITIES:
            for step in range(60):
                whole = quantity not in {"temperature", "humidity"}
                value = step // 10 % 2 if quantity in {"door", "compressor"} else (6 if quantity == "state" else step)
                quality = {58: Quality.UNCERTAIN, 59: Quality.BAD}.get(step, Quality.GOOD)
                at = AGO + timedelta(seconds=25 * step)
                yield Reading(
                    f"{zone}/p1/{quantity}",
                    at,
                    value if whole else 5.0 + step / 60,
                    "",
                    quality=quality,
                    reason="" if quality is Quality.GOOD else "device_error",
                    edge_at=at,
                )


def fill(engine: Engine) -> None:
    """A warm room with a held sublot on a held truck, a machine, orders, sensors, and what the core says of itself."""
    with engine.begin() as conn, unguarded(conn), Session(conn) as session:
        for row in _rows():
            session.add(row)
            session.flush()
        write_rows(conn, list(readings()))


def _rows() -> Iterator[SQLModel]:
    yield from _places()
    yield from _goods()
    yield from _quality()
    yield from _production()
    yield from _shipments()
    yield from _ingest()
    yield from _itself()


def _places() -> Iterator[SQLModel]:
    yield Site(id=1, code="S1", name="Site 1")
    for number, address in ((1, ZONE), (2, TRUCK)):
        yield Zone(id=number, site_id=1, address=address, name=address, band_low=2.0, band_high=8.0)
        for place, quantity in enumerate(_QUANTITIES):
            role = "required" if quantity in {"temperature", "humidity"} else "machine"
            point = number * 100 + place
            address_of = f"{address}/p1/{quantity}"
            yield Point(id=point, zone_id=number, address=address_of, quantity=quantity, unit="", role=role)
            if role == "required":
                for hours in range(481):
                    at = (DAYS_AGO + timedelta(hours=hours)).replace(minute=0, second=0)
                    if not 100 < hours < 110:  # a gap
                        yield PointHour(point_id=point, hour_at=at, low=4.0, high=6.0, median=5.0, readings=60, rises=0)
    yield ZoneJudged(zone_id=1, last_value=9.5, last_good_at=NOW, judged_to=NOW, watermark=NOW)
    yield Sensor(id=1, serial="SN-1", model="probe")
    yield Installation(sensor_id=1, point_id=100, from_at=DAYS_AGO)
    yield Calibration(
        sensor_id=1, done_at=DAYS_AGO, due_at=NOW + timedelta(days=20), known_at=DAYS_AGO, recorded_by="eng"
    )


def _goods() -> Iterator[SQLModel]:
    yield StorageProfile(id=1, code="2-8", name="2-8 °C")
    yield ProfileVersion(id=1, profile_id=1, version=1, allowed_gap=timedelta(minutes=30), created_at=DAYS_AGO)
    yield ProfileLimit(version_id=1, key="high", op=">", threshold=8.0, kind="consecutive")
    yield ZoneProfile(zone_id=1, version_id=1, from_at=DAYS_AGO)
    yield Item(id=1, code=ITEM, name="Item", profile_id=1)
    yield Lot(id=1, item_id=1, number=LOT, created_at=DAYS_AGO)
    yield Sublot(id=1, code="SL1", lot_id=1, zone_id=1, created_at=DAYS_AGO)
    yield CustodyFact(sublot_id=1, zone_id=2, at=DAYS_AGO, known_at=DAYS_AGO, actor="wes")
    yield CustodyFact(sublot_id=1, zone_id=1, at=AGO, known_at=AGO, actor="wes")
    yield Signature(id=1, user_id=1, name="Q", at=NOW, meaning="m", entity="excursion", entity_id="1", record_hash=b"x")
    yield BatchRelease(sublot_id=1, signature_id=1, at=AGO, record={})


def _quality() -> Iterator[SQLModel]:
    yield Excursion(
        id=1,
        incident_id=1,
        sublot_id=1,
        zone_id=1,
        version_id=1,
        limit_key="high",
        kind="consecutive",
        started_at=AGO,
        broke_at=AGO,
        known_at=NOW,
        certainty="proven",
        out=timedelta(minutes=60),
        highest=9.5,
    )
    yield Hold(
        id=1,
        sublot_id=1,
        kind="exposure",
        certainty="proven",
        reason="high",
        excursion_id=1,
        since_at=AGO,
        placed_at=NOW,
        placed_by="system:judge",
    )
    yield Hold(
        id=2,
        sublot_id=1,
        kind="quality",
        reason="label",
        since_at=AGO,
        placed_at=AGO,
        placed_by="qa",
        lifted_at=NOW,
        lifted_by="qa",
        lift_reason="mended",
    )
    yield Disposition(
        excursion_id=1,
        decision="accept",
        reason="r",
        signature_id=1,
        accepted=timedelta(minutes=60),
        at=NOW,
        record={},
        hold_ids=[1],
    )
    yield ZoneAlarm(id=1, zone_id=1, kind="high", started_at=AGO, raised_at=AGO, value=9.5)
    yield ZoneAlarm(
        id=2,
        zone_id=2,
        kind="stale",
        state="normal",
        started_at=AGO,
        raised_at=AGO,
        returned_at=AGO + timedelta(minutes=5),
    )
    yield GapRecord(id=1, zone_id=1, start_at=AGO, stop_at=NOW, reason="silence", known_at=NOW)


def _production() -> Iterator[SQLModel]:
    yield WorkCentre(id=1, code="fill", name="Filler", zone_id=1, state_since=AGO)
    yield WorkCentreState(work_centre_id=1, up=True, at=AGO, known_at=AGO, actor="ops", reason="r")
    yield Bom(id=1, item_id=1, output_amount=Decimal(1))
    yield WorkOrder(
        id=1,
        code="WO-1",
        item_id=1,
        bom_id=1,
        amount=Decimal(10),
        due_at=NOW,
        state="running",
        created_at=AGO,
        started_at=AGO,
        completed_at=NOW,
    )
    yield WorkOrderOperation(order_id=1, number=1, name="fill", work_centre_id=1, started_at=AGO, done_at=NOW)


def _shipments() -> Iterator[SQLModel]:
    yield Shipment(
        id=1,
        code="SH-1",
        consignee="Clinic",
        state="in_transit",
        created_at=AGO,
        due_at=AGO,
        dispatched_at=AGO,
        departed_at=AGO,
    )
    yield ShipmentLeg(
        shipment_id=1, number=1, origin="A", destination="B", carrier="C", vehicle_zone_id=2, departed_at=AGO
    )
    yield Hold(
        id=3,
        shipment_id=1,
        kind="exposure",
        reason="high",
        since_at=AGO,
        placed_at=NOW,
        placed_by="system:judge",
    )


def _ingest() -> Iterator[SQLModel]:
    yield BatchRow(
        id=1,
        gateway=GATEWAY,
        site="s1",
        epoch="e1",
        partition=3,
        number=1,
        kind="readings",
        sha256=b"x",
        count=10,
        landed_count=9,
        conflict_count=1,
        cut_at=AGO,
        received_at=NOW,
    )
    hour = DAYS_AGO.replace(minute=0, second=0)
    yield BatchFold(
        gateway=GATEWAY,
        epoch="e1",
        partition=3,
        first_number=1,
        last_number=9,
        site="s1",
        hour=hour + timedelta(days=2),
        chain=b"x",
        gone=9,
        first_cut_at=hour,
        last_cut_at=hour,
        last_received_at=hour,
        slowest=0.4,
    )
    yield SourceWatermark(zone_id=1, gateway=GATEWAY, source="mqtt", upto=AGO, received_at=NOW)
    yield IngestAlarm(at=AGO, kind="stuck", partition=3, detail="told")
    yield DeadLetter(
        at=AGO, gateway=GATEWAY, partition=3, kind="reading", reason="unknown_point", detail="d", raw=b"{}"
    )
    yield IngestWorker(name="w", until=NOW)


def _itself() -> Iterator[SQLModel]:
    yield OutboxRow(id=1, at=AGO, topic="hold.placed", key="1", payload={})
    yield OutboxTask(outbox_id=1, handler="webhook", attempts=2, next_at=NOW)
    yield Heartbeat(part="core", at=AGO, due_within=timedelta(seconds=60))
    yield Alert(
        id=1,
        event="zone_alarm",
        severity="harm",
        cause="zone:1",
        zone_id=1,
        title="t",
        began_at=AGO,
        raised_at=AGO,
    )
    yield AlertMessage(
        alert_ids=[1],
        kind="raised",
        login="wes",
        called="Wes",
        channel="mail",
        way_id=1,
        language="en",
        subject="s",
        body="b",
        short="s",
        created_at=AGO,
        sent_at=AGO + timedelta(seconds=2),
        state="sent",
    )
