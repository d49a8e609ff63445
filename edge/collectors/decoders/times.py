"""The times devices write, as aware UTC datetimes, and how much of them to believe."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from core.telemetry.quality import Quality

BAD_TIME = "bad_time_format"
"""The payload's time is in another form, or has no offset and no time zone is configured (uncertain)."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION = re.compile(r"(\.\d{6})\d+")


class TimeFormat(StrEnum):
    """How a payload writes its time."""

    ISO = "iso"
    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"
    EPOCH_US = "epoch_us"
    EPOCH_NS = "epoch_ns"


PER_SECOND = {TimeFormat.EPOCH_S: 1, TimeFormat.EPOCH_MS: 10**3, TimeFormat.EPOCH_US: 10**6, TimeFormat.EPOCH_NS: 10**9}


class BadTime(ValueError):
    """The text or number is no time that can be placed on the world's clock."""


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; use a name such as 'Europe/Berlin' or 'UTC'") from error
    return name


ZoneName = Annotated[str, AfterValidator(_check_zone)]


def parse_time(raw: object, form: TimeFormat = TimeFormat.ISO, zone: ZoneInfo | None = None) -> datetime:
    """The instant, in UTC, to the microsecond (finer digits are cut). Raises BadTime.

    An ISO time without an offset is local to `zone`; without a zone, or in the hour that a zone repeats or skips, it
    cannot be placed.
    """
    if form is TimeFormat.ISO:
        if not isinstance(raw, str):
            raise BadTime(f"{str(raw)[:40]!r} is not an ISO time")
        return _iso(raw, zone)
    return _epoch(raw, PER_SECOND[form])


def _iso(raw: str, zone: ZoneInfo | None) -> datetime:
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", raw.strip()))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        if zone is None:
            raise BadTime(f"{raw[:40]!r} has no offset and no time zone is configured")
        early = moment.replace(tzinfo=zone).astimezone(UTC)
        late = moment.replace(tzinfo=zone, fold=1).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadTime):
            raise
        raise BadTime(f"{raw[:40]!r} is not an ISO time") from error
    if early != late:
        raise BadTime(f"{raw[:40]!r} is skipped or occurs twice in {zone.key}")
    return early


def _epoch(raw: object, per_second: int) -> datetime:
    if isinstance(raw, str):
        raw = _spelled(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise BadTime(f"{str(raw)[:40]!r} is not a number of seconds")
    try:
        micros = raw * 10**6 // per_second if isinstance(raw, int) else round(raw * 10**6 / per_second)
        return EPOCH + timedelta(microseconds=micros)
    except (OverflowError, ValueError) as error:
        raise BadTime("outside the calendar") from error


def _spelled(raw: str) -> int | float:
    try:
        return int(raw) if raw.lstrip("-").isdecimal() else float(raw)
    except ValueError as error:
        raise BadTime(f"{raw[:40]!r} is not a number of seconds") from error


def stamp(
    raw: object, form: TimeFormat = TimeFormat.ISO, zone: ZoneInfo | None = None
) -> tuple[datetime | None, Quality]:
    """A payload's stamp and what it does to the values: none is no fault, one that cannot be read is uncertain
    (BAD_TIME).
    """
    if raw is None:
        return None, Quality.GOOD
    try:
        return parse_time(raw, form, zone), Quality.GOOD
    except BadTime:
        return None, Quality.UNCERTAIN
