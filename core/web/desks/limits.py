"""What goods have spent of their profile's limits, as people read it: allowed, proven, worst case, what is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text

from core.erp.catalog.limit_words import UNITS, limit_said
from core.erp.exposure.rules.kinetic import MKT
from core.erp.exposure.service import Exposure, LimitExposure
from core.erp.kernel.unit import Unit
from core.erp.quality.rules import CERTAINTY_RANK
from core.web.frame.states import Tone
from core.web.frame.templating import Words

_LIMITS = text("""
    SELECT key, quantity, unit, op, threshold, kind, delay, allowance FROM profile_limit
    WHERE version_id = :version ORDER BY id
""")
_BROKEN = text("""
    SELECT limit_key, certainty, state FROM excursion
    WHERE sublot_id = :sublot AND version_id = :version AND state <> 'superseded'
""")


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit: what it allows (None: nothing at all), what was spent of it, and how it stands."""

    name: str
    allowed: timedelta
    spent: LimitExposure | None
    left: timedelta | None
    """Of the allowance, in the worst case; below nothing where it is spent and more. None where nothing is allowed."""
    look: Tone
    verdict: str


def limits_of(u: Unit, version_id: int) -> Sequence[Row[Any]]:
    """The limits of a profile's version."""
    return u.conn.execute(_LIMITS, {"version": version_id}).all()


def limit_name(limit: Row[Any] | None, words: Words) -> str:
    """`above 8 °C, in one run`; that the limit is of a mean, where none of the profile's own has the key."""
    value = "" if limit is None else words.num(limit.threshold, UNITS.get(limit.unit, limit.unit))
    return words.say(limit_said(limit, value))


def lines(
    u: Unit, sublot_id: int, version_id: int, limits: Sequence[Row[Any]], found: Exposure | None, words: Words
) -> list[LimitLine]:
    """Every limit of the profile's version with what the sublot has spent of it up to now."""
    broken = _broken(u, sublot_id, version_id)
    spent = {one.key: one for one in found.limits} if found is not None and found.version_id == version_id else {}
    found_lines = [_line(limit, limits, spent.get(limit.key), broken, words) for limit in limits]
    if MKT in broken:
        look, verdict = _VERDICTS[broken[MKT]]
        found_lines.append(LimitLine(limit_name(None, words), timedelta(0), None, None, look, words.t(verdict)))
    return found_lines


def _broken(u: Unit, sublot_id: int, version_id: int) -> dict[str, str]:
    """By limit: how surely it was broken, at the surest."""
    surest: dict[str, str] = {}
    for row in u.conn.execute(_BROKEN, {"sublot": sublot_id, "version": version_id}):
        if CERTAINTY_RANK[row.certainty] >= CERTAINTY_RANK[surest.get(row.limit_key, "unproven")]:
            surest[row.limit_key] = row.certainty
    return surest


def _line(
    limit: Row[Any],
    limits: Sequence[Row[Any]],
    spent: LimitExposure | None,
    broken: Mapping[str, str],
    words: Words,
) -> LimitLine:
    allowed, left = limit.delay, None
    if limit.allowance is not None:
        allowed = next(one.delay for one in limits if one.allowance == limit.allowance)
    if limit.kind == "cumulative" and spent is not None:
        left = spent.budget or min(allowed - spent.worst, timedelta(0))
    certainty = broken.get(limit.key) or broken.get(f"allowance:{limit.allowance}")
    look, verdict = _VERDICTS[certainty]
    return LimitLine(limit_name(limit, words), allowed, spent, left, look, words.t(verdict))


_VERDICTS: dict[str | None, tuple[Tone, str]] = {
    None: ("ok", "web.limit_kept"),
    "proven": ("harm", "web.broken_proven"),
    "uncertain": ("warn", "web.broken_uncertain"),
    "unproven": ("warn", "web.broken_unproven"),
}


def broken_look(certainty: str) -> tuple[Tone, str]:
    """How a broken limit looks, and the id of its word."""
    return _VERDICTS[certainty]
