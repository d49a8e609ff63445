"""The sample's shipments: to customers in every state, some held, and suppliers' on their way."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import text

from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.shipments import service as shipments
from lotwise.demo.sample.site import Sample

HOUR = timedelta(hours=1)
Act = Callable[[Unit, int], object]


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody does with a shipment, so many hours after it was planned."""

    hours: float
    who: str
    act: Act


PICK = Step(1, "warehouse", shipments.pick)
DISPATCH = Step(2, "logistics", shipments.dispatch)
DEPART = Step(2.5, "logistics", lambda u, one: shipments.departed(u, one, u.now, "Door closed, seal on"))
ARRIVE = Step(4.5, "logistics", lambda u, one: shipments.arrived(u, one, u.now, "Handed over at the dock"))
ACCEPT = Step(5, "logistics", shipments.accept)
REFUSE = Step(5, "logistics", lambda u, one: shipments.refuse(u, one, "Two boxes are damaged"))
CANCEL = Step(1, "logistics", lambda u, one: shipments.cancel(u, one, "Order withdrawn by the customer"))
COURSES: tuple[tuple[int, tuple[int, int], tuple[Step, ...]], ...] = (
    (18, (1, 12), ()),
    (14, (3, 20), (PICK,)),
    (8, (3, 20), (PICK, DISPATCH)),
    (16, (4, 20), (PICK, DISPATCH, DEPART)),
    (10, (6, 20), (PICK, DISPATCH, DEPART, ARRIVE)),
    (24, (20, 100), (PICK, DISPATCH, DEPART, ARRIVE, ACCEPT)),
    (3, (20, 60), (PICK, DISPATCH, DEPART, ARRIVE, REFUSE)),
    (3, (20, 60), (CANCEL,)),
)
"""How many shipments, planned how many hours ago, and how far they have come."""
LOGGED = 0.4
"""Of those that have not arrived: with a logger that is to be read."""
INBOUND, HELD = 4, 2


def ship(sample: Sample, free: list[int]) -> None:
    """Takes the goods for it out of `free`, ids of sublots that may be taken."""
    dice = random.Random(9)  # noqa: S311 - no secret
    number = 24100
    for count, (least, most), steps in COURSES:
        for _ in range(count):
            number += 1
            planned = sample.now - timedelta(hours=dice.randint(least, most))
            logged = ACCEPT not in steps and dice.random() < LOGGED
            shipment = _plan(sample, f"SO-{number}", planned, free, dice, logged=logged)
            for step in steps:
                sample.do(lambda u, s=step, one=shipment: s.act(u, one), now=planned + step.hours * HOUR, who=step.who)
    for number in range(INBOUND):
        sample.do(lambda u, n=number: _inbound(u, sample, n), now=sample.now - 10 * HOUR)
    _hold_picked(sample)


def _plan(sample: Sample, code: str, at: datetime, free: list[int], dice: random.Random, *, logged: bool) -> int:
    lines = [(free.pop(dice.randrange(len(free))), Decimal(dice.choice((2, 5, 10)))) for _ in range(dice.randint(1, 3))]
    partner = dice.choice([name for name in sample.partners if name[0] in "CK"])
    consignee = f"{'Customer ' if partner[0] == 'C' else '客户'}{partner[1:]}"
    truck = sample.zones["north/trucks/truck-9"]

    def work(u: Unit) -> int:
        legs = [shipments.PlannedLeg("North plant", consignee, vehicle_zone_id=truck, carrier="Carrier 01")]
        made = shipments.create(
            u,
            code,
            consignee,
            lines,
            legs,
            market="CN" if partner[0] == "K" else "DE",
            due_at=at + timedelta(hours=dice.choice((18, 30, 48))),
            consignee_id=sample.partners[partner],
            loggers=[shipments.RequiredLogger(f"LG-{code[3:]}")] if logged else (),
        )
        return int(made.id)

    return int(sample.do(work, now=at))


def _inbound(u: Unit, sample: Sample, number: int) -> None:
    dock = sample.zones["north/dock/dock-a"]
    lot = lots.create_lot(u, sample.items["VAC-05"], f"VAC2612{number:03}", "Supplier 02", None, sample.partners["S02"])
    expected = lots.receive(u, lot.id, Decimal(500), None, state="expected", code=f"{lot.number}-1")
    shipments.create(
        u,
        f"PO-{5100 + number}",
        "North plant",
        [(expected.id, Decimal(500))],
        [shipments.PlannedLeg("Supplier 02", "North plant", to_zone_id=dock, carrier="Carrier 01")],
        kind="inbound",
        receiving_zone_id=dock,
        due_at=sample.now + (number + 1) * 20 * HOUR,
    )


_PICKED = text("""
    SELECT min(l.sublot_id) FROM shipment_line l JOIN shipment s ON s.id = l.shipment_id
    WHERE s.state = 'picked' GROUP BY s.id ORDER BY s.id LIMIT :count
""")


def _hold_picked(sample: Sample) -> None:
    """A hold on what is picked holds its shipment."""
    with sample.engine.connect() as conn:
        picked = conn.scalars(_PICKED, {"count": HELD}).all()
    for sublot in picked:
        sample.do(
            lambda u, s=sublot: lots.place_hold(
                u, sublot_id=s, kind="quality", reason="Complaint on the same lot", since_at=u.now
            ),
            who="qa",
        )
