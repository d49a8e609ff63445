"""What a release signs: where goods were, what they went through, what nobody knows of it, and their audit trail."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import text

from core.erp.custody.rules import Interval
from core.erp.exposure import service as exposure
from core.erp.exposure.history.lineage import paths
from core.erp.kernel.unit import Unit, json_value, record_hash
from core.erp.quality.rules import merge_gaps

_EXCURSIONS = text("""
    SELECT e.id, e.state, e.limit_key, e.certainty, e.started_at, e.ended_at, e.out, e.accepted, d.decision
    FROM excursion e LEFT JOIN disposition d ON d.excursion_id = e.id
    WHERE e.sublot_id = :id ORDER BY e.id
""")

_GAPS = text("""
    SELECT DISTINCT g.id, COALESCE(g.zone_id, p.zone_id) AS zone_id, g.point_id, g.start_at, g.stop_at, g.reason,
        g.reason_message, z.allowed_gap
    FROM unnest(CAST(:zones AS bigint[]), CAST(:froms AS timestamptz[]), CAST(:tos AS timestamptz[]))
        AS s(zone_id, from_at, to_at)
    JOIN gap_standing g ON (g.stop_at IS NULL OR s.from_at < g.stop_at) AND (s.to_at IS NULL OR g.start_at < s.to_at)
    LEFT JOIN point p ON p.id = g.point_id LEFT JOIN zone z ON z.id = COALESCE(g.zone_id, p.zone_id)
    WHERE COALESCE(g.zone_id, p.zone_id) IN (s.zone_id, lotwise_judging_zone(s.zone_id, s.from_at))
      AND (p.id IS NULL OR p.role = 'required')
    ORDER BY g.id
""")

_TRAILS = text("""
    WITH told(sublot_id, entity, entity_id) AS (
        SELECT s.id, 'sublot', CAST(s.id AS text) FROM sublot s WHERE s.id = ANY (CAST(:ids AS bigint[]))
        UNION ALL
        SELECT s.id, 'lot', CAST(s.lot_id AS text) FROM sublot s WHERE s.id = ANY (CAST(:ids AS bigint[]))
        UNION ALL
        SELECT e.sublot_id, 'excursion', CAST(e.id AS text) FROM excursion e
        WHERE e.sublot_id = ANY (CAST(:ids AS bigint[]))
    )
    SELECT t.sublot_id, a.hash FROM told t JOIN audit a ON a.entity = t.entity AND a.entity_id = t.entity_id
    ORDER BY t.sublot_id, a.id
""")

_SUBLOT = text("""
    SELECT s.id, s.code, s.lot_id, l.number AS lot, i.code AS item, l.expiry, lotwise_on_hand(s.id) AS on_hand
    FROM sublot s JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id WHERE s.id = :id
""")


def unfilled_gaps(u: Unit, sublot_id: int) -> list[dict[str, Any]]:
    """Unfilled gaps of the zones where the sublot was, while it was there: what nobody knows about it.

    Those of one point that are no further apart than the zone's allowed gap are told as one (`silences` of them), from
    the first's beginning to the last's end: a sensor with a loose contact has hundreds a day.
    """
    intervals = [stay for stay in _custody_intervals(u, sublot_id) if stay[0] is not None]
    parameters = {
        "zones": [s[0] for s in intervals],
        "froms": [s[1] for s in intervals],
        "tos": [s[2] for s in intervals],
    }
    return merge_gaps([dict(row) for row in u.conn.execute(_GAPS, parameters).mappings()])


def _custody_intervals(u: Unit, sublot_id: int) -> list[Interval]:
    """Where its goods were, each stay once: a merger's parts, too, before they were merged."""
    u.session.flush()
    intervals = {stay for path in paths(u.conn, [sublot_id])[sublot_id] for stay in path}
    return sorted(intervals, key=lambda stay: (stay[1], stay[0] or 0))


@dataclass(frozen=True, slots=True)
class Trail:
    """How many rows the audit trail of a sublot has, with its lot's and its excursions', and the hash of them all."""

    rows: int
    digest: bytes


def trails(u: Unit, sublot_ids: Sequence[int]) -> dict[int, Trail]:
    """The audit trails of sublots as they stand: whoever signs a release has had them before him."""
    hashes: dict[int, list[bytes]] = {sublot_id: [] for sublot_id in sublot_ids}
    for row in u.conn.execute(_TRAILS, {"ids": list(hashes)}):
        hashes[row.sublot_id].append(bytes(row.hash))
    return {sublot_id: Trail(len(rows), hashlib.sha256(b"".join(rows)).digest()) for sublot_id, rows in hashes.items()}


def review(u: Unit, sublot_id: int) -> dict[str, Any]:
    """What a release signs: the sublot, where it was, its excursions, its gaps, and a hash of its audit trail.

    The trail's hash covers every audit row of the sublot, its lot and its excursions up to now: whoever signs has had
    the trail before him as it stood (Annex 11: reviewed before release).
    """
    u.flush()
    one, trail = {"id": sublot_id}, trails(u, [sublot_id])[sublot_id]
    history = {
        "custody_intervals": _custody_intervals(u, sublot_id),
        "excursions": [_in_seconds(dict(row)) for row in u.conn.execute(_EXCURSIONS, one).mappings()],
        "gaps": unfilled_gaps(u, sublot_id),
        "totals": _exposure(u, sublot_id),
    }
    head = u.conn.execute(_SUBLOT, one).mappings().one()
    return dict(
        json_value(
            {
                **head,
                "exposure": history,
                "exposure_hash": record_hash(history),
                "audit_rows": trail.rows,
                "audit_hash": trail.digest,
            }
        )
    )


def _exposure(u: Unit, sublot_id: int) -> dict[str, Any] | None:
    """The sublot's exposure up to now: minutes out of each limit, extremes, MKT, coverage; None without a profile."""
    found = exposure.exposure(u.conn, sublot_id, u.now)
    return _in_seconds(found) if found is not None else None


def _in_seconds(value: Any) -> Any:
    """Lengths of time as seconds, wherever they stand."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, msgspec.Struct):
        return _in_seconds(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {key: _in_seconds(item) for key, item in value.items()}
    return [_in_seconds(item) for item in value] if isinstance(value, list | tuple) else value
