"""Every panel's query as its server gets it: Grafana's macros and variables put in, so that it can be run anywhere."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.build import BOARDS, rendered
from dashboards.sources import TELEMETRY

_TIME_FILTER = re.compile(r"\$__timeFilter\(([^()]+)\)")
_TIME_GROUP = re.compile(r"\$__timeGroupAlias\(([^,()]+),\s*'?(\d+)([smh])'?\)")
_VARIABLE = re.compile(r"\$\{(\w+):(regex|sqlstring)\}")
_LEFT = re.compile(r"\$\{?\w+")
_REGEX_ESCAPED = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


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
    """One panel's query; `datasource` is `lotwise-telemetry` (InfluxQL) or `lotwise-erp` (SQL)."""

    board: str
    panel: str
    datasource: str
    query: str


def panel_queries(board: str, span: Span, variables: Mapping[str, Sequence[str]]) -> list[PanelQuery]:
    """The queries of a board's panels and variables, ready to run.

    `board` is a name of `BOARDS`. Raises KeyError for an unknown board or a variable without values, ValueError where
    a macro is left that is not known here.
    """
    model = json.loads(rendered()[board])
    return [
        PanelQuery(board, title, source, substitute(query, source, span, variables))
        for title, source, query in _queries(model)
    ]


def all_queries(span: Span, variables: Mapping[str, Sequence[str]]) -> list[PanelQuery]:
    """The queries of every board."""
    return [query for board in BOARDS for query in panel_queries(board, span, variables)]


def _queries(model: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for variable in model["templating"]["list"]:
        yield f"variable {variable['name']}", variable["datasource"]["uid"], variable["query"]
    for panel in model["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["datasource"]["uid"], target.get("rawSql") or target["query"]


def substitute(query: str, source: str, span: Span, variables: Mapping[str, Sequence[str]]) -> str:
    """The query with macros and variables put in as Grafana's data source of that kind does."""
    seconds = max(1, int(span.interval.total_seconds()))
    out = _VARIABLE.sub(lambda match: _values(variables[match[1]], match[2]), query)
    if source == TELEMETRY:
        start, stop = (int(moment.timestamp() * 1000) for moment in (span.start, span.stop))
        out = out.replace("$timeFilter", f"time >= {start}ms AND time <= {stop}ms").replace(
            "$__interval", f"{seconds}s"
        )
    else:
        first, last = (moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in (span.start, span.stop))
        out = _TIME_FILTER.sub(rf"\1 BETWEEN '{first}' AND '{last}'", out)
        out = _TIME_GROUP.sub(_group, out)
    if (left := _LEFT.search(out.replace("$/", "/"))) is not None:
        raise ValueError(f"{left[0]!r} is not known here: {query}")
    return out


def _group(match: re.Match[str]) -> str:
    width = int(match[2]) * _SECONDS[match[3]]
    return f'floor(extract(epoch from {match[1].strip()})/{width})*{width} AS "time"'


def _values(values: Sequence[str], form: str) -> str:
    """Several values as Grafana's `regex` or `sqlstring` format writes them."""
    if not values:
        raise KeyError("a variable without values")
    if form == "sqlstring":
        return ",".join("'" + value.replace("'", "''") + "'" for value in values)
    escaped = [_REGEX_ESCAPED.sub(lambda match: "\\" + match[0], value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
