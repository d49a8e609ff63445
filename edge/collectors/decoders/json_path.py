"""Plain JSON, read by path expressions (RFC 9535, by python-jsonpath)."""

import contextlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import jsonpath
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.telemetry.quality import Quality, Reason
from edge.collectors.decoders.base import BadPayload, Decoded, Options, judge, parse_json
from edge.collectors.decoders.times import BAD_TIME, BadTime, TimeFormat, ZoneName, parse_time
from edge.collectors.decoders.units import ucum

Query = Callable[[Any], list[Any]]
_NUMBERED = re.compile(r"\[-?\d+\]")
_PLAIN = re.compile(r"\$?\.?([A-Za-z_][A-Za-z0-9_]*)(\.[A-Za-z_][A-Za-z0-9_]*)*")


def _check_path(path: str) -> str:
    try:
        jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} is not a JSON path: {str(error).splitlines()[0]}") from error
    return path


Path = Annotated[str, AfterValidator(_check_path)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ValuePath(_Part):
    """Where one value is. `unit` is UCUM; `unit_path` finds it in the payload and wins."""

    path: Path
    unit: str = ""
    unit_path: Path | None = None


class TimePath(_Part):
    """Where the device's time is, how it is written, and, for a local time, in which zone."""

    path: Path
    format: TimeFormat = TimeFormat.ISO
    timezone: ZoneName | None = None


class QualityPath(_Part):
    """Where the device's own verdict is; what is neither listed as good nor as uncertain is bad."""

    path: Path
    good: tuple[str | int | bool, ...] = ("good", 0, 192)
    uncertain: tuple[str | int | bool, ...] = ("uncertain",)


class JsonOptions(Options):
    """Paths of a plain JSON payload. `each` finds the records of a list; the other paths are then relative to one.

    `values` maps field names to paths, or to {path, unit, unit_path}.
    """

    name: Literal["json"] = "json"
    values: dict[str, ValuePath | Path] = Field(min_length=1)
    device: Path | None = None
    time: TimePath | None = None
    quality: QualityPath | None = None
    each: Path | None = None
    historical: Path | None = None
    """Finds true where the device says that a value was buffered."""

    @model_validator(mode="after")
    def _no_empty_names(self) -> Self:
        if not all(self.values):
            raise ValueError("a field needs a name")
        return self


def compile_path(path: str) -> Query:
    """A function from document to the list of matches. Plain dotted paths are walked without the library (1 µs
    instead of 12); both ways find the same.
    """
    if not _PLAIN.fullmatch(path):
        query = jsonpath.compile(path)
        # the library would parse a text as a document of its own
        return lambda document: query.findall(document) if isinstance(document, dict | list) else []
    keys = tuple(part for part in path.removeprefix("$").split(".") if part)

    def walk(document: Any) -> list[Any]:
        for key in keys:
            if not isinstance(document, dict) or key not in document:
                return []
            document = document[key]
        return [document]

    return walk


class _Value:
    def __init__(self, field: str, spec: ValuePath | str) -> None:
        self.field = field
        spec = spec if isinstance(spec, ValuePath) else ValuePath(path=spec)
        self.find = compile_path(spec.path)
        self.unit = spec.unit
        self.find_unit = compile_path(spec.unit_path) if spec.unit_path else None
        self.lists = _numbered_lists(spec.path)

    def of(self, record: Any) -> str:
        """Lengths of the lists in which the path takes an element by its number; "" if it takes none so."""
        found = (find(record) for find in self.lists)
        return ",".join(str(len(one[0])) for one in found if one and isinstance(one[0], list))


def _numbered_lists(path: str) -> list[Query]:
    lists: list[Query] = []
    for number in _NUMBERED.finditer(path):
        with contextlib.suppress(jsonpath.JSONPathError):  # brackets within a quoted name
            lists.append(compile_path(path[: number.start()]))
    return lists


class Json:
    """Reads configured paths. A field whose path finds nothing is not reported; null is a missing value."""

    def __init__(self, options: JsonOptions) -> None:
        self._options = options
        self._values = [_Value(field, spec) for field, spec in options.values.items()]
        self._device, self._each, self._historical = (
            compile_path(path) if path else None for path in (options.device, options.each, options.historical)
        )
        self._time = compile_path(options.time.path) if options.time else None
        self._zone = ZoneInfo(options.time.timezone) if options.time and options.time.timezone else None
        self._quality = compile_path(options.quality.path) if options.quality else None

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The values found, record by record. Raises BadPayload, also when no configured path finds anything."""
        del topic, received_at
        document = parse_json(payload)
        try:
            records = self._each(document) if self._each else [document]
            found = [item for record in records for item in self._record(record)]
        except (jsonpath.JSONPathError, RecursionError) as error:
            raise BadPayload(f"path expression fails: {str(error)[:200]}") from error
        if not found and not (self._each and not records):
            raise BadPayload("none of the configured paths finds a value")
        return found

    def _record(self, record: Any) -> list[Decoded]:
        device = self._text(self._device, record)
        historical = self._historical is not None and True in [one is True for one in self._historical(record)]
        source_at, clock_trouble = self._source_at(record)
        marked = self._marked(record)
        found: list[Decoded] = []
        for spec in self._values:
            matches = spec.find(record)
            if not matches:
                continue
            if len(matches) > 1:
                raise BadPayload(f"path of {spec.field!r} finds {len(matches)} values; use 'each' for lists")
            value, quality, reason = judge(matches[0])
            for other, why in (marked, clock_trouble):
                if other > quality:
                    quality, reason = other, why
            unit = ucum(self._text(spec.find_unit, record)) if spec.find_unit else ""
            of = spec.of(record) if spec.lists else ""
            found.append(
                Decoded(device, spec.field, value, unit or spec.unit, source_at, quality, reason, historical, of=of)
            )
        return found

    def _source_at(self, record: Any) -> tuple[datetime | None, tuple[Quality, str]]:
        options = self._options.time
        raw = self._time(record) if self._time else []
        if options is None or not raw or raw[0] is None:
            return None, (Quality.GOOD, Reason.NONE)
        try:
            return parse_time(raw[0], options.format, self._zone), (Quality.GOOD, Reason.NONE)
        except BadTime:
            return None, (Quality.UNCERTAIN, BAD_TIME)

    def _marked(self, record: Any) -> tuple[Quality, str]:
        options = self._options.quality
        raw = self._quality(record) if self._quality else []
        if options is None or not raw:
            return Quality.GOOD, Reason.NONE
        mark = raw[0]
        if any(type(mark) is type(one) and mark == one for one in options.good):
            return Quality.GOOD, Reason.NONE
        if any(type(mark) is type(one) and mark == one for one in options.uncertain):
            return Quality.UNCERTAIN, Reason.DEVICE
        return Quality.BAD, Reason.DEVICE

    @staticmethod
    def _text(find: Query | None, record: Any) -> str:
        raw = find(record) if find else []
        if not raw or raw[0] is None or isinstance(raw[0], dict | list):
            return ""
        return str(raw[0])[:256]
