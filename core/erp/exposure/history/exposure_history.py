"""Where sublots were, by which zone that is judged, and the verdict on it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from sqlalchemy import Connection, text

from core.erp.exposure.history.lineage import paths
from core.erp.exposure.history.monitoring_zone import JudgedPath, MonitoringZones
from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.profiles import load_profiles
from core.erp.exposure.readings.trace import by_quantity, load_readings
from core.erp.exposure.readings.zone_setup import ZoneSetup
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import NEVER, Slice, Verdict, assess
from core.erp.exposure.rules.kinetic import applicable, kinetic_breaks, warm_until
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import LimitRuns, Summary, ZoneView, add, clip_runs, empty, join_runs
from core.erp.exposure.rules.worst import worst_of
from core.erp.exposure.times import BUCKET, bucket, micros


@dataclass(slots=True)
class ZoneTrack:
    """What a profile's limits saw in one zone over [start, stop)."""

    start: int
    stop: int
    seen: dict[str, LimitRuns]


@dataclass(slots=True)
class ExposureHistory:
    """Reads what sublots went through, within one transaction; zones that are being folded live are taken as they
    stand in memory. Everything is read once.
    """

    conn: Connection
    now: datetime
    live: Mapping[int, ZoneFold] = field(default_factory=dict)
    profiles: MutableMapping[int, Profile] = field(default_factory=dict)
    """Those known by version; a version never changes."""
    _tracks: dict[tuple[int, int], ZoneTrack] = field(default_factory=dict)
    _judged_states: dict[int, tuple[int, int | None] | None] = field(default_factory=dict)
    _hours: dict[tuple[int, int], tuple[int, dict[int, Summary]]] = field(default_factory=dict)
    """By (zone, version): since when, and its closed hours by their start."""
    paths: dict[int, tuple[JudgedPath, ...]] = field(default_factory=dict)
    """By sublot judged: each path its goods took (see lineage)."""
    current_zone: dict[int, int] = field(default_factory=dict)
    """By sublot judged: the zone that judges it now."""
    counted: set[tuple[int, int]] = field(default_factory=set)
    """(sublot, version) of goods for which something counted, at least in the worst case."""
    monitoring: MonitoringZones = field(init=False)
    _runs: dict[tuple[int, int], r.Runs] = field(default_factory=dict)
    """By (zone, version): every instant of which anything was counted, at any level."""
    _verdicts: dict[tuple[int, tuple[object, ...]], tuple[Verdict, bool]] = field(default_factory=dict)
    """By version and what a verdict depends on: the verdict, and whether anything counted."""

    def __post_init__(self) -> None:
        self.monitoring = MonitoringZones(self.conn, self.live)

    def setup(self, zone_id: int) -> ZoneSetup:
        """The zone as judged."""
        return self.monitoring.setup(zone_id)

    def profile(self, version_id: int) -> Profile:
        """The profile version."""
        self._load_profiles([version_id])
        return self.profiles[version_id]

    def _load_profiles(self, version_ids: Iterable[int]) -> None:
        unknown = set(version_ids) - self.profiles.keys()
        if unknown:
            self.profiles.update(load_profiles(self.conn, unknown))

    def verdicts(self, wanted: Mapping[int, Iterable[int]]) -> dict[tuple[int, int], Verdict]:
        """By (sublot, version): the verdict from all its custody. `wanted` gives the sublots of each version."""
        groups = {version: sorted(set(sublots)) for version, sublots in wanted.items()}
        ids = sorted({sublot for sublots in groups.values() for sublot in sublots})
        if not ids:
            return {}
        self.paths.update(self.judged_paths(ids))
        first: dict[tuple[int, int], int] = {}
        for version, sublots in groups.items():
            for zone, start, _ in (span for sublot in sublots for path in self.paths[sublot] for span in path):
                first[(zone, version)] = min(first.get((zone, version), start), start)
        self._load_tracks(first)
        return {
            (sublot, version): self._verdict(sublot, version)
            for version, sublots in groups.items()
            for sublot in sublots
        }

    def judged_paths(self, sublot_ids: Iterable[int]) -> dict[int, tuple[JudgedPath, ...]]:
        """By sublot: each path its goods took, as it is judged. One, unless there is a merger among its ancestors."""
        return self.monitoring.judged_paths(paths(self.conn, sublot_ids))

    def _verdict(self, sublot: int, version: int) -> Verdict:
        """The worst over the paths its goods took."""
        paths = self.paths[sublot]
        if paths[0] and paths[0][-1][2] is None:
            self.current_zone[sublot] = paths[0][-1][0]
        return worst_of([self._path_verdict(path, sublot, version) for path in paths])

    def _path_verdict(self, path: JudgedPath, sublot: int, version: int) -> Verdict:
        """The verdict on one path; of paths that are judged alike it is found once."""
        key = (version, self._verdict_key(path, version))
        if key not in self._verdicts:
            slices = self.slices(path, version)
            counted = any(seen.worst for part in slices for seen in part.seen.values())
            self._verdicts[key] = self._assess(path, version, slices), counted
        verdict, counted = self._verdicts[key]
        if counted:
            self.counted.add((sublot, version))
        return verdict

    def _verdict_key(self, path: JudgedPath, version: int) -> tuple[object, ...]:
        """What a verdict on the path depends on: where no run of any count was going on when goods came, all that came
        between the same two runs are judged alike, whenever that was. Mean kinetic temperature counts every hour.
        """
        if not path or applicable(self.profile(version)):
            return path
        zone, start, stop = path[0]
        track = self._tracks[(zone, version)]
        if start >= (track.stop if stop is None else min(stop, track.stop)):
            return path
        if (zone, version) not in self._runs:
            runs = r.union(runs for seen in track.seen.values() for runs in msgspec.structs.astuple(seen))
            self._runs[(zone, version)] = runs
        runs = self._runs[(zone, version)]
        following = bisect_right(runs, start, key=lambda run: run[1])
        if following < len(runs) and runs[following][0] < start:
            return path
        return (zone, "between", following, stop, *path[1:])

    def _assess(self, path: JudgedPath, version: int, slices: Sequence[Slice]) -> Verdict:
        profile = self.profile(version)
        if not slices and path:
            # they came ahead of what is known: what could break first is what breaks if all of it counts from then on
            return Verdict((), path[0][1] + min((limit.delay for limit in profile.limits), default=NEVER))
        gone = bool(slices) and path[-1][2] is not None and slices[-1].stop >= path[-1][2]
        verdict = assess(profile, slices, over=gone)
        if not applicable(profile):
            return verdict
        hours, zones = self._kinetic_hours(path, profile)
        kinetic = kinetic_breaks(profile, hours, zones)
        if gone:
            kinetic = [replace(item, ended=item.ended or hours[-1].stop) for item in kinetic]
        return replace(
            verdict,
            breaks=(*verdict.breaks, *kinetic),
            warm_until=warm_until(profile, hours),
        )

    def monitored_summary(self, zone: int, version_id: int, start: int, stop: int) -> Summary:
        """What was seen in one monitored zone over [start, stop): whole closed hours, and raw readings at the ends."""
        profile, setup = self.profile(version_id), self.setup(zone)
        summaries.ensure_closed_hours(self.conn, {zone: setup}, {version_id: profile}, {(zone, version_id): start})
        hours = [
            hour
            for hour in summaries.closed_hours(self.conn, zone, version_id, start, stop)
            if hour.start >= start and hour.stop <= stop
        ]
        if not hours:
            return self._from_raw(setup, profile, start, stop)
        head = [self._from_raw(setup, profile, start, hours[0].start)] if start < hours[0].start else []
        tail = [self._from_raw(setup, profile, hours[-1].stop, stop)] if hours[-1].stop < stop else []
        return add([*head, *hours, *tail])

    def summary(self, zone: int, version_id: int, start: int, stop: int) -> Summary:
        """What was seen in any zone over [start, stop), as far as it is known: monitored or not, closed or open."""
        if not self.setup(zone).monitored:
            blind = self._unmonitored_track(self.setup(zone), self.profile(version_id), start)
            end = min(stop, blind.stop)
            return Summary(start, end, clip_runs(blind.seen, start, end), 0, None, None, 0.0, 0.0)
        known_to = min(stop, self.known_to(zone))
        if known_to <= start:
            return empty(start, start)
        return self.monitored_summary(zone, version_id, start, known_to)

    def _from_raw(self, setup: ZoneSetup, profile: Profile, start: int, stop: int) -> Summary:
        readings = load_readings(self.conn, setup, start, stop, profile.allowed_gap)
        return ZoneView(by_quantity(setup, readings), start, stop, self.watermark(setup.zone_id) + 1).summary(profile)

    def known_to(self, zone: int) -> int:
        """Up to where a zone is judged, as stored; the beginning of time if nothing was ever folded into it."""
        standing = self._judged_state(zone)
        return 0 if standing is None else standing[0] + 1

    def watermark(self, zone: int) -> int:
        """How far silence in a zone is real."""
        fold = self.live.get(zone)
        if fold is not None:
            return fold.tail.watermark
        self._judged_state(zone)
        known = self._judged_states[zone]
        return 0 if known is None or known[1] is None else known[1]

    def _kinetic_hours(self, path: JudgedPath, profile: Profile) -> tuple[list[Summary], dict[int, int]]:
        """The closed hours a sublot was measured throughout, in order, and by an hour's start the zone it was in at
        its end; an hour in which goods moved is put together from its parts. The first hour of a stay where nobody
        measures is there too, with nothing in it: no window goes on across it.
        """
        hours: dict[int, Summary] = {}
        zones: dict[int, int] = {}
        pieces: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for zone, start, stop in path:
            if not self.setup(zone).monitored:
                if (at := bucket(start)) + BUCKET <= micros(self.now):
                    hours[at] = empty(at, at + BUCKET)
                continue
            for at, row in self._closed_hours(zone, profile.version_id, start).items():
                a, b = max(at, start), row.stop if stop is None else min(row.stop, stop)
                if (a, b) == (at, row.stop):
                    hours[at], zones[at] = row, zone
                elif a < b:
                    pieces[at].append((zone, a, b))
        for at, parts in pieces.items():
            if sum(b - a for _, a, b in parts) == BUCKET:
                hours[at] = add([self.monitored_summary(zone, profile.version_id, a, b) for zone, a, b in parts])
                zones[at] = parts[-1][0]
        return [hours[at] for at in sorted(hours)], zones

    def _closed_hours(self, zone: int, version: int, since: int) -> dict[int, Summary]:
        """The zone's closed hours by their start, at least since that instant."""
        known = self._hours.get((zone, version))
        if known is None or known[0] > bucket(since):
            rows = summaries.closed_hours(self.conn, zone, version, since, micros(self.now))
            known = self._hours[(zone, version)] = (bucket(since), {row.start: row for row in rows})
        return known[1]

    def slices(self, path: JudgedPath, version_id: int) -> list[Slice]:
        """What was seen along the path, as far as it is known."""
        out: list[Slice] = []
        for zone, start, stop in path:
            track = self._tracks[(zone, version_id)]
            end = track.stop if stop is None else min(stop, track.stop)
            if end > start:
                out.append(Slice(zone, start, end, clip_runs(track.seen, start, end)))
        return out

    # --- what was seen there

    def _load_tracks(self, wanted: Mapping[tuple[int, int], int]) -> None:
        """Reads what was seen, by (zone, version) since an instant; what was read before is not read again."""
        new = {
            key: since for key, since in wanted.items() if key not in self._tracks or self._tracks[key].start > since
        }
        watched = {key: since for key, since in new.items() if self.setup(key[0]).monitored}
        if watched:
            self._load_profiles(version for _, version in watched)
            summaries.ensure_closed_hours(
                self.conn, self.monitoring.setups, self.profiles, self._without_live_hours(watched)
            )
            before = summaries.hours_that_counted(self.conn, watched)
        if new:
            self._verdicts.clear()  # what was found from shorter tracks
        for key, since in new.items():
            self._runs.pop(key, None)
            setup, profile = self.setup(key[0]), self.profile(key[1])
            if key in watched:
                self._tracks[key] = self._track(setup, profile, since, before[key])
            else:
                self._tracks[key] = self._unmonitored_track(setup, profile, since)

    def _without_live_hours(self, wanted: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
        """Of what is wanted: that of which no live fold knows that its closed hours exist."""
        out = {}
        for (zone, version), since in wanted.items():
            fold = self.live.get(zone)
            if fold is None or version not in fold.closed_since or fold.closed_since[version] > bucket(since):
                out[(zone, version)] = since
        return out

    def _track(self, setup: ZoneSetup, profile: Profile, since: int, before: Sequence[Summary]) -> ZoneTrack:
        fold = self.live.get(setup.zone_id)
        if fold is not None and profile.version_id in fold.tail.profiles:
            open_part = fold.tail.current[profile.version_id]
        else:
            made = self._open_part(setup, profile, since)
            if made is None:
                return ZoneTrack(since, since, {})
            open_part = made
        closed = [hour for hour in before if hour.stop <= open_part.start]
        return ZoneTrack(since, open_part.stop, join_runs([*closed, open_part]))

    def _open_part(self, setup: ZoneSetup, profile: Profile, since: int) -> Summary | None:
        """The open hours of a zone that nobody folds in this process, from raw readings; None if nothing is known."""
        standing = self._judged_state(setup.zone_id)
        if standing is None:
            return None
        judged_to, watermark = standing
        if watermark is None:  # nothing has settled, so no hour is closed
            start, watermark = bucket(min(since, judged_to)), 0
        else:
            start = bucket(min(watermark, judged_to + 1))
        readings = load_readings(self.conn, setup, start, judged_to + 1, profile.allowed_gap)
        return ZoneView(by_quantity(setup, readings), start, judged_to + 1, watermark + 1).summary(profile)

    def _judged_state(self, zone: int) -> tuple[int, int | None] | None:
        """(judged to, watermark) of a zone as stored; None if nothing was ever folded into it."""
        if zone not in self._judged_states:
            row = self.conn.execute(
                text("SELECT judged_to, watermark FROM zone_judged WHERE zone_id = :zone"), {"zone": zone}
            ).one_or_none()
            known = None
            if row is not None and row.judged_to is not None:
                known = (micros(row.judged_to), None if row.watermark is None else micros(row.watermark))
            self._judged_states[zone] = known
        return self._judged_states[zone]

    def _unmonitored_track(self, setup: ZoneSetup, profile: Profile, since: int) -> ZoneTrack:
        """A zone nobody measures: unknown until now, or at its declared worst temperature (uncertain)."""
        stop = micros(self.now) + 1
        whole = [(since, stop)] if since < stop else []
        seen: dict[str, LimitRuns] = {}
        for limit in profile.limits:
            if setup.worst_temperature is None or limit.quantity != "temperature":
                seen[limit.key] = LimitRuns([], [], whole, whole)
            elif limit.out(setup.worst_temperature):
                seen[limit.key] = LimitRuns([], whole, whole, whole)
        return ZoneTrack(since, stop, seen)
