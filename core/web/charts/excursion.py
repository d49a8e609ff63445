"""The chart that an excursion is judged by: what the goods went through, and which of it counts."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from core.erp.exposure.history.extremes import quantity_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.kernel.errors import absent
from core.erp.kernel.scope import visible
from core.erp.kernel.unit import Unit
from core.web.charts import bounds, goods
from core.web.charts.axis import Asked, Window, around, moment, time_axis, window
from core.web.charts.curves import ms, spans
from core.web.charts.document import ChartDoc, Interval, Mark, Row
from core.web.charts.history import GoodsHistory, OutRuns, bars
from core.web.charts.key import chart_words
from core.web.charts.plan import Plan, gap
from core.web.frame.templating import Words

_EXCURSION = text("""
    SELECT e.id, e.sublot_id, e.version_id, e.limit_key, e.kind, e.started_at, e.broke_at, e.ended_at, s.code
    FROM excursion e JOIN sublot s ON s.id = e.sublot_id WHERE e.id = :id
""")
_HELD = text("""
    SELECT certainty, placed_at FROM hold WHERE excursion_id = :id AND sublot_id = :sublot
    ORDER BY placed_at, id LIMIT 1
""")

_CERTAINTY = {
    "proven": "web.chart_certainty_proven",
    "uncertain": "web.chart_certainty_uncertain",
    "unproven": "web.chart_certainty_unproven",
}
_OUT = {"proven": "web.chart_out_proven", "uncertain": "web.chart_out_uncertain", "unproven": "web.chart_out_unproven"}


def excursion_chart(u: Unit, words: Words, excursion_id: int, asked: Asked) -> Plan:
    """The chart of an excursion that the actor may see: the hours around the break first, all that the goods went
    through beyond. Raises NotFound.
    """
    found = _found(u, excursion_id)
    history = GoodsHistory(u, found.sublot_id, found.version_id)
    first, last = history.span()
    ended = min(found.ended_at or u.now, u.now)
    shown = window(asked, around(found.started_at, ended, first, last))
    members = members_of(history.profile, found.limit_key)
    quantity = quantity_of(history.profile, found.limit_key)
    out = history.out(members)
    stretches, declared = history.stretches(words, quantity, shown)
    lines = bounds.limits(words, [history.profile], quantity, {limit.key for limit in members})
    doc = ChartDoc(
        title=words.t("web.chart_of_excursion", number=excursion_id, sublot=found.code),
        description="",
        language=words.language,
        unit=bounds.unit_of(quantity),
        axis=time_axis(words, shown, u.now),
        curves=[],
        bounds=bounds.drawn(lines),
        shades=_shades(words, out.within(shown.start, shown.stop)),
        instants=_instants(u, words, found),
        rows=[
            *_out_rows(words, out, shown, found.kind, (found.started_at, ended)),
            *goods.places(u, words, found.sublot_id, shown),
            *goods.holds(u, words, found.sublot_id, u.now),
            *goods.signatures(u, words, found.sublot_id),
            *goods.documents(u, words, found.sublot_id),
        ],
        steps=None,
        words=chart_words(words),
        table=f"/charts/excursions/{excursion_id}/readings",
    )
    high = members[0].high if members else True
    return Plan(words, doc, shown, stretches, declared, asked.columns, hatched=False, high=high)


def _found(u: Unit, excursion_id: int) -> Any:
    keys = visible()["excursion"].keys(u.actor)
    row = u.conn.execute(_EXCURSION, {"id": excursion_id}).one_or_none()
    seen = row is not None and u.conn.execute(keys.where(visible()["excursion"].key == excursion_id)).first()
    if row is None or not seen:
        raise absent("excursion", excursion_id)
    return row


def members_of(profile: Profile, key: str) -> list[Limit]:
    """The limits that a break's key counts: one, or those that share an allowance; none for the kinetic mean."""
    return [limit for limit in profile.limits if key in (limit.key, f"allowance:{limit.allowance}")]


def _instants(u: Unit, words: Words, found: Any) -> list[Mark]:
    marks = [_mark("broke", found.broke_at, words.t("web.chart_broke", at=_clock(words, found.broke_at)))]
    held = u.conn.execute(_HELD, {"id": found.id, "sublot": found.sublot_id}).one_or_none()
    if held is not None:
        sure = words.t(_CERTAINTY[held.certainty])
        label = words.t("web.chart_held", certainty=sure, at=_clock(words, held.placed_at))
        marks.append(_mark("hold", held.placed_at, label))
    return marks


def _mark(kind: Any, at: datetime, label: str) -> Mark:
    return Mark(at=ms(at), kind=kind, label=label, short="", value=None, href=None)


def _shades(words: Words, out: OutRuns) -> list[Interval]:
    known = [*bars("proven", out.proven), *bars("uncertain", out.uncertain)]
    return [*known, *(gap(words, span) for span in spans(out.unproven))]


def _clock(words: Words, at: datetime) -> str:
    return moment(words, at).rpartition(" ")[2]


def _out_rows(words: Words, out: OutRuns, shown: Window, kind: str, focus: tuple[datetime, datetime]) -> list[Row]:
    """What counts: of a cumulative limit all there ever was, else what belongs to this break."""
    counted = out if kind == "cumulative" else out.within(*focus)
    found = []
    for name, runs in counted.kinds():
        if not runs and name != "proven":
            continue
        length = words.lasting(timedelta(microseconds=r.length(runs)))
        total = length if name == "proven" else f"+ {length}"
        inside = dict(out.within(shown.start, shown.stop).kinds())[name]
        found.append(goods.row(words.t(_OUT[name]), bars(name, inside), total=total))
    return found
