"""What QA had signed for goods before they became another sublot: a split or a merger does not ask for it again."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select

from core.erp.exposure.history.lineage import Derivation, derivations
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality.model import Disposition, Excursion
from core.erp.quality.rules import LIVE, SIGNED, KnownExcursion, Origin, OriginPart
from core.erp.quality.service.ends import known_end

Key = tuple[int, int]
"""Sublot and profile version."""


def origins(u: Unit, keys: Iterable[Key]) -> dict[Key, Origin]:
    """By sublot and version: what it came from, with the excursions of each part as they were signed when it went.

    Only for sublots that began by a split or a merger; what was signed for a part later is its own.
    """
    wanted = sorted(set(keys))
    of = derivations(u.conn, sorted({sublot for sublot, _ in wanted}))
    if not of:
        return {}
    parents = {birth.parent for some in of.values() for birth in some}
    known = _known_excursions(u, sorted(parents))
    parts = {
        version: {child: tuple(_part(birth, version, known) for birth in some) for child, some in of.items()}
        for version in {version for _, version in wanted}
    }
    return {(sublot, version): Origin(sublot, parts[version]) for sublot, version in wanted if sublot in of}


def _known_excursions(
    u: Unit, sublots: Sequence[int]
) -> Mapping[Key, Sequence[tuple[KnownExcursion, datetime | None]]]:
    """By sublot and version: its excursions that stand, each with when it was signed."""
    e, d = table(Excursion).c, table(Disposition).c
    signed = select(func.max(d.at)).where(d.excursion_id == e.id).scalar_subquery()
    rows = u.conn.execute(
        select(
            e.sublot_id,
            e.version_id,
            signed,
            e.id,
            e.limit_key,
            e.started_at,
            e.broke_at,
            known_end(),
            e.certainty,
            e.out,
            e.lowest,
            e.highest,
            e.state,
            e.accepted_before,
            e.accepted,
        ).where(e.sublot_id.in_(sublots), e.state.in_(sorted(LIVE | SIGNED)))
    )
    found: dict[Key, list[tuple[KnownExcursion, datetime | None]]] = defaultdict(list)
    for sublot, version, at, *rest in rows:
        found[sublot, version].append((KnownExcursion(*rest), at))
    return found


def _part(
    birth: Derivation, version: int, known: Mapping[Key, Sequence[tuple[KnownExcursion, datetime | None]]]
) -> OriginPart:
    excursions = known.get((birth.parent, version), ())
    return OriginPart(birth.parent, tuple(_as_of_creation(one, signed, birth.at) for one, signed in excursions))


def _as_of_creation(known: KnownExcursion, signed: datetime | None, at: datetime) -> KnownExcursion:
    """The excursion as it stood towards the goods that left then."""
    return known if signed is None or signed <= at else replace(known, state="assessed", accepted=None)
