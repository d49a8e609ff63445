"""A site with something of every kind, each called as the site is: for tests of who sees what."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel import SQLModel

from core.erp.catalog.model import Calibration, Installation, Point, Sensor, Site, Zone, ZoneNesting
from core.erp.kernel.tabular.model import ImportLine, ImportRun
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.production.model import WorkCentre, WorkOrder, WorkOrderMaterial, WorkOrderOperation
from core.erp.quality.model import Deviation, ZoneAlarm
from core.erp.shipments.model import FieldAction, FieldActionConsignee, Shipment, ShipmentLine
from core.ingest.model import DeadLetter
from tests.services.quality_plant import DAY, Plant, at
from tests.world import RELEASE


class Furnished:
    """One site of a plant; `ids` are those of its records by kind."""

    def __init__(self, plant: Plant, name: str, good_until: datetime) -> None:
        self.plant, self.name, self.ids = plant, name, dict[str, int]()
        plant.act("setup", DAY, self._catalog)
        plant.act("setup", DAY, self._goods)
        plant.alive(name, good_until)
        plant.act("quinn", at("10:00"), self._holds)
        breach = plant.breach("01:00", "02:00", "03:00", zone=name)
        plant.judged(at("11:00"), self.ids["sublot"], breach)
        for work in (self._found, self._quality, self._shipments, self._production, self._ingest, self._imported):
            plant.act("setup", at("11:30"), work)

    def _keep(self, u: Unit, kind: str, row: SQLModel) -> int:
        u.session.add(row)
        u.session.flush()
        self.ids[kind] = int(row.id)  # type: ignore[attr-defined]  # every table has one
        return self.ids[kind]

    def _catalog(self, u: Unit) -> None:
        name = self.name
        site = self._keep(u, "site", Site(code=name.upper(), name=f"{name} site"))
        box = self._keep(u, "zone", Zone(site_id=site, address=f"{name}/a/box", name=f"{name} box"))
        zone = self._keep(u, "zone", Zone(site_id=site, address=f"{name}/a/room", name=f"{name} room"))
        self._keep(u, "zone_nesting", ZoneNesting(zone_id=box, parent_id=zone, from_at=DAY))
        address = f"{name}/a/room/p/temperature"
        point = self._keep(u, "point", Point(zone_id=zone, address=address, quantity="temperature", unit="Cel"))
        sensor = self._keep(u, "sensor", Sensor(serial=f"{name}-SN"))
        self._keep(u, "installation", Installation(sensor_id=sensor, point_id=point, from_at=DAY))
        due = DAY + timedelta(days=365)
        calibration = Calibration(sensor_id=sensor, done_at=DAY, due_at=due, certificate=name, known_at=DAY)
        self._keep(u, "calibration", calibration)
        self.plant.zones[name] = zone

    def _goods(self, u: Unit) -> None:
        lot = lots.create_lot(u, self.plant.items["vaccine"], f"{self.name}-LOT", expiry=date(2027, 1, 1))
        sublot = lots.receive(u, lot.id, Decimal(100), self.ids["zone"], code=f"{self.name}-S")
        u.conn.execute(RELEASE, {"id": sublot.id})
        self.ids |= {"lot": lot.id, "sublot": sublot.id}

    def _holds(self, u: Unit) -> None:
        sublot, reason = self.ids["sublot"], f"{self.name} reason"
        reserved = lots.reserve(u, sublot, Decimal(5), "sale", f"{self.name}:1")
        restricted = lots.restrict(u, sublot, "market", {"except": ["DE"]}, reason)
        placed = lots.place_hold(u, kind="manual", reason=reason, since_at=u.now, sublot_id=sublot)
        self.ids |= {"reservation": reserved.id, "restriction": restricted.id, "hold": placed[0].id}

    def _found(self, u: Unit) -> None:
        """What services made besides."""
        for kind in ("stock_move", "stock_task", "custody_fact", "excursion", "batch_release"):
            newest = f"SELECT max(id) FROM {kind} WHERE sublot_id = {self.ids['sublot']}"
            self.ids[kind] = u.conn.exec_driver_sql(newest).scalar_one()
        incident = f"SELECT incident_id FROM excursion WHERE id = {self.ids['excursion']}"
        self.ids["incident"] = u.conn.exec_driver_sql(incident).scalar_one()

    def _quality(self, u: Unit) -> None:
        self._keep(u, "zone_alarm", ZoneAlarm(zone_id=self.ids["zone"], kind="high", started_at=DAY, raised_at=DAY))
        title = f"{self.name} deviation"
        sublot = self.ids["sublot"]
        self._keep(
            u, "deviation", Deviation(sublot_id=sublot, title=title, detail=title, happened_at=DAY, known_at=DAY)
        )

    def _shipments(self, u: Unit) -> None:
        sublot, consignee = self.ids["sublot"], f"{self.name} clinic"
        shipment = self._keep(u, "shipment", Shipment(code=f"{self.name}-SH", consignee=consignee, created_at=DAY))
        self._keep(u, "shipment_line", ShipmentLine(shipment_id=shipment, sublot_id=sublot, amount=Decimal(1)))
        times: dict[str, Any] = {"happened_at": DAY, "known_at": DAY, "deadline": DAY}
        action = self._keep(
            u, "field_action", FieldAction(excursion_id=self.ids["excursion"], sublot_id=sublot, **times)
        )
        told = FieldActionConsignee(action_id=action, consignee=consignee, amount=Decimal(1))
        self._keep(u, "field_action_consignee", told)

    def _production(self, u: Unit) -> None:
        name, item = self.name, self.plant.items["kit"]
        centre = WorkCentre(code=f"{name}-WC", name=name, zone_id=self.ids["zone"], state_since=DAY)
        centre_id = self._keep(u, "work_centre", centre)
        order = WorkOrder(code=f"{name}-WO", item_id=item, bom_id=1, amount=Decimal(1), due_at=DAY, created_at=DAY)
        order_id = self._keep(u, "work_order", order)
        step = WorkOrderOperation(order_id=order_id, number=1, name=name, work_centre_id=centre_id)
        self._keep(u, "work_order_operation", step)
        material = WorkOrderMaterial(order_id=order_id, line_id=1, sublot_id=self.ids["sublot"], amount=Decimal(1))
        self._keep(u, "work_order_material", material)

    def _imported(self, u: Unit) -> None:
        """Its hold, as if a file had made it."""
        fault: dict[str, Any] = {
            "line": 3,
            "column": "sublot",
            "value": f"{self.name}-S",
            "id": "tabular.empty",
            "params": {},
        }
        run = ImportRun(
            entity="hold",
            at=DAY,
            by="somebody",
            file=f"{self.name}.csv",
            sha256=self.name.encode(),
            mapping={},
            digest=b"",
            faults=[fault | {"choices": []}],
            mode="good",
            lines=2,
            made=1,
            bad=1,
        )
        made = ImportLine(run_id=self._keep(u, "import_run", run), line=2, entity="hold", record_id=self.ids["hold"])
        u.session.add(made)

    def _ingest(self, u: Unit) -> None:
        letter = DeadLetter(
            at=DAY,
            gateway="gateway",
            kind="reading",
            reason="unknown_point",
            detail="x",
            point=f"{self.name}/a/room/p/temperature",
            raw=b"",
        )
        self._keep(u, "dead_letter", letter)
