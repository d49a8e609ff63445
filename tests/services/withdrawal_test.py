"""Master data is withdrawn, never deleted: refused in words while anything uses it; then nothing new begins with it."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog import service as catalog
from core.erp.catalog.model import Item, Zone
from core.erp.catalog.revisions import withdraw_point
from core.erp.catalog.workflow import ITEM, ZONE
from core.erp.kernel.errors import Refused
from core.erp.kernel.records import verbs
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.production import service as production
from core.erp.shipments import service as shipments
from tests.desks import Desk, office
from tests.services.quality_plant import DAY, Plant, at, build

WHY = "no longer made"


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


@pytest.fixture
def amy(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with office(engine, tmp_path, monkeypatch, {"amy": ["admin", "plant_engineer", "warehouse"]}) as seated:
        yield seated["amy"]


def withdraw(plant: Plant, kind: str, record_id: int, move: str = "withdraw") -> None:
    plant.act("setup", at("03:00"), lambda u: verbs.move(u, entities()[kind], move, record_id, reason=WHY))


def refused(act: Callable[[], object]) -> str:
    """The refusal, in English and Chinese."""
    with pytest.raises(Refused) as refusal:
        act()
    return f"{refusal.value} | {refusal.value.text('zh')}"


def test_an_item_is_withdrawn_once_no_stock_is_left_and_no_order_asks_for_it(plant: Plant) -> None:
    vaccine = plant.items["vaccine"]
    sublot = plant.goods()
    code = plant.one("SELECT code FROM sublot WHERE id = :s", s=sublot)
    said = refused(lambda: withdraw(plant, "item", vaccine))
    assert f"is in use: sublots: {code}" in said
    assert f"仍在使用：子批：{code}" in said
    plant.do("setup", DAY, lots.post_lost, sublot, Decimal(100), at=DAY, reason="broken")
    withdraw(plant, "item", vaccine)
    assert "is withdrawn" in refused(lambda: plant.do("setup", DAY, lots.create_lot, vaccine, "L-NEW"))
    version = plant.versions["cold"]
    assert "is withdrawn" in refused(lambda: plant.do("setup", DAY, catalog.assign_profile, vaccine, version, DAY))
    withdraw(plant, "item", vaccine, "reinstate")
    assert plant.do("setup", DAY, lots.create_lot, vaccine, "L-NEW").item_id == vaccine


def test_what_an_open_order_makes_takes_or_stands_at_stays(plant: Plant) -> None:
    centre = plant.do("pat", DAY, production.create_work_centre, "FILL-1", "Filling", plant.zones["room-b"])
    steps = [production.Step(10, "fill", "FILL-1", (), timedelta(hours=1))]
    lines = [(plant.items["label"], Decimal(1))]
    bom = plant.do("pat", DAY, production.create_bom, plant.items["kit"], Decimal(1), lines, steps)
    order = plant.do("pat", DAY, production.plan, "WO-1", bom.id, Decimal(1), at("12:00"))
    uses = (("item", plant.items["kit"]), ("item", plant.items["label"]), ("work_centre", centre.id))
    for kind, record_id in uses:
        assert "work orders: WO-1" in refused(partial(withdraw, plant, kind, record_id))
    assert "work centres: FILL-1" in refused(lambda: withdraw(plant, "zone", plant.zones["room-b"]))
    plant.do("pat", DAY, production.move_order, order.id, "cancel", reason="not wanted")
    for kind, record_id in uses:
        withdraw(plant, kind, record_id)
    again = refused(lambda: plant.do("pat", DAY, production.plan, "WO-2", bom.id, Decimal(1), at("12:00")))
    assert "is withdrawn" in again
    assert "is withdrawn" in refused(
        lambda: plant.do("pat", DAY, production.create_bom, plant.items["syrup"], Decimal(1), lines, steps)
    )


def test_a_zone_is_withdrawn_once_nothing_stands_measures_or_passes_there(plant: Plant) -> None:
    room, truck = plant.zones["room-b"], plant.zones["truck"]
    sublot = plant.goods(zone="room-b")
    legs = [shipments.PlannedLeg("dock", "C-100", truck, room)]
    plant.do("lou", at("01:00"), shipments.create, "SH-1", "C-100", [(sublot, Decimal(1))], legs)
    said = refused(lambda: withdraw(plant, "zone", room))
    assert "sublots: " in said
    assert "shipments: SH-1" in said
    assert "shipments: SH-1" in refused(lambda: withdraw(plant, "zone", truck))
    site = plant.one("SELECT site_id FROM zone WHERE id = :z", z=room)
    assert "zones: " in refused(lambda: withdraw(plant, "site", site))


def test_places_points_and_instruments_are_withdrawn_from_within(plant: Plant) -> None:
    def made(u: Unit) -> tuple[int, int, int, int]:
        site = catalog.create_site(u, "new", "New")
        zone = catalog.create_zone(u, site.id, "new/a/room", "Room")
        point = catalog.create_point(u, zone.id, "new/a/room/p/temperature", "temperature", "Cel")
        sensor = catalog.create_sensor(u, "SN-1")
        catalog.install_sensor(u, sensor.id, point.id, u.now)
        return site.id, zone.id, point.id, sensor.id

    site, zone, point, sensor = plant.act("setup", DAY, made)
    for kind, record_id, use in (
        ("site", site, "zones: new/a/room"),
        ("zone", zone, "points: new/a/room/p/temperature"),
        ("point", point, "sensors: SN-1"),
        ("sensor", sensor, "points: new/a/room/p/temperature"),
    ):
        assert use in refused(partial(withdraw, plant, kind, record_id))
    plant.act(
        "setup", at("01:00"), lambda u: u.conn.execute(text("UPDATE installation SET to_at = '2026-03-02 01:00Z'"))
    )
    plant.do("setup", at("02:00"), withdraw_point, point, reason=WHY)
    assert plant.one("SELECT role, state FROM point WHERE id = :p", p=point) == ("spare", "withdrawn")
    for kind, record_id in (("sensor", sensor), ("zone", zone), ("site", site)):
        withdraw(plant, kind, record_id)
    new = "new/a/room/q/temperature"
    assert "is withdrawn" in refused(
        lambda: plant.do("setup", DAY, catalog.create_point, zone, new, "temperature", "Cel")
    )
    assert "is withdrawn" in refused(lambda: plant.do("setup", DAY, catalog.create_zone, site, "new/a/b", "B"))
    assert "is withdrawn" in refused(lambda: withdraw(plant, "zone", zone, "reinstate")), "its site is"


def test_a_required_point_by_whose_readings_goods_were_judged_is_made_a_spare_first(plant: Plant) -> None:
    point, address = plant.one("SELECT id, address FROM point WHERE role = 'required' ORDER BY id LIMIT 1")
    read = {"a": address}
    plant.act("setup", DAY, lambda u: u.conn.execute(text("INSERT INTO series_point (address) VALUES (:a)"), read))
    said = refused(lambda: plant.do("setup", DAY, withdraw_point, point, reason=WHY))
    assert "make it a spare first" in said


def test_a_profile_stays_while_an_item_is_kept_by_it(plant: Plant) -> None:
    version = plant.versions["cold"]
    profile = plant.one("SELECT profile_id FROM profile_version WHERE id = :v", v=version)
    serum = plant.act("setup", DAY, lambda u: catalog.create_item(u, "SERUM", "Serum", profile_id=profile).id)
    assert "items: SERUM" in refused(lambda: withdraw(plant, "storage_profile", profile))
    withdraw(plant, "item", serum)
    withdraw(plant, "storage_profile", profile)
    assert "is withdrawn" in refused(lambda: withdraw(plant, "item", serum, "reinstate"))


def test_of_two_at_once_one_sees_what_the_other_did(plant: Plant) -> None:
    """Somebody withdraws the zone while another plans with it: who comes second is told."""
    zone = plant.act("setup", DAY, lambda u: catalog.create_zone(u, 1, _address(u), "New").id)
    locked, answer = threading.Event(), list[str]()

    def withdrawing(u: Unit) -> None:
        ZONE.apply(u, u.get_one(Zone, zone, lock=True), "withdraw", reason=WHY)
        u.flush()
        locked.set()
        other.join(0.5)  # it waits for this transaction, so it is not over before

    def planning() -> None:
        locked.wait()
        answer.append(refused(lambda: plant.do("setup", DAY, catalog.require_zones, zone)))

    other = threading.Thread(target=planning)
    other.start()
    plant.act("setup", DAY, withdrawing)
    other.join()
    assert "is withdrawn" in answer[0]


def _address(u: Unit) -> str:
    return f"{u.conn.exec_driver_sql('SELECT code FROM site WHERE id = 1').scalar_one()}/a/new"


def test_lists_show_what_is_in_use_and_pickers_and_imports_take_nothing_else(amy: Desk) -> None:
    made: dict[str, Any] = amy.post("/items", 201, code="OLD-1", name="Old")
    path = f"/items/{made['id']}"
    assert made["moves"] == ["withdraw"]
    amy.post(f"{path}/withdraw", 422)
    assert amy.post(f"{path}/withdraw", reason=WHY)["state"] == "withdrawn"
    assert amy.get("/items", code="OLD-1")["items"] == []
    assert [one["code"] for one in amy.get("/items", state="withdrawn")["items"]] == ["OLD-1"]
    amy.patch(path, 409, name="Older", version=amy.get(path)["version"])
    assert "is withdrawn" in amy.post("/lots", 409, item_id=made["id"], number="L-1")["detail"]
    assert amy.get(f"{path}/history")["items"][0]["reason"] == WHY


def test_the_life_cycle_is_guarded_by_the_database_too(plant: Plant, owner: Engine) -> None:
    with pytest.raises(Exception, match="begins as withdrawn"), owner.begin() as conn:
        conn.execute(
            text("INSERT INTO item (code, name, uom, kind, state) VALUES ('X', 'X', 'each', 'a', 'withdrawn')")
        )
    assert ITEM.pairs() == [("active", "withdrawn"), ("withdrawn", "active")]
    assert plant.act("setup", DAY, lambda u: u.get_one(Item, plant.items["vaccine"]).state) == "active"
