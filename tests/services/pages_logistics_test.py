"""The shipment board and a shipment's page: what is urgent first, its way and its climate, hand-over by signature."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.production.model import Bom, WorkOrder
from core.erp.shipments import service as shipments
from tests.pages import PASSWORD, Browser, filled, pages, text_of
from tests.world import OVER_8_FOR_60, World, every, judging

PEOPLE = {"pat": ["planner"], "lee": ["logistics"], "wes": ["warehouse"], "bea": ["buyer"]}
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Ramp:
    world: World
    people: dict[str, Browser]
    sublots: list[int]
    ids: dict[str, int]


@pytest.fixture(scope="module")
def ramp(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ramp]:
    world = judging(module_engine)
    room = world.zone("cold", band_low=2.0, band_high=8.0, gap=12 * HOUR)
    truck = world.zone("truck", band_low=2.0, band_high=8.0, gap=12 * HOUR)
    item = world.item(OVER_8_FOR_60, gap=12 * HOUR)
    sublots = [world.sublot(item, room, NOW - 5 * HOUR) for _ in range(4)]
    for zone, value in (("cold", 5.0), ("truck", 6.5)):
        world.feed(zone, every(5, NOW - 5 * HOUR, NOW, value), upto=NOW)

    def plan(code: str, sublot: int, due: datetime | None, *, picked: bool) -> int:
        def work(u: Unit) -> int:
            legs = [shipments.PlannedLeg("dock 3", "C-100", truck, carrier="Carrier 7")]
            made = shipments.create(u, code, "Customer 12", [(sublot, Decimal(10))], legs, due_at=due)
            if picked:
                shipments.pick(u, made.id)
            return made.id

        return world.do(work, now=NOW - 2 * HOUR)

    ids = {
        "SH-later": plan("SH-later", sublots[0], NOW + 30 * HOUR, picked=False),
        "SH-late": plan("SH-late", sublots[1], NOW - HOUR, picked=False),
        "SH-held": plan("SH-held", sublots[2], None, picked=False),
        "SH-ready": plan("SH-ready", sublots[3], NOW + 2 * HOUR, picked=True),
    }
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE) as people:
        yield Ramp(world, people, sublots, ids)


def test_the_board_shows_what_is_due_first_first(ramp: Ramp) -> None:
    read = text_of(ramp.people["lee"].get("/logistics"))
    assert read.index("SH-late") < read.index("SH-later") < read.index("SH-held")
    assert "late by 1 h" in read
    assert "due in 29 h" in read or "due in 1 d" in read
    assert "no due time" in read
    assert read.rindex("To hand over") < read.index("SH-ready") < read.rindex("On the way")


def test_a_held_shipment_says_so_and_is_not_handed_over(ramp: Ramp) -> None:
    lee, held = ramp.people["lee"], ramp.ids["SH-held"]
    ramp.world.do(
        lambda u: lots.place_hold(u, kind="quality", reason="crushed carton", since_at=NOW, sublot_id=ramp.sublots[2])
    )
    board = lee.get("/logistics")
    card = board[board.index(">SH-held<") :]
    assert "Held" in card[: card.index("</li>")]
    assert "Pick" not in card[: card.index("</li>")]
    assert "crushed carton" in text_of(lee.get(f"/shipments/{held}"))


def test_what_stock_is_kept_for_is_said_as_people_call_it(ramp: Ramp) -> None:
    number = ramp.ids["SH-later"]
    listed = ramp.people["wes"].get("/reservations")
    assert f'Shipment <a href="/shipments/{number}">SH-later</a>' in listed
    assert "shipment:" not in text_of(listed)


def test_a_shipments_page_shows_its_way_and_what_may_be_done_on_it(ramp: Ramp) -> None:
    page = ramp.people["lee"].get(f"/shipments/{ramp.ids['SH-ready']}")
    read = text_of(page)
    assert "dock 3 → C-100" in read
    assert "Carrier 7" in read
    assert "Not packed" in read
    assert f'href="/shipments/{ramp.ids["SH-ready"]}/departed?leg=1"' in page
    form = ramp.people["lee"].form(f"/shipments/{ramp.ids['SH-ready']}/departed?leg=1")
    assert filled(form)["leg"] == "1"


def test_a_hand_over_dispatches_by_signature_and_is_told(ramp: Ramp) -> None:
    lee, number = ramp.people["lee"], ramp.ids["SH-ready"]
    path = f"/shipments/{number}/hand-over"
    assert "What changes hands" in text_of(lee.get(path))
    said = {"taken_by": "the driver", "vehicle": "B-LW 42", "temperature": "4.6"}
    wrong = lee.send(path, said | {"login": "lee", "password": "no"}, 403)
    assert 'value="the driver"' in wrong.text
    lee.send(path, said | {"login": "lee", "password": PASSWORD})
    read = text_of(lee.get(f"/shipments/{number}"))
    assert "Lee gave it to the driver (carrier)" in read
    assert "B-LW 42 · 4.6 °C" in read
    board = text_of(lee.get("/logistics"))
    assert board.index("On the way") < board.index("SH-ready")
    with ramp.world.engine.connect() as conn:
        signed = conn.execute(text("SELECT entity, entity_id, reason FROM signature")).one()
    assert signed == ("shipment", str(number), "the driver, B-LW 42")
    lee.client.post(path, data=said | {"login": "lee", "password": PASSWORD, "_key": "again"})
    assert text_of(lee.get(f"/shipments/{number}")).count("gave it to") == 1


def test_who_may_not_hand_over_does_not(ramp: Ramp) -> None:
    path = f"/shipments/{ramp.ids['SH-late']}/hand-over"
    assert ramp.people["bea"].client.get(path).status_code == 403
    assert ramp.people["wes"].client.get(path).status_code == 403
    assert "Hand over" not in text_of(ramp.people["bea"].get("/logistics"))


def test_a_planner_sees_what_stands_still_and_what_is_late(ramp: Ramp) -> None:
    item = ramp.world.item()

    def orders(u: Unit) -> None:
        bom = Bom(item_id=item, output_amount=Decimal(1))
        u.session.add(bom)
        u.session.flush()
        for code, state, due in (("WO-stands", "held", 5), ("WO-late", "planned", -3), ("WO-well", "planned", 9)):
            due_at = NOW + due * HOUR
            u.session.add(
                WorkOrder(code=code, item_id=item, bom_id=bom.id, amount=Decimal(7), due_at=due_at, created_at=NOW)
            )
            u.session.flush()
            for step in ("material_ok", "released", "running", "held") if state == "held" else ():
                stands = {"state": step, "code": code, "why": "material is held" if step == "held" else None}
                u.conn.execute(
                    text("UPDATE work_order SET state = :state, stopped_reason = :why WHERE code = :code"), stands
                )

    ramp.world.do(orders)
    read = text_of(ramp.people["pat"].get("/centres"))
    assert read.index("WO-stands") < read.index("material is held") < read.index("WO-late") < read.index("late by 3 h")
    assert "WO-well" not in read
