"""Which profiles' goods must be looked at again after a fold, and what looking at them gives."""

from collections.abc import Iterable, Sequence
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


def judge_again(ways: Ways, fold: ZoneFold, versions: Iterable[int]) -> list[Judged]:
    """What the goods of these versions in the zone went through, all of it; sets when to look again."""
    out: list[Judged] = []
    for version in versions:
        watch = fold.watches[version]
        since = fold.stop if watch.dirty_from is None else watch.dirty_from
        ids = goods_in(ways.conn, fold.place.zone_id, min(since, watch.looked_to or since))
        mine = [sublot for sublot, theirs in versions_of(ways.conn, ids, ways.now).items() if theirs == version]
        verdicts = ways.verdicts(mine, version) if mine else {}
        out += judged(ways, verdicts, version)
        watch.due = min((verdict.due for verdict in verdicts.values()), default=NEVER)
        watch.looked_to = fold.stop
        watch.dirty_from = None
        open_breaks = any(item.ended is None for verdict in verdicts.values() for item in verdict.breaks)
        now = fold.current[version]
        watch.open_keys = frozenset(key for key in now.seen if open_breaks and _open_at(now.of(key), fold.stop))
    return out


def goods_in(conn: Connection, zone_id: int, since: int) -> list[int]:
    """Sublots judged by the zone at any time since: standing in it, or in an unmonitored zone nested in it."""
    zones = [
        row.id
        for row in conn.execute(
            text(
                "WITH RECURSIVE inside AS (SELECT CAST(:zone AS bigint) AS id UNION"
                " SELECT n.zone_id FROM zone_nesting n JOIN inside i ON n.parent_id = i.id"
                " WHERE NOT EXISTS (SELECT 1 FROM point p WHERE p.zone_id = n.zone_id AND p.role = 'required'))"
                " SELECT id FROM inside"
            ),
            {"zone": zone_id},
        )
    ]
    now_there = conn.execute(text("SELECT id FROM sublot WHERE zone_id = ANY(:zones)"), {"zones": zones})
    found = {row.id for row in now_there}
    # and those that moved on since; one too many does no harm, for the verdict is from all of its custody
    left = conn.execute(
        text(
            "SELECT DISTINCT a.sublot_id FROM custody_fact a WHERE a.zone_id = ANY(:zones)"
            " AND EXISTS (SELECT 1 FROM custody_fact b WHERE b.sublot_id = a.sublot_id AND b.at > :since)"
        ),
        {"zones": zones, "since": moment(since)},
    )
    found.update(row.sublot_id for row in left)
    return sorted(found)


def judged(ways: Ways, verdicts: dict[int, Verdict], version: int) -> list[Judged]:
    """Verdicts as events, with the extremes of each break."""
    return [
        Judged(sublot, version, tuple(_breach(ways, item, version) for item in verdict.breaks))
        for sublot, verdict in verdicts.items()
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
