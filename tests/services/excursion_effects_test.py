"""What the desk says a signature would do is what it does: the same rules, asked before and after."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.rehearsal import rehearsed
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.production import service as production
from core.erp.quality import service as quality
from core.erp.shipments import service as shipments
from core.web.desks.excursions.cases import Case, of_incident
from core.web.desks.excursions.effects import Effects, effects_of
from tests.services.quality_plant import PASSWORD, Plant, at, build


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return build(engine)


def foreseen(plant: Plant, incident: int, now: str) -> tuple[Case, Effects]:
    def work(u: Unit) -> tuple[Case, Effects]:
        case = of_incident(u, incident)
        return case, effects_of(u, case)

    return plant.act("quinn", at(now), work)


def work_order(plant: Plant, code: str, vaccine: int) -> int:
    made = plant.do("pat", at("00:02"), production.plan, code, _bill(plant), Decimal(100), at("12:00"))
    plant.do("pat", at("00:03"), production.reserve, made.id, vaccine, Decimal(100))
    for move in ("check_material", "release"):
        plant.do("pat", at("00:04"), production.move_order, made.id, move)
    return made.id


def _bill(plant: Plant) -> int:
    steps = [production.Step(10, "fill", "FILL", duration=timedelta(hours=1))]
    found = plant.rows("SELECT id FROM bom")
    if found:
        return int(found[0][0])
    plant.do("pat", at("00:00"), production.create_work_centre, "FILL", "Filling")
    made = plant.do(
        "pat",
        at("00:01"),
        production.create_bom,
        plant.items["kit"],
        Decimal(100),
        [(plant.items["vaccine"], Decimal(100))],
        steps,
    )
    return made.id


class Scene:
    """One warm room: V is free but for it, W has another hold too, Q waits in quarantine, P was split off V since, an
    order takes from V and another from W, a shipment carries V.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.v, self.w = plant.goods(amount=300, number="V"), plant.goods(number="W")
        self.q = plant.goods(number="Q", released=False)
        self.good, self.stuck = work_order(plant, "WO-V", self.v), work_order(plant, "WO-W", self.w)
        legs = [shipments.PlannedLeg("dock", "clinic")]
        sent = [(self.v, Decimal(50))]
        self.sent = plant.do("lou", at("01:00"), shipments.create, "SH-V", "Clinic", sent, legs).id
        plant.do(
            "quinn", at("01:30"), lots.place_hold, sublot_id=self.w, kind="manual", reason="seal", since_at=at("01:30")
        )
        for sublot in (self.v, self.w, self.q):
            plant.judged(at("04:00"), sublot, plant.breach("02:00", "03:00", "03:30"))
        self.p = plant.do("wanda", at("04:10"), lots.split, self.v, Decimal(20), code="P").id
        self.incident = int(plant.one("SELECT DISTINCT incident_id FROM excursion"))
        plant.do("quinn", at("04:20"), quality.assess_incident, self.incident, "80 min at 12 °C")

    def sign(self, decision: str, ids: list[int]) -> None:
        signing = quality.incident_disposition_signing(self.incident, ids, decision, "stable")
        self.plant.sign("quinn", at("05:00"), signing, PASSWORD, login="quinn")

    def codes(self, *sublots: int) -> set[str]:
        rows = self.plant.rows("SELECT code FROM sublot WHERE id = ANY(:ids)", ids=list(sublots))
        return {str(row[0]) for row in rows}

    def standing(self) -> set[int]:
        return {int(row[0]) for row in self.plant.rows("SELECT id FROM hold WHERE lifted_at IS NULL")}

    def takes(self, sublot: int, purpose: str) -> bool:
        return self.plant.do("quinn", at("05:01"), lots.movable, sublot, purpose) == []

    def resumes(self, order: int, move: str) -> bool:
        """Whether the planner could take the order up again; nothing of it is kept."""

        def work(u: Unit) -> bool:
            try:
                rehearsed(u, lambda u: production.move_order(u, order, move))
            except LotwiseError:
                return False
            return True

        return self.plant.act("pat", at("05:02"), work)


def test_what_accepting_would_do_is_what_it_does(plant: Plant) -> None:
    scene = Scene(plant)
    case, effects = foreseen(plant, scene.incident, "04:30")
    before = scene.standing()
    scene.sign("accept", case.decidable)
    assert before - scene.standing() == effects.lifted
    assert set(effects.free["sale"]) == scene.codes(scene.v)
    assert (scene.takes(scene.v, "sale"), scene.takes(scene.v, "use")) == (True, True)
    (because_p, because_w) = sorted(effects.stays, key=lambda why: effects.stays[why][0])
    assert [effects.stays[why] for why in (because_p, because_w)] == [["P"], sorted(scene.codes(scene.w))]
    assert not scene.takes(scene.p, "sale"), "its inherited hold is lifted by itself"
    assert not scene.takes(scene.w, "sale")
    assert [good.id for good in effects.quarantined] == [scene.q]
    assert plant.one("SELECT state FROM sublot WHERE id = :s", s=scene.q) == "quarantine"
    by_code = {one.code: one for one in effects.stopped}
    assert by_code.keys() == {"SH-V", "WO-V", "WO-W"}
    assert (by_code["WO-V"].still == (), scene.resumes(scene.good, "unblock")) == (True, True)
    assert (by_code["WO-W"].still == (), scene.resumes(scene.stuck, "unblock")) == (False, False)
    (own,) = by_code["SH-V"].own
    assert own in scene.standing()
    assert [why.address for why in by_code["SH-V"].still] == [f"/holds/{own}"], "nothing but its own hold, which stays"
    plant.do("quinn", at("05:10"), lots.lift_hold, own, "its goods are free")
    _, now = foreseen(plant, scene.incident, "05:11")
    assert [one.still for one in now.stopped if one.code == "SH-V"] == [()]


def test_what_rejecting_would_do_is_what_it_does(plant: Plant) -> None:
    scene = Scene(plant)
    case, effects = foreseen(plant, scene.incident, "04:30")
    before = scene.standing()
    scene.sign("destroy", case.decidable)
    assert scene.standing() == before
    became = {str(row[0]) for row in plant.rows("SELECT code FROM sublot WHERE state = 'rejected'")}
    assert set(effects.rejected) == became == scene.codes(scene.v, scene.w, scene.q)


def test_a_condition_that_stands_already_leaves_the_goods_to_production(plant: Plant) -> None:
    scene = Scene(plant)
    plant.do("quinn", at("04:25"), lots.restrict, scene.v, "market", {"only": ["DE"]}, "registered there")
    case, effects = foreseen(plant, scene.incident, "04:30")
    scene.sign("accept", case.decidable)
    assert (effects.free["sale"], set(effects.free["use"])) == ([], scene.codes(scene.v))
    assert (scene.takes(scene.v, "sale"), scene.takes(scene.v, "use")) == (False, True)


def test_what_was_seen_is_another_word_once_it_has_changed(plant: Plant) -> None:
    scene = Scene(plant)
    case, effects = foreseen(plant, scene.incident, "04:30")
    seen = case.seen(sorted(effects.lifted))
    assert foreseen(plant, scene.incident, "04:31")[0].seen(sorted(effects.lifted)) == seen
    with plant.engine.begin() as conn:
        conn.execute(text("UPDATE excursion SET out = '95 min' WHERE sublot_id = :s"), {"s": scene.v})
    assert foreseen(plant, scene.incident, "04:32")[0].seen(sorted(effects.lifted)) != seen
