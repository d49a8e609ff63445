"""What goes beneath a curve of goods: where they were, what held them, who signed, which documents there are."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import text

from core.erp.exposure.history.lineage import paths
from core.erp.kernel.unit import Unit
from core.web.charts.axis import Window, moment
from core.web.charts.curves import ms
from core.web.charts.document import Interval, Mark, Row
from core.web.frame.templating import Words

MOST_PLACES = 6
"""As long as there are no more, each place has a row of its own."""

_ZONES = text("SELECT id, name FROM zone WHERE id = ANY(:ids)")
_HOLDS = text("""
    SELECT h.id, h.kind, h.certainty, h.excursion_id, h.placed_at, h.lifted_at FROM hold h
    WHERE h.sublot_id = :id OR h.lot_id = (SELECT lot_id FROM sublot WHERE id = :id)
    ORDER BY h.placed_at, h.id
""")
_SIGNED = text("""
    SELECT g.at, g.name, d.decision, d.excursion_id FROM disposition d
    JOIN excursion e ON e.id = d.excursion_id JOIN signature g ON g.id = d.signature_id WHERE e.sublot_id = :id
    UNION ALL
    SELECT g.at, g.name, NULL, NULL FROM batch_release b
    JOIN signature g ON g.id = b.signature_id WHERE b.sublot_id = :id
    ORDER BY 1
""")
_DOCUMENTS = text("""
    SELECT a.created_at AS at, a.title FROM attachment a WHERE a.state = 'current' AND (
        (a.entity = 'sublot' AND a.entity_id = :id)
        OR (a.entity = 'lot' AND a.entity_id = (SELECT lot_id FROM sublot WHERE id = :id))
        OR (a.entity = 'excursion' AND a.entity_id IN (SELECT id FROM excursion WHERE sublot_id = :id)))
    ORDER BY a.created_at, a.id
""")

_HOLD_KINDS = {
    "exposure": "web.chart_hold_exposure",
    "quality": "web.chart_hold_quality",
    "deviation": "web.chart_hold_deviation",
    "logger": "web.chart_hold_logger",
    "manual": "web.chart_hold_manual",
}


def heading(label: str) -> Row:
    """A line that only names those beneath it."""
    return Row(label=label, heading=True, total="", spans=[], marks=[])


def row(label: str, spans: Iterable[Interval] = (), marks: Iterable[Mark] = (), total: str = "") -> Row:
    """A line of bars or marks."""
    return Row(label=label, heading=False, total=total, spans=list(spans), marks=list(marks))


def stacked(label: str, bars: Iterable[Interval]) -> list[Row]:
    """Bars in order of their beginnings, those that overlap on rows of their own, of which the first has the label."""
    levels: list[list[Interval]] = []
    for bar in bars:
        level = next((level for level in levels if level[-1].stop <= bar.start), None)
        if level is None:
            levels.append([bar])
        else:
            level.append(bar)
    return [row(label if index == 0 else "", level) for index, level in enumerate(levels)]


def places(u: Unit, words: Words, sublot_id: int, shown: Window) -> list[Row]:
    """Where the goods were in the window, as known now: a row a place, in the order in which they came there."""
    if not u.actor.may("custody.read"):
        return []
    stays = sorted({stay for path in paths(u.conn, [sublot_id])[sublot_id] for stay in path}, key=lambda stay: stay[1])
    ids = sorted({zone for zone, _, _ in stays if zone is not None})
    names = {found.id: found.name for found in u.conn.execute(_ZONES, {"ids": ids})}
    by_place: dict[int | None, list[Interval]] = {}
    for zone, start, stop in stays:
        if start < shown.stop and (stop is None or stop > shown.start):
            by_place.setdefault(zone, []).append(_stay(words, zone, start, stop, shown))
    called = {zone: words.t("web.chart_away") if zone is None else names[zone] for zone in by_place}
    if len(by_place) > MOST_PLACES:
        named = [one.model_copy(update={"label": called[zone]}) for zone, bars in by_place.items() for one in bars]
        return [row(words.t("web.chart_places"), sorted(named, key=lambda one: one.start))]
    found = [row(called[zone], bars) for zone, bars in by_place.items()]
    return [heading(words.t("web.chart_places")), *found] if len(found) > 1 else found


def _stay(words: Words, zone: int | None, start: datetime, stop: datetime | None, shown: Window) -> Interval:
    here = stop is None and zone is not None
    return Interval(
        start=ms(start),
        stop=ms(stop or shown.last),
        kind="here" if here else "was",
        label=words.t("web.chart_since", at=moment(words, start)) if here else "",
        href=None if zone is None else f"/zones/{zone}",
    )


def holds(u: Unit, words: Words, sublot_id: int, until: datetime) -> list[Row]:
    """What held the goods or their lot; holds that stood at once are on rows of their own."""
    if not u.actor.may("stock.read"):
        return []
    bars = [_hold(words, found, until) for found in u.conn.execute(_HOLDS, {"id": sublot_id})]
    return stacked(words.t("web.chart_holds"), bars)


def _hold(words: Words, found: Any, until: datetime) -> Interval:
    if found.excursion_id is not None:
        label = words.t("web.chart_excursion", number=found.excursion_id)
    else:
        label = words.t(_HOLD_KINDS[found.kind])
    return Interval(
        start=ms(found.placed_at),
        stop=max(ms(found.lifted_at or until), ms(found.placed_at) + 1),
        kind="held" if found.lifted_at is None else "lifted",
        label=label,
        href=f"/holds/{found.id}",
    )


def signatures(u: Unit, words: Words, sublot_id: int) -> list[Row]:
    """Who signed what of the goods: decisions on excursions, and releases."""
    if not u.actor.may("quality.read"):
        return []
    marks = [_signature(words, found) for found in u.conn.execute(_SIGNED, {"id": sublot_id})]
    return [row(words.t("web.chart_signatures"), marks=marks)] if marks else []


def _signature(words: Words, found: Any) -> Mark:
    act = words.label("move.sublot.release" if found.decision is None else f"decision.{found.decision}")
    return Mark(
        at=ms(found.at),
        kind="signature",
        label=words.t("web.chart_signed", act=act, name=found.name, at=moment(words, found.at)),
        short=act,
        value=None,
        href=f"/excursions/{found.excursion_id}" if found.excursion_id is not None else None,
    )


def documents(u: Unit, words: Words, sublot_id: int) -> list[Row]:
    """Documents on the goods, their lot and their excursions."""
    marks = [
        Mark(at=ms(found.at), kind="document", label=found.title, short="", value=None, href=None)
        for found in u.conn.execute(_DOCUMENTS, {"id": sublot_id})
    ]
    return [row(words.t("web.chart_documents"), marks=marks)] if marks else []
