"""The sample's goods: lots received over weeks, most of them released, and the readings they stood through."""

import functools
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.series.landing import land
from core.telemetry.batch import Watermark
from core.telemetry.reading import Reading
from lotwise.demo.sample.climate import readings
from lotwise.demo.sample.site import ITEMS, PLACES, Sample

CHUNK = timedelta(hours=6)
RELEASE = text("""
    WITH act AS (INSERT INTO batch_release (sublot_id, at, automatic, record)
        SELECT id, :at, true, '{}' FROM unnest(CAST(:ids AS bigint[])) id)
    UPDATE sublot SET state = 'released' WHERE id = ANY(CAST(:ids AS bigint[]))
""")
BORN = text("""
    WITH born AS (
        INSERT INTO sublot (code, lot_id, state, zone_id, created_at)
        SELECT code, :lot, 'quarantine', zone, :at
        FROM unnest(CAST(:codes AS text[]), CAST(:zones AS bigint[])) part(code, zone) RETURNING id, code, zone_id
    ), stands AS (
        INSERT INTO custody_fact (sublot_id, zone_id, at, known_at, actor, reason)
        SELECT id, zone_id, :at, :at, 'warehouse', 'receipt' FROM born
    ), here AS (
        INSERT INTO stock_move
            (sublot_id, source, target, amount, at, posted_at, actor, purpose, reference, fact)
        SELECT id, 'supplier', 'stock', amount, :at, :at, 'warehouse', 'receipt', '', true
        FROM born JOIN unnest(CAST(:codes AS text[]), CAST(:amounts AS numeric[])) part(code, amount) USING (code)
    )
    SELECT id FROM born ORDER BY id
""")
"""Many sublots at once, as receipts leave them."""
STEADY: dict[str, tuple[str, ...]] = {
    "2-8": ("north/cold/room-2", "suzhou/cold/room-a"),
    "15-25": ("suzhou/store/ambient", "north/fill/line-1"),
    "frozen": ("north/frozen/freezer-1",),
    "": ("north/store/ambient",),
}
"""Where goods of a profile are put and nothing happens to them."""
EVENTFUL: dict[str, tuple[str, ...]] = {
    "2-8": (
        *("north/cold/room-2", "suzhou/cold/room-a") * 6,
        "north/cold/room-3",
        "north/cold/room-1",
        "north/cold/room-1",
        "suzhou/cold/room-b",
        "north/boxes/shipper-32",
        "north/trucks/truck-7",
    ),
    "15-25": ("north/store/ambient", "suzhou/store/ambient", "suzhou/store/ambient"),
    "frozen": ("north/frozen/freezer-1", "north/frozen/freezer-1", "north/frozen/freezer-2"),
    "": ("north/store/ambient",),
}
"""Where else, and something does."""
IN_BULK, RELEASED = 0.88, 0.94
"""Of all lots: put in steady places all at once, and released already."""


def receive(sample: Sample, count: int) -> list[int]:
    """Ids of `count` sublots, received one lot after another from the beginning until yesterday."""
    dice = random.Random(4)  # noqa: S311 - no secret
    made: list[int] = []
    span = sample.now - timedelta(hours=20) - sample.began
    number = 0
    while len(made) < count:
        at = sample.began + timedelta(minutes=5) + span * (len(made) / count)
        number += 1
        made += sample.do(lambda u, n=number: _lot(u, sample, n, dice), now=at, who="warehouse")
    return made


def _lot(u: Unit, sample: Sample, number: int, dice: random.Random) -> list[int]:
    code, _, profile = dice.choice(ITEMS)
    expiry = (u.now + timedelta(days=dice.choice((40, 120, 300, 420, 600)))).date()
    maker = f"S{dice.randint(1, 6):02}"
    called = f"{code[:3]}{u.now:%y%m}{number:03}"
    lot = lots.create_lot(u, sample.items[code], called, f"Supplier {maker[1:]}", expiry, sample.partners[maker])
    in_bulk = dice.random() < IN_BULK
    places = (STEADY if in_bulk else EVENTFUL)[profile]
    parts = [
        (f"{called}-{part + 1}", sample.zones[dice.choice(places)], dice.choice((10, 24, 48, 120, 500)))
        for part in range(dice.randint(4, 12))
    ]
    if in_bulk:
        columns = [list(column) for column in zip(*parts, strict=True)]
        asked = {"lot": lot.id, "at": u.now, "codes": columns[0], "zones": columns[1], "amounts": columns[2]}
        ids = list(u.conn.scalars(BORN, asked))
    else:
        ids = [lots.receive(u, lot.id, Decimal(n), zone, code=one, reason="receipt").id for one, zone, n in parts]
    if dice.random() < RELEASED:
        u.conn.execute(RELEASE, {"ids": ids, "at": u.now})
    return ids


def feed(sample: Sample, judge: Judge, start: datetime, stop: datetime, batch: int) -> int:
    """Lands and judges what the zones said in [start, stop), chunk by chunk. Returns the next batch's number."""
    for one, other in _chunks(start, stop):
        found = list(readings(one, other, sample.now))
        zones: dict[str, list[str]] = {}
        for place in PLACES:
            zones.setdefault(place.address.split("/")[0], []).append(place.address)
        marks = [(f"gateway-{site}", Watermark("mqtt", other, tuple(addresses))) for site, addresses in zones.items()]

        sample.do(functools.partial(_fold, judge=judge, found=found, marks=marks, batch=batch), now=other)
        batch += 1
    return batch


def _fold(u: Unit, judge: Judge, found: list[Reading], marks: list[tuple[str, Watermark]], batch: int) -> None:
    landed = land(u.conn, found, [batch] * len(found), u.now)
    new = [found[index] for index in landed.new]
    judge.fold(u, new, [(first, second) for _, first, second in landed.conflicts], marks)


def _chunks(start: datetime, stop: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < stop:
        end = min(start + CHUNK, stop)
        yield start, end
        start = end
