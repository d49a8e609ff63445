"""A recorder read out after the journey: its readings land, are bound to the goods it was with, and are judged.

They land under a point of the recorder's own zone (core.erp.shipments.service.recorders says why), keyed by (point, at)
like all readings: the same file twice lands nothing twice, another value at the same time is a conflict on record.
A whole file has been told: silence within it is real, up to its last reading, or to the end of its time with the goods
where it stopped before that. That word is the zone's watermark once and is then forgotten, so that it holds back
nothing that a live gateway says of the zone later, and nobody waits for a recorder that has finished.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, text

from core.erp.catalog.model import Zone
from core.erp.custody import service as custody
from core.erp.exposure.judge import Judge
from core.erp.exposure.times import micros
from core.erp.kernel.errors import Invalid, NotFound, Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.model import Lot, Sublot
from core.erp.shipments import service as shipments
from core.erp.shipments.model import Shipment, ShipmentLogger
from core.erp.shipments.service import recorders
from core.erp.shipments.service.planning import lock_with_goods
from core.erp.shipments.service.recorders import Span
from core.ingest.folding import hold_partitions
from core.ingest.own import land_own
from core.ingest.validation import check
from core.telemetry.address import partition_of
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading

GATEWAY = "import"
SHOWN = 20
"""How many refused readings an answer names; it counts all."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the file. `at` is aware; a missing value has quality bad."""

    at: datetime
    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = Reason.NONE


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity the recorder measured, in a UCUM unit."""

    quantity: str
    unit: str
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Order:
    """What to import, and what it was with: exactly one of shipment, lot, sublot, zone (ids, or codes as text).

    `start` and `stop` narrow, or for a lot name, when recorder and goods were together.
    """

    serial: str
    series: Sequence[Series]
    shipment: int | str | None = None
    lot: int | str | None = None
    sublot: int | str | None = None
    zone: int | str | None = None
    start: datetime | None = None
    stop: datetime | None = None


@dataclass(slots=True)
class Imported:
    """What came of it. `counted` readings were taken while goods were there; `before` and `after` are kept only."""

    bound_to: str
    zone: Zone
    points: list[str]
    spans: list[Span]
    landed: int = 0
    duplicates: int = 0
    conflicts: int = 0
    counted: int = 0
    before: int = 0
    after: int = 0
    between: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)
    logger: str | None = None
    """The state of the required logger of that number: read, required (the journey goes on); None if not required."""
    sublots: list[int] = field(default_factory=list)


def import_recorder(u: Unit, judge: Judge, order: Order, *, live: bool) -> Imported:
    """Lands, binds and judges in the caller's transaction.

    Raises Forbidden without the permit `logger.import`, Invalid (nothing to import, not one binding), NotFound,
    Refused (not left yet; everything was measured already), Conflict (with another binding's recorder then).
    """
    u.need("logger.import")
    if not order.serial.strip() or not any(series.values for series in order.series):
        raise Invalid("there is nothing to import: give the recorder's number and its readings")
    if order.start is not None and order.stop is not None and order.stop <= order.start:
        raise Invalid("the recorder was with the goods from a time to a later one")
    if sum(target is not None for target in (order.shipment, order.lot, order.sublot, order.zone)) != 1:
        raise Invalid("say what the recorder was with: one of shipment, lot, sublot, zone")
    if order.shipment is not None:
        return _shipment(u, judge, order, live=live)
    if order.zone is not None:
        return _zone(u, judge, order, live=live)
    return _goods(u, judge, order, live=live)


# --- what it was with


def _shipment(u: Unit, judge: Judge, order: Order, *, live: bool) -> Imported:
    shipment_id = _find(u, Shipment, "code", order.shipment, "shipment")
    shipment = lock_with_goods(u, shipment_id)
    c = table(ShipmentLogger).c
    required = u.conn.execute(
        select(c.zone_id, c.serial).where(
            c.shipment_id == shipment_id, c.serial.in_((order.serial, order.serial.strip()))
        )
    ).first()
    box = recorders.box_of(u, shipment, required.zone_id if required else None)
    start, stop = recorders.journey(u, shipment)
    span = _narrowed(Span(_ids(line.sublot_id for line in recorders.lines_in(u, shipment, box)), start, stop), order)
    zone = recorders.logger_zone(u, shipment, box)
    done = Imported(f"shipment {shipment.code}", zone, [], [span] if span else [])
    _bind(u, judge, order, done, live=live)
    if required is not None:
        if stop is not None:
            shipments.logger_read(u, shipment_id, required.serial)
        done.logger = u.conn.scalar(select(c.state).where(c.shipment_id == shipment_id, c.serial == required.serial))
    return done


def _goods(u: Unit, judge: Judge, order: Order, *, live: bool) -> Imported:
    """A lot's or sublot's recorder speaks for where nobody else measured, or for all of a time that is named."""
    s = table(Sublot).c
    if order.lot is not None:
        lot_id = _find(u, Lot, "number", order.lot, "lot")
        ids = list(u.conn.scalars(select(s.id).where(s.lot_id == lot_id).order_by(s.id)))
        name, title = f"lot-{lot_id}", f"lot {lots.get_lot(u, lot_id).number}"
    else:
        one = _find(u, Sublot, "code", order.sublot, "sublot")
        ids, name, title = [one], f"sublot-{one}", f"sublot {lots.get_sublot(u, one).code}"
    custody.lock_zones(u, ids)
    lots.lock_sublots(u, ids)
    found = custody.intervals(u, ids)
    places = [place for spans in found.values() for place, _, _ in spans]
    zone = recorders.zone_for(u, name, f"recorders of {title}", places)
    named = order.start is not None or order.stop is not None
    spans = []
    for sublot, stays in found.items():
        for place, start, stop in stays:
            if place is None or (not named and place != zone.id and _spoken_for(u, place, start, stop)):
                continue
            narrowed = _narrowed(Span((sublot,), start, stop), order)
            if narrowed is not None:
                spans.append(narrowed)
    if not spans:
        raise Refused(
            f"{title} was nowhere then that nobody measured: say from when to when the recorder was with it, if it "
            "shall count instead of the sensors there"
        )
    done = Imported(title, zone, [], spans)
    _bind(u, judge, order, done, live=live)
    return done


_READ = text("""
    SELECT EXISTS (
        SELECT FROM point p JOIN series_point s ON s.address = p.address JOIN reading r ON r.point_id = s.id
        WHERE p.zone_id = ANY(:zones) AND p.role = 'required' AND r.at >= :start
          AND r.at < coalesce(CAST(:stop AS timestamptz), :now))
""")


def _spoken_for(u: Unit, place: int, start: datetime, stop: datetime | None) -> bool:
    """Whether sensors there are required and have said something over [start, stop)."""
    if not recorders.measured(u, place, start):
        return False
    zones = {place, *u.conn.scalars(text("SELECT parent_id FROM zone_nesting WHERE zone_id = :z"), {"z": place})}
    return bool(u.conn.scalar(_READ, {"zones": sorted(zones), "start": start, "stop": stop, "now": u.now}))


def _zone(u: Unit, judge: Judge, order: Order, *, live: bool) -> Imported:
    """A recorder that stays in a zone is one of its sensors, read by hand: all of its file counts."""
    zone = u.session.get_one(Zone, _find(u, Zone, "address", order.zone, "zone"))
    done = Imported(f"zone {zone.address}", zone, [], [])
    readings = _readings(u, order, done, live=live)
    _land(u, judge, readings, done, max((r.at for r in readings), default=None))
    done.counted = len(readings)
    return done


def _find(
    u: Unit, model: type[Shipment] | type[Lot] | type[Sublot] | type[Zone], column: str, wanted: int | str | None,
    noun: str,
) -> int:  # fmt: skip
    """The id of the one row with that id, or with that code or number. Raises NotFound, Invalid (several)."""
    c = table(model).c
    rows = []
    if isinstance(wanted, str):
        rows = list(u.conn.scalars(select(c.id).where(c[column] == wanted).limit(2)))
    if not rows and str(wanted).isascii() and str(wanted).isdecimal() and int(str(wanted)) < 2**63:
        rows = list(u.conn.scalars(select(c.id).where(c.id == int(str(wanted)))))
    if not rows:
        raise NotFound(f"no {noun} {wanted}")
    if len(rows) > 1:
        raise Invalid(f"several {noun}s are called {wanted}: give the id")
    return int(rows[0])


def _ids(found: object) -> tuple[int, ...]:
    return tuple(sorted({one for one in found if isinstance(one, int)}))  # type: ignore[attr-defined]


def _narrowed(span: Span, order: Order) -> Span | None:
    start = max(span.start, order.start) if order.start is not None else span.start
    stops = [at for at in (span.stop, order.stop) if at is not None]
    stop = min(stops) if stops else None
    return None if stop is not None and stop <= start else Span(span.sublot_ids, start, stop)


# --- landing and judging


def _bind(u: Unit, judge: Judge, order: Order, done: Imported, *, live: bool) -> None:
    """Goods first, then readings: what the recorder saw is judged with everybody there."""
    readings = _readings(u, order, done, live=live)
    for span in done.spans:
        recorders.bring_together(u, done.zone, span, f"with recorder {order.serial} of {done.bound_to}")
        if order.stop is not None and span.stop == order.stop:
            _apart(u, done.zone, span)
    done.sublots = sorted({one for span in done.spans for one in span.sublot_ids})
    told = [r.at for r in readings if r.at <= u.now] + [s.stop for s in done.spans if s.stop is not None]
    _land(u, judge, readings, done, max(told, default=None))
    _count(u, readings, done)


def _apart(u: Unit, zone: Zone, span: Span) -> None:
    """The recorder was taken out at the span's end while the goods stayed where they were: they are there again."""
    assert span.stop is not None
    before = text(
        "SELECT zone_id FROM custody_fact f WHERE sublot_id = :s AND at <= :at AND zone_id IS DISTINCT FROM :zone"
        " AND retracts_id IS NULL AND NOT EXISTS (SELECT FROM custody_fact g WHERE g.retracts_id = f.id)"
        " ORDER BY at DESC, known_at DESC, id DESC LIMIT 1"
    )
    for sublot_id in span.sublot_ids:
        for place, start, stop in custody.intervals(u, [sublot_id])[sublot_id]:
            if place == zone.id and start < span.stop and (stop is None or stop > span.stop):
                back = u.conn.scalar(before, {"s": sublot_id, "at": span.stop, "zone": zone.id})
                custody.put(u, sublot_id, back, span.stop, "the recorder was taken out")


def _readings(u: Unit, order: Order, done: Imported, *, live: bool) -> list[Reading]:
    """The file's values as readings that may land, in their points' units; the others are counted and named."""
    out: list[Reading] = []
    for series in order.series:
        point = recorders.point_for(u, done.zone, order.serial, series.quantity, series.unit)
        done.points.append(point.address)
        made = [
            Reading(
                point.address, value.at, value.value, series.unit, u.now, value.at,
                Quality.BAD if value.value is None else value.quality,
                (value.reason or Reason.NO_VALUE) if value.value is None else value.reason,
            )
            for value in series.values
        ]  # fmt: skip
        good, refused = check(made, {point.address: point.unit}, partition_of(done.zone.address), u.now, live=live)
        out += good
        done.refused.update(refusal.reason for _, refusal in refused)
        done.details += [refusal.detail for _, refusal in refused[: SHOWN - len(done.details)]]
    return out


def _land(u: Unit, judge: Judge, readings: Sequence[Reading], done: Imported, told_to: datetime | None) -> None:
    hold_partitions(u.conn, {partition_of(done.zone.address)})
    u.session.flush()
    landed = land_own(u, GATEWAY, readings)
    done.landed, done.duplicates, done.conflicts = len(landed.new), len(landed.duplicates), len(landed.conflicts)
    marks = [] if told_to is None else [(GATEWAY, Watermark("recorder", told_to, (done.zone.address,)))]
    new = [readings[index] for index in landed.new]
    judge.fold(u, new, [(first, second) for _, first, second in landed.conflicts], marks, [])
    u.conn.execute(
        text("DELETE FROM source_watermark WHERE zone_id = :zone AND gateway = :gateway"),
        {"zone": done.zone.id, "gateway": GATEWAY},
    )
    u.audit(
        "logger.import", "zone", done.zone.id,
        after={"points": done.points, "bound_to": done.bound_to, "landed": done.landed, "duplicates": done.duplicates,
               "conflicts": done.conflicts, "refused": dict(done.refused)},
    )  # fmt: skip


def _count(u: Unit, readings: Sequence[Reading], done: Imported) -> None:
    """How many readings counted, and how many only are kept, by what the custody on record says."""
    assert done.zone.id is not None
    stays = [stay for found in recorders.together(u, done.zone.id, done.sublots).values() for stay in found]
    first = min((start for start, _ in stays), default=0)
    last = None if any(stop is None for _, stop in stays) else max((stop or 0 for _, stop in stays), default=0)
    for reading in readings:
        at = micros(reading.at)
        if any(start <= at and (stop is None or at < stop) for start, stop in stays):
            done.counted += 1
        elif at < first:
            done.before += 1
        elif last is not None and at >= last:
            done.after += 1
        else:
            done.between += 1
