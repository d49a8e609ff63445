"""Every panel's query as its server gets it: Grafana's macros and variables put in, so that it can be run anywhere."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.alerts import RULES
from dashboards.build import BOARDS, board
from dashboards.sources import ERP, METRICS, TELEMETRY, Store

_TIME_FILTER = re.compile(r"\$__timeFilter\(([^()]+)\)")
_TIME_GROUP = re.compile(r"\$__timeGroupAlias\(([^,()]+),\s*'?(\d+)(ms|[smhd])'?\)")
_VARIABLE = re.compile(r"\$\{(\w+):(regex|sqlstring)\}")
_LEFT = re.compile(r"\$\{?\w+")
_REGEX_ESCAPED = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_QUERIES = {TELEMETRY: "query", ERP: "rawSql", METRICS: "expr"}
NEAR = timedelta(days=7)
NEAR_OF_ALL = timedelta(days=70)
"""Ranges up to this long, of one zone and of all together, are asked of the readings (`dashboards.readings`)."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time range a board shows, and the interval Grafana would choose for it."""

    start: datetime
    stop: datetime
    interval: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.stop.tzinfo is None:
            raise ValueError("a time range needs aware times")


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One panel's query; `datasource` is `lotwise-telemetry` (InfluxQL), `lotwise-erp` (SQL) or `lotwise-metrics`
    (PromQL); `ref` names it among the panel's.
    """

    board: str
    panel: str
    datasource: str
    query: str
    ref: str = "A"


def panel_queries(name: str, store: Store, span: Span, variables: Mapping[str, Sequence[str]]) -> list[PanelQuery]:
    """The queries of a board's panels and variables, ready to run.

    `name` is one of `BOARDS`. Raises KeyError for an unknown board or a variable without values, ValueError where
    a macro is left that is not known here.
    """
    given = dict(variables)
    if "zone" in given:
        shown = span.stop - span.start
        few = shown <= NEAR and len(given["zone"]) * shown <= NEAR_OF_ALL
        given.setdefault("near", [*(given["zone"] if few else []), "-"])
    return [
        PanelQuery(name, title, source, substitute(query, source, span, given), ref)
        for title, source, query, ref in _queries(board(name, store))
    ]


def all_queries(store: Store, span: Span, variables: Mapping[str, Sequence[str]]) -> list[PanelQuery]:
    """The queries of every board of a store, and of every alert rule."""
    rules = [PanelQuery("alert rules", rule.title, ERP, substitute(rule.sql, ERP, span, variables)) for rule in RULES]
    return [query for name in BOARDS for query in panel_queries(name, store, span, variables)] + rules


def _queries(model: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for variable in model["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["datasource"]["uid"], variable["query"], "A"
    for panel in model["panels"]:
        for target in panel["targets"]:
            source = target["datasource"]["uid"]
            yield panel["title"], source, target[_QUERIES[source]], target["refId"]


def substitute(query: str, source: str, span: Span, variables: Mapping[str, Sequence[str]]) -> str:
    """The query with macros and variables put in as Grafana's data source of that kind does."""
    seconds = max(1, int(span.interval.total_seconds()))
    out = _VARIABLE.sub(lambda match: _values(variables[match[1]], match[2]), query)
    out = out.replace("$__interval_ms", str(seconds * 1000)).replace("$__rate_interval", f"{max(60, 4 * seconds)}s")
    out = out.replace("$__interval", f"{seconds}s")
    if source == TELEMETRY:
        start, stop = (int(moment.timestamp() * 1000) for moment in (span.start, span.stop))
        out = out.replace("$timeFilter", f"time >= {start}ms AND time <= {stop}ms")
    elif source == ERP:
        first, last = (moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in (span.start, span.stop))
        out = out.replace("$__timeFrom()", f"'{first}'").replace("$__timeTo()", f"'{last}'")
        out = _TIME_FILTER.sub(rf"\1 BETWEEN '{first}' AND '{last}'", out)
        out = _TIME_GROUP.sub(_group, out)
    if (left := _LEFT.search(out.replace("$/", "/"))) is not None:
        raise ValueError(f"{left[0]!r} is not known here: {query}")
    return out


def _group(match: re.Match[str]) -> str:
    width = max(1, int(int(match[2]) * _SECONDS[match[3]]))
    return f'floor(extract(epoch from {match[1].strip()})/{width})*{width} AS "time"'


def _values(values: Sequence[str], form: str) -> str:
    """Several values as Grafana's `regex` or `sqlstring` format writes them."""
    if not values:
        raise KeyError("a variable without values")
    if form == "sqlstring":
        return ",".join("'" + value.replace("'", "''") + "'" for value in values)
    escaped = [_REGEX_ESCAPED.sub(lambda match: "\\" + match[0], value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
