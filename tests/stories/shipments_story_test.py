"""Stories of logistics, at the service, with the time handed in."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.exposure.events import Judged, SublotsJudged
from core.erp.kernel.errors import Forbidden, IllegalMove, Invalid, Refused
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.erp.shipments import service as shipments
from core.erp.shipments.model import Shipment
from core.erp.shipments.service.logger_zones import journey_span
from tests.services.quality_plant import PASSWORD, Plant, at, build


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


def ship(
    plant: Plant,
    code: str,
    *lines: tuple[int, object],
    now: str = "01:00",
    kind: str = "sale",
    to: str | None = None,
    loggers: tuple[str, ...] = (),
) -> int:
    """A planned shipment by the truck."""
    made = plant.do(
        "lou",
        at(now),
        shipments.create,
        code,
        "C-100",
        [(s, Decimal(str(a))) for s, a in lines],
        [shipments.PlannedLeg("dock", "C-100", plant.zones["truck"])],
        kind=kind,
        receiving_zone_id=plant.zones[to] if to else None,
        loggers=[shipments.RequiredLogger(x) for x in loggers],
    )
    return made.id


def holds_on(plant: Plant, shipment: int) -> int:
    return int(plant.one("SELECT count(*) FROM hold WHERE shipment_id = :s AND lifted_at IS NULL", s=shipment))


def line(plant: Plant, shipment: int) -> tuple[int, int, str]:
    found = plant.rows("SELECT id, sublot_id, state FROM shipment_line WHERE shipment_id = :s", s=shipment)
    return found[0][0], found[0][1], found[0][2]


def test_a_lot_of_1000_with_600_in_the_broken_room(plant: Plant) -> None:
    """600 in room A, 400 in room B. A breaks the limit: 400 stay available, 401 are refused."""
    room_a = plant.goods(amount=1000)

    def cut(u: Unit) -> int:
        from core.erp.custody import service as custody

        part = lots.split(u, room_a, Decimal(400))
        custody.record_location(u, part.id, plant.zones["room-b"], u.now, "moved")
        return part.id

    room_b = plant.act("wanda", at("00:30"), cut)
    plant.judged(at("03:00"), room_a, plant.breach("02:00", "03:00"))
    with pytest.raises(Refused, match="held"):
        ship(plant, "SH-A", (room_a, 1), now="03:05")
    with pytest.raises(Refused, match="400"):
        ship(plant, "SH-401", (room_b, 401), now="03:05")
    shipment = ship(plant, "SH-400", (room_b, 400), now="03:05")
    plant.do("wanda", at("03:06"), shipments.pick, shipment)
    plant.do("lou", at("03:07"), shipments.dispatch, shipment)
    assert plant.act("lou", at("03:08"), lambda u: lots.on_hand(u, room_b)) == 0


def test_the_truck_that_left_at_0258(plant: Plant) -> None:
    """It left at 02:58 and is posted at 03:05, after the hold of 03:00: the departure stands, a deviation and the
    shipment's hold exist, and a new dispatch command at 03:05 is refused."""
    gone, waiting = plant.goods(), plant.goods()
    left, stays = ship(plant, "SH-1", (gone, 100)), ship(plant, "SH-2", (waiting, 100))
    for shipment in (left, stays):
        plant.do("wanda", at("02:30"), shipments.pick, shipment)
    version = plant.versions["cold"]
    plant.emit(
        at("03:00"),
        SublotsJudged(tuple(Judged(s, version, (plant.breach("02:00", "03:00"),)) for s in (gone, waiting))),
    )
    with pytest.raises(Refused, match="held") as refusal:
        plant.do("lou", at("03:05"), shipments.dispatch, stays)
    assert any(o["kind"] == "held" for o in refusal.value.extra["obstacles"])
    plant.do("lou", at("03:05"), shipments.departed, left, at("02:58"), "driver's paper")
    assert plant.one("SELECT state, departed_at FROM shipment WHERE id = :s", s=left) == ("in_transit", at("02:58"))
    posted = plant.one(
        "SELECT at, posted_at, fact, target FROM stock_move WHERE sublot_id = :s AND source = 'stock'", s=gone
    )
    assert posted == (at("02:58"), at("03:05"), True, "customer")
    assert plant.one("SELECT happened_at, known_at, shipment_id FROM deviation") == (at("02:58"), at("03:05"), left)
    assert holds_on(plant, left) == 1
    assert (
        plant.one("SELECT zone_id FROM custody_fact WHERE sublot_id = :s AND at = :t", s=gone, t=at("02:58"))
        == plant.zones["truck"]
    )
    assert plant.one("SELECT state FROM shipment WHERE id = :s", s=stays) == "picked"


@pytest.mark.parametrize("act", ["dispatched", "departed", "arrived", "logger read"])
def test_a_shipment_without_legs_goes_nowhere(plant: Plant, act: str) -> None:
    """None is planned without; a row that has none all the same is refused in words, whatever is done with it."""

    def bare(u: Unit) -> int:
        row = Shipment(code="SH-1", kind="sale", consignee="C-100", created_at=u.now)
        u.session.add(row)
        u.session.flush()
        return row.id

    shipment = plant.act("setup", at("02:00"), bare)
    acts: dict[str, Callable[[], object]] = {
        "dispatched": lambda: plant.do("lou", at("02:30"), shipments.dispatch, shipment),
        "departed": lambda: plant.do("lou", at("02:30"), shipments.departed, shipment, at("02:20"), "driver's paper"),
        "arrived": lambda: plant.do("lou", at("02:30"), shipments.arrived, shipment, at("02:20"), "unloaded"),
        "logger read": lambda: plant.act(
            "lou", at("02:30"), lambda u: journey_span(u, shipments.get_shipment(u, shipment))
        ),
    }
    with pytest.raises(Refused, match="SH-1 has no leg"):
        acts[act]()
    assert plant.one("SELECT state FROM shipment") == "planned"


def test_a_held_shipment_arrives_into_quarantine_and_is_never_accepted(plant: Plant) -> None:
    sublot = plant.goods()
    shipment = ship(plant, "SH-1", (sublot, 100), kind="transfer", to="far-room")
    plant.do("wanda", at("02:00"), shipments.pick, shipment)
    plant.do("lou", at("02:10"), shipments.dispatch, shipment)
    assert plant.one("SELECT zone_id FROM sublot WHERE id = :s", s=sublot) == plant.zones["truck"]
    plant.do("lou", at("02:12"), shipments.departed, shipment, at("02:11"), "left")
    plant.judged(at("04:00"), sublot, plant.breach("03:00", "04:00", zone="truck"))
    assert holds_on(plant, shipment) == 1
    plant.do("lou", at("05:00"), shipments.arrived, shipment, at("04:55"), "unloaded")
    assert plant.one("SELECT state FROM shipment") == "arrived"
    assert plant.one("SELECT state, zone_id FROM sublot WHERE id = :s", s=sublot) == (
        "quarantine",
        plant.zones["far-room"],
    )
    with pytest.raises(Refused, match="held"):
        plant.do("wanda", at("05:10"), shipments.accept, shipment)
    plant.judged(at("05:20"), sublot, plant.breach("03:00", "04:00", "04:55", zone="truck"))
    plant.dispose(at("06:00"), plant.excursions(sublot)[0][0])
    with pytest.raises(Refused, match="goods held"):  # the disposition has lifted its own hold and nothing else
        plant.do("wanda", at("06:10"), shipments.accept, shipment)
    hold = plant.one("SELECT id FROM hold WHERE shipment_id = :s AND lifted_at IS NULL", s=shipment)
    plant.do("quinn", at("06:20"), lots.lift_hold, hold, "its goods are cleared")
    plant.sign("rory", at("06:30"), quality.release_signing(sublot), PASSWORD, login="rory")
    plant.do("wanda", at("06:40"), shipments.accept, shipment)
    assert plant.one("SELECT state FROM shipment") == "accepted"
    assert plant.one("SELECT state FROM reservation") == "cancelled"


def test_required_loggers_keep_the_receipt_in_quarantine(plant: Plant) -> None:
    sublot = plant.goods()
    shipment = ship(plant, "SH-1", (sublot, 100), kind="transfer", to="far-room", loggers=("LOG-1", "LOG-2"))
    plant.do("wanda", at("02:00"), shipments.pick, shipment)
    plant.do("lou", at("02:10"), shipments.dispatch, shipment)
    plant.do("lou", at("05:00"), shipments.arrived, shipment, at("04:55"), "unloaded")
    assert plant.one("SELECT state FROM sublot WHERE id = :s", s=sublot) == "quarantine"
    for who, verb, args in (
        ("wanda", shipments.accept, (shipment,)),
        ("wanda", quality.auto_release, (sublot,)),
    ):
        with pytest.raises(Refused, match=r"LOG-1.*LOG-2"):
            plant.do(who, at("05:10"), verb, *args)
    with pytest.raises(Refused, match=r"LOG-1.*LOG-2"):
        plant.sign("rory", at("05:10"), quality.release_signing(sublot), PASSWORD, login="rory")
    plant.do("wanda", at("05:20"), shipments.mark_logger_read, shipment, "LOG-1")
    with pytest.raises(Forbidden):
        plant.sign("wanda", at("05:25"), shipments.waiver_signing(shipment, "LOG-2", "lost"), PASSWORD, login="wanda")
    with pytest.raises(Refused, match="LOG-2"):
        plant.do("wanda", at("05:25"), shipments.accept, shipment)
    plant.sign("quinn", at("05:30"), shipments.waiver_signing(shipment, "LOG-2", "lost"), PASSWORD, login="quinn")
    plant.do("wanda", at("05:40"), shipments.accept, shipment)  # nothing else is in doubt: released automatically
    assert plant.one("SELECT state FROM sublot WHERE id = :s", s=sublot) == "released"
    assert plant.one("SELECT automatic, signature_id FROM batch_release ORDER BY id DESC LIMIT 1") == (True, None)
    assert plant.one("SELECT actor FROM audit WHERE action = 'sublot.release' AND at > :t", t=at("05:00")) == (
        "system:release"
    )


def test_picking_part_of_a_sublot_gives_it_a_place_of_its_own(plant: Plant) -> None:
    sublot = plant.goods(amount=100)
    shipment = ship(plant, "SH-1", (sublot, 30))
    plant.do("wanda", at("02:00"), shipments.pick, shipment)
    _, part, state = line(plant, shipment)
    assert part != sublot
    assert state == "picked"
    assert plant.act("wanda", at("02:01"), lambda u: (lots.on_hand(u, sublot), lots.on_hand(u, part))) == (
        Decimal(70),
        Decimal(30),
    )
    plant.do("lou", at("02:10"), shipments.dispatch, shipment)
    zones = dict(plant.rows("SELECT id, zone_id FROM sublot"))
    assert (zones[sublot], zones[part]) == (plant.zones["room-a"], plant.zones["truck"])


def test_picked_goods_on_hold_are_put_back_and_the_rest_goes(plant: Plant) -> None:
    bad, good = plant.goods(), plant.goods(zone="room-b")
    shipment = ship(plant, "SH-1", (bad, 100), (good, 100))
    plant.do("wanda", at("02:00"), shipments.pick, shipment)
    plant.judged(at("03:00"), bad, plant.breach("02:00", "03:00"))
    assert plant.rows("SELECT kind FROM stock_task WHERE done_at IS NULL ORDER BY kind") == [
        ("put_back",),
        ("reallocate",),
    ]
    (bad_line,) = plant.rows("SELECT id FROM shipment_line WHERE sublot_id = :s", s=bad)
    plant.do("wanda", at("03:10"), shipments.put_back, bad_line[0])
    assert plant.rows("SELECT kind FROM stock_task WHERE done_at IS NULL") == []
    with pytest.raises(Refused, match="goods held"):
        plant.do("lou", at("03:15"), shipments.dispatch, shipment)
    hold = plant.one("SELECT id FROM hold WHERE shipment_id = :s AND lifted_at IS NULL", s=shipment)
    plant.do("quinn", at("03:20"), lots.lift_hold, hold, "held goods taken out")
    plant.do("lou", at("03:25"), shipments.dispatch, shipment)
    assert plant.one("SELECT count(*) FROM stock_move WHERE target = 'customer'") == 1


def test_an_excursion_known_after_departure_opens_a_field_action(plant: Plant) -> None:
    sublot = plant.goods(amount=100)
    shipment = ship(plant, "SH-1", (sublot, 40))
    plant.do("wanda", at("04:00"), shipments.pick, shipment)
    plant.do("lou", at("04:10"), shipments.dispatch, shipment)
    _, part, _ = line(plant, shipment)
    version = plant.versions["cold"]
    breach = plant.breach("02:00", "03:00", "03:30")
    plant.emit(at("09:00"), SublotsJudged((Judged(sublot, version, (breach,)), Judged(part, version, (breach,)))))
    assert plant.one(
        "SELECT a.sublot_id, happened_at, known_at, deadline, c.consignee, c.amount, c.shipment_id "
        "FROM field_action a JOIN field_action_consignee c ON c.action_id = a.id"
    ) == (
        part,
        at("03:00"),
        at("09:00"),
        at("09:00", day=1),
        "C-100",
        Decimal(40),
        shipment,
    )
    action, whom = plant.one("SELECT action_id, id FROM field_action_consignee")
    with pytest.raises(Refused, match="C-100"):
        plant.do("quinn", at("10:00"), shipments.close_field_action, action, "all told")
    plant.do("lou", at("10:05"), shipments.notify_consignee, whom)
    plant.do("quinn", at("10:10"), shipments.close_field_action, action, "consignee destroys the goods")
    assert plant.one("SELECT state FROM field_action") == "closed"


def test_the_shippers_own_climate_is_the_innermost(plant: Plant) -> None:
    sublot = plant.goods()
    shipment = ship(plant, "SH-1", (sublot, 100))
    number, _, _ = line(plant, shipment)
    with pytest.raises(Invalid, match="check digit"):
        plant.do("wanda", at("01:30"), shipments.pack, number, "340123450000000018")
    plant.do(
        "wanda",
        at("01:30"),
        shipments.pack,
        number,
        "(00)340123450000000017",
        kind="shipper",
        zone_id=plant.zones["shipper"],
    )
    plant.do("wanda", at("02:00"), shipments.pick, shipment)
    plant.do("lou", at("02:10"), shipments.dispatch, shipment)
    assert plant.one("SELECT zone_id FROM sublot WHERE id = :s", s=sublot) == plant.zones["shipper"]


def test_after_qa_has_decided_one_lot_moves_and_the_other_never(plant: Plant) -> None:
    """Both picked, both held; QA accepts one and rejects the other."""
    good, bad = plant.goods(), plant.goods()
    goes, stays = ship(plant, "SH-1", (good, 100)), ship(plant, "SH-2", (bad, 100))
    version = plant.versions["cold"]
    for shipment in (goes, stays):
        plant.do("wanda", at("01:30"), shipments.pick, shipment)
    breach = plant.breach("02:00", "03:00", "03:20")
    plant.emit(at("04:00"), SublotsJudged(tuple(Judged(s, version, (breach,)) for s in (good, bad))))
    plant.dispose(at("05:00"), plant.excursions(good)[0][0], "accept")
    plant.dispose(at("05:00"), plant.excursions(bad)[0][0], "reject")
    for shipment in (goes, stays):
        hold = plant.one("SELECT id FROM hold WHERE shipment_id = :s AND lifted_at IS NULL", s=shipment)
        plant.do("quinn", at("05:10"), lots.lift_hold, hold, "its goods are decided on")
    plant.do("lou", at("05:20"), shipments.dispatch, goes)
    assert plant.one("SELECT state FROM shipment WHERE id = :s", s=goes) == "dispatched"
    assert plant.rows("SELECT kind FROM stock_task WHERE done_at IS NULL AND sublot_id = :s", s=good) == []
    with pytest.raises(Refused, match=r"held|rejected"):
        plant.do("lou", at("05:20"), shipments.dispatch, stays)


def test_a_suppliers_goods_arrive_into_quarantine_with_their_journey(plant: Plant) -> None:
    def expect(u: Unit) -> int:
        lot = lots.create_lot(u, plant.items["vaccine"], "L-IN")
        born = lots.receive(u, lot.id, Decimal(50), None, state="expected")
        return born.id

    sublot = plant.act("wanda", at("00:30"), expect)
    shipment = ship(plant, "IN-1", (sublot, 50), kind="inbound", to="room-a", loggers=("LOG-1",))
    plant.do("lou", at("03:00"), shipments.departed, shipment, at("02:00"), "supplier's notice")
    plant.do("wanda", at("05:00"), shipments.arrived, shipment, at("04:50"), "at the dock")
    assert plant.one("SELECT state, zone_id FROM sublot WHERE id = :s", s=sublot) == (
        "quarantine",
        plant.zones["room-a"],
    )
    stays = plant.rows("SELECT zone_id, at FROM custody_fact WHERE sublot_id = :s ORDER BY at", s=sublot)
    assert stays == [(plant.zones["truck"], at("02:00")), (plant.zones["room-a"], at("04:50"))]
    with pytest.raises(Refused, match="LOG-1"):
        plant.sign("rory", at("05:10"), quality.release_signing(sublot), PASSWORD, login="rory")
    plant.do("wanda", at("05:20"), shipments.mark_logger_read, shipment, "LOG-1")
    plant.do("wanda", at("05:30"), shipments.accept, shipment)
    assert plant.one("SELECT state FROM sublot WHERE id = :s", s=sublot) == "quarantine", "accepted is not released"
    plant.sign("rory", at("05:40"), quality.release_signing(sublot), PASSWORD, login="rory")


def test_a_journey_of_two_legs(plant: Plant) -> None:
    sublot = plant.goods()
    legs = [
        shipments.PlannedLeg("dock", "hub", plant.zones["truck"], plant.zones["dock"]),
        shipments.PlannedLeg("hub", "C-100", plant.zones["shipper"]),
    ]
    made = plant.do("lou", at("01:00"), shipments.create, "SH-1", "C-100", [(sublot, Decimal(100))], legs).id
    assert made is not None
    plant.do("wanda", at("02:00"), shipments.pick, made)
    plant.do("lou", at("02:10"), shipments.dispatch, made)
    plant.do("lou", at("02:20"), shipments.departed, made, at("02:15"), "left")
    with pytest.raises(IllegalMove, match="already"):
        plant.do("lou", at("02:25"), shipments.departed, made, at("02:15"), "left")
    plant.do("lou", at("05:00"), shipments.arrived, made, at("04:30"), "at the hub", leg=1)
    assert plant.one("SELECT state FROM shipment") == "in_transit"
    plant.do("lou", at("06:00"), shipments.departed, made, at("05:30"), "on again", leg=2)
    plant.do("lou", at("09:00"), shipments.arrived, made, at("08:30"), "at the door")
    stays = plant.rows("SELECT zone_id, at FROM custody_fact WHERE sublot_id = :s ORDER BY at, id", s=sublot)
    zones = [plant.zones[z] for z in ("room-a", "truck", "truck", "dock", "shipper")]
    assert stays == list(
        zip([*zones, None], map(at, ("00:00", "02:10", "02:15", "04:30", "05:30", "08:30")), strict=True)
    )
    plant.do("lou", at("09:10"), shipments.accept, made)
    with pytest.raises(IllegalMove, match="accepted"):
        plant.do("lou", at("09:20"), shipments.refuse, made, "too late")


def test_a_customers_return_is_a_new_sublot_in_quarantine(plant: Plant) -> None:
    sublot = plant.goods()
    shipment = ship(plant, "SH-1", (sublot, 100))
    plant.do("wanda", at("02:00"), shipments.pick, shipment)
    plant.do("lou", at("02:10"), shipments.dispatch, shipment)
    plant.do("lou", at("04:00"), shipments.arrived, shipment, at("03:55"), "at the door")
    plant.do("lou", at("04:10"), shipments.refuse, shipment, "wet boxes")
    number, _, _ = line(plant, shipment)
    with pytest.raises(Invalid):
        plant.do(
            "wanda", at("06:00"), shipments.returned, number, 101, plant.zones["cage"], at=at("05:50"), reason="back"
        )
    back = plant.do(
        "wanda", at("06:00"), shipments.returned, number, 60, plant.zones["cage"], at=at("05:50"), reason="back"
    )
    assert (back.state, back.zone_id) == ("quarantine", plant.zones["cage"])
    with pytest.raises(Invalid, match="40"):
        plant.do(
            "wanda", at("06:10"), shipments.returned, number, 41, plant.zones["cage"], at=at("05:50"), reason="back"
        )
    assert plant.one("SELECT parent_id FROM genealogy WHERE child_id = :c", c=back.id) == sublot


FORBIDDEN = [
    ("planned", "dispatch"),
    ("planned", "accept"),
    ("planned", "refuse"),
    ("picked", "pick"),
    ("picked", "accept"),
    ("picked", "refuse"),
    ("dispatched", "pick"),
    ("dispatched", "dispatch"),
    ("dispatched", "accept"),
    ("in_transit", "pick"),
    ("in_transit", "dispatch"),
    ("in_transit", "depart"),
    ("in_transit", "accept"),
    ("in_transit", "refuse"),
    ("arrived", "pick"),
    ("arrived", "dispatch"),
    ("arrived", "depart"),
    ("arrived", "arrive"),
    ("accepted", "pick"),
    ("accepted", "dispatch"),
    ("accepted", "depart"),
    ("accepted", "arrive"),
    ("accepted", "accept"),
    ("accepted", "refuse"),
    ("refused", "pick"),
    ("refused", "dispatch"),
    ("refused", "depart"),
    ("refused", "arrive"),
    ("refused", "accept"),
    ("refused", "refuse"),
]


@pytest.mark.parametrize(("state", "move"), FORBIDDEN)
def test_forbidden_moves(state: str, move: str) -> None:
    from core.erp.shipments.model import Shipment
    from core.erp.shipments.workflow import SHIPMENT

    shipment = Shipment(id=1, code="x", consignee="y", state=state, created_at=at("00:00"))
    with pytest.raises(IllegalMove) as refused:
        SHIPMENT.apply(None, shipment, move, reason="try")  # type: ignore[arg-type]  # a forbidden move is refused before the unit is asked anything
    assert refused.value.extra["state"] == state


def test_a_cancelled_shipment_frees_its_goods(plant: Plant) -> None:
    goods = plant.goods(amount=10)
    planned, picked = ship(plant, "SH-P", (goods, 4)), ship(plant, "SH-K", (goods, 6))
    plant.do("wanda", at("01:10"), shipments.pick, picked)
    with pytest.raises(Refused):
        ship(plant, "SH-N", (goods, 4))
    with pytest.raises(Invalid, match="reason"):
        plant.do("lou", at("01:20"), shipments.cancel, planned, " ")
    with pytest.raises(Forbidden):
        plant.do("wanda", at("01:20"), shipments.cancel, planned, "order withdrawn")
    for shipment in (planned, picked):
        plant.do("lou", at("01:21"), shipments.cancel, shipment, "order withdrawn")
    assert plant.rows("SELECT DISTINCT state FROM shipment") == [("cancelled",)]
    assert plant.rows("SELECT DISTINCT state FROM shipment_line") == [("put_back",)]
    assert plant.rows("SELECT kind, amount FROM stock_task WHERE done_at IS NULL") == [("put_back", Decimal(6))]
    assert ship(plant, "SH-N", (goods, 4)), "the goods are free again"
    plant.judged(at("03:00"), goods, plant.breach("02:00", "03:00"))
    assert holds_on(plant, planned) == 0, "what is called off is not stopped"
    for move in (shipments.pick, shipments.dispatch, shipments.accept):
        with pytest.raises(IllegalMove):
            plant.do("lou" if move != shipments.pick else "wanda", at("01:30"), move, planned)
    with pytest.raises(IllegalMove):
        plant.do("lou", at("01:30"), shipments.departed, planned, at("01:25"), "left all the same")


def test_what_has_left_is_not_cancelled(plant: Plant) -> None:
    shipment = ship(plant, "SH-1", (plant.goods(amount=10), 10))
    plant.do("wanda", at("01:10"), shipments.pick, shipment)
    plant.do("lou", at("01:20"), shipments.dispatch, shipment)
    with pytest.raises(IllegalMove):
        plant.do("lou", at("01:21"), shipments.cancel, shipment, "too late")
    with pytest.raises(DBAPIError), plant.engine.begin() as conn:
        conn.execute(text("UPDATE shipment SET state = 'cancelled' WHERE id = :s"), {"s": shipment})
