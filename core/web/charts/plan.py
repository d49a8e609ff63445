"""A chart before its curves: what the database knows of it is read in one transaction, the curves afterwards outside of
any, since the series store may be another server.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from core.erp.exposure.rules import runs as r
from core.erp.kernel.words.rendering import SEMICOLON
from core.series.port import SeriesStore
from core.web.charts.axis import Window, moment
from core.web.charts.curves import Stretch, curve
from core.web.charts.document import ChartDoc, Curve, Instant, Interval, Mark, Span
from core.web.frame.templating import Words

ON_CURVE = frozenset({"broke", "excursion"})


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a chart but its curves. `hatched`: what the points do not know is hatched here, since nobody has said it
    yet; `high`: marks on the curve stand on its upper side.
    """

    words: Words
    doc: ChartDoc
    window: Window
    stretches: Sequence[Stretch]
    declared: Sequence[Curve]
    columns: int
    hatched: bool
    high: bool = True

    def drawn(self, store: SeriesStore) -> ChartDoc:
        """The chart. Raises StoreUnavailable. Not for use inside a transaction."""
        whole = self.window.stop - self.window.start
        curves = [
            curve(store, each, max(round(self.columns * ((each.stop - each.start) / whole)), 1))
            for each in self.stretches
        ]
        curves = [*(one for one in curves if one.at or one.gaps), *self.declared]
        return self.doc.model_copy(
            update={
                "curves": curves,
                "shades": [*self.doc.shades, *(unknown(self.words, curves) if self.hatched else ())],
                "instants": [self._placed(mark, curves) for mark in self.doc.instants],
                "description": self._described(curves),
            }
        )

    def _placed(self, mark: Mark, curves: Sequence[Curve]) -> Mark:
        if mark.kind not in ON_CURVE:
            return mark
        return mark.model_copy(update={"value": value_at(curves, mark.at, high=self.high)})

    def _described(self, curves: Sequence[Curve]) -> str:
        words, doc = self.words, self.doc
        low = min((min(one.low) for one in curves if one.low), default=None)
        high = max((max(one.high or one.low) for one in curves if one.low), default=None)
        start, stop = moment(words, self.window.start), moment(words, self.window.stop)
        said = [
            words.t("web.chart_described", what=doc.title, start=start, stop=stop),
            words.t("web.chart_extremes", low=words.num(low, doc.unit), high=words.num(high, doc.unit))
            if low is not None
            else words.t("web.chart_nothing_measured"),
            *(mark.label for mark in doc.instants),
            *(bound.label for bound in doc.bounds),
            *(f"{row.label}: {row.total}" for row in doc.rows if row.total),
        ]
        return SEMICOLON[words.language].join(said)


def value_at(curves: Sequence[Curve], at: Instant, *, high: bool) -> float | None:
    """The greatest (or least) value that was measured at an instant; None where none speaks."""
    found = [value for one in curves if one.kind == "required" and (value := _value(one, at, high=high)) is not None]
    if not found:
        return None
    return max(found) if high else min(found)


def _value(one: Curve, at: Instant, *, high: bool) -> float | None:
    last = bisect_right(one.at, at) - 1
    if last < 0 or not one.start <= at < one.stop or any(start <= at < stop for start, stop in one.gaps):
        return None
    return (one.high if high and one.high is not None else one.low)[last]


def unknown(words: Words, curves: Sequence[Curve]) -> list[Interval]:
    """Where a required point is silent and no spare speaks, as hatching."""
    silent = r.union([one.gaps for one in curves if one.kind == "required"])
    spares = [one for one in curves if one.kind == "spare" and one.at]
    return [gap(words, span) for span in silent if not any(_speaks(one, span) for one in spares)]


def gap(words: Words, span: Span) -> Interval:
    """A stretch of which nothing is known."""
    label = words.t("web.chart_gap", time=words.lasting((span[1] - span[0]) / 1000))
    return Interval(start=span[0], stop=span[1], kind="unproven", label=label, href=None)


def _speaks(one: Curve, span: Span) -> bool:
    return one.at[0] <= span[0] and all(b <= span[0] or a >= span[1] for a, b in one.gaps)
