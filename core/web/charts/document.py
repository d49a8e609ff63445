"""What a chart shows, as data: the JSON that `static/chart.js` draws. It decides nothing and names no colour.

Instants are milliseconds since 1970 UTC; spans are half-open [from, to). Words are in the reader's language.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Instant = int
Span = tuple[Instant, Instant]

CurveKind = Literal["required", "spare", "declared"]
"""A point that judges, one that stands in, and a zone's declared worst temperature, which nobody measured."""
SpanKind = Literal["proven", "uncertain", "unproven", "was", "here", "held", "lifted", "alarm"]
MarkKind = Literal["broke", "excursion", "hold", "signature", "document"]


class Part(BaseModel):
    """A part of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Offset(Part):
    """From `since` on the place's clocks are so many minutes ahead of UTC."""

    since: Instant
    minutes: int


class TimeAxis(Part):
    """The window [start, stop) that is drawn, within [first, last) to which it can be moved.

    `focus` are the hours that decide, where there are any: they stay in view when the window has to be narrower.
    """

    start: Instant
    stop: Instant
    first: Instant
    last: Instant
    focus: Span | None
    now: Instant
    place: str
    offsets: list[Offset]


class Curve(Part):
    """What one point measured over [start, stop), the part of the window for which it spoke.

    Where `step` is None `low` are the readings at `at`. Else each of `at` begins a column of `step` milliseconds, whose
    least and greatest values are `low` and `high`. `uncertain` counts against goods; in `gaps` nothing is known.
    """

    point: str
    label: str
    kind: CurveKind
    start: Instant
    stop: Instant
    step: int | None
    at: list[Instant]
    low: list[float]
    high: list[float] | None
    uncertain: list[Span]
    gaps: list[Span]


class Bound(Part):
    """A line that a value should not cross: a limit of the product, or the zone's own band. `broken`: it was crossed
    for too long.
    """

    kind: Literal["limit", "band"]
    high: bool
    value: float
    label: str
    short: str
    broken: bool


class Interval(Part):
    """A bar on a row."""

    start: Instant
    stop: Instant
    kind: SpanKind
    label: str
    href: str | None


class Mark(Part):
    """Something that happened at an instant; `value` is where on the curve, if it belongs there."""

    at: Instant
    kind: MarkKind
    label: str
    short: str
    value: float | None
    href: str | None


class Row(Part):
    """A line of bars and marks beneath the curves. `total` is what the bars add up to, in words; a row that is a
    `heading` has none.
    """

    label: str
    heading: bool
    total: str
    spans: list[Interval]
    marks: list[Mark]


class Steps(Part):
    """A budget: what is left of it (hours) from each of `at` on."""

    label: str
    allowed: float
    at: list[Instant]
    left: list[float]
    notes: list[Mark]


class ChartDoc(Part):
    """One chart. `description` is what it shows in a sentence, for who does not see it; `table` is the address of the
    same readings as a table; `words` has the sentences of its key and of what is pointed at, by mark.
    """

    title: str
    description: str
    language: str
    unit: str
    axis: TimeAxis
    curves: list[Curve]
    bounds: list[Bound]
    shades: list[Interval]
    instants: list[Mark]
    rows: list[Row]
    steps: Steps | None
    words: dict[str, str]
    table: str
