"""Batch release: the act by which a sublot leaves quarantine: signed, or automatic where nothing is in doubt."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import text

from core.erp.custody.rules import Interval
from core.erp.exposure import service as exposure
from core.erp.exposure.history.lineage import paths
from core.erp.kernel import signatures
from core.erp.kernel.errors import Refused
from core.erp.kernel.unit import Unit, json_value, record_hash, system
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.events import SublotReleasing
from core.erp.lots.rules import Purpose
from core.erp.lots.workflow import SUBLOT
from core.erp.quality.model import BatchRelease
from core.erp.quality.rules import ReleaseObstacle, merge_gaps

_EXCURSIONS = text("""
    SELECT e.id, e.state, e.limit_key, e.certainty, e.started_at, e.ended_at, e.out, e.accepted, d.decision
    FROM excursion e LEFT JOIN disposition d ON d.excursion_id = e.id
    WHERE e.sublot_id = :id ORDER BY e.id
""")

_GAPS = text("""
    SELECT DISTINCT g.id, COALESCE(g.zone_id, p.zone_id) AS zone_id, g.point_id, g.start_at, g.stop_at, g.reason,
        z.allowed_gap
    FROM unnest(CAST(:zones AS bigint[]), CAST(:froms AS timestamptz[]), CAST(:tos AS timestamptz[]))
        AS s(zone_id, from_at, to_at)
    JOIN gap_standing g ON (g.stop_at IS NULL OR s.from_at < g.stop_at) AND (s.to_at IS NULL OR g.start_at < s.to_at)
    LEFT JOIN point p ON p.id = g.point_id LEFT JOIN zone z ON z.id = COALESCE(g.zone_id, p.zone_id)
    WHERE COALESCE(g.zone_id, p.zone_id) IN (s.zone_id, lotwise_judging_zone(s.zone_id, s.from_at))
      AND (p.id IS NULL OR p.role = 'required')
    ORDER BY g.id
""")

_TRAIL = text("""
    SELECT a.hash FROM audit a
    WHERE (a.entity = 'sublot' AND a.entity_id = CAST(:id AS text))
       OR (a.entity = 'lot' AND a.entity_id = (SELECT CAST(lot_id AS text) FROM sublot WHERE id = :id))
       OR (a.entity = 'excursion' AND a.entity_id IN (SELECT CAST(id AS text) FROM excursion WHERE sublot_id = :id))
    ORDER BY a.id
""")

_SUBLOT = text("""
    SELECT s.id, s.code, s.lot_id, l.number AS lot, i.code AS item, l.expiry, lotwise_on_hand(s.id) AS on_hand
    FROM sublot s JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id WHERE s.id = :id
""")

_MADE_HERE = text("""
    WITH RECURSIVE up(id) AS (
        SELECT CAST(:id AS bigint)
        UNION
        SELECT g.parent_id FROM genealogy g JOIN up ON g.child_id = up.id
        WHERE g.transformation LIKE 'split:%' OR g.transformation LIKE 'merge:%'
    )
    SELECT EXISTS (SELECT FROM genealogy g JOIN up ON g.child_id = up.id WHERE g.transformation LIKE 'work\\_order:%')
       AND NOT EXISTS (SELECT FROM batch_release b JOIN up ON b.sublot_id = up.id WHERE NOT b.automatic)
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


def review(u: Unit, sublot_id: int) -> dict[str, Any]:
    """What a release signs: the sublot, where it was, its excursions, its gaps, and a hash of its audit trail.

    The trail's hash covers every audit row of the sublot, its lot and its excursions up to now: whoever signs has had
    the trail before him as it stood (Annex 11: reviewed before release).
    """
    u.flush()
    one = {"id": sublot_id}
    trail = hashlib.sha256()
    rows = 0
    for row_hash in u.conn.scalars(_TRAIL, one):
        trail.update(row_hash)
        rows += 1
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
                "audit_rows": rows,
                "audit_hash": trail.digest(),
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


def release_obstacles(u: Unit, sublot_id: int, *, automatic: bool, at_consignee: bool = False) -> list[ReleaseObstacle]:
    """Every reason against releasing the sublot now. Gaps and an unjudged present bar only the automatic way.

    `at_consignee`: it stands at a consignee's, where nobody of ours watches: its present there is no reason against it.
    """
    sublot = lots.get_sublot(u, sublot_id)
    found = [
        ReleaseObstacle("excursion", _undecided(row))
        for row in u.conn.execute(_EXCURSIONS, {"id": sublot_id})
        if row.state in {"open", "ended", "assessed"}
    ]
    bars = {"held", "restored", "expired"} | ({"unjudged"} if automatic and not at_consignee else set())
    standing = lots.movable(u, sublot_id, Purpose.USE)
    found += [ReleaseObstacle(str(one.kind), one.message) for one in standing if one.kind in bars]
    if sublot.state != "quarantine":
        state = Message(f"state.sublot.{sublot.state}")
        found.append(ReleaseObstacle("state", Message("quality.not_in_quarantine", state=state)))
    if automatic:
        found += [ReleaseObstacle("gap", _unfilled(gap)) for gap in unfilled_gaps(u, sublot_id)]
        if u.conn.scalar(_MADE_HERE, {"id": sublot_id}):
            found.append(ReleaseObstacle("unsigned", Message("quality.made_here_unsigned")))
    return found


def _unfilled(gap: Mapping[str, Any]) -> Message:
    return Message("quality.gap", zone_id=gap["zone_id"], start=gap["start_at"], reason=gap["reason"])


def _undecided(row: Any) -> Message:
    state = Message(f"state.excursion.{row.state}")
    return Message("quality.excursion_undecided", excursion_id=row.id, limit=row.limit_key, state=state)


def veto_release(u: Unit, releasing: SublotReleasing) -> None:
    """Quality's veto on any release, whoever asks for it: an excursion that nobody has disposed of."""
    _refuse(
        releasing.sublot_id,
        [a for a in release_obstacles(u, releasing.sublot_id, automatic=False) if a.kind == "excursion"],
    )


REVIEWED = "exposure and audit trail reviewed"


def release_signing(sublot_id: int, reason: str = REVIEWED) -> signatures.Signing[BatchRelease]:
    """The act of signing `release`."""
    return signatures.Signing(
        "batch.release", _act(sublot_id, reason), lambda u, proof: release(u, sublot_id, proof, reason)
    )


def _act(sublot_id: int, reason: str) -> signatures.Act:
    return signatures.Act(Message("meaning.batch_release"), "sublot", (str(sublot_id),), reason)


def release(u: Unit, sublot_id: int, proof: signatures.Proof, reason: str = REVIEWED) -> BatchRelease:
    """Releases a sublot by signature. Refused with every reason against it; Forbidden without `batch.release`."""
    sublot = lots.get_sublot(u, sublot_id, lock=True)
    _refuse(sublot_id, release_obstacles(u, sublot_id, automatic=False))
    record = review(u, sublot_id)
    signature = signatures.begin_signing(u, proof, _act(sublot_id, reason)).sign(sublot_id, record)
    SUBLOT.apply(u, sublot, "release", reason=reason)
    return _record_release(u, sublot_id, record, signature.id)


def auto_release(u: Unit, sublot_id: int, *, at_consignee: bool = False) -> BatchRelease:
    """Releases a receipt about which nothing is in doubt, without a signature, in the system's name.

    Refused with every reason: what bars a signed release, and also a gap record while the sublot stood there, an
    unjudged zone now (unless it stands `at_consignee`), and goods made here that no batch release was ever signed for.
    """
    sublot = lots.get_sublot(u, sublot_id, lock=True)
    _refuse(sublot_id, release_obstacles(u, sublot_id, automatic=True, at_consignee=at_consignee))
    record = review(u, sublot_id)
    with acting_as_system(u, "release"):
        SUBLOT.apply(u, sublot, "release", reason="automatic: nothing against it")
    return _record_release(u, sublot_id, record, None)


@contextmanager
def acting_as_system(u: Unit, name: str) -> Iterator[None]:
    """Within the block the system acts, in its own name and with its own permits; the audit says so."""
    who = u.actor
    u.actor = system(name)
    try:
        yield
    finally:
        u.actor = who


def _refuse(sublot_id: int, reasons: list[ReleaseObstacle]) -> None:
    if reasons:
        raise Refused(
            "quality.not_releasable",
            sublot_id=sublot_id,
            reasons=[r.message for r in reasons],
            extra={"reasons": [r.as_extra() for r in reasons]},
        )


def _record_release(u: Unit, sublot_id: int, record: dict[str, Any], signature_id: int | None) -> BatchRelease:
    made = BatchRelease(
        sublot_id=sublot_id, signature_id=signature_id, at=u.now, automatic=signature_id is None, record=record
    )
    u.session.add(made)
    u.session.flush()
    u.audit(
        "batch.release",
        "sublot",
        sublot_id,
        after={"release_id": made.id, "automatic": made.automatic, "audit_hash": record["audit_hash"]},
    )
    u.outbox("batch.released", sublot_id, {"release_id": made.id, "automatic": made.automatic})
    return made
