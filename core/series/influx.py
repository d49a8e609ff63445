"""The series port on InfluxDB 2.x, and on 1.8 through its v2 write API; read by InfluxQL, which both speak.

A reading is one point of measurement = its quantity. Tags follow from the point's address alone, so that the key is
(point, at); value, unit and quality are fields: as tags they would make a second series of the same point.
"""

# ruff: noqa: S608 - InfluxQL has no parameters for names; what is put in are checked addresses and numbers

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from core.series.port import (
    Bucket,
    RefusedReading,
    Silence,
    StoreRefused,
    StoreUnavailable,
    is_plottable,
    silences_between,
    width,
)
from core.telemetry.address import check_point
from core.telemetry.quality import Quality
from core.telemetry.reading import INT_MAX, Reading

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATA_REFUSED = frozenset({400, 422})
_TOO_LARGE = 413
_POINTS_A_QUERY = 100
_FIELDS = "value, value_int, value_bool, value_text, quality, reason, unit, source_at, edge_at, simulated"
_NUMBERS = ("value", "value_int")
_IS_NUMBER = "(value < 0 OR value >= 0 OR value_int < 0 OR value_int >= 0)"
_ONE = {"ASC": "ORDER BY time ASC LIMIT 1", "DESC": "ORDER BY time DESC LIMIT 1"}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """Where and as whom. On 1.8: bucket is `database/policy`, token `user:password` (or empty), org anything."""

    url: str
    bucket: str
    token: str = ""
    org: str = "-"
    timeout: timedelta = timedelta(seconds=30)
    chunk: int = 5000


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def line(reading: Reading) -> str:
    """The reading in line protocol, precision µs. Addresses need no escaping: they have only letters, digits, _ - /."""
    site, area, zone, device, quantity = reading.point.split("/")
    fields = [f"quality={int(reading.quality)}i", f"edge_at={microseconds(reading.edge_at)}i"]
    value = reading.value
    if isinstance(value, bool):
        fields.append(f"value_bool={'t' if value else 'f'}")
    elif isinstance(value, int):
        fields.append(f"value_int={value}i")
    elif isinstance(value, float):
        fields.append(f"value={value!r}")
    elif value is not None:
        fields.append(f'value_text="{value.translate(_ESCAPES)}"')
    if reading.source_at is not None:
        fields.append(f"source_at={microseconds(reading.source_at)}i")
    fields.append(f'unit="{reading.unit.translate(_ESCAPES)}"')
    fields.append(f'reason="{reading.reason.translate(_ESCAPES)}"')
    fields.append(f"simulated={'t' if reading.simulated else 'f'}")
    tags = f"area={area},device={device},point={reading.point},site={site},zone={site}/{area}/{zone}"
    return f"{quantity},{tags} {','.join(fields)} {microseconds(reading.at)}"


class InfluxStore:
    """Readings in InfluxDB, written synchronously (never by the client's batching mode, which drops what fails)."""

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        self._client = InfluxDBClient(
            url=settings.url,
            token=settings.token or "-:-",
            org=settings.org,
            timeout=int(settings.timeout.total_seconds() * 1000),
            enable_gzip=True,
        )
        self._write = self._client.write_api(write_options=SYNCHRONOUS)
        self._http = httpx.Client(
            base_url=settings.url,
            timeout=settings.timeout.total_seconds(),
            headers={"Authorization": f"Token {settings.token}"} if settings.token else {},
        )

    def close(self) -> None:
        """Closes the connections."""
        self._write.close()
        self._client.close()
        self._http.close()

    def write(self, readings: Sequence[Reading]) -> None:
        """Writes in chunks; halves a refused chunk down to the reading."""
        refused: list[RefusedReading] = []
        for start in range(0, len(readings), self.settings.chunk):
            self._write_chunk(readings[start : start + self.settings.chunk], refused)
        if refused:
            raise StoreRefused(refused)

    def _write_chunk(self, readings: Sequence[Reading], refused: list[RefusedReading]) -> None:
        try:
            self._write.write(
                bucket=self.settings.bucket,
                org=self.settings.org,
                record="\n".join(map(line, readings)).encode(),
                write_precision=WritePrecision.US,
            )
        except ApiException as error:
            if error.status not in _DATA_REFUSED and error.status != _TOO_LARGE:
                raise StoreUnavailable(f"InfluxDB: {error.status} {_message(error)}") from error
            if len(readings) == 1:
                refused.append(RefusedReading(readings[0], f"InfluxDB: {error.status} {_message(error)}"))
                return
            middle = len(readings) // 2
            self._write_chunk(readings[:middle], refused)
            self._write_chunk(readings[middle:], refused)
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(f"InfluxDB at {self.settings.url}: {error}") from error

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        """Readings with start <= at < stop."""
        rows = self._select(_FIELDS, point, f"time >= {_ns(start)} AND time < {_ns(stop)}")
        return [_reading(point, row) for row in rows]

    def last(self, points: Collection[str]) -> dict[str, Reading]:
        """The latest reading of each."""
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for point in sorted(points):
            check_point(point)
            groups[_measurement(point)].append(point)
        found: dict[str, Reading] = {}
        for measurement, members in groups.items():
            for first in range(0, len(members), _POINTS_A_QUERY):
                some = " OR ".join(f"\"point\" = '{point}'" for point in members[first : first + _POINTS_A_QUERY])
                query = (
                    f'SELECT {_FIELDS} FROM "{measurement}" WHERE {some} GROUP BY "point" ORDER BY time DESC LIMIT 1'
                )
                for tags, row in self._query(query):
                    found[tags["point"]] = _reading(tags["point"], row)
        return found

    def before(self, point: str, at: datetime) -> Reading | None:
        """The latest before `at`."""
        rows = self._select(_FIELDS, point, f"time < {_ns(at)}", "ORDER BY time DESC LIMIT 1")
        return _reading(point, rows[0]) if rows else None

    def count(self, point: str, start: datetime, stop: datetime) -> int:
        """How many readings the point has with start <= at < stop. Raises StoreUnavailable."""
        rows = self._select("count(quality) AS n", point, f"time >= {_ns(start)} AND time < {_ns(stop)}")
        return int(rows[0]["n"]) if rows else 0

    def downsample(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Columns of a chart; whole numbers and fractions are fields of their own and come together here."""
        step = width(start, stop, pixels)
        span = step // _MICROSECOND
        offset = microseconds(start) % span
        by_column = f"GROUP BY time({span}u, {offset}u) FILL(none)"
        columns: dict[int, list[tuple[float, float, float, int]]] = defaultdict(list)
        uncertain: defaultdict[int, int] = defaultdict(int)
        for field in _NUMBERS:
            what = f"min({field}) AS low, max({field}) AS high, mean({field}) AS mean, count({field}) AS n"
            unsure = f"time >= {_ns(start)} AND time < {_ns(stop)} AND quality = {int(Quality.UNCERTAIN)}"
            for row in self._select(f"count({field}) AS n", point, unsure, by_column):
                uncertain[row["time"]] += row["n"] or 0
            where = f"time >= {_ns(start)} AND time < {_ns(stop)} AND quality < {int(Quality.BAD)}"
            for row in self._select(what, point, where, by_column):
                if not row["n"]:
                    continue
                mean = row["mean"]
                if field == "value_int" and row["n"] * max(abs(row["low"]), abs(row["high"])) > INT_MAX:
                    # the server adds whole numbers up in 64 bits, and says nothing where they run over
                    mean = self._mean(point, max(EPOCH + row["time"] * _MICROSECOND, start), step, stop)
                columns[row["time"]].append((row["low"], row["high"], mean, row["n"]))
        return [
            Bucket(
                EPOCH + time * _MICROSECOND,
                float(min(part[0] for part in parts)),
                float(max(part[1] for part in parts)),
                sum(part[2] * part[3] for part in parts) / sum(part[3] for part in parts),
                sum(part[3] for part in parts),
                uncertain[time],
            )
            for time, parts in sorted(columns.items())
        ]

    def silences(self, point: str, start: datetime, stop: datetime, longest: timedelta) -> list[Silence]:
        """Stretches longer than `longest` without a usable number: as the server tells the times between readings."""
        if stop <= start:
            return []
        check_point(point)
        where = f"time >= {_ns(start)} AND time < {_ns(stop)} AND quality < {int(Quality.BAD)} AND {_IS_NUMBER}"
        source = f'FROM "{_measurement(point)}" WHERE "point" = \'{point}\' AND {where}'
        ends = [row for order in ("ASC", "DESC") for _, row in self._query(f"SELECT quality {source} {_ONE[order]}")]
        if not ends:
            return silences_between([], start, stop, longest)
        longer = f"WHERE e > {longest // _MICROSECOND}"
        gaps = [row for _, row in self._query(f"SELECT e FROM (SELECT elapsed(quality, 1u) AS e {source}) {longer}")]
        first, last = (EPOCH + row["time"] * _MICROSECOND for row in ends)
        inner = [(EPOCH + (row["time"] - row["e"]) * _MICROSECOND, EPOCH + row["time"] * _MICROSECOND) for row in gaps]
        return [(a, b) for a, b in ((start, first), *inner, (last, stop)) if b - a > longest]

    def _mean(self, point: str, start: datetime, step: timedelta, stop: datetime) -> float:
        """Of a column's whole numbers that are not bad, reading by reading."""
        found = [is_plottable(r) for r in self.read(point, start, min(start + step, stop)) if isinstance(r.value, int)]
        numbers = [number for number in found if number is not None]
        return sum(numbers) / len(numbers)

    def _select(self, what: str, point: str, where: str, tail: str = "") -> list[dict[str, Any]]:
        check_point(point)
        query = f'SELECT {what} FROM "{_measurement(point)}" WHERE "point" = \'{point}\' AND {where} {tail}'
        return [row for _, row in self._query(query)]

    def _query(self, query: str) -> Iterable[tuple[dict[str, str], dict[str, Any]]]:
        database, _, policy = self.settings.bucket.partition("/")
        params = {"db": database, "epoch": "u"} | ({"rp": policy} if policy else {})
        try:
            answer = self._http.post("/query", params=params, data={"q": query})
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"InfluxDB at {self.settings.url}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise StoreUnavailable(f"InfluxDB: {answer.status_code} {answer.text.strip()}")
        try:
            results = answer.json()["results"]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreUnavailable(f"InfluxDB at {self.settings.url}: no answer: {answer.text[:200]!r}") from error
        for result in results:
            if "error" in result:
                raise StoreUnavailable(f"InfluxDB: {result['error']}")
            for series in result.get("series", ()):
                if result.get("partial") or series.get("partial"):
                    raise StoreUnavailable("InfluxDB: its answer was cut short (max-row-limit): set it to 0")
                for values in series.get("values", ()):
                    yield series.get("tags", {}), dict(zip(series["columns"], values, strict=True))


def _measurement(point: str) -> str:
    return point.rpartition("/")[2]


def _ns(at: datetime) -> int:
    return microseconds(at) * 1000


def _message(error: ApiException) -> str:
    body = error.body or b""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        parsed = json.loads(text)
    except ValueError:
        return text.strip()[:500]
    return str(parsed.get("message") or parsed.get("error") or text)[:500] if isinstance(parsed, dict) else text[:500]


def _reading(point: str, row: dict[str, Any]) -> Reading:
    value: bool | int | float | str | None = None
    if row["value"] is not None:
        value = float(row["value"])
    elif row["value_int"] is not None:
        value = int(row["value_int"])
    elif row["value_bool"] is not None:
        value = bool(row["value_bool"])
    elif row["value_text"] is not None:
        value = str(row["value_text"])
    source_at = row["source_at"]
    return Reading(
        point=point,
        at=EPOCH + row["time"] * _MICROSECOND,
        value=value,
        unit=row["unit"] or "",
        edge_at=EPOCH + row["edge_at"] * _MICROSECOND,
        source_at=EPOCH + source_at * _MICROSECOND if source_at is not None else None,
        quality=Quality(row["quality"]),
        reason=row["reason"] or "",
        simulated=bool(row["simulated"]),
    )
