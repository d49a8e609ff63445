"""The life of goods on one time axis: temperature, budget, places, holds, signatures, documents."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.service import budget_of
from core.erp.exposure.times import micros, moment
from core.erp.kernel.errors import absent
from core.erp.kernel.scope import visible
from core.erp.kernel.unit import Unit
from core.web.charts import bounds, goods
from core.web.charts.axis import INSTANT, SHORTEST, Asked, Window, time_axis, window
from core.web.charts.curves import Stretch, ms
from core.web.charts.document import Bound, ChartDoc, Curve, Mark, Steps
from core.web.charts.history import GoodsHistory
from core.web.charts.key import chart_words
from core.web.charts.plan import Plan
from core.web.frame.templating import Words

OPENS_WITH = timedelta(days=30)
MOST_STEPS = 2000
TOLD_STEPS = 3
"""So many of the greatest steps of a budget are told in words."""
_HOUR_US = 3_600_000_000
_SUBLOT = text("SELECT id, code, created_at FROM sublot WHERE id = :id")
_EXCURSIONS = text("""
    SELECT id, broke_at FROM excursion WHERE sublot_id = :id AND state <> 'superseded' ORDER BY broke_at, id
""")


def lot_life_chart(u: Unit, words: Words, sublot_id: int, asked: Asked) -> Plan:
    """What a sublot that the actor may see went through, from its first place until now; its last thirty days first.

    Raises NotFound.
    """
    found = u.conn.execute(_SUBLOT, {"id": sublot_id}).one_or_none()
    seen = visible()["sublot"].keys(u.actor).where(visible()["sublot"].key == sublot_id)
    if found is None or u.conn.execute(seen).first() is None:
        raise absent("sublot", sublot_id)
    version = versions_of(u.conn, [sublot_id], u.now).get(sublot_id)
    history = GoodsHistory(u, sublot_id, version) if version is not None else None
    first, last = history.span() if history is not None else (found.created_at, u.now + INSTANT)
    first = min(first, last - SHORTEST)
    shown = window(asked, Window(max(first, last - OPENS_WITH), last, first, last))
    measured: Sequence[Stretch] = ()
    declared: Sequence[Curve] = ()
    lines: list[Bound] = []
    budget = None
    if history is not None:
        measured, declared = history.stretches(words, "temperature", shown)
        lines = bounds.drawn(bounds.limits(words, [history.profile], "temperature"))
        budget = _tightest(words, history, shown)
    doc = ChartDoc(
        title=words.t("web.chart_of_lot", sublot=found.code),
        description="",
        language=words.language,
        unit=bounds.unit_of("temperature"),
        axis=time_axis(words, shown, u.now),
        curves=[],
        bounds=lines,
        shades=[],
        instants=_excursions(u, words, sublot_id),
        rows=[
            *goods.places(u, words, sublot_id, shown),
            *goods.holds(u, words, sublot_id, u.now),
            *goods.signatures(u, words, sublot_id),
            *goods.documents(u, words, sublot_id),
        ],
        steps=budget,
        words=chart_words(words),
        table=f"/charts/sublots/{sublot_id}/readings",
    )
    return Plan(words, doc, shown, measured, declared, asked.columns, hatched=True)


def _excursions(u: Unit, words: Words, sublot_id: int) -> list[Mark]:
    if not u.actor.may("quality.read"):
        return []
    return [_excursion(words, row) for row in u.conn.execute(_EXCURSIONS, {"id": sublot_id})]


def _excursion(words: Words, row: Any) -> Mark:
    label = words.t("web.chart_excursion", number=row.id)
    return Mark(
        at=ms(row.broke_at), kind="excursion", label=label, short=str(row.id), value=None, href=f"/excursions/{row.id}"
    )


def _tightest(words: Words, history: GoodsHistory, shown: Window) -> Steps | None:
    """The budget of which the least share is left at the end; None where the profile has none."""
    budgets = [budget_steps(history.profile, limit, history) for limit in history.profile.limits if _spends(limit)]
    if not budgets:
        return None
    allowed, runs = min(budgets, key=lambda one: (one[0] - r.length(one[1])) / one[0])
    return steps(words, allowed, runs, shown)


def _spends(limit: Limit) -> bool:
    return limit.kind == "cumulative"


def budget_steps(profile: Profile, limit: Limit, history: GoodsHistory) -> tuple[int, Runs]:
    """(microseconds allowed, when they were spent): in the worst case, over all limits that share the allowance."""
    allowed, keys = budget_of(profile, limit)
    out = history.out([one for one in profile.limits if one.key in keys])
    return allowed, r.union([out.proven, out.uncertain, out.unproven])


def steps(words: Words, allowed: int, runs: Runs, shown: Window) -> Steps:
    """A budget over the chart's whole span, in hours left. What is spent falls while it is spent."""
    left, points = allowed, [(micros(shown.first), allowed)]
    falls: list[tuple[int, int, int]] = []
    for start, stop in runs:
        points.append((start, max(left, 0)))
        left -= stop - start
        points.append((stop, max(left, 0)))
        falls.append((stop - start, stop, left))
    points.append((micros(shown.last), max(left, 0)))
    told = sorted(falls, reverse=True)[:TOLD_STEPS]
    return Steps(
        label=words.t("web.chart_budget"),
        allowed=_hours(allowed),
        at=[ms(at) for at, _ in thinned(points)],
        left=[_hours(rest) for _, rest in thinned(points)],
        notes=[_note(words, moment(at), rest) for _, at, rest in sorted(told, key=lambda one: one[1])],
    )


def thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """About MOST_STEPS of them at most, the first and the last among them: what only falls, loses nothing between."""
    every = -(-len(points) // MOST_STEPS)
    return points if every == 1 else [*points[:-1:every], points[-1]]


def _note(words: Words, at: datetime, left: int) -> Mark:
    label = words.t("web.chart_budget_spent")
    if left > 0:
        label = words.t("web.chart_budget_left", rest=words.lasting(timedelta(microseconds=left)))
    return Mark(at=ms(at), kind="document", label=label, short="", value=max(_hours(left), 0.0), href=None)


def _hours(us: int) -> float:
    return round(us / _HOUR_US, 3)
