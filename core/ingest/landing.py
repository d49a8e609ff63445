"""The landing of an import: custody with the logger, its readings, what of them is refused, and the judge.

A whole file has been told: silence within it is real, up to its last reading, or to the end of its time with the goods
where it stopped before that. That word is the zone's watermark once and is then forgotten, so that it holds back
nothing that a live gateway says of the zone later, and nobody waits for a logger that has finished.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import insert, text

from core.erp.catalog.model import Zone
from core.erp.custody import service as custody
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.times import micros, moment
from core.erp.kernel.errors import Invalid, Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.shipments.service import logger_zones
from core.erp.shipments.service.logger_zones import TogetherSpan
from core.ingest.core_batches import land_in_parts
from core.ingest.import_request import ImportRequest, ImportResult, Series, compact
from core.ingest.model import DeadLetter
from core.ingest.transaction import dead_reading_letter, hold_partitions
from core.ingest.validation import Refusal, check
from core.telemetry.address import partition_of
from core.telemetry.batch import Watermark
from core.telemetry.compact import PointReadings, Readings, State, Values
from core.telemetry.reading import Reading
from core.telemetry.units import CANONICAL, NotConvertible, convert

GATEWAY = "import"
READINGS_AT_ONCE = 20_000
"""So many readings are objects at once."""
_NO_TIME = 2**63 - 1
SHOWN = 20
"""How many refused readings an answer names; it counts and keeps all."""


def bind_to_goods(u: Unit, judge: Judge, order: ImportRequest, done: ImportResult, *, live: bool) -> None:
    """Goods first, then readings: what the logger saw is judged with everybody there.

    Raises Invalid where no reading can be used, Refused for a file of another time.
    """
    readings = readings_of(u, order, done, live=live)
    _while_together(readings, done)
    for span in done.spans:
        logger_zones.record_together(u, done.zone, span, f"with logger {order.serial} of {done.bound_to}")
        if order.stop is not None and span.stop == order.stop:
            _record_separation(u, done.zone, span)
    done.sublots = sorted({one for span in done.spans for one in span.sublot_ids})
    times = readings.times()
    past = times[times <= micros(u.now)]
    last_told = [moment(int(past.max()))] if len(past) else []
    last_told += [s.stop for s in done.spans if s.stop is not None]
    land_import(u, judge, readings, done, max(last_told, default=None))
    _count(u, readings, done)


def _while_together(readings: Readings, done: ImportResult) -> None:
    """Raises Refused for a file of another time: nothing in it would count, and its silence would count against."""
    times = readings.times()
    if any(
        bool(((times >= micros(span.start)) & (times < (_NO_TIME if span.stop is None else micros(span.stop)))).any())
        for span in done.spans
    ):
        return
    first, last = moment(int(times.min())), moment(int(times.max()))
    goods = [
        Message("ingest.span", start=span.start, stop=span.stop)
        if span.stop is not None
        else Message("ingest.span_to_now", start=span.start)
        for span in done.spans
    ]
    raise Refused("ingest.of_another_time", spans=goods or [Message("ingest.no_span")], first=first, last=last)


def _record_separation(u: Unit, zone: Zone, span: TogetherSpan) -> None:
    """The logger was taken out at the span's end while the goods stayed where they were: they are there again."""
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
                custody.record_location(u, sublot_id, back, span.stop, Message("ingest.logger_taken_out"))


def readings_of(u: Unit, order: ImportRequest, done: ImportResult, *, live: bool) -> Readings:
    """The file's values as readings that may land, in their points' units and each point's in the order of time; the
    others are counted, named and kept.

    Raises Invalid where none may land.
    """
    out: list[PointReadings] = []
    dead: list[dict[str, Any]] = []
    for series in order.series:
        quantity = _quantity(series)
        unit = _judged_unit(quantity, series.unit)
        point = logger_zones.logger_point(u, done.zone, order.serial, quantity, unit)
        done.points.append(point.address)
        values = series.values if isinstance(series.values, Values) else compact(series.values, series.unit)
        made = PointReadings(point.address, u.now, series.simulated, values)
        good, refused = _checked(made, point.unit, partition_of(done.zone.address), u.now, live=live)
        if good:
            out.append(replace(made, values=good.in_time()))
        done.refused.update(refusal.reason for _, refusal in refused)
        done.details += [refusal.detail for _, refusal in refused[: SHOWN - len(done.details)]]
        dead += [dead_reading_letter(u.now, GATEWAY, None, reading, refusal) for reading, refusal in refused]
    if not out:
        raise Invalid("ingest.none_usable", readings=len(dead), details=done.details)
    _write_dead_letters(u, dead)
    return Readings(out)


def _checked(
    made: PointReadings, unit: str, partition: int, now: datetime, *, live: bool
) -> tuple[Values, list[tuple[Reading, Refusal]]]:
    """The values that may land, in the point's unit, and what may not; most are as they were."""
    out, refused = Values(states=list(made.values.states)), []
    for first in range(0, len(made.values), READINGS_AT_ONCE):
        part = list(made.between(first, first + READINGS_AT_ONCE))
        good, others = check(part, {made.point: unit}, partition, now, live=live)
        if not others and all(mine is given for mine, given in zip(good, part, strict=True)):
            out.take(made.values, first, first + READINGS_AT_ONCE)
            continue
        refused += others
        for one in good:
            number = None if one.value is None else float(one.value)
            out.add(micros(one.at), number, State(one.quality, one.reason, one.unit))
    return out, refused


def _quantity(series: Series) -> str:
    """The quantity as profiles call it: `Temperature` would be one that no limit speaks of."""
    bare = series.quantity.strip()
    return bare.lower() if bare.lower() in CANONICAL else bare


def _judged_unit(quantity: str, unit: str) -> str:
    """The unit of the series' point: its own, unless nobody could judge its quantity in it; then all are refused."""
    canonical = CANONICAL.get(quantity)
    if canonical is None or unit == canonical:
        return unit
    try:
        convert(0.0, unit, canonical)
    except NotConvertible:
        return canonical
    return unit


_KNOWN = text(
    "SELECT point, reading_at, reason FROM dead_letter WHERE gateway = :gateway AND point = ANY(:points)"
    " AND replayed_at IS NULL"
)


def _write_dead_letters(u: Unit, dead: Sequence[dict[str, Any]]) -> None:
    """Keeps what was refused as dead letters, which can be replayed; once, however often the file is read."""
    if not dead:
        return
    asked = {"gateway": GATEWAY, "points": sorted({letter["point"] for letter in dead})}
    known = {tuple(row) for row in u.conn.execute(_KNOWN, asked)}
    fresh = [letter for letter in dead if (letter["point"], letter["reading_at"], letter["reason"]) not in known]
    if fresh:
        u.conn.execute(insert(DeadLetter), fresh)


def land_import(u: Unit, judge: Judge, readings: Readings, done: ImportResult, told_to: datetime | None) -> None:
    """Lands and judges the readings; silence is real up to `told_to`."""
    hold_partitions(u.conn, {partition_of(done.zone.address)})
    u.session.flush()
    landed = land_in_parts(u, GATEWAY, readings, READINGS_AT_ONCE)
    done.landed, done.duplicates, done.conflicts = len(landed.new), landed.duplicates, len(landed.conflicts)
    marks = [] if told_to is None else [(GATEWAY, Watermark("logger", told_to, (done.zone.address,)))]
    judge.fold(u, landed.new, landed.conflicts, marks, [])
    u.conn.execute(
        text("DELETE FROM source_watermark WHERE zone_id = :zone AND gateway = :gateway"),
        {"zone": done.zone.id, "gateway": GATEWAY},
    )
    u.audit(
        "logger.import",
        "zone",
        done.zone.id,
        after={
            "points": done.points,
            "bound_to": done.bound_to,
            "landed": done.landed,
            "duplicates": done.duplicates,
            "conflicts": done.conflicts,
            "refused": dict(done.refused),
            "source": dict(done.source),
        },
    )


def _count(u: Unit, readings: Readings, done: ImportResult) -> None:
    """How many readings counted, and how many only are kept, by what the custody on record says."""
    intervals = [
        stay for found in logger_zones.intervals_in_zone(u, done.zone.id, done.sublots).values() for stay in found
    ]
    first = min((start for start, _ in intervals), default=0)
    last = None if any(stop is None for _, stop in intervals) else max((stop or 0 for _, stop in intervals), default=0)
    at = readings.times()
    counted = np.zeros(len(at), np.bool_)
    for start, stop in intervals:
        counted |= (at >= start) & (at < (_NO_TIME if stop is None else stop))
    before = ~counted & (at < first)
    after = ~counted & ~before & (at >= (_NO_TIME if last is None else last))
    done.counted, done.before, done.after = int(counted.sum()), int(before.sum()), int(after.sum())
    done.between = len(at) - done.counted - done.before - done.after
