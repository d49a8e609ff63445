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
from core.erp.exposure.history.exposure_history import Ways
from core.erp.exposure.judge import silence as gaps
from core.erp.exposure.judge.due import due_versions, judge_again, rest_until, resting
from core.erp.exposure.judge.fold_loading import Standing, earliest, load_folds
from core.erp.exposure.judge.watermarks import Speaker, record_told, write_marks
from core.erp.exposure.judge.zone_conditions import zone_states
from core.erp.exposure.judge.zone_fold import Watch, ZoneFold
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.trace import judged_value
from core.erp.exposure.readings.zone_setup import PointRef, load_places
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
_MAKE = text(
    "INSERT INTO zone_judged (zone_id, version) SELECT z, 0 FROM unnest(CAST(:zones AS bigint[])) z"
    " ON CONFLICT DO NOTHING"
)


Pair = tuple[PointRef, Reading]


class InColumns:
    """Readings of one zone's points in columns, one after another."""

    def __init__(self, columns: Sequence[tuple[PointRef, PointReadings]]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[Pair]:
        return ((point, reading) for point, column in self.columns for reading in column)


def _times(pairs: Iterable[Pair]) -> list[int]:
    """The instants; of columns the earliest of each."""
    if isinstance(pairs, InColumns):
        return [int(column.values.times().min()) for _, column in pairs.columns]
    return [micros(reading.at) for _, reading in pairs]


class Judge:
    """Folds what came in. Not for several threads at once; make one a worker."""

    def __init__(self) -> None:
        self._folds: dict[int, ZoneFold] = {}
        self._written: dict[int, int] = {}
        """Zone → the transaction that last wrote its row, when it was ours."""
        self._points: dict[str, PointRef] = {}
        self._zones: dict[str, int] = {}
        """By address, which never changes."""
        self._profiles: dict[int, Profile] = {}

    def fold(
        self,
        u: Unit,
        readings: Sequence[Reading],
        conflicts: Sequence[tuple[Reading, Reading]] = (),
        watermarks: Sequence[tuple[str, Watermark]] = (),
        told: Sequence[tuple[str, Gap]] = (),
    ) -> None:
        """Judges new readings (already landed), pairs of (kept, second) values, (gateway, watermark), and
        gaps that gateways told of.

        Locks the zones it touches, ascending; emits SublotsJudged and ZoneStates in the same transaction.
        """
        by_zone = self._by_zone(u.conn, readings, conflicts)
        doubled: dict[int, list[int]] = defaultdict(list)
        for _, second in conflicts:
            point = self._points.get(second.point)
            if point is not None:
                doubled[point.zone_id].append(micros(second.at))
        marks = self._by_zone_id(u.conn, watermarks)
        record_told(u, told)
        zones = sorted({*by_zone, *doubled, *marks})
        if not zones:
            return
        marks = write_marks(u, marks, {(gateway, mark.source): mark.behind for gateway, mark in watermarks})
        self._lock_and_load(u, zones, by_zone, doubled, marks)
        late: dict[int, int] = {}
        for zone in zones:
            fold = self._folds[zone]
            fold.recompute_marks(marks.get(zone, {}))
            first = self._hear(fold, by_zone.get(zone, ()))
            first = min([first, *doubled.get(zone, ())]) if doubled.get(zone) else first
            if first < fold.settled or doubled.get(zone):
                late[zone] = first
        self._finish(u, zones, late)

    def again(self, u: Unit, zone_id: int, start: datetime) -> None:
        """Judges a zone again from raw readings since `start` (calibrations, points or bands have changed)."""
        self._folds.pop(zone_id, None)
        self._points.clear()
        self._lock_and_load(u, [zone_id], {}, {}, {})
        self._finish(u, [zone_id], {zone_id: micros(start)})

    def stand_in(self, u: Unit, marks: Mapping[int, int]) -> None:
        """The core's own timer takes zones' watermarks (microseconds) forward where no gateway does."""
        zones = sorted(marks)
        if not zones:
            return
        self._lock_and_load(u, zones, {}, {}, {})
        for zone in zones:
            self._folds[zone].pass_by(marks[zone])
        self._finish(u, zones, {})

    # --- one fold

    def _by_zone(
        self, conn: Connection, readings: Sequence[Reading], conflicts: Sequence[tuple[Reading, Reading]]
    ) -> Mapping[int, Iterable[Pair]]:
        """What came of known points, by zone. Of readings in columns, columns: they may be more than memory holds."""
        in_columns = isinstance(readings, Readings)
        said = readings.points if isinstance(readings, Readings) else readings
        self._know(conn, [*(one.point for one in said), *(second.point for _, second in conflicts)])
        by_zone: dict[int, list[Any]] = defaultdict(list)
        for one in said:
            point = self._points.get(one.point)
            if point is not None:
                by_zone[point.zone_id].append((point, one))
        return {zone: InColumns(columns) for zone, columns in by_zone.items()} if in_columns else by_zone

    def _hear(self, fold: ZoneFold, pairs: Iterable[Pair]) -> int:
        """Takes readings into the tail; returns the earliest time among them."""
        first = 2**62
        for met, reading in pairs:
            # as the zone was loaded under its lock: what was known of the point before may have changed since
            point = self._points[met.address]
            at = micros(reading.at)
            if met.address not in fold.heard:
                continue
            first = min(first, at)
            if at >= fold.settled:
                fold.disordered = fold.disordered or at <= fold.heard_to
                fold.hear(point, at, *judged_value(point, at, reading.value, reading.unit, reading.quality))
            else:
                fold.heard_to = max(fold.heard_to, at)
        return first

    def _finish(self, u: Unit, zones: Sequence[int], late: Mapping[int, int]) -> None:
        for zone, first in late.items():
            self._rebuild(u, zone, first)
        # before settling forgets the tail's beginning
        for zone in zones:
            if zone in late or (not self._folds[zone].is_calm and gaps.due(self._folds[zone])):
                gaps.record(u, self._folds[zone], late.get(zone))
        closed = {zone: list(self._folds[zone].settle()) for zone in zones}
        summaries.write(u.conn, [(zone, *row) for zone, rows in closed.items() for row in rows])
        ways = Ways(u.conn, u.now, {zone: self._folds[zone] for zone in zones}, profiles=self._profiles)
        due = []
        states: list[ZoneState] = []
        for zone in zones:
            fold = self._folds[zone]
            fold.look_now()
            if resting(fold) and not closed[zone]:
                fold.rest()
                continue
            states += zone_states(fold)
            due.append((fold, due_versions(fold, closed[zone])))
        if states:
            u.emit(ZoneStates(tuple(states)))
        judged = judge_again(ways, due, self._folds)
        if judged:
            u.emit(SublotsJudged(tuple(judged)))
        for fold, _ in due:
            fold.rests_until = rest_until(fold)
        self._save(u.conn, zones)

    def _rebuild(self, u: Unit, zone: int, first: int) -> None:
        """Late data: the hours they touch are made anew from raw readings, and the fold is loaded again."""
        fold = self._folds[zone]
        start = bucket(first)
        if fold.profiles and start < fold.hour:
            for version, since in summaries.profiles_since(u.conn, [zone])[zone].items():
                profile = fold.profiles[version]
                summaries.rebuild(u.conn, fold.place, [profile], max(start, since), fold.hour, fold.watermark)
        standing = Standing(fold.heard_to, fold.watermark, fold.hour)
        again = load_folds(u.conn, u.now, {zone: standing}, self._profiles)[zone]
        again.marks = fold.marks
        again.watches = fold.watches
        again.alarms = fold.alarms
        again.asked_to = fold.asked_to
        again.rested_to = fold.rested_to
        for version in again.profiles:
            watch = again.watches.setdefault(version, Watch())
            watch.dirty_from = first if watch.dirty_from is None else min(watch.dirty_from, first)
        self._folds[zone] = again

    # --- loading and saving

    def _know(self, conn: Connection, addresses: Iterable[str]) -> None:
        """Learns of points not met before; those that the catalog does not have, or does not judge, stay unknown."""
        unknown = set(addresses) - self._points.keys()
        if not unknown:
            return
        rows = conn.execute(
            text("SELECT DISTINCT zone_id FROM point WHERE address = ANY(:a)"), {"a": sorted(unknown)}
        ).all()
        for place in load_places(conn, [row.zone_id for row in rows]).values():
            self._points.update({point.address: point for point in place.points})

    def _by_zone_id(
        self, conn: Connection, watermarks: Sequence[tuple[str, Watermark]]
    ) -> dict[int, dict[Speaker, int]]:
        unknown = {zone for _, mark in watermarks for zone in mark.zones} - self._zones.keys()
        if unknown:
            query = text("SELECT address, id FROM zone WHERE address = ANY(:a)")
            self._zones.update({row.address: row.id for row in conn.execute(query, {"a": sorted(unknown)})})
        out: dict[int, dict[Speaker, int]] = defaultdict(dict)
        for gateway, mark in watermarks:
            upto, speaker = micros(mark.upto), Speaker(gateway, mark.source, mark.group)
            for zone in mark.zones:
                if zone in self._zones:
                    said = out[self._zones[zone]]
                    said[speaker] = max(said.get(speaker, 0), upto)
        return dict(out)

    def _lock_and_load(
        self,
        u: Unit,
        zones: Sequence[int],
        by_zone: Mapping[int, Iterable[Pair]],
        doubled: Mapping[int, Sequence[int]],
        marks: Mapping[int, Mapping[Speaker, int]],
    ) -> None:
        conn = u.conn
        asked = {"zones": list(zones)}
        rows = u.lock(_LOCK, asked)
        if len(rows) < len(zones):
            conn.execute(_MAKE, asked)
            rows = u.lock(_LOCK, asked)
        # until this transaction has saved it, what is in memory is nobody's: a failure must not be trusted later
        foreign = [
            row for row in rows if self._written.pop(row.zone_id, None) != row.writer or row.zone_id not in self._folds
        ]
        if not foreign:
            return
        first = earliest(conn, [row.zone_id for row in foreign])
        wanted = {}
        for row in foreign:
            zone = row.zone_id
            watermark = 0 if row.watermark is None else micros(row.watermark)
            heard_to = 0 if row.judged_to is None else micros(row.judged_to)
            if row.watermark is not None:
                hour = bucket(min(watermark, heard_to + 1))
            else:
                times = _times(by_zone.get(zone, ()))
                times += [*doubled.get(zone, ()), *marks.get(zone, {}).values()]
                times += [first[zone]] if zone in first else []
                times += [heard_to] if heard_to else []
                hour = bucket(min(times, default=micros(u.now)))
            wanted[zone] = Standing(heard_to, watermark, hour)
        self._folds.update(load_folds(conn, u.now, wanted, self._profiles))
        for zone in wanted:
            self._points.update({point.address: point for point in self._folds[zone].place.points})

    def _save(self, conn: Connection, zones: Sequence[int]) -> None:
        folds = [self._folds[zone] for zone in zones]
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
                "judged": [moment(fold.stop - 1) if fold.heard_to or fold.watermark else None for fold in folds],
                "marks": [moment(fold.watermark) if fold.watermark else None for fold in folds],
                "values": [fold.value for fold in folds],
            },
        ).scalar_one()
        for zone in zones:
            self._written[zone] = writer
