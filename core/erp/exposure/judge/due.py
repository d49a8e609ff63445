"""Which profiles' goods must be looked at again after a fold, and what looking at them gives."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from core.erp.exposure.events import Breach, Judged
from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.history.extremes import ExtremesReader
from core.erp.exposure.judge.zone_fold import ProfileWatch, ZoneFold
from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import NEVER, Break, Verdict
from core.erp.exposure.rules.summary import LimitRuns, Summary
from core.erp.exposure.times import moment


def can_skip(fold: ZoneFold) -> bool:
    """Whether no version can be due: all that has come since the zone was last looked at is quiet."""
    return fold.tail.stop < fold.tail.skip_until and fold.tail.is_quiet


def skip_until(fold: ZoneFold) -> int:
    """Up to when no version comes to be due while the zone is quiet; 0 if it is not, or one is due now."""
    if not fold.tail.is_quiet:
        return 0
    out = NEVER
    for version in fold.tail.profiles:
        watch, seen = fold.watches[version], fold.tail.current[version].seen.values()
        if watch.dirty_from is not None or watch.open_keys:
            return 0
        if any(_touches(each.worst, watch) for each in seen):
            out = min(out, watch.due)
        for certainty, due in watch.upgrade_due.items():
            if any(_touches(getattr(each, certainty), watch) for each in seen):
                out = min(out, due)
    return out


def due_versions(fold: ZoneFold, closed: Sequence[tuple[int, Summary]]) -> list[int]:
    """The versions under which something could have broken, ended or changed since they were last looked at.

    Cost grows with zones × profiles, not with goods: only the nearest threshold of each is watched.
    """
    out = []
    current = fold.tail.current
    for version in fold.tail.profiles:
        watch = fold.watches.setdefault(version, ProfileWatch(dirty_from=fold.tail.stop))
        watch.seen_to = max(watch.seen_to, fold.tail.skipped_to)
        now = current[version]
        parts = [summary for closed_version, summary in closed if closed_version == version]
        parts.append(now)
        if fold.tail.out_of_order and _changed(watch, parts):
            watch.dirty_from = min(watch.looked_to, parts[0].start)
        touched = any(_touches(seen.worst, watch) for part in parts for seen in part.seen.values())
        ended = any(not _still_open(key, parts, watch.seen_to) for key in watch.open_keys)
        if (
            watch.dirty_from is not None
            or ended
            or (touched and fold.tail.stop >= watch.due)
            or _may_upgrade(watch, parts, fold.tail.stop)
            or _kinetic(fold, version, closed)
        ):
            out.append(version)
        watch.seen, watch.seen_to = now.seen, fold.tail.stop
    fold.tail.out_of_order = False
    return out


def _open_at(seen: LimitRuns, stop: int) -> bool:
    return bool(seen.open) and seen.open[-1][1] >= stop


def _may_upgrade(watch: ProfileWatch, parts: Sequence[Summary], stop: int) -> bool:
    """Whether a break that stands may have become more certain."""
    return any(
        stop >= due and any(_touches(getattr(seen, certainty), watch) for part in parts for seen in part.seen.values())
        for certainty, due in watch.upgrade_due.items()
    )


def _touches(runs: Sequence[r.Run], watch: ProfileWatch) -> bool:
    return bool(runs) and runs[-1][1] > watch.looked_to


def _still_open(key: str, parts: Sequence[Summary], since: int) -> bool:
    """Whether the run that was open at `since` still is: one that came back in between is another."""
    runs = r.join(part.of(key).open for part in parts)
    return bool(runs) and runs[-1][1] >= parts[-1].stop and (runs[-1][0] < since or runs[-1][0] == parts[0].start)


def _changed(watch: ProfileWatch, parts: Sequence[Summary]) -> bool:
    """Whether readings out of order have changed what had been seen before."""
    start = parts[0].start
    for key in {*watch.seen, *(key for part in parts for key in part.seen)}:
        before = watch.seen.get(key)
        for pick in ("proven", "uncertain", "worst", "open"):
            was = r.clip(getattr(before, pick), start, watch.seen_to) if before else []
            now = r.clip(r.join(getattr(part.of(key), pick) for part in parts), start, watch.seen_to)
            if was != now:
                return True
    return False


def _kinetic(fold: ZoneFold, version: int, closed: Sequence[tuple[int, Summary]]) -> bool:
    """Whether a closed hour can move a mean kinetic temperature past its limit or back: it was warm, or a warm one
    is still in the window, which a cool one may fill up or push a cold one out of.
    """
    limit = fold.tail.profiles[version].mkt_limit
    if limit is None:
        return False
    return any(
        (summary.highest is not None and summary.highest > limit) or summary.start < fold.watches[version].warm_until
        for closed_version, summary in closed
        if closed_version == version
    )


def rejudge_goods(
    history: ExposureHistory, due: Sequence[tuple[ZoneFold, Sequence[int]]], others: Mapping[int, ZoneFold]
) -> list[Judged]:
    """What the goods of the versions due in each zone went through, all of it; sets when to look again.

    `others` are the folds this process keeps of any zones: goods that have moved on may break there earlier now.
    """
    due = [(fold, versions) for fold, versions in due if versions]
    if not due:
        return []
    since = {fold.tail.setup.zone_id: min(_since(fold, version) for version in versions) for fold, versions in due}
    goods = goods_judged_in(history.conn, since)
    theirs = versions_of(history.conn, {sublot for ids in goods.values() for sublot in ids}, history.now)
    wanted: dict[int, set[int]] = defaultdict(set)
    mine: dict[tuple[int, int], list[int]] = {}
    for fold, versions in due:
        zone = fold.tail.setup.zone_id
        mine.update({(zone, version): [] for version in versions})
        for sublot in goods[zone]:
            version = theirs.get(sublot)
            if version is not None and (zone, version) in mine:
                mine[(zone, version)].append(sublot)
                wanted[version].add(sublot)
    verdicts = history.verdicts(wanted)
    for fold, versions in due:
        for version in versions:
            found = [verdicts[(sublot, version)] for sublot in mine[(fold.tail.setup.zone_id, version)]]
            _reset_watch(fold, version, {id(verdict): verdict for verdict in found}.values())
    _watch_current_zones(history, due, verdicts, others)
    return judged_events(history, verdicts)


def _watch_current_zones(
    history: ExposureHistory,
    due: Sequence[tuple[ZoneFold, Sequence[int]]],
    verdicts: Mapping[tuple[int, int], Verdict],
    others: Mapping[int, ZoneFold],
) -> None:
    """Goods that have spent something and stand in another zone now may break there sooner than it thought."""
    checked = {(fold.tail.setup.zone_id, version) for fold, versions in due for version in versions}
    elsewhere: set[int] = set()
    for (sublot, version), verdict in verdicts.items():
        zone = history.current_zone.get(sublot)
        if zone is None or (zone, version) in checked or (sublot, version) not in history.counted:
            continue
        watch = others[zone].watches.get(version) if zone in others else None
        if watch is None:
            elsewhere.add(zone)
        else:
            _extend_watch(others[zone], version, verdict)
    if elsewhere:  # somebody else's: its next fold looks at everything
        history.conn.execute(
            text("UPDATE zone_judged SET version = version + 1 WHERE zone_id = ANY(:zones)"),
            {"zones": sorted(elsewhere)},
        )


def _extend_watch(fold: ZoneFold, version: int, verdict: Verdict) -> None:
    watch, now = fold.watches[version], fold.tail.current.get(version)
    fold.tail.skip_until = 0
    watch.due = min(watch.due, verdict.due)
    watch.warm_until = max(watch.warm_until, verdict.warm_until)
    for certainty, at in verdict.upgrade_due.items():
        watch.upgrade_due[certainty] = min(watch.upgrade_due.get(certainty, NEVER), at)
    if now is not None and any(item.ended is None for item in verdict.breaks):
        watch.open_keys |= {key for key, seen in now.seen.items() if _open_at(seen, now.stop)}


def _since(fold: ZoneFold, version: int) -> int:
    watch = fold.watches[version]
    dirty = fold.tail.stop if watch.dirty_from is None else watch.dirty_from
    return min(dirty, watch.looked_to or dirty)


def _reset_watch(fold: ZoneFold, version: int, verdicts: Iterable[Verdict]) -> None:
    watch = fold.watches[version]
    watch.due, watch.warm_until, watch.upgrade_due, watch.open_keys = NEVER, 0, {}, frozenset()
    watch.looked_to = fold.tail.stop
    watch.dirty_from = None
    for verdict in verdicts:
        _extend_watch(fold, version, verdict)


_INSIDE = text(
    "WITH RECURSIVE inside AS (SELECT z AS root, z AS id FROM unnest(CAST(:zones AS bigint[])) z UNION"
    " SELECT i.root, n.zone_id FROM zone_nesting n JOIN inside i ON n.parent_id = i.id"
    " WHERE NOT EXISTS (SELECT 1 FROM point p WHERE p.zone_id = n.zone_id AND p.role = 'required'))"
    " SELECT root, id FROM inside"
)
_STANDING = text("SELECT id, zone_id FROM sublot WHERE zone_id = ANY(:zones)")
# those that moved on since, and what they were merged into, which is judged by where they were before; one too many
# does no harm, for the verdict is from all of its custody
_LEFT = text(
    "WITH RECURSIVE gone(id, zone_id) AS ("
    " SELECT a.sublot_id, a.zone_id FROM custody_fact b JOIN custody_fact a ON a.sublot_id = b.sublot_id"
    " WHERE b.at > :since AND a.zone_id = ANY(:zones)"
    " UNION SELECT g.child_id, gone.zone_id FROM gone JOIN genealogy g ON g.parent_id = gone.id"
    " WHERE g.transformation LIKE 'merge:%' OR g.transformation LIKE 'split:%')"
    " SELECT id, zone_id FROM gone"
)


def goods_judged_in(conn: Connection, since: Mapping[int, int]) -> dict[int, list[int]]:
    """By zone: sublots judged by it at any time since its instant: standing in it, or in an unmonitored zone inside."""
    if not since:
        return {}
    roots: dict[int, set[int]] = defaultdict(set)
    for row in conn.execute(_INSIDE, {"zones": sorted(since)}):
        roots[row.id].add(row.root)
    out: dict[int, set[int]] = {zone: set() for zone in since}
    places = {"zones": sorted(roots)}
    for query in (_STANDING, _LEFT):
        for row in conn.execute(query, {**places, "since": moment(min(since.values()))}):
            for root in roots[row.zone_id]:
                out[root].add(row.id)
    return {zone: sorted(ids) for zone, ids in out.items()}


def judged_events(history: ExposureHistory, verdicts: Mapping[tuple[int, int], Verdict]) -> list[Judged]:
    """Verdicts by (sublot, version) as events, with the extremes of each break."""
    reader = ExtremesReader(history)
    return [
        Judged(sublot, version, tuple(_breach(reader, item, sublot, version) for item in verdict.breaks))
        for (sublot, version), verdict in verdicts.items()
    ]


def _breach(reader: ExtremesReader, item: Break, sublot: int, version: int) -> Breach:
    lowest, highest = reader.extremes(sublot, version, item)
    return Breach(
        limit_key=item.limit_key,
        kind=item.kind,
        started_at=moment(item.started),
        broke_at=moment(item.broke),
        ended_at=None if item.ended is None else moment(item.ended),
        certainty=item.certainty,
        out=timedelta(microseconds=item.out),
        lowest=lowest,
        highest=highest,
        zone_id=item.zone_id,
    )
