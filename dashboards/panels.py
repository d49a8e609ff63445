"""Kinds of panels, as the boards use them."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableHide,
    VariableRefresh,
    VariableSort,
)

from dashboards.sources import ERP, GRAFANA, MIXED, Asked, reference

HEIGHT = 8
WIDTH = 24
REFRESH = "30s"
GAP_MS = 30 * 60 * 1000
"""A silence of InfluxDB's readings that is drawn as a gap: what a zone allows where nothing else is said."""
PAGES = "http://127.0.0.1:8080"
"""Where the boards' links look for Lotwise's pages, until somebody says otherwise (the variable `lotwise`)."""
_Steps = tuple[tuple[float | None, str], ...]
States = Mapping[str, tuple[str, str]]
"""By a value as text: what it is called, and its colour."""


def board(uid: str, title: str, description: str, tags: list[str], *, since: str = "now-6h") -> Any:
    """An empty board that refreshes itself, with annotations, the way to Lotwise's pages and to the other boards."""
    annotations = (
        dashboard.AnnotationQuery()
        .name("Excursions, holds, decisions, shipments")
        .datasource(reference(GRAFANA))
        .enable(enable=True)
        .icon_color("red")
        .target(dashboard.AnnotationTarget().limit(200).match_any(match_any=True).tags(["lotwise"]).type("tags"))
    )
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["lotwise", *tags])
        .timezone("browser")
        .refresh(REFRESH)
        .time(since, "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .annotation(annotations)
        .with_variable(
            dashboard.TextBoxVariable("lotwise")
            .label("Lotwise's pages")
            .default_value(PAGES)
            .hide(VariableHide.HIDE_VARIABLE)
        )
        .link(dashboard.DashboardLink("Lotwise").type(DashboardLinkType.LINK).url("${lotwise}").icon("external link"))
        .link(
            dashboard.DashboardLink("Other boards")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["lotwise"])
            .as_dropdown(as_dropdown=True)
            .keep_time(keep_time=True)
            .icon("dashboard")
        )
    )


def choice(name: str, label: str, sql: str, *, several: bool = True, hidden: bool = False) -> Any:
    """A variable whose values a query on the ERP's views gives; where several may be chosen, all are at first."""
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(reference(ERP))
        .query(sql)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
        .multi(multi=several)
        .include_all(include_all=several)
    )
    if hidden:
        made = made.hide(VariableHide.HIDE_VARIABLE)
    return made.current({"selected": True, "text": ["All"], "value": ["$__all"]}) if several else made


def _source(queries: Sequence[Asked]) -> Any:
    names = {query.source for query in queries}
    return reference(names.pop() if len(names) == 1 else MIXED)


def _with(panel: Any, queries: Sequence[Asked]) -> Any:
    for query in queries:
        panel = panel.with_target(query)
    return panel.datasource(_source(queries))


def _mapped(states: States) -> Any:
    return ValueMap(
        options={
            value: ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in enumerate(states.items())
        }
    )


def _link(title: str, url: str) -> Any:
    return dashboard.DashboardLink(title).url(url).target_blank(target_blank=True)


def graph(
    title: str,
    unit: str,
    queries: Asked | Sequence[Asked],
    description: str,
    *,
    width: int = 12,
    band: bool = False,
    bars: bool = False,
) -> Any:
    """Lines over time; a silence stays a hole. `band` fills between the series `lowest` and `highest`; lines whose name
    begins with `limit` are dashed and red; of InfluxDB's answer (query A, C) a long silence is cut out.
    """
    asked = [queries] if isinstance(queries, Asked) else list(queries)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .height(HEIGHT)
        .span(width)
        .span_nulls(span_nulls=False)
        .line_width(1)
        .fill_opacity(60 if bars else 0)
        .draw_style(models.GraphDrawStyle.BARS if bars else models.GraphDrawStyle.LINE)
        .show_points(models.VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(models.LegendDisplayMode.LIST)
            .placement(models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .override_by_regexp(
            "^limit.*",
            [
                DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
                DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "red"}),
                DynamicConfigValue("custom.showPoints", "never"),
            ],
        )
    )
    if band:
        panel = panel.override_by_name(
            "highest",
            [DynamicConfigValue("custom.fillBelowTo", "lowest"), DynamicConfigValue("custom.fillOpacity", 20)],
        )
    for query in asked:
        if query.source != ERP and query.ref in {"A", "C"} and not bars:
            panel = panel.override_by_query(query.ref, [DynamicConfigValue("custom.insertNulls", GAP_MS)])
    return _with(panel, asked)


def timeline(
    title: str,
    queries: Asked | Sequence[Asked],
    description: str,
    states: States,
    *,
    width: int = 24,
    height: int = HEIGHT,
) -> Any:
    """States over time, one row a series; `states` names and colours the values."""
    asked = [queries] if isinstance(queries, Asked) else list(queries)
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .height(height)
        .span(width)
        .show_value(models.VisibilityMode.AUTO)
        .merge_values(merge_values=True)
        .row_height(0.85)
        .line_width(0)
        .fill_opacity(80)
        .mappings([_mapped(states)])
    )
    return _with(panel, asked)


def listing(
    title: str,
    query: Asked,
    description: str,
    *,
    width: int = 12,
    links: Mapping[str, tuple[str, str]] | None = None,
    hidden: Sequence[str] = (),
) -> Any:
    """A table. `links`: by column, the title and address of where its cells lead (`${__data.fields.id}` is a cell of
    the same row); `hidden` columns are only there for that.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .height(HEIGHT)
        .span(width)
        .no_value("none")
        .show_header(show_header=True)
    )
    for column, (text, url) in (links or {}).items():
        shown = [{"title": text, "url": url, "targetBlank": True}]
        panel = panel.override_by_name(column, [DynamicConfigValue("links", shown)])
    for column in hidden:
        panel = panel.override_by_name(column, [DynamicConfigValue("custom.hidden", value=True)])
    return _with(panel, [query])


def figure(title: str, unit: str, query: Asked, description: str, steps: _Steps, *, link: str = "") -> Any:
    """One number, coloured by thresholds (value from which a colour holds); `link` is where it is told more of."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .height(4)
        .span(6)
        .no_value("none")
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/"))
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value, colour) for value, colour in steps])
        )
    )
    if link:
        panel = panel.links([_link("Open in Lotwise", "${lotwise}" + link)])
    return _with(panel, [query])


NONE_BAD: _Steps = ((None, "green"), (1.0, "red"))
MORE_IS_FINE: _Steps = ((None, "blue"),)
