"""The readings beneath a chart as figures: a page of them, or all as CSV."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from core.erp.kernel.tabular.export import Export, csv_parts
from core.erp.kernel.tabular.fields import Choice, Field, Kind
from core.series.port import SeriesStore
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading, Value
from core.web.charts.bounds import UNITS
from core.web.charts.curves import Stretch
from core.web.charts.plan import Plan
from core.web.frame.templating import Words

A_PAGE = 500
QUALITIES = {
    Quality.GOOD: "web.quality_good",
    Quality.UNCERTAIN: "web.quality_uncertain",
    Quality.BAD: "web.quality_bad",
}
"""The messages that name them."""
_COLUMNS = {
    "at": ("web.reading_at", Kind.MOMENT),
    "point": ("web.reading_point", Kind.TEXT),
    "value": ("web.reading_value", Kind.DECIMAL),
    "text": ("web.reading_text", Kind.TEXT),
    "unit": ("web.reading_unit", Kind.TEXT),
    "quality": ("web.reading_quality", Kind.CHOICE),
    "reason": ("web.reading_reason", Kind.TEXT),
    "source_at": ("web.reading_source_at", Kind.MOMENT),
    "edge_at": ("web.reading_edge_at", Kind.MOMENT),
    "simulated": ("web.reading_simulated", Kind.FLAG),
}
READ_AT_ONCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Told:
    """A reading as people read it; `text` is the value of one that is no number."""

    at: datetime
    point: str
    value: float | None
    text: str
    unit: str
    quality: Quality
    reason: str
    source_at: datetime | None
    edge_at: datetime
    simulated: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some readings, and from when on there are more."""

    rows: list[Told]
    more_from: datetime | None


def table(store: SeriesStore, plan: Plan) -> Page:
    """The first readings of the chart's window, in order of time. Raises StoreUnavailable."""
    found = list(islice(readings(store, plan), A_PAGE + 1))
    return Page(found[:A_PAGE], found[A_PAGE].at if len(found) > A_PAGE else None)


def readings(store: SeriesStore, plan: Plan) -> Iterator[Told]:
    """All readings of the chart's window, bad ones too, in order of time; a day is read at once."""
    return merge(*(_of_stretch(store, each) for each in plan.stretches), key=lambda told: (told.at, told.point))


def _of_stretch(store: SeriesStore, stretch: Stretch) -> Iterator[Told]:
    at = stretch.start
    while at < stretch.stop:
        until = min(at + READ_AT_ONCE, stretch.stop)
        yield from map(_told, store.read(stretch.point.address, at, until))
        at = until


def _told(reading: Reading) -> Told:
    number, text = _shown(reading.value)
    return Told(
        reading.at,
        reading.point,
        number,
        text,
        UNITS.get(reading.unit, reading.unit),
        reading.quality,
        reading.reason,
        reading.source_at,
        reading.edge_at,
        reading.simulated,
    )


def _shown(value: Value) -> tuple[float | None, str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "" if value is None else str(value)
    return float(value), ""


def csv(words: Words, found: Iterable[Told]) -> Iterator[bytes]:
    """The file, in parts: instants in the reader's zone with their offset, qualities in their language."""
    language = words.language

    qualities = tuple(Choice(one.name, {language: words.t(message)}) for one, message in QUALITIES.items())
    fields = tuple(
        Field(name, {language: words.label(message)}, kind, choices=qualities if kind is Kind.CHOICE else ())
        for name, (message, kind) in _COLUMNS.items()
    )
    rows = (
        (
            one.at,
            one.point,
            one.value,
            one.text,
            one.unit,
            one.quality.name,
            one.reason,
            one.source_at,
            one.edge_at,
            one.simulated,
        )
        for one in found
    )
    return csv_parts(Export(fields, language, words.zone), rows)
