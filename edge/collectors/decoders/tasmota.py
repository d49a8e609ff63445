"""Tasmota: `tele/DEVICE/SENSOR`, `stat/DEVICE/STATUS10` and `STATUS8`, `tele/DEVICE/LWT`; or, by another full topic,
`DEVICE/tele/SENSOR` and so on.

Fields are paths such as `DS18B20.Temperature`. `Time` has no offset unless the device is set to give one; without a
configured time zone such a stamp cannot be placed and is not used.
"""

from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from edge.collectors.decoders.base import (
    EVERY_FIELD,
    ROOT_PATH,
    BadPayload,
    Decoded,
    Options,
    judge,
    leaves,
    member,
    parse_object,
)
from edge.collectors.decoders.times import BAD_TIME, ZoneName, stamp
from edge.collectors.decoders.units import ucum

SENSOR_TOPICS = {"SENSOR": "", "STATUS8": "StatusSNS", "STATUS10": "StatusSNS"}
"""Last level of a topic that carries measurements, and the member they are in."""
PREFIXES = frozenset({"tele", "stat", "cmnd"})
UNIT_FIELDS = frozenset({"TempUnit", "PressureUnit", "SpeedUnit"})
UNITS_SAID = {
    "Temperature": "TempUnit",
    "DewPoint": "TempUnit",
    "HeatIndex": "TempUnit",
    "Pressure": "PressureUnit",
    "SeaPressure": "PressureUnit",
}
UNITS = {
    "Humidity": "%",
    "Illuminance": "lx",
    "CarbonDioxide": "[ppm]",
    "eCO2": "[ppm]",
    "TVOC": "[ppb]",
    "Power": "W",
    "ApparentPower": "V.A",
    "ReactivePower": "V.A",
    "Voltage": "V",
    "Current": "A",
    "Total": "kW.h",
    "Today": "kW.h",
    "Yesterday": "kW.h",
    "Frequency": "Hz",
    "Distance": "cm",
}
DS18B20_ERRORS = {"Cel": (85.0, -127.0), "[degF]": (185.0, -196.6)}
"""85 is the register at power-on, -127 a device that does not answer (facts §4)."""


class TasmotaOptions(Options):
    """`timezone` is the device's `Timezone` setting, as a name of the tz database. `identity` is the key by which a
    sensor says which one it is: several DS18B20 are numbered anew when one of them dies.
    """

    name: Literal["tasmota"] = "tasmota"
    timezone: ZoneName | None = None
    identity: str = Field(default="Id", min_length=1)


class Tasmota:
    """Reads sensor messages and last wills."""

    def __init__(self, options: TasmotaOptions) -> None:
        self._zone = ZoneInfo(options.timezone) if options.timezone else None
        self._identity = options.identity

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The sensors' values; a lost device's death. Topics without measurements give none. Raises BadPayload."""
        del received_at
        levels = topic.split("/")
        device = next((level for level in reversed(levels[:-1]) if level not in PREFIXES), "")
        if levels[-1] == "LWT":
            return _last_will(device, payload)
        within = SENSOR_TOPICS.get(levels[-1])
        if within is None:
            return []
        document = parse_object(payload)
        if within:
            document = member(document, within)
            if not document:
                raise BadPayload(f"{within!r} is missing")
        return self._sensors(device, document)

    def _sensors(self, device: str, document: dict[str, Any]) -> list[Decoded]:
        source_at, clock = self._time(document.get("Time"))
        units = {key: ucum(str(document.get(key) or "")) for key in UNIT_FIELDS}
        found: list[Decoded] = []
        sensors = {key: value for key, value in document.items() if key != "Time" and key not in UNIT_FIELDS}
        for path, key, raw, place in leaves(sensors, self._identity):
            if key == "Id":
                continue
            unit = units[UNITS_SAID[key]] if key in UNITS_SAID else UNITS.get(key, "")
            value, quality, reason = judge(raw)
            if _is_ds18b20_error(path, key, value, unit):
                quality, reason = Quality.BAD, Reason.SENTINEL
            if clock > quality:
                quality, reason = clock, BAD_TIME
            item = Decoded(device, path, value, unit, source_at, quality, reason)
            found.append(item if place is ROOT_PATH else place.mark(item))
        return found

    def _time(self, raw: object) -> tuple[datetime | None, Quality]:
        if self._zone is None and isinstance(raw, str) and _is_naive_iso(raw):
            return None, Quality.GOOD  # a local time of an unknown zone: as good as none
        return stamp(raw, zone=self._zone)


def _is_naive_iso(raw: str) -> bool:
    try:
        return datetime.fromisoformat(raw).tzinfo is None
    except ValueError:
        return False


def _is_ds18b20_error(path: str, key: str, value: Value, unit: str) -> bool:
    if key != "Temperature" or not path.startswith("DS18") or isinstance(value, bool | str) or value is None:
        return False
    return value in DS18B20_ERRORS.get(unit, DS18B20_ERRORS["Cel"])


def _last_will(device: str, payload: bytes) -> list[Decoded]:
    if payload == b"Offline":
        return [Decoded(device, EVERY_FIELD, None, quality=Quality.BAD, reason=Reason.DISCONNECTED)]
    if payload == b"Online":
        return []
    raise BadPayload("LWT is neither Online nor Offline")
