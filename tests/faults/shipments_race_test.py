"""A hold and a dispatch at the same moment: whichever commits first, held goods do not leave."""

import threading
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.errors import LotwiseError, Refused
from core.erp.kernel.unit import unit
from core.erp.production import service as production
from core.erp.scheduling import service as scheduling
from core.erp.shipments import service as shipments
from tests.services.quality_plant import Plant, at, build


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


def picked(plant: Plant, sublot: int, code: str) -> int:
    made = plant.do(
        "lou",
        at("01:00"),
        shipments.create,
        code,
        "C-100",
        [(sublot, Decimal(100))],
        [shipments.PlannedLeg("dock", "C-100", plant.zones["truck"])],
    )
    plant.do("wanda", at("01:10"), shipments.pick, made.id)
    return made.id


def together(*works: object) -> list[BaseException | None]:
    """Runs them at once; what each raised."""
    raised: list[BaseException | None] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(index: int) -> None:
        gate.wait()
        try:
            works[index]()  # type: ignore[operator]  # each is a callable; the list's type is the union of them
        except (LotwiseError, DBAPIError) as error:
            raised[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    return raised


def test_a_hold_not_yet_committed_makes_the_dispatch_wait_and_refuses_it(plant: Plant) -> None:
    sublot = plant.goods()
    shipment = picked(plant, sublot, "SH-1")
    said: list[BaseException | None] = []

    def dispatch() -> None:
        try:
            plant.do("lou", at("03:01"), shipments.dispatch, shipment)
            said.append(None)
        except Refused as error:
            said.append(error)

    from core.erp.exposure.events import Judged, SublotsJudged

    with unit(plant.engine, plant.actors["quinn"], plant.events, at("03:00")) as u:
        u.emit(SublotsJudged((Judged(sublot, plant.versions["cold"], (plant.breach("02:00", "03:00"),)),)))
        thread = threading.Thread(target=dispatch)
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive(), "it waits for the row that the hold has locked"
    thread.join(timeout=30)
    assert isinstance(said[0], Refused)
    assert "held" in said[0].detail
    assert plant.one("SELECT state FROM shipment") == "picked"


def test_whoever_is_first_held_goods_do_not_leave(plant: Plant) -> None:
    pairs = []
    for index in range(8):
        sublot = plant.goods()
        pairs.append((sublot, picked(plant, sublot, f"SH-{index}")))
    for sublot, shipment in pairs:
        raised = together(
            lambda s=shipment: plant.do("lou", at("03:01"), shipments.dispatch, s),
            lambda s=sublot: plant.judged(at("03:00"), s, plant.breach("02:00", "03:00")),
        )
        assert raised[1] is None, "a hold is never refused"
        assert raised[0] is None or isinstance(raised[0], Refused)
        left = plant.one("SELECT state FROM shipment WHERE id = :s", s=shipment) == "dispatched"
        assert left == (raised[0] is None)
        held = plant.one("SELECT count(*) FROM hold WHERE shipment_id = :s AND lifted_at IS NULL", s=shipment)
        assert held == 1, "stopped in the dock, or on the way"
        told = plant.one("SELECT count(*) FROM field_action WHERE sublot_id = :s", s=sublot)
        assert told == (1 if left else 0)


def test_the_database_refuses_what_goes_round_the_service(plant: Plant) -> None:
    sublot = plant.goods()
    shipment = picked(plant, sublot, "SH-1")
    plant.judged(at("03:00"), sublot, plant.breach("02:00", "03:00"))
    post = (
        "INSERT INTO stock_move (sublot_id, source, target, amount, at, posted_at, actor, purpose, reference, fact) "
        f"VALUES ({sublot}, 'stock', 'customer', 1, '2026-03-02 03:01Z', '2026-03-02 03:01Z', 'x', 'sale', '', false)"
    )
    for sql in (
        post,
        "DELETE FROM shipment",
        "UPDATE shipment SET state = 'dispatched'",
        "UPDATE shipment SET state = 'accepted'",
    ):
        with pytest.raises(DBAPIError), plant.engine.begin() as conn:
            conn.execute(text(sql))
    assert plant.one("SELECT state FROM shipment WHERE id = :s", s=shipment) == "picked"


def test_many_holds_and_starts_at_once_end_in_one_true_list(plant: Plant) -> None:
    """Orders share a work centre: holds stop some while others are started and a machine goes down and up."""
    plant.do("pat", at("00:00"), production.create_work_centre, "FILL-1", "Fill")
    bom = plant.do(
        "pat",
        at("00:01"),
        production.create_bom,
        plant.items["kit"],
        Decimal(1),
        [(plant.items["vaccine"], Decimal(1))],
        [production.Step(10, "fill", "FILL-1")],
    ).id
    sublots = []
    for index in range(6):
        sublots.append(plant.goods())
        made = plant.do("pat", at("00:02"), production.plan, f"WO-{index}", bom, Decimal(10), at("12:00"))
        plant.do("pat", at("00:03"), production.reserve, made.id, sublots[-1], Decimal(10))
        for move in ("check_material", "release"):
            plant.do("pat", at("00:04"), production.move_order, made.id, move)
    raised = together(
        *(lambda s=s: plant.judged(at("03:00"), s, plant.breach("02:00", "03:00")) for s in sublots[::2]),
        lambda: plant.do("pat", at("03:00"), scheduling.start_next, "FILL-1"),
        lambda: plant.do("eli", at("03:00"), production.report_centre_state, "FILL-1", up=False, reason="needle"),
    )
    assert [r for r in raised if r is not None and not isinstance(r, Refused)] == []
    assert plant.do("pat", at("03:05"), scheduling.dispatch_list, "FILL-1")["entries"] == []
    plant.do("eli", at("03:10"), production.report_centre_state, "FILL-1", up=True, reason="changed")
    listed = plant.do("pat", at("03:11"), scheduling.dispatch_list, "FILL-1")["entries"]
    assert [entry["order_code"] for entry in listed] == ["WO-1", "WO-3", "WO-5"]
    assert plant.one("SELECT count(*) FROM work_order WHERE state IN ('held', 'blocked')") == 3
