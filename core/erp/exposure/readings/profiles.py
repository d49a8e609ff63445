"""Profile versions as the rules take them, by which of them goods are judged, and a zone's own band."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.times import span
from core.telemetry.units import CANONICAL, convert

BAND = 0
"""The version id under which a zone's own band is judged, as if it were a profile."""


DRAFT = -1
"""The version id of a profile that nobody has made yet."""


def load_profiles(conn: Connection, version_ids: Iterable[int]) -> dict[int, Profile]:
    """Profile versions as the rules take them, thresholds in canonical units."""
    ids = sorted(set(version_ids))
    limits: dict[int, list[Limit]] = defaultdict(list)
    for row in conn.execute(
        text(
            "SELECT version_id, key, quantity, unit, op, threshold, kind, delay, hysteresis, allowance"
            " FROM profile_limit WHERE version_id = ANY(:ids) ORDER BY version_id, id"
        ),
        {"ids": ids},
    ):
        limits[row.version_id].append(_limit(row))
    return {
        row.id: _profile(row.id, row, limits[row.id])
        for row in conn.execute(
            text(
                "SELECT id, allowed_gap, shortest_event, mkt_limit, mkt_window, activation_energy"
                " FROM profile_version WHERE id = ANY(:ids)"
            ),
            {"ids": ids},
        )
    }


def drafted(version: Any) -> Profile:
    """A version that is not made yet, as the rules take it: `version` has the fields of a version, and its `limits`.

    Raises ValueError for limits that are none.
    """
    return _profile(DRAFT, version, [_limit(limit) for limit in version.limits])


def _profile(version_id: int, row: Any, limits: Iterable[Limit]) -> Profile:
    return Profile(
        version_id,
        tuple(limits),
        span(row.allowed_gap),
        span(row.shortest_event),
        row.mkt_limit,
        span(row.mkt_window) if row.mkt_window is not None else 0,
        row.activation_energy,
    )


def _limit(row: Any) -> Limit:
    """A limit with its threshold in the quantity's canonical unit."""
    unit = CANONICAL.get(row.quantity, row.unit)
    threshold = convert(row.threshold, row.unit, unit)
    moved = convert(row.threshold + row.hysteresis, row.unit, unit)
    return Limit(
        row.key, row.quantity, row.op, threshold, row.kind, span(row.delay), abs(moved - threshold), row.allowance
    )


def versions_of(conn: Connection, sublot_ids: Iterable[int], now: datetime) -> dict[int, int]:
    """The profile version each sublot is judged by: its item's latest in force. Sublots without one are left out."""
    rows = conn.execute(
        text(
            "SELECT DISTINCT ON (s.id) s.id, p.version_id FROM sublot s JOIN lot l ON l.id = s.lot_id"
            " JOIN item_profile p ON p.item_id = l.item_id AND p.from_at <= :now"
            " WHERE s.id = ANY(:ids) ORDER BY s.id, p.from_at DESC, p.id DESC"
        ),
        {"ids": sorted(set(sublot_ids)), "now": now},
    )
    return {row[0]: row[1] for row in rows.all()}


def band_profile(low: float | None, high: float | None, delay: int, hysteresis: float, gap: int) -> Profile | None:
    """A zone's own band as a profile under BAND; None for a zone without one. Times in microseconds."""
    kind = "consecutive" if delay else "instant"
    limits = [
        Limit(key, "temperature", op, threshold, kind, delay, hysteresis)  # type: ignore[arg-type]  # the op is one of the two literals
        for key, op, threshold in (("low", "<", low), ("high", ">", high))
        if threshold is not None
    ]
    return Profile(BAND, tuple(limits), gap) if limits else None
