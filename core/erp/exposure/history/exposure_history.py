"""The way of sublots through zones, and the verdict on it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec
from sqlalchemy import Connection, text

from core.erp.exposure.history.lineage import paths
from core.erp.exposure.history.monitoring_zone import Surroundings, Way
from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.readings import hourly_summaries as summaries
from core.erp.exposure.readings.trace import by_quantity, load_heard
from core.erp.exposure.readings.zone_setup import Place, load_profiles
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import NEVER, Slice, Verdict, assess
from core.erp.exposure.rules.kinetic import applicable, kinetic_breaks, warm_until
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Look, Seen, Summary, add, cut, empty, joined
from core.erp.exposure.rules.worst import worst_of
from core.erp.exposure.times import BUCKET, bucket, micros


@dataclass(slots=True)
class Track:
    """What a profile's limits saw in one zone over [start, stop)."""

    start: int
    stop: int
    seen: dict[str, Seen]


@dataclass(slots=True)
class Ways:
    """Reads what sublots went through, within one transaction; zones that are being folded live are taken as they
    stand in memory. Everything is read once.
    """

    conn: Connection
    now: datetime
    live: Mapping[int, ZoneFold] = field(default_factory=dict)
    profiles: MutableMapping[int, Profile] = field(default_factory=dict)
    """Those known by version; a version never changes."""
    _tracks: dict[tuple[int, int], Track] = field(default_factory=dict)
    _known: dict[int, tuple[int, int | None] | None] = field(default_factory=dict)
    _hours: dict[tuple[int, int], tuple[int, dict[int, Summary]]] = field(default_factory=dict)
    """By (zone, version): since when, and its closed hours by their start."""
    came: dict[int, tuple[Way, ...]] = field(default_factory=dict)
    """By sublot judged: each way its goods came (see lineage)."""
    stands: dict[int, int] = field(default_factory=dict)
    """By sublot judged: the zone that judges it now."""
    spent: set[tuple[int, int]] = field(default_factory=set)
    """(sublot, version) of goods for which something counted, at least in the worst case."""
    around: Surroundings = field(init=False)
    _runs: dict[tuple[int, int], r.Runs] = field(default_factory=dict)
    """By (zone, version): every instant of which anything was counted, at any level."""
    _verdicts: dict[tuple[int, tuple[object, ...]], tuple[Verdict, bool]] = field(default_factory=dict)
    """By version and what a verdict depends on: the verdict, and whether anything counted."""

    def __post_init__(self) -> None:
        self.around = Surroundings(self.conn, self.live)

    def place(self, zone_id: int) -> Place:
        """The zone as judged."""
        return self.around.place(zone_id)

    def profile(self, version_id: int) -> Profile:
        """The profile version."""
        self._know([version_id])
        return self.profiles[version_id]

    def _know(self, version_ids: Iterable[int]) -> None:
        unknown = set(version_ids) - self.profiles.keys()
        if unknown:
            self.profiles.update(load_profiles(self.conn, unknown))

    def verdicts(self, wanted: Mapping[int, Iterable[int]]) -> dict[tuple[int, int], Verdict]:
        """By (sublot, version): the verdict from all its custody. `wanted` gives the sublots of each version."""
        groups = {version: sorted(set(sublots)) for version, sublots in wanted.items()}
        ids = sorted({sublot for sublots in groups.values() for sublot in sublots})
        if not ids:
            return {}
        self.came.update(self.ways(ids))
        first: dict[tuple[int, int], int] = {}
        for version, sublots in groups.items():
            for zone, start, _ in (span for sublot in sublots for way in self.came[sublot] for span in way):
                first[(zone, version)] = min(first.get((zone, version), start), start)
        self._load(first)
        return {
            (sublot, version): self._verdict(sublot, version)
            for version, sublots in groups.items()
            for sublot in sublots
        }

    def ways(self, sublot_ids: Iterable[int]) -> dict[int, tuple[Way, ...]]:
        """By sublot: each way its goods came, as it is judged. One, unless there is a merger among its ancestors."""
        return self.around.ways(paths(self.conn, sublot_ids))

    def _verdict(self, sublot: int, version: int) -> Verdict:
        """The worst over the ways its goods came."""
        ways = self.came[sublot]
        if ways[0] and ways[0][-1][2] is None:
            self.stands[sublot] = ways[0][-1][0]
        return worst_of([self._along(way, sublot, version) for way in ways])

    def _along(self, way: Way, sublot: int, version: int) -> Verdict:
        """The verdict on one way; of ways that are judged alike it is found once."""
        key = (version, self._alike(way, version))
        if key not in self._verdicts:
            slices = self.slices(way, version)
            counted = any(seen.worst for part in slices for seen in part.seen.values())
            self._verdicts[key] = self._assessed(way, version, slices), counted
        verdict, counted = self._verdicts[key]
        if counted:
            self.spent.add((sublot, version))
        return verdict

    def _alike(self, way: Way, version: int) -> tuple[object, ...]:
        """What a verdict on the way depends on: where no run of any count was going on when goods came, all that came
        between the same two runs are judged alike, whenever that was. Mean kinetic temperature counts every hour.
        """
        if not way or applicable(self.profile(version)):
            return way
        zone, start, stop = way[0]
        track = self._tracks[(zone, version)]
        if start >= (track.stop if stop is None else min(stop, track.stop)):
            return way
        if (zone, version) not in self._runs:
            runs = r.union(runs for seen in track.seen.values() for runs in msgspec.structs.astuple(seen))
            self._runs[(zone, version)] = runs
        runs = self._runs[(zone, version)]
        following = bisect_right(runs, start, key=lambda run: run[1])
        if following < len(runs) and runs[following][0] < start:
            return way
        return (zone, "between", following, stop, *way[1:])

    def _assessed(self, way: Way, version: int, slices: Sequence[Slice]) -> Verdict:
        profile = self.profile(version)
        if not slices and way:
            # they came ahead of what is known: what could break first is what breaks if all of it counts from then on
            return Verdict((), way[0][1] + min((limit.delay for limit in profile.limits), default=NEVER))
        gone = bool(slices) and way[-1][2] is not None and slices[-1].stop >= way[-1][2]
        verdict = assess(profile, slices, over=gone)
        if not applicable(profile):
            return verdict
        hours, zones = self._kinetic(way, profile)
        kinetic = kinetic_breaks(profile, hours, zones)
        if gone:
            kinetic = [replace(item, ended=item.ended or hours[-1].stop) for item in kinetic]
        return replace(
            verdict,
            breaks=(*verdict.breaks, *kinetic),
            warm_until=warm_until(profile, hours),
        )

    def exact(self, zone: int, version_id: int, start: int, stop: int) -> Summary:
        """What was seen in one monitored zone over [start, stop): whole closed hours, and raw readings at the ends."""
        profile, place = self.profile(version_id), self.place(zone)
        summaries.ensure(self.conn, {zone: place}, {version_id: profile}, {(zone, version_id): start})
        hours = [
            hour
            for hour in summaries.closed(self.conn, zone, version_id, start, stop)
            if hour.start >= start and hour.stop <= stop
        ]
        if not hours:
            return self._from_raw(place, profile, start, stop)
        head = [self._from_raw(place, profile, start, hours[0].start)] if start < hours[0].start else []
        tail = [self._from_raw(place, profile, hours[-1].stop, stop)] if hours[-1].stop < stop else []
        return add([*head, *hours, *tail])

    def part(self, zone: int, version_id: int, start: int, stop: int) -> Summary:
        """What was seen in any zone over [start, stop), as far as it is known: monitored or not, closed or open."""
        if not self.place(zone).monitored:
            blind = self._blind(self.place(zone), self.profile(version_id), start)
            end = min(stop, blind.stop)
            return Summary(start, end, cut(blind.seen, start, end), 0, None, None, 0.0, 0.0)
        standing = self._standing(zone)
        known_to = start if standing is None else min(stop, standing[0] + 1)
        if known_to <= start:
            return empty(start, start)
        return self.exact(zone, version_id, start, known_to)

    def _from_raw(self, place: Place, profile: Profile, start: int, stop: int) -> Summary:
        heard = load_heard(self.conn, place, start, stop, profile.allowed_gap)
        return Look(by_quantity(place, heard), start, stop, self.watermark(place.zone_id) + 1).summary(profile)

    def watermark(self, zone: int) -> int:
        """How far silence in a zone is real."""
        fold = self.live.get(zone)
        if fold is not None:
            return fold.watermark
        self._standing(zone)
        known = self._known[zone]
        return 0 if known is None or known[1] is None else known[1]

    def _kinetic(self, way: Way, profile: Profile) -> tuple[list[Summary], dict[int, int]]:
        """The closed hours a sublot was measured throughout, in order, and by an hour's start the zone it was in at
        its end; an hour in which goods moved is put together from its parts. The first hour of a stay where nobody
        measures is there too, with nothing in it: no window goes on across it.
        """
        hours: dict[int, Summary] = {}
        zones: dict[int, int] = {}
        pieces: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for zone, start, stop in way:
            if not self.place(zone).monitored:
                if (at := bucket(start)) + BUCKET <= micros(self.now):
                    hours[at] = empty(at, at + BUCKET)
                continue
            for at, row in self._closed(zone, profile.version_id, start).items():
                a, b = max(at, start), row.stop if stop is None else min(row.stop, stop)
                if (a, b) == (at, row.stop):
                    hours[at], zones[at] = row, zone
                elif a < b:
                    pieces[at].append((zone, a, b))
        for at, parts in pieces.items():
            if sum(b - a for _, a, b in parts) == BUCKET:
                hours[at] = add([self.exact(zone, profile.version_id, a, b) for zone, a, b in parts])
                zones[at] = parts[-1][0]
        return [hours[at] for at in sorted(hours)], zones

    def _closed(self, zone: int, version: int, since: int) -> dict[int, Summary]:
        """The zone's closed hours by their start, at least since that instant."""
        known = self._hours.get((zone, version))
        if known is None or known[0] > bucket(since):
            rows = summaries.closed(self.conn, zone, version, since, micros(self.now))
            known = self._hours[(zone, version)] = (bucket(since), {row.start: row for row in rows})
        return known[1]

    def slices(self, way: Way, version_id: int) -> list[Slice]:
        """What was seen along the way, as far as it is known."""
        out: list[Slice] = []
        for zone, start, stop in way:
            track = self._tracks[(zone, version_id)]
            end = track.stop if stop is None else min(stop, track.stop)
            if end > start:
                out.append(Slice(zone, start, end, cut(track.seen, start, end)))
        return out

    # --- what was seen there

    def _load(self, wanted: Mapping[tuple[int, int], int]) -> None:
        """Reads what was seen, by (zone, version) since an instant; what was read before is not read again."""
        new = {
            key: since for key, since in wanted.items() if key not in self._tracks or self._tracks[key].start > since
        }
        watched = {key: since for key, since in new.items() if self.place(key[0]).monitored}
        if watched:
            self._know(version for _, version in watched)
            summaries.ensure(self.conn, self.around.places, self.profiles, self._unsure_of(watched))
            before = summaries.unclean(self.conn, watched)
        if new:
            self._verdicts.clear()  # what was found from shorter tracks
        for key, since in new.items():
            self._runs.pop(key, None)
            place, profile = self.place(key[0]), self.profile(key[1])
            if key in watched:
                self._tracks[key] = self._track(place, profile, since, before[key])
            else:
                self._tracks[key] = self._blind(place, profile, since)

    def _unsure_of(self, wanted: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], int]:
        """Of what is wanted: that of which no live fold knows that its closed hours exist."""
        out = {}
        for (zone, version), since in wanted.items():
            fold = self.live.get(zone)
            if fold is None or version not in fold.closed_since or fold.closed_since[version] > bucket(since):
                out[(zone, version)] = since
        return out

    def _track(self, place: Place, profile: Profile, since: int, before: Sequence[Summary]) -> Track:
        fold = self.live.get(place.zone_id)
        if fold is not None and profile.version_id in fold.profiles:
            open_part = fold.current[profile.version_id]
        else:
            made = self._open_part(place, profile, since)
            if made is None:
                return Track(since, since, {})
            open_part = made
        closed = [hour for hour in before if hour.stop <= open_part.start]
        return Track(since, open_part.stop, joined([*closed, open_part]))

    def _open_part(self, place: Place, profile: Profile, since: int) -> Summary | None:
        """The open hours of a zone that nobody folds in this process, from raw readings; None if nothing is known."""
        standing = self._standing(place.zone_id)
        if standing is None:
            return None
        judged_to, watermark = standing
        if watermark is None:  # nothing has settled, so no hour is closed
            start, watermark = bucket(min(since, judged_to)), 0
        else:
            start = bucket(min(watermark, judged_to + 1))
        heard = load_heard(self.conn, place, start, judged_to + 1, profile.allowed_gap)
        return Look(by_quantity(place, heard), start, judged_to + 1, watermark + 1).summary(profile)

    def _standing(self, zone: int) -> tuple[int, int | None] | None:
        """(judged to, watermark) of a zone as stored; None if nothing was ever folded into it."""
        if zone not in self._known:
            row = self.conn.execute(
                text("SELECT judged_to, watermark FROM zone_judged WHERE zone_id = :zone"), {"zone": zone}
            ).one_or_none()
            known = None
            if row is not None and row.judged_to is not None:
                known = (micros(row.judged_to), None if row.watermark is None else micros(row.watermark))
            self._known[zone] = known
        return self._known[zone]

    def _blind(self, place: Place, profile: Profile, since: int) -> Track:
        """A zone nobody measures: unknown until now, or at its declared worst temperature (uncertain)."""
        stop = micros(self.now) + 1
        whole = [(since, stop)] if since < stop else []
        seen: dict[str, Seen] = {}
        for limit in profile.limits:
            if place.worst_temperature is None or limit.quantity != "temperature":
                seen[limit.key] = Seen([], [], whole, whole)
            elif limit.out(place.worst_temperature):
                seen[limit.key] = Seen([], whole, whole, whole)
        return Track(since, stop, seen)
