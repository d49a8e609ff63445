"""The chart that an excursion is judged by: what was read where the goods stood, the limit, and when it broke."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.times import micros, moment
from core.erp.kernel.unit import Unit
from core.series.port import Bucket
from core.series.postgres import PostgresStore

COLUMNS = 600
ROOM = timedelta(minutes=1)
"""Shown at least on either side."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one point said while the goods stood where it measures."""

    point: str
    zone: str
    buckets: list[Bucket]


def span_around(row: dict[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """What to show of an excursion: all of it, and half as much again on either side."""
    stop = min(row["ended_at"] or now, now)
    room = max((stop - row["started_at"]) / 2, ROOM)
    return row["started_at"] - room, min(stop + room, now)


_POINTS = text("""
    SELECT p.address, z.address AS zone FROM point p JOIN zone z ON z.id = p.zone_id
    WHERE p.zone_id = :zone AND p.quantity = :quantity AND p.role <> 'machine' ORDER BY p.role DESC, p.address
""")


def lines(u: Unit, row: dict[str, Any], start: datetime, stop: datetime) -> list[Line]:
    """Readings over [start, stop) of the points that spoke for the sublot, each for as long as it stood there."""
    paths = ExposureHistory(u.conn, u.now).judged_paths([row["sublot_id"]])[row["sublot_id"]]
    intervals = sorted({stay for way in paths for stay in way}, key=lambda stay: stay[:2])
    store = PostgresStore(u.conn)
    found = []
    for zone, begin, end in intervals:
        since = max(begin, micros(start))
        until = micros(stop) if end is None else min(end, micros(stop))
        if until <= since:
            continue
        for point in u.conn.execute(_POINTS, {"zone": zone, "quantity": row["quantity"] or "temperature"}):
            buckets = store.downsample(point.address, moment(since), moment(until), COLUMNS)
            found.append(Line(point.address, point.zone, buckets))
    return found


def options(found: Sequence[Line], row: dict[str, Any], start: datetime, stop: datetime) -> dict[str, Any]:
    """The chart, as ECharts wants it. Nothing is smoothed; where nothing was read for too long the line breaks."""
    low = str(row["op"] or ">").startswith("<")
    series: list[dict[str, Any]] = [
        {
            "name": f"{line.point.split('/')[-2]} in {line.zone}",
            "type": "line",
            "showSymbol": False,
            "connectNulls": False,
            "data": _data(line.buckets, low=low, gap=row["allowed_gap"]),
        }
        for line in found
    ]
    series.append(_marks(row, stop))
    return {
        "useUTC": True,
        "animation": False,
        "aria": {"enabled": True, "label": {"description": f"Readings around excursion {row['id']}"}},
        "grid": {"left": 60, "right": 90, "top": 40, "bottom": 40},
        "xAxis": {"type": "time", "name": "UTC", "min": _ms(start), "max": _ms(stop)},
        "yAxis": {"type": "value", "name": "°C", "scale": True},
        "legend": {"top": 0},
        "tooltip": {"trigger": "axis"},
        "series": series,
    }


def _marks(row: dict[str, Any], stop: datetime) -> dict[str, Any]:
    """A series without values that carries the shading, the limit and the instant it broke."""
    spell = [{"xAxis": _ms(row["started_at"])}, {"xAxis": _ms(row["ended_at"] or stop)}]
    marks: list[dict[str, Any]] = [
        {"xAxis": _ms(row["broke_at"]), "label": {"formatter": "broke"}, "lineStyle": {"color": "#b00020"}}
    ]
    bounds = {}
    if row["threshold"] is not None:
        text_ = f"{row['op']} {row['threshold']:g}"
        marks.append({"yAxis": row["threshold"], "label": {"formatter": text_}, "lineStyle": {"color": "#e65100"}})
        bounds = {"data": [[_ms(row["started_at"]), row["threshold"]]], "showSymbol": False}
    return {
        "name": "excursion",
        "type": "line",
        "data": [],
        **bounds,
        "color": "#b00020",
        "markArea": {"silent": True, "itemStyle": {"color": "#b00020", "opacity": 0.12}, "data": [spell]},
        "markLine": {"symbol": "none", "silent": True, "lineStyle": {"type": "dashed", "width": 2}, "data": marks},
    }


def _data(buckets: Sequence[Bucket], *, low: bool, gap: timedelta) -> list[list[float | int | None]]:
    """(milliseconds, the value that counts): a column's highest, or its lowest where the limit is a low one."""
    out: list[list[float | int | None]] = []
    last: datetime | None = None
    for bucket in buckets:
        if last is not None and bucket.start - last > gap:
            out.append([_ms(last + gap), None])
        out.append([_ms(bucket.start), round(bucket.min if low else bucket.max, 2)])
        last = bucket.start
    return out


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
