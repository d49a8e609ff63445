"""Units by their UCUM codes, and the conversions that readings need. Nothing is converted silently."""

from collections.abc import Callable


class NotConvertible(ValueError):
    """The two units measure different things, or one of them is not known here."""


_Affine = tuple[float, float]
"""(factor, offset): value in the dimension's base unit = value × factor + offset."""

# UCUM codes, case-sensitive; base unit of each dimension first
_DIMENSIONS: dict[str, dict[str, _Affine]] = {
    "temperature": {"K": (1.0, 0.0), "Cel": (1.0, 273.15), "[degF]": (5 / 9, 273.15 - 32 * 5 / 9)},
    "fraction": {"1": (1.0, 0.0), "%": (0.01, 0.0), "[ppm]": (1e-6, 0.0), "%{RH}": (0.01, 0.0)},
    "pressure": {"Pa": (1.0, 0.0), "hPa": (100.0, 0.0), "kPa": (1000.0, 0.0), "mbar": (100.0, 0.0), "bar": (1e5, 0.0)},
    "potential": {"V": (1.0, 0.0), "mV": (1e-3, 0.0)},
    "time": {"s": (1.0, 0.0), "ms": (1e-3, 0.0), "min": (60.0, 0.0), "h": (3600.0, 0.0)},
    "power": {"W": (1.0, 0.0), "kW": (1000.0, 0.0)},
    "mass": {"g": (1.0, 0.0), "kg": (1000.0, 0.0), "mg": (1e-3, 0.0)},
    "volume": {"L": (1.0, 0.0), "mL": (1e-3, 0.0), "m3": (1000.0, 0.0)},
    "count": {"": (1.0, 0.0), "{count}": (1.0, 0.0), "{piece}": (1.0, 0.0)},
}
_WHERE = {unit: dimension for dimension, units in _DIMENSIONS.items() for unit in units}

CANONICAL = {"temperature": "Cel", "humidity": "%", "pressure": "Pa"}
"""In what these quantities are judged, whatever their points and limits are given in."""

# the exact ones spelled out, so that 41 °F is 5 °C and not 4.999999999999986
_EXACT: dict[tuple[str, str], Callable[[float], float]] = {
    ("[degF]", "Cel"): lambda value: (value - 32) * 5 / 9,
    ("Cel", "[degF]"): lambda value: value * 9 / 5 + 32,
    ("K", "Cel"): lambda value: round(value - 273.15, 9),
    ("Cel", "K"): lambda value: round(value + 273.15, 9),
    ("hPa", "Pa"): lambda value: value * 100,
}


def convertible(source: str, target: str) -> bool:
    """Whether values in one unit can be given in the other."""
    return source == target or (source in _WHERE and _WHERE[source] == _WHERE.get(target))


def alike(unit: str) -> tuple[str, ...]:
    """The units that its values can be given in, itself among them."""
    return tuple(_DIMENSIONS[_WHERE[unit]]) if unit in _WHERE else (unit,)


def convert(value: float, source: str, target: str) -> float:
    """The value, given in UCUM unit `source`, in `target`. Raises NotConvertible."""
    if source == target:
        return value
    exact = _EXACT.get((source, target))
    if exact is not None:
        return exact(value)
    if not convertible(source, target):
        raise NotConvertible(f"{source!r} cannot be given in {target!r}")
    units = _DIMENSIONS[_WHERE[source]]
    factor, offset = units[source]
    target_factor, target_offset = units[target]
    return (value * factor + offset - target_offset) / target_factor
