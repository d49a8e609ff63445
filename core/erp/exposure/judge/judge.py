"""The judge: folds readings, watermarks and silences into zones, and says what the goods there went through.

One call of `Judge.fold` is part of one transaction of the ingest. It keeps zones' running folds in memory between
calls and trusts one only while the zone's row was last written by the very transaction that left it so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from core.erp.exposure.events import SublotsJudged, ZoneState, ZoneStates
from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.judge import silence as gaps
from core.erp.exposure.judge.due import can_skip, due_versions, rejudge_goods, skip_until
from core.erp.exposure.judge.fold_loading import FoldPosition, goods_since, load_folds
from core.erp.exposure.judge.watermarks import WatermarkSource, record_lost_spans, write_watermarks
from core.erp.exposure.judge.zone_conditions import zone_states
from core.erp.exposure.judge.zone_fold import ProfileWatch, ZoneFold
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.trace import judged_value
from core.erp.exposure.readings.zone_setup import JudgedPoint, load_setups
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.times import bucket, micros, moment
from core.erp.kernel.unit import Unit
from core.telemetry.batch import Gap, Watermark
from core.telemetry.compact import PointReadings, Readings
from core.telemetry.reading import Reading

_LOCK = text(
    "SELECT zone_id, xmin::text::bigint AS writer, judged_to, watermark FROM zone_judged"
    " WHERE zone_id = ANY(:zones) ORDER BY zone_id FOR UPDATE"
)
_CREATE = text(
    "INSERT INTO zone_judged (zone_id, version) SELECT z, 0 FROM unnest(CAST(:zones AS bigint[])) z"
    " ON CONFLICT DO NOTHING"
)


PointReading = tuple[JudgedPoint, Reading]


class ColumnReadings:
    """Readings of one zone's points in columns, one after another."""

    def __init__(self, columns: Sequence[tuple[JudgedPoint, PointReadings]]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[PointReading]:
        return ((point, reading) for point, column in self.columns for reading in column)


def _times(pairs: Iterable[PointReading]) -> list[int]:
    """The instants; of columns the earliest of each."""
    if isinstance(pairs, ColumnReadings):
        return [int(column.values.times().min()) for _, column in pairs.columns]
    return [micros(reading.at) for _, reading in pairs]


class Judge:
    """Folds what came in. Not for several threads at once; make one a worker."""

    def __init__(self) -> None:
        self._folds: dict[int, ZoneFold] = {}
        self._written: dict[int, int] = {}
        """Zone → the transaction that last wrote its row, when it was ours."""
        self._points: dict[str, JudgedPoint] = {}
        self._zones: dict[str, int] = {}
        """By address, which never changes."""
        self._profiles: dict[int, Profile] = {}

    def fold(
        self,
        u: Unit,
        readings: Sequence[Reading],
        conflicts: Sequence[tuple[Reading, Reading]] = (),
        watermarks: Sequence[tuple[str, Watermark]] = (),
        lost: Sequence[tuple[str, Gap]] = (),
    ) -> None:
        """Judges new readings (already landed), pairs of (kept, second) values, (gateway, watermark), and
        gaps that gateways told of.

        Locks the zones it touches, ascending; emits SublotsJudged and ZoneStates in the same transaction.
        """
        by_zone = self._readings_by_zone(u.conn, readings, conflicts)
        doubled: dict[int, list[int]] = defaultdict(list)
        for _, second in conflicts:
            point = self._points.get(second.point)
            if point is not None:
                doubled[point.zone_id].append(micros(second.at))
        marks = self._watermarks_by_zone(u.conn, watermarks)
        record_lost_spans(u, lost)
        zones = sorted({*by_zone, *doubled, *marks})
        if not zones:
            return
        marks = write_watermarks(u, marks, {(gateway, mark.source): mark.behind for gateway, mark in watermarks})
        self._lock_and_load(u, zones, by_zone, doubled, marks)
        late: dict[int, int] = {}
        for zone in zones:
            fold = self._folds[zone]
            fold.update_watermarks(marks.get(zone, {}))
            first = self._take_readings(fold, by_zone.get(zone, ()))
            first = min([first, *doubled.get(zone, ())]) if doubled.get(zone) else first
            if first < fold.tail.settled or doubled.get(zone):
                late[zone] = first
        self._finish(u, zones, late)

    def rejudge(self, u: Unit, zone_id: int, start: datetime) -> None:
        """Judges a zone again from raw readings since `start` (calibrations, points or bands have changed)."""
        self._folds.pop(zone_id, None)
        self._points.clear()
        self._lock_and_load(u, [zone_id], {}, {}, {})
        self._finish(u, [zone_id], {zone_id: micros(start)})

    def advance(self, u: Unit, marks: Mapping[int, int]) -> None:
        """The core's own timer takes zones' watermarks (microseconds) forward where no gateway does."""
        zones = sorted(marks)
        if not zones:
            return
        self._lock_and_load(u, zones, {}, {}, {})
        for zone in zones:
            self._folds[zone].tail.advance(marks[zone])
        self._finish(u, zones, {})

    # --- one fold

    def _readings_by_zone(
        self, conn: Connection, readings: Sequence[Reading], conflicts: Sequence[tuple[Reading, Reading]]
    ) -> Mapping[int, Iterable[PointReading]]:
        """What came of known points, by zone. Of readings in columns, columns: they may be more than memory holds."""
        in_columns = isinstance(readings, Readings)
        entries = readings.points if isinstance(readings, Readings) else readings
        self._learn_points(conn, [*(one.point for one in entries), *(second.point for _, second in conflicts)])
        by_zone: dict[int, list[Any]] = defaultdict(list)
        for one in entries:
            point = self._points.get(one.point)
            if point is not None:
                by_zone[point.zone_id].append((point, one))
        return {zone: ColumnReadings(columns) for zone, columns in by_zone.items()} if in_columns else by_zone

    def _take_readings(self, fold: ZoneFold, pairs: Iterable[PointReading]) -> int:
        """Takes readings into the tail; returns the earliest time among them."""
        first = 2**62
        for known, reading in pairs:
            # as the zone was loaded under its lock: what was known of the point before may have changed since
            point = self._points[known.address]
            at = micros(reading.at)
            if known.address not in fold.tail.readings:
                continue
            first = min(first, at)
            if at >= fold.tail.settled:
                fold.tail.out_of_order = fold.tail.out_of_order or at <= fold.tail.last_reading_at
                fold.add(point, at, *judged_value(point, at, reading.value, reading.unit, reading.quality))
            else:
                fold.tail.last_reading_at = max(fold.tail.last_reading_at, at)
        return first

    def _finish(self, u: Unit, zones: Sequence[int], late: Mapping[int, int]) -> None:
        for zone, first in late.items():
            self._rebuild(u, zone, first)
        # before settling forgets the tail's beginning
        for zone in zones:
            if zone in late or (not self._folds[zone].tail.is_quiet and gaps.has_changed(self._folds[zone])):
                gaps.record_silences(u, self._folds[zone], late.get(zone))
        closed = {zone: list(self._folds[zone].tail.settle()) for zone in zones}
        summaries.write(u.conn, [(zone, *row) for zone, rows in closed.items() for row in rows])
        history = ExposureHistory(u.conn, u.now, {zone: self._folds[zone] for zone in zones}, profiles=self._profiles)
        due = []
        states: list[ZoneState] = []
        for zone in zones:
            fold = self._folds[zone]
            fold.tail.refresh()
            if can_skip(fold) and not closed[zone]:
                fold.tail.skip()
                continue
            states += zone_states(fold)
            due.append((fold, due_versions(fold, closed[zone])))
        if states:
            u.emit(ZoneStates(tuple(states)))
        judged = rejudge_goods(history, due, self._folds)
        if judged:
            u.emit(SublotsJudged(tuple(judged)))
        for fold, _ in due:
            fold.tail.skip_until = skip_until(fold)
        self._save(u.conn, zones)

    def _rebuild(self, u: Unit, zone: int, first: int) -> None:
        """Late data: the hours they touch are made anew from raw readings, and the fold is loaded again."""
        fold = self._folds[zone]
        start = bucket(first)
        if fold.tail.profiles and start < fold.tail.open_hour:
            for version, since in summaries.profiles_since(u.conn, [zone])[zone].items():
                profile = fold.tail.profiles[version]
                summaries.rebuild(
                    u.conn, fold.tail.setup, [profile], max(start, since), fold.tail.open_hour, fold.tail.watermark
                )
        position = FoldPosition(fold.tail.last_reading_at, fold.tail.watermark, fold.tail.open_hour)
        reloaded = load_folds(u.conn, u.now, {zone: position}, self._profiles)[zone]
        reloaded.watermarks = fold.watermarks
        reloaded.watches = fold.watches
        reloaded.conditions = fold.conditions
        reloaded.tail.reported_to = fold.tail.reported_to
        reloaded.tail.skipped_to = fold.tail.skipped_to
        for version in reloaded.tail.profiles:
            watch = reloaded.watches.setdefault(version, ProfileWatch())
            watch.dirty_from = first if watch.dirty_from is None else min(watch.dirty_from, first)
        self._folds[zone] = reloaded

    # --- loading and saving

    def _learn_points(self, conn: Connection, addresses: Iterable[str]) -> None:
        """Learns of points not met before; those that the catalog does not have, or does not judge, stay unknown."""
        unknown = set(addresses) - self._points.keys()
        if not unknown:
            return
        rows = conn.execute(
            text("SELECT DISTINCT zone_id FROM point WHERE address = ANY(:a)"), {"a": sorted(unknown)}
        ).all()
        for setup in load_setups(conn, [row.zone_id for row in rows]).values():
            self._points.update({point.address: point for point in setup.points})

    def _watermarks_by_zone(
        self, conn: Connection, watermarks: Sequence[tuple[str, Watermark]]
    ) -> dict[int, dict[WatermarkSource, int]]:
        unknown = {zone for _, mark in watermarks for zone in mark.zones} - self._zones.keys()
        if unknown:
            query = text("SELECT address, id FROM zone WHERE address = ANY(:a)")
            self._zones.update({row.address: row.id for row in conn.execute(query, {"a": sorted(unknown)})})
        out: dict[int, dict[WatermarkSource, int]] = defaultdict(dict)
        for gateway, mark in watermarks:
            upto, source = micros(mark.upto), WatermarkSource(gateway, mark.source, mark.group)
            for zone in mark.zones:
                if zone in self._zones:
                    entries = out[self._zones[zone]]
                    entries[source] = max(entries.get(source, 0), upto)
        return dict(out)

    def _lock_and_load(
        self,
        u: Unit,
        zones: Sequence[int],
        by_zone: Mapping[int, Iterable[PointReading]],
        doubled: Mapping[int, Sequence[int]],
        marks: Mapping[int, Mapping[WatermarkSource, int]],
    ) -> None:
        conn = u.conn
        asked = {"zones": list(zones)}
        rows = u.lock(_LOCK, asked)
        if len(rows) < len(zones):
            conn.execute(_CREATE, asked)
            rows = u.lock(_LOCK, asked)
        # until this transaction has saved it, what is in memory is nobody's: a failure must not be trusted later
        foreign = [
            row for row in rows if self._written.pop(row.zone_id, None) != row.writer or row.zone_id not in self._folds
        ]
        if not foreign:
            return
        first = goods_since(conn, [row.zone_id for row in foreign])
        wanted = {}
        for row in foreign:
            zone = row.zone_id
            watermark = 0 if row.watermark is None else micros(row.watermark)
            last_reading_at = 0 if row.judged_to is None else micros(row.judged_to)
            if row.watermark is not None:
                open_hour = bucket(min(watermark, last_reading_at + 1))
            else:
                times = _times(by_zone.get(zone, ()))
                times += [*doubled.get(zone, ()), *marks.get(zone, {}).values()]
                times += [first[zone]] if zone in first else []
                times += [last_reading_at] if last_reading_at else []
                open_hour = bucket(min(times, default=micros(u.now)))
            wanted[zone] = FoldPosition(last_reading_at, watermark, open_hour)
        self._folds.update(load_folds(conn, u.now, wanted, self._profiles))
        for zone in wanted:
            self._points.update({point.address: point for point in self._folds[zone].tail.setup.points})

    def _save(self, conn: Connection, zones: Sequence[int]) -> None:
        folds = [self._folds[zone] for zone in zones]
        tails = [fold.tail for fold in folds]
        good = [fold.last_good() for fold in folds]
        writer = conn.execute(
            text(
                "WITH new AS (SELECT * FROM unnest(CAST(:zones AS bigint[]), CAST(:goods AS timestamptz[]),"
                " CAST(:judged AS timestamptz[]), CAST(:marks AS timestamptz[]), CAST(:values AS float8[]))"
                " AS n(zone_id, good, judged, mark, value)), done AS ("
                " UPDATE zone_judged z SET last_good_at = n.good, judged_to = n.judged, watermark = n.mark,"
                " last_value = coalesce(n.value, z.last_value), version = z.version + 1"
                " FROM new n WHERE z.zone_id = n.zone_id)"
                " SELECT pg_current_xact_id()::text::bigint % 4294967296"
            ),
            {
                "zones": list(zones),
                "goods": [None if at is None else moment(at) for at in good],
                "judged": [moment(t.stop - 1) if t.last_reading_at or t.watermark else None for t in tails],
                "marks": [moment(t.watermark) if t.watermark else None for t in tails],
                "values": [fold.value for fold in folds],
            },
        ).scalar_one()
        for zone in zones:
            self._written[zone] = writer
