"""Which readings may be judged: known point, believable time, fitting unit, and none simulated on a live instance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec
from sqlalchemy import Connection, text

from core.erp.kernel.words import Message
from core.ingest.decoding import BadPart
from core.telemetry.address import partition_now, partition_of, zone_of
from core.telemetry.batch import Body, Watermark, encode
from core.telemetry.reading import Reading
from core.telemetry.units import NotConvertible, convert

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
MAX_AGE = timedelta(days=2)
"""No source may stay further behind: it would be called silent only after so long."""
MAX_MAGNITUDE = 1e100
"""Beyond this nothing is measured, and sums over time overflow: a decoder read the wrong bytes."""
_REFRESH = timedelta(seconds=10)
_POINTS = text("SELECT address, unit FROM point WHERE address = ANY(:addresses)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reading is not judged: a code to count by, and a sentence for the one who can act."""

    reason: str
    detail: Message


class PointUnits:
    """The catalog's points and their units, remembered for ten seconds: a point's unit may be mended while we run."""

    def __init__(self) -> None:
        self._units: dict[str, str] = {}
        self._since: datetime | None = None

    def units(self, conn: Connection, addresses: Iterable[str], now: datetime) -> dict[str, str]:
        """The unit of each known point among the addresses (others may be in it too)."""
        if self._since is None or now - self._since > _REFRESH or now < self._since:
            self._units, self._since = {}, now
        unknown = [address for address in addresses if address not in self._units]
        if unknown:
            for address, unit in conn.execute(_POINTS, {"addresses": unknown}):
                self._units[address] = unit
        return self._units


def check(
    readings: Sequence[Reading], units: dict[str, str], partition: int, now: datetime, *, live: bool
) -> tuple[list[Reading], list[tuple[Reading, Refusal]]]:
    """The readings that may land, in their point's unit, and those that may not with the reason."""
    good: list[Reading] = []
    refused: list[tuple[Reading, Refusal]] = []
    latest = now + MAX_AHEAD
    partition = partition_now(partition)
    for reading in readings:
        unit = units.get(reading.point)
        if (
            unit == reading.unit
            and EARLIEST <= reading.at <= latest
            and not (live and reading.simulated)
            and (reading.value.__class__ is not float or -MAX_MAGNITUDE <= reading.value <= MAX_MAGNITUDE)
            and reading.value.__class__ is not str
            and not reading.reason
            and partition_of_point(reading.point) == partition
        ):
            good.append(reading)
            continue
        outcome = _examine(reading, unit, partition, latest, live=live)
        if isinstance(outcome, Refusal):
            refused.append((reading, outcome))
        else:
            good.append(outcome)
    return good, refused


def _examine(reading: Reading, unit: str | None, partition: int, latest: datetime, *, live: bool) -> Reading | Refusal:
    refusal = _refusal(reading, unit, partition, latest, live=live)
    if refusal is not None:
        return refusal
    assert unit is not None
    value = reading.value
    if isinstance(value, bool | str) or value is None or reading.unit == unit:
        return reading
    try:
        return msgspec.structs.replace(reading, value=convert(float(value), reading.unit, unit), unit=unit)
    except NotConvertible:
        return Refusal("wrong_unit", Message("ingest.wrong_unit", point=reading.point, unit=reading.unit, wanted=unit))


def _refusal(reading: Reading, unit: str | None, partition: int, latest: datetime, *, live: bool) -> Refusal | None:
    if unit is None:
        return Refusal("unknown_point", Message("ingest.unknown_point", point=reading.point))
    if partition_of_point(reading.point) != partition:
        return Refusal("wrong_partition", Message("ingest.wrong_partition", point=reading.point, partition=partition))
    if not EARLIEST <= reading.at <= latest:
        return Refusal("absurd_time", Message("ingest.absurd_time", point=reading.point, at=reading.at))
    if live and reading.simulated:
        return Refusal("simulated", Message("ingest.simulated", point=reading.point))
    return _value(reading)


def _value(reading: Reading) -> Refusal | None:
    value = reading.value
    if any("\0" in word for word in (reading.unit, reading.reason, value if isinstance(value, str) else "")):
        return Refusal("unstorable_text", Message("ingest.unstorable_text", point=reading.point))
    if isinstance(value, float) and not -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE:
        return Refusal("absurd_value", Message("ingest.absurd_value", point=reading.point, value=repr(value)))
    return None


def check_watermarks(body: Body, partition: int, now: datetime) -> tuple[tuple[Watermark, ...], list[BadPart]]:
    """The watermarks that may count, and those that may not: of a zone elsewhere, or of a day to come, which would
    call silent what has not yet had the time to speak.
    """
    good: list[Watermark] = []
    bad: list[BadPart] = []
    for mark in body.watermarks:
        elsewhere = [zone for zone in mark.zones if _zone_partition(zone) != partition_now(partition)]
        if elsewhere:
            bad.append(BadPart(encode(mark), Message("ingest.watermark_elsewhere", zone=elsewhere[0])))
        elif not timedelta(0) <= mark.behind <= MAX_AGE:
            bad.append(
                BadPart(encode(mark), Message("ingest.watermark_behind", behind=str(mark.behind), most=str(MAX_AGE)))
            )
        elif not EARLIEST <= mark.upto <= now + MAX_AHEAD:
            bad.append(BadPart(encode(mark), Message("ingest.watermark_absurd", at=mark.upto)))
        else:
            good.append(mark)
    return tuple(good), bad


@lru_cache(maxsize=16384)
def _zone_partition(zone: str) -> int:
    return partition_of(zone)


_partitions: dict[str, int] = {}


def partition_of_point(point: str) -> int:
    """The partition of the point's zone, remembered."""
    found = _partitions.get(point)
    if found is None:
        found = _partitions[point] = partition_of(zone_of(point))
    return found
