"""Batch release: the act by which a sublot leaves quarantine: signed, or automatic where nothing is in doubt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text

from core.erp.kernel import signatures
from core.erp.kernel.errors import Invalid, Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, system
from core.erp.kernel.words import Message, sentence
from core.erp.lots import service as lots
from core.erp.lots.events import SublotReleasing
from core.erp.lots.model import Sublot
from core.erp.lots.rules import Purpose
from core.erp.lots.workflow import QUARANTINE, SUBLOT
from core.erp.quality.model import BatchRelease
from core.erp.quality.rules import ReleaseObstacle
from core.erp.quality.service.release_review import review, unfilled_gaps

_UNDECIDED = text("""
    SELECT sublot_id, id, state FROM excursion
    WHERE sublot_id = ANY (CAST(:ids AS bigint[])) AND state IN ('open', 'ended', 'assessed') ORDER BY id
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


SIGNED = frozenset({"held", "restored", "expired"})
"""What of the predicate bars a signed release."""
AUTOMATIC = SIGNED | {"unjudged"}
"""What bars an automatic one."""


def release_obstacles_of(
    u: Unit, sublot_ids: Sequence[int], *, bars: Collection[str] = SIGNED
) -> dict[int, list[ReleaseObstacle]]:
    """By sublot: every reason of quality's own against signing its release now; one statement a kind of reason."""
    u.session.flush()
    found: dict[int, list[ReleaseObstacle]] = {sublot_id: [] for sublot_id in sublot_ids}
    ids, c = list(found), table(Sublot).c
    for row in u.conn.execute(_UNDECIDED, {"ids": ids}):
        found[row.sublot_id].append(ReleaseObstacle("excursion", _undecided(row)))
    for sublot_id, standing in lots.obstacles(u, ids, Purpose.USE).items():
        found[sublot_id] += [ReleaseObstacle(str(one.kind), one.message) for one in standing if one.kind in bars]
    for row in u.conn.execute(select(c.id, c.state).where(c.id.in_(ids), c.state != QUARANTINE)):
        state = Message(f"state.sublot.{row.state}")
        found[row.id].append(ReleaseObstacle("state", Message("quality.not_in_quarantine", state=state)))
    return found


def release_obstacles(u: Unit, sublot_id: int, *, automatic: bool, at_consignee: bool = False) -> list[ReleaseObstacle]:
    """Every reason against releasing the sublot now. Gaps and an unjudged present bar only the automatic way.

    `at_consignee`: it stands at a consignee's, where nobody of ours watches: its present there is no reason against it.
    """
    lots.get_sublot(u, sublot_id)
    bars = AUTOMATIC if automatic and not at_consignee else SIGNED
    found = release_obstacles_of(u, [sublot_id], bars=bars)[sublot_id]
    if automatic:
        found += [ReleaseObstacle("gap", _unfilled(gap)) for gap in unfilled_gaps(u, sublot_id)]
        if u.conn.scalar(_MADE_HERE, {"id": sublot_id}):
            found.append(ReleaseObstacle("unsigned", Message("quality.made_here_unsigned")))
    return found


def _unfilled(gap: Mapping[str, Any]) -> Message:
    reason = sentence(gap["reason"], gap["reason_message"])
    return Message("quality.gap", zone_id=gap["zone_id"], start=gap["start_at"], reason=reason)


def _undecided(row: Any) -> Message:
    state = Message(f"state.excursion.{row.state}")
    return Message("quality.excursion_undecided", excursion_id=row.id, state=state)


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
        "batch.release", _act([sublot_id], reason), lambda u, proof: release(u, sublot_id, proof, reason)
    )


def releases_signing(sublot_ids: Sequence[int], reason: str = REVIEWED) -> signatures.Signing[list[BatchRelease]]:
    """The act of signing `release_many`."""
    return signatures.Signing(
        "batch.release", _act(sublot_ids, reason), lambda u, proof: release_many(u, sublot_ids, proof, reason)
    )


def part_release_signing(sublot_id: int, amount: Decimal, reason: str = REVIEWED) -> signatures.Signing[BatchRelease]:
    """The act of signing `release_part`."""
    return signatures.Signing(
        "batch.release", _act([sublot_id], reason), lambda u, proof: release_part(u, sublot_id, amount, proof, reason)
    )


def _act(sublot_ids: Sequence[int], reason: str) -> signatures.Act:
    ids = tuple(str(one) for one in sorted(set(sublot_ids)))
    return signatures.Act(Message("meaning.batch_release"), "sublot", ids, reason)


def release(u: Unit, sublot_id: int, proof: signatures.Proof, reason: str = REVIEWED) -> BatchRelease:
    """Releases a sublot by signature. Refused with every reason against it; Forbidden without `batch.release`."""
    return release_many(u, [sublot_id], proof, reason)[0]


def release_many(
    u: Unit, sublot_ids: Sequence[int], proof: signatures.Proof, reason: str = REVIEWED
) -> list[BatchRelease]:
    """Releases several sublots by one act of signing, with a signature and a record for each: all or none.

    Locked ascending. Refused with every reason against the first that cannot be; Invalid where none is named.
    """
    ids = sorted(set(sublot_ids))
    if not ids:
        raise Invalid("quality.no_sublot_named")
    lots.lock_sublots(u, ids)
    sublots = [lots.get_sublot(u, sublot_id) for sublot_id in ids]
    for sublot_id, reasons in release_obstacles_of(u, ids).items():
        _refuse(sublot_id, reasons)
    signer = signatures.begin_signing(u, proof, _act(ids, reason))
    return [_release(u, sublot, signer) for sublot in sublots]


def release_part(
    u: Unit, sublot_id: int, amount: Decimal, proof: signatures.Proof, reason: str = REVIEWED
) -> BatchRelease:
    """Releases an amount of a sublot: it is split off with its history, and the part is released; the rest waits on.

    What is signed is the part's own record. All that is on hand is released as it is. Refused as `release` and
    `lots.split` refuse.
    """
    if lots.on_hand(u, sublot_id) == lots.amount_of(amount):
        return release(u, sublot_id, proof, reason)
    part = lots.split(u, sublot_id, amount)
    for reasons in release_obstacles_of(u, [sublot_id, part.id]).values():
        _refuse(sublot_id, reasons)
    return _release(u, part, signatures.begin_signing(u, proof, _act([sublot_id], reason)), listed_as=str(sublot_id))


def _release(u: Unit, sublot: Sublot, signer: signatures.Signer, listed_as: str | None = None) -> BatchRelease:
    record = review(u, sublot.id)
    signature = signer.sign(sublot.id, record, listed_as=listed_as)
    SUBLOT.apply(u, sublot, "release", reason=signer.reason)
    return _record_release(u, sublot.id, record, signature.id)


def auto_release(u: Unit, sublot_id: int, *, at_consignee: bool = False) -> BatchRelease:
    """Releases a receipt about which nothing is in doubt, without a signature, in the system's name.

    Refused with every reason: what bars a signed release, and also a gap record while the sublot stood there, an
    unjudged zone now (unless it stands `at_consignee`), and goods made here that no batch release was ever signed for.
    """
    sublot = lots.get_sublot(u, sublot_id, lock=True)
    _refuse(sublot_id, release_obstacles(u, sublot_id, automatic=True, at_consignee=at_consignee))
    record = review(u, sublot_id)
    with acting_as_system(u, "release"):
        SUBLOT.apply(u, sublot, "release", reason=Message("quality.released_by_itself"))
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
