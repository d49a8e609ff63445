"""Which profiles' goods must be looked at again after a fold, and what looking at them gives."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from core.erp.exposure.events import Breach, Judged
from core.erp.exposure.places import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import NEVER, Break, Verdict
from core.erp.exposure.rules.summary import Seen, Summary
from core.erp.exposure.times import moment
from core.erp.exposure.ways import Ways
from core.erp.exposure.zone import Watch, ZoneFold


def due_versions(fold: ZoneFold, closed: Sequence[tuple[int, Summary]]) -> list[int]:
    """The versions under which something could have broken, ended or changed since they were last looked at.

    Cost grows with zones × profiles, not with goods: only the nearest threshold of each is watched.
    """
    out = []
    for version in fold.profiles:
        watch = fold.watches.setdefault(version, Watch(dirty_from=fold.stop))
        now = fold.current[version]
        parts = [summary for closed_version, summary in closed if closed_version == version]
        parts.append(now)
        if fold.disordered and _changed(watch, parts):
            watch.dirty_from = min(watch.looked_to, fold.hour)
        touched = any(
            seen.worst and seen.worst[-1][1] > watch.looked_to for part in parts for seen in part.seen.values()
        )
        ended = any(not _open_at(now.of(key), fold.stop) for key in watch.open_keys)
        if (
            watch.dirty_from is not None
            or ended
            or (touched and fold.stop >= watch.due)
            or _kinetic(fold, version, closed)
        ):
            out.append(version)
        watch.seen, watch.seen_to = now.seen, fold.stop
    fold.disordered = False
    return out


def _open_at(seen: Seen, stop: int) -> bool:
    return bool(seen.open) and seen.open[-1][1] >= stop


def _changed(watch: Watch, parts: Sequence[Summary]) -> bool:
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
    """Whether a closed hour was warm enough to move a mean kinetic temperature past its limit."""
    limit = fold.profiles[version].mkt_limit
    if limit is None:
        return False
    return any(
        summary.highest is not None and summary.highest > limit
        for closed_version, summary in closed
        if closed_version == version
    )


def judge_again(ways: Ways, due: Sequence[tuple[ZoneFold, Sequence[int]]]) -> list[Judged]:
    """What the goods of the versions due in each zone went through, all of it; sets when to look again."""
    due = [(fold, versions) for fold, versions in due if versions]
    since = {fold.place.zone_id: min(_since(fold, version) for version in versions) for fold, versions in due}
    goods = goods_in(ways.conn, since)
    theirs = versions_of(ways.conn, {sublot for ids in goods.values() for sublot in ids}, ways.now)
    wanted: dict[int, set[int]] = defaultdict(set)
    mine: dict[tuple[int, int], list[int]] = {}
    for fold, versions in due:
        zone = fold.place.zone_id
        for version in versions:
            mine[(zone, version)] = [sublot for sublot in goods[zone] if theirs.get(sublot) == version]
            wanted[version].update(mine[(zone, version)])
    verdicts = ways.verdicts(wanted)
    for fold, versions in due:
        for version in versions:
            found = [verdicts[(sublot, version)] for sublot in mine[(fold.place.zone_id, version)]]
            _looked(fold, version, found)
    return judged(ways, verdicts)


def _since(fold: ZoneFold, version: int) -> int:
    watch = fold.watches[version]
    dirty = fold.stop if watch.dirty_from is None else watch.dirty_from
    return min(dirty, watch.looked_to or dirty)


def _looked(fold: ZoneFold, version: int, verdicts: Sequence[Verdict]) -> None:
    watch, now = fold.watches[version], fold.current[version]
    watch.due = min((verdict.due for verdict in verdicts), default=NEVER)
    watch.looked_to = fold.stop
    watch.dirty_from = None
    open_breaks = any(item.ended is None for verdict in verdicts for item in verdict.breaks)
    watch.open_keys = frozenset(key for key in now.seen if open_breaks and _open_at(now.of(key), fold.stop))


_INSIDE = text(
    "WITH RECURSIVE inside AS (SELECT z AS root, z AS id FROM unnest(CAST(:zones AS bigint[])) z UNION"
    " SELECT i.root, n.zone_id FROM zone_nesting n JOIN inside i ON n.parent_id = i.id"
    " WHERE NOT EXISTS (SELECT 1 FROM point p WHERE p.zone_id = n.zone_id AND p.role = 'required'))"
    " SELECT root, id FROM inside"
)
_STANDING = text("SELECT id, zone_id FROM sublot WHERE zone_id = ANY(:zones)")
# those that moved on since; one too many does no harm, for the verdict is from all of its custody
_LEFT = text(
    "SELECT DISTINCT a.sublot_id AS id, a.zone_id FROM custody_fact b JOIN custody_fact a ON a.sublot_id = b.sublot_id"
    " WHERE b.at > :since AND a.zone_id = ANY(:zones)"
)


def goods_in(conn: Connection, since: Mapping[int, int]) -> dict[int, list[int]]:
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


def judged(ways: Ways, verdicts: Mapping[tuple[int, int], Verdict]) -> list[Judged]:
    """Verdicts by (sublot, version) as events, with the extremes of each break."""
    return [
        Judged(sublot, version, tuple(_breach(ways, item, version) for item in verdict.breaks))
        for (sublot, version), verdict in verdicts.items()
    ]


def _breach(ways: Ways, item: Break, version: int) -> Breach:
    lowest, highest = ways.extremes(item.zone_id, version, item.started, item.ended)
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
