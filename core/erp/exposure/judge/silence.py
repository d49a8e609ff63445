"""Silences as records: what is known to be unknown of each required point (design §1, gap)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, text

from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.model import GapRecord
from core.erp.exposure.readings.trace import PointTrace, load_readings
from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules import gaps
from core.erp.exposure.rules.assess import NEVER
from core.erp.exposure.rules.runs import clip
from core.erp.exposure.rules.signal import BAD
from core.erp.exposure.times import micros, moment
from core.erp.kernel.unit import Unit

SILENT = "silent"

Span = tuple[int, int | None]


def silences(trace: PointTrace, gap: int, start: int, watermark: int, quiet_from: int | None = None) -> list[Span]:
    """Spans [from, to) after `start` in which the point said nothing that speaks; the last is open (None) when the
    watermark has passed its beginning. A value speaks until the next reading, at most for `gap`; a bad one does not.

    `quiet_from`: it is known to be silent from then on until the first of these readings.
    """
    out: list[Span] = []
    for index, (at, quality) in enumerate(zip(trace.at, trace.quality, strict=True)):
        if quality == BAD:
            quiet_from = at if quiet_from is None else quiet_from
            continue
        if quiet_from is not None:
            out.append((quiet_from, at))
        following = trace.at[index + 1] if index + 1 < len(trace.at) else None
        quiet_from = at + gap if following is None or following > at + gap else None
    if quiet_from is not None and watermark >= quiet_from:
        out.append((quiet_from, None))
    return [(max(a, start), b) for a, b in out if (b is None or b > start) and (b is None or b > a)]


def has_changed(fold: ZoneFold) -> bool:
    """Whether the tail has a silence that may not be on record, or one on record that may have ended."""
    start = fold.tail.open_from
    for point in fold.tail.setup.points:
        if point.required:
            on_record = [(max(a, start), b) for a, b in fold.silences.get(point.address, ()) if b is None or b > start]
            if _silences_of_tail(fold, point) != on_record:
                return True
    return False


def _silences_of_tail(fold: ZoneFold, point: JudgedPoint) -> list[Span]:
    on_record = fold.silences.get(point.address, ())
    return _silences_after(fold, point, fold.tail.recent(point.address), fold.tail.open_from, on_record)


def _silences_after(
    fold: ZoneFold, point: JudgedPoint, trace: PointTrace, start: int, on_record: Iterable[Span]
) -> list[Span]:
    """The point's silences after `start` by its readings, of which all that speak there are heard."""
    quiet = _quiet_from(point, trace, start, on_record)
    return _while_goods_present(fold, silences(trace, fold.tail.setup.allowed_gap, start, fold.tail.watermark, quiet))


def _quiet_from(point: JudgedPoint, trace: PointTrace, start: int, on_record: Iterable[Span]) -> int | None:
    """From when a point of which nothing was heard that speaks at `start` is silent: from then, if it is on record as
    silent; from when its sensor was installed. None for one that nobody expects to speak.
    """
    expected = start if point.installed_at is None else max(start, point.installed_at)
    if trace.at and trace.at[0] <= expected:
        return None
    if any(a <= start and (b is None or b > start) for a, b in on_record):
        return start
    return None if point.installed_at is None else expected


def _while_goods_present(fold: ZoneFold, found: Sequence[Span]) -> list[Span]:
    """The silences, or of a logger's only what of them was while goods were with it."""
    if fold.tail.setup.goods_present is None:
        return list(found)
    closed = [(start, NEVER if stop is None else stop) for start, stop in found]
    cut = [span for start, stop in fold.tail.setup.goods_present for span in clip(closed, start, stop)]
    return [(start, None if stop == NEVER else stop) for start, stop in cut]


def record_silences(u: Unit, fold: ZoneFold, since: int | None = None) -> None:
    """Makes the records of the zone's silences say what the readings say, from `since` (default: the tail) on."""
    setup, gap = fold.tail.setup, fold.tail.setup.allowed_gap
    start = fold.tail.open_from if since is None else min(since - gap, fold.tail.open_from)
    readings = None if since is None else load_readings(u.conn, setup, start, fold.tail.stop, gap)
    rows: list[dict[str, Any]] = []
    standing = _on_record(u, setup, start)
    for point in setup.points:
        if not point.required:
            continue
        trace = fold.tail.recent(point.address) if readings is None else readings[point.address]
        on_record = [(a, b) for _, a, b in standing.get(point.id, ())]
        found = _silences_after(fold, point, trace, start, on_record)
        fold.silences[point.address] = tuple(found)
        rows += _changes(u, (setup, point.id), start, found, standing.get(point.id, ()))
    if rows:
        u.session.flush()
        u.conn.execute(insert(GapRecord), rows)


def _on_record(u: Unit, setup: ZoneSetup, start: int) -> dict[int, list[tuple[int, int, int | None]]]:
    """By point: (id, start, stop) of the silences on record that reach past `start`."""
    out: dict[int, list[tuple[int, int, int | None]]] = {}
    rows = u.conn.execute(
        text(
            "SELECT id, point_id, start_at, stop_at FROM gap_standing WHERE zone_id = :zone AND reason = :reason"
            " AND (stop_at IS NULL OR stop_at > :start) ORDER BY start_at"
        ),
        {"zone": setup.zone_id, "reason": SILENT, "start": moment(start)},
    )
    for row in rows:
        stop = None if row.stop_at is None else micros(row.stop_at)
        out.setdefault(row.point_id, []).append((row.id, micros(row.start_at), stop))
    return out


def _changes(
    u: Unit,
    of: tuple[ZoneSetup, int],
    looked_from: int,
    found: Sequence[Span],
    standing: Iterable[tuple[int, int, int | None]],
) -> list[dict[str, Any]]:
    """The rows to add. A record that began before what was looked at goes on under its own beginning."""
    common = {"zone_id": of[0].zone_id, "point_id": of[1], "reason": SILENT, "known_at": u.now}
    common["reason_message"] = gaps.SILENT.as_json()
    left = list(found)
    out: list[dict[str, Any]] = []
    for gap_id, start, stop in standing:
        begins = max(start, looked_from)
        same = next((span for span in left if span[0] == begins), None)
        if same is None:
            until = max(start, looked_from if stop is None else min(looked_from, stop))
            out.append({**common, "start_at": moment(start), "stop_at": moment(until), "replaces_id": gap_id})
            continue
        left.remove(same)
        if same[1] != stop:
            until_or_open = None if same[1] is None else moment(same[1])
            out.append({**common, "start_at": moment(start), "stop_at": until_or_open, "replaces_id": gap_id})
    for start, stop in left:
        ends = None if stop is None else moment(stop)
        out.append({**common, "start_at": moment(start), "stop_at": ends, "replaces_id": None})
    return out


def silences_on_record(conn: Connection, since: Mapping[int, int]) -> dict[int, dict[str, tuple[Span, ...]]]:
    """By zone and point: the silences on record that reach past the zone's instant."""
    rows = conn.execute(
        text(
            "SELECT g.zone_id, p.address, g.start_at, g.stop_at FROM gap_standing g JOIN point p ON p.id = g.point_id"
            " JOIN unnest(CAST(:zones AS bigint[]), CAST(:sinces AS timestamptz[])) w(zone_id, since)"
            " ON w.zone_id = g.zone_id WHERE g.reason = :reason AND (g.stop_at IS NULL OR g.stop_at > w.since)"
            " ORDER BY g.start_at"
        ),
        {"zones": list(since), "sinces": [moment(at) for at in since.values()], "reason": SILENT},
    )
    out: dict[int, dict[str, tuple[Span, ...]]] = {zone: {} for zone in since}
    for row in rows:
        span = (micros(row.start_at), None if row.stop_at is None else micros(row.stop_at))
        out[row.zone_id][row.address] = (*out[row.zone_id].get(row.address, ()), span)
    return out
