"""The way of sublots through zones, and the verdict on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from core.erp.custody.service import intervals
from core.erp.exposure import summaries
from core.erp.exposure.places import Place, load_places, load_profiles
from core.erp.exposure.raw import by_quantity, load_heard
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import Carried, Slice, Verdict, assess
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.signal import BAD
from core.erp.exposure.rules.summary import UNSEEN, Look, Seen, Summary
from core.erp.exposure.times import bucket, micros
from core.erp.exposure.zone import ZoneFold


@dataclass(slots=True)
class Track:
    """What a profile's limits saw in one zone over [start, stop)."""

    start: int
    stop: int
    seen: dict[str, Seen]

    def within(self, start: int, stop: int) -> dict[str, Seen]:
        """The part of it in [start, stop)."""
        return {
            key: Seen(
                r.clip(seen.proven, start, stop),
                r.clip(seen.uncertain, start, stop),
                r.clip(seen.worst, start, stop),
                r.clip(seen.open, start, stop),
            )
            for key, seen in self.seen.items()
        }


def joined(parts: Sequence[Summary]) -> dict[str, Seen]:
    """The runs of summaries in order of time; hours left out between them saw nothing."""
    keys = {key for part in parts for key in part.seen}
    out = {}
    for key in keys:
        seen = [part.seen.get(key, UNSEEN) for part in parts]
        out[key] = Seen(
            r.join(part.proven for part in seen),
            r.join(part.uncertain for part in seen),
            r.join(part.worst for part in seen),
            r.join(part.open for part in seen),
        )
    return out


@dataclass(slots=True)
class Ways:
    """Reads what sublots went through, within one transaction; zones that are being folded live are taken as they
    stand in memory. Everything is read once.
    """

    conn: Connection
    now: datetime
    live: Mapping[int, ZoneFold] = field(default_factory=dict)
    _places: dict[int, Place] = field(default_factory=dict)
    _profiles: dict[int, Profile] = field(default_factory=dict)
    _tracks: dict[tuple[int, int], Track] = field(default_factory=dict)
    _known: dict[int, tuple[int, int | None] | None] = field(default_factory=dict)
    _extremes: dict[tuple[int, int, int, int | None], tuple[float | None, float | None]] = field(default_factory=dict)

    def place(self, zone_id: int) -> Place:
        """The zone as judged."""
        if zone_id not in self._places:
            fold = self.live.get(zone_id)
            self._places[zone_id] = fold.place if fold else load_places(self.conn, [zone_id])[zone_id]
        return self._places[zone_id]

    def profile(self, version_id: int) -> Profile:
        """The profile version."""
        if version_id not in self._profiles:
            self._profiles.update(load_profiles(self.conn, [version_id]))
        return self._profiles[version_id]

    def verdicts(self, sublot_ids: Iterable[int], version_id: int) -> dict[int, Verdict]:
        """The verdict on each sublot under a profile version, from all its custody."""
        ids = sorted(set(sublot_ids))
        ways = {sublot: self._judging(spans) for sublot, spans in intervals(self.conn, ids).items()}
        first: dict[int, int] = {}
        for spans in ways.values():
            for zone, start, _ in spans:
                first[zone] = min(first.get(zone, start), start)
        profile = self.profile(version_id)
        for zone, start in first.items():
            self._load(zone, profile, start)
        carried = self._carried(ids, version_id)
        return {
            sublot: assess(profile, self.slices(spans, version_id), carried.get(sublot, {}))
            for sublot, spans in ways.items()
        }

    def slices(self, spans: Sequence[tuple[int, int, int | None]], version_id: int) -> list[Slice]:
        """What was seen along (judging zone, from, to) spans, as far as it is known."""
        out: list[Slice] = []
        for zone, start, stop in spans:
            track = self._tracks[(zone, version_id)]
            end = track.stop if stop is None else min(stop, track.stop)
            if end > start:
                out.append(Slice(zone, start, end, track.within(start, end)))
        return out

    def _carried(self, ids: Sequence[int], version_id: int) -> dict[int, dict[str, Carried]]:
        rows = self.conn.execute(
            text("SELECT id, carried FROM sublot WHERE id = ANY(:ids) AND jsonb_typeof(carried) = 'object'"),
            {"ids": list(ids)},
        )
        prefix = f"{version_id}:"
        return {
            row.id: {
                key.removeprefix(prefix): Carried(
                    *(round(float(counts[level]) * 1_000_000) for level in ("p", "u", "w"))
                )
                for key, counts in row.carried.items()
                if key.startswith(prefix)
            }
            for row in rows
        }

    def extremes(self, zone: int, version: int, start: int, stop: int | None) -> tuple[float | None, float | None]:
        """Least and greatest value read in the zone over [start, stop), in the canonical unit; bad ones left out."""
        key = (zone, version, start, stop)
        if key not in self._extremes:
            place = self.place(zone)
            end = micros(self.now) + 1 if stop is None else stop
            heard = load_heard(self.conn, place, start, end, self.profile(version).allowed_gap)
            lows = [
                low
                for point in heard.values()
                for low, quality in zip(point.low, point.quality, strict=True)
                if quality < BAD
            ]
            highs = [
                high
                for point in heard.values()
                for high, quality in zip(point.high, point.quality, strict=True)
                if quality < BAD
            ]
            self._extremes[key] = (min(lows, default=None), max(highs, default=None))
        return self._extremes[key]

    # --- where it was judged

    def _judging(
        self, spans: Sequence[tuple[int | None, datetime, datetime | None]]
    ) -> list[tuple[int, int, int | None]]:
        """Custody as (judging zone, from, to): the innermost monitored zone around each place."""
        out: list[tuple[int, int, int | None]] = []
        for zone, start, stop in spans:
            if zone is None:
                continue
            out += self._innermost(zone, micros(start), None if stop is None else micros(stop))
        return out

    def _innermost(self, zone: int, start: int, stop: int | None) -> list[tuple[int, int, int | None]]:
        if self.place(zone).monitored:
            return [(zone, start, stop)]
        rows = self.conn.execute(
            text("SELECT parent_id, from_at, to_at FROM zone_nesting WHERE zone_id = :zone ORDER BY from_at"),
            {"zone": zone},
        ).all()
        out: list[tuple[int, int, int | None]] = []
        at = start
        for row in rows:
            a = max(micros(row.from_at), at)
            b = _least(None if row.to_at is None else micros(row.to_at), stop)
            if b is not None and b <= a:
                continue
            if a > at:
                out.append((zone, at, a if stop is None else min(a, stop)))
            if stop is not None and a >= stop:
                break
            out += self._innermost(row.parent_id, a, b)
            if b is None:
                return out
            at = b
        if stop is None or at < stop:
            out.append((zone, at, stop))
        return out

    # --- what was seen there

    def _load(self, zone: int, profile: Profile, since: int) -> None:
        key = (zone, profile.version_id)
        if key in self._tracks and self._tracks[key].start <= since:
            return
        place = self.place(zone)
        self._tracks[key] = (
            self._track(place, profile, since) if place.monitored else self._blind(place, profile, since)
        )

    def _track(self, place: Place, profile: Profile, since: int) -> Track:
        summaries.ensure(self.conn, place, profile, since)
        fold = self.live.get(place.zone_id)
        if fold is not None and profile.version_id in fold.profiles:
            open_part = fold.current[profile.version_id]
        else:
            made = self._open_part(place, profile, since)
            if made is None:
                return Track(since, since, {})
            open_part = made
        before = summaries.unclean(self.conn, place.zone_id, profile.version_id, since, open_part.start)
        return Track(since, open_part.stop, joined([*before, open_part]))

    def _open_part(self, place: Place, profile: Profile, since: int) -> Summary | None:
        """The open hours of a zone that nobody folds in this process, from raw readings; None if nothing is known."""
        if place.zone_id not in self._known:
            row = self.conn.execute(
                text("SELECT judged_to, watermark FROM zone_judged WHERE zone_id = :zone"), {"zone": place.zone_id}
            ).one_or_none()
            known = None
            if row is not None and row.judged_to is not None:
                known = (micros(row.judged_to), None if row.watermark is None else micros(row.watermark))
            self._known[place.zone_id] = known
        standing = self._known[place.zone_id]
        if standing is None:
            return None
        judged_to, watermark = standing
        if watermark is None:  # nothing has settled, so no hour is closed
            start, watermark = bucket(min(since, judged_to)), 0
        else:
            start = bucket(min(watermark, judged_to + 1))
        heard = load_heard(self.conn, place, start, judged_to + 1, profile.allowed_gap)
        return Look(by_quantity(place, heard), start, judged_to + 1, watermark + 1).summary(profile)

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


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
