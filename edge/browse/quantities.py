"""What a value measures, by its unit where one is said and by its name where none is. Names only ever give guesses."""

import re
from dataclasses import dataclass

_BY_UNIT = {
    "temperature": frozenset({"Cel", "[degF]", "K"}),
    "pressure": frozenset({"Pa", "hPa", "kPa", "mbar", "bar", "mm[Hg]", "[in_i'Hg]", "[psi]"}),
}
_TEMPERATURE = re.compile(r"temp|(^|[^a-z])t(c|f|_?\d+)?$|celsius|fahrenheit|dew|ds18", re.IGNORECASE)
_HUMIDITY = re.compile(r"hum|(^|[^a-z])(rh|h)$", re.IGNORECASE)
_PRESSURE = re.compile(r"press|baro", re.IGNORECASE)
_CO2 = re.compile(r"co2", re.IGNORECASE)
_DOOR = re.compile(r"door|contact|window|reed", re.IGNORECASE)
_DERIVED = re.compile(
    r"dew|heat_?index|battery|voltage|device_temp|chip|cpu|board|internal|esp32|set_?point|target|calib|offset|limit|alarm"
    r"|sequence|counter|uptime|(^|[^a-z])(seq|count|rssi|snr)([^a-z]|$)",
    re.IGNORECASE,
)
"""Values of these names are worked out, counted, set, or the device's own: no climate."""
FAHRENHEIT = re.compile(r"(^|[^a-z]|temp)t?_?f$|fahrenheit|degf", re.IGNORECASE)
_HECTOPASCAL = (300.0, 1200.0)
JUDGED = frozenset({"temperature", "humidity"})
"""Quantities whose points the catalog is told to require: storage limits are made of them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a value measures, in which unit (UCUM), and what of it is only guessed."""

    quantity: str
    unit: str
    guesses: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """What the catalog is told of the point."""
        return "required" if self.quantity in JUDGED else "machine"


def measured(name: str, unit: str, value: object) -> Measured | None:
    """What the value measures; None if that is no climate, or cannot be told. `unit` is "" where nobody says one."""
    if isinstance(value, bool):
        return Measured("door", "") if _DOOR.search(name) and not unit else None
    if not isinstance(value, int | float) or _DERIVED.search(name):
        return None
    return _unit_in_name(name, unit) if unit else _guessed(name, value)


def _unit_in_name(name: str, unit: str) -> Measured | None:
    for quantity, units in _BY_UNIT.items():
        if unit in units:
            return Measured(quantity, unit)
    if unit in {"%", "%{RH}"} and _HUMIDITY.search(name):
        return Measured("humidity", unit)
    return Measured("co2", unit) if unit == "[ppm]" and _CO2.search(name) else None


def _guessed(name: str, value: float) -> Measured | None:
    if _TEMPERATURE.search(name):
        unit = "[degF]" if FAHRENHEIT.search(name) else "Cel"
        return Measured("temperature", unit, (f"the unit {unit}, from the name {name!r}",))
    if _HUMIDITY.search(name):
        return Measured("humidity", "%", (f"the unit %, from the name {name!r}",))
    if _PRESSURE.search(name) and _HECTOPASCAL[0] <= value <= _HECTOPASCAL[1]:
        return Measured("pressure", "hPa", (f"the unit hPa, from the name {name!r} and the size",))
    return Measured("co2", "[ppm]", ("the unit [ppm], from the name",)) if _CO2.search(name) else None
