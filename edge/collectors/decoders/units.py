"""Spellings of units that payloads use, as UCUM codes. Writing °C as Cel changes the name, not the value."""

UCUM = {
    "C": "Cel",
    "°C": "Cel",
    "℃": "Cel",
    "degC": "Cel",
    "celsius": "Cel",
    "Celsius": "Cel",
    "F": "[degF]",
    "°F": "[degF]",
    "℉": "[degF]",
    "degF": "[degF]",
    "fahrenheit": "[degF]",
    "Fahrenheit": "[degF]",
    "kelvin": "K",
    "Kelvin": "K",
    "%RH": "%",
    "%rH": "%",
    "% RH": "%",
    "percent": "%",
    "mbar": "mbar",
    "mmHg": "mm[Hg]",
    "inHg": "[in_i'Hg]",
    "psi": "[psi]",
    "lux": "lx",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "kWh": "kW.h",
    "Wh": "W.h",
    "VA": "V.A",
    "var": "V.A",
    "sec": "s",
    "rpm": "{rev}/min",
    "°": "deg",
    "µg/m³": "ug/m3",
    "dBm": "dB[mW]",
}

KNOWN_UNITS = frozenset(
    {*UCUM.values(), "%", "V", "A", "W", "hPa", "Pa", "kPa", "bar", "mV", "mA", "m", "cm", "s", "min", "h"}
)
"""UCUM codes by which the rest of a text is recognised as a unit."""

UNIT_MAX = 64
"""Characters of a unit; what a payload has beyond is no unit."""


def ucum(text: str) -> str:
    """The UCUM code of a unit as a payload spells it; a spelling we do not know stays as it is, bounded and Unicode."""
    spelled = text.strip()[:UNIT_MAX]
    return UCUM.get(spelled) or spelled.encode("utf-8", "replace").decode("utf-8")
