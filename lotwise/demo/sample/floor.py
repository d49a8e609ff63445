"""The sample's shop floor: work centres, a bill of material, and orders of which some stand still."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import text

from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.production import service as production
from lotwise.demo.sample.site import Sample

HOUR = timedelta(hours=1)
ORDERS, WITH_MATERIAL, RELEASED = 24, 16, 11
STOPPED = {3, 8}
"""Which of the released orders have material that is held."""
CENTRES = (
    ("FILL-1", "Filling line 1"),
    ("PACK-1", "Packing 1"),
    ("PACK-2", "Packing 2"),
    ("INSP", "目检台"),
)
MADE, OF = "KIT-11", "VAC-05"
AMOUNT = Decimal(10)


def make(sample: Sample, free: list[int]) -> None:
    """Takes the material out of `free`, ids of sublots that may be taken."""
    bill = sample.do(lambda u: _bill(u, sample), now=sample.began)
    with sample.engine.connect() as conn:
        material = list(conn.scalars(_MATERIAL, {"item": sample.items[OF], "free": free, "count": WITH_MATERIAL}))
    free[:] = [one for one in free if one not in set(material)]
    for number in range(1, ORDERS + 1):
        _order(sample, number, bill, material)


_MATERIAL = text("""
    SELECT s.id FROM sublot s JOIN lot l ON l.id = s.lot_id
    WHERE l.item_id = :item AND s.id = ANY(CAST(:free AS bigint[])) ORDER BY s.id LIMIT :count
""")


def _bill(u: Unit, sample: Sample) -> int:
    for code, name in CENTRES:
        production.create_work_centre(u, code, name, sample.zones["north/fill/line-1"])
    steps = [
        production.Step(10, "Fill", "FILL-1", (), 1.5 * HOUR),
        production.Step(20, "Pack", "PACK-1", ("PACK-2",), HOUR),
        production.Step(30, "Inspect", "INSP", (), 0.5 * HOUR),
    ]
    made = production.create_bom(u, sample.items[MADE], AMOUNT, [(sample.items[OF], AMOUNT)], steps)
    return int(made.id)


def _order(sample: Sample, number: int, bill: int, material: list[int]) -> None:
    due = sample.now + timedelta(hours=6 * number - 12)
    order = sample.do(
        lambda u: production.plan(u, f"WO-{7700 + number}", bill, AMOUNT, due, priority=100 - number % 4).id,
        now=sample.now - 24 * HOUR,
        who="planner",
    )
    if not material:
        return
    sublot = material.pop()
    sample.do(lambda u: production.reserve(u, order, sublot, AMOUNT), now=sample.now - 6 * HOUR, who="planner")
    sample.do(lambda u: production.move_order(u, order, "check_material"), now=sample.now - 5 * HOUR, who="planner")
    if number <= RELEASED:
        sample.do(lambda u: production.move_order(u, order, "release"), now=sample.now - 4 * HOUR, who="planner")
    if number in STOPPED:
        sample.do(
            lambda u: lots.place_hold(
                u, sublot_id=sublot, kind="quality", reason="Particles seen at inspection", since_at=u.now
            ),
            who="qa",
        )
