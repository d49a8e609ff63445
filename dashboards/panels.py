"""Kinds of panels, as the boards use them."""

from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)

from dashboards.sources import ERP, reference

HEIGHT = 8
WIDTH = 24
REFRESH = "10s"
_Steps = tuple[tuple[float | None, str], ...]


def board(uid: str, title: str, description: str, tags: list[str]) -> Any:
    """An empty board that refreshes itself, with the zones to choose from and the annotations of its tag."""
    annotations = (
        dashboard.AnnotationQuery()
        .name("Excursions and holds")
        .datasource(_grafana())
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
        .time("now-6h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .annotation(annotations)
    )


def _grafana() -> Any:
    """Grafana's own store, where annotations are."""
    ref = reference(ERP)
    ref.type_val, ref.uid = "grafana", "-- Grafana --"
    return ref


def choice(name: str, label: str, sql: str) -> Any:
    """A variable whose values a query on the ERP's views gives; all are chosen at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(reference(ERP))
        .query(sql)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current({"selected": True, "text": ["All"], "value": ["$__all"]})
    )


def graph(title: str, unit: str, source: str, query: Any, description: str, *, width: int = 12) -> Any:
    """Lines over time; a silence stays a hole."""
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(reference(source))
        .unit(unit)
        .height(HEIGHT)
        .span(width)
        .span_nulls(span_nulls=False)
        .line_width(1)
        .fill_opacity(5)
        .show_points(models.VisibilityMode.AUTO)
        .legend(
            common.VizLegendOptions()
            .display_mode(models.LegendDisplayMode.LIST)
            .placement(models.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .with_target(query)
    )


def listing(title: str, source: str, query: Any, description: str, *, width: int = 12) -> Any:
    """A table."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(reference(source))
        .height(HEIGHT)
        .span(width)
        .no_value("none")
        .show_header(show_header=True)
        .with_target(query)
    )


def figure(title: str, unit: str, query: Any, description: str, steps: _Steps) -> Any:
    """One number of the ERP, coloured by thresholds (value from which a colour holds)."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(reference(ERP))
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
        .with_target(query)
    )
