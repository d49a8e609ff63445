"""Mean kinetic temperature: the one steady temperature that would have done the same harm (USP <1079.2)."""

import math
from collections.abc import Sequence

GAS_CONSTANT = 0.008314472
"""R in kJ/(mol·K)."""
ACTIVATION_ENERGY = 83.14472
"""ΔH in kJ/mol where a product declares none; ΔH/R is then 10 000 K."""
KELVIN = 273.15


class NotApplicable(ValueError):
    """Mean kinetic temperature says nothing here: no time covered, or goods whose upper limit is below freezing."""


def mean_kinetic_temperature(
    values: Sequence[float], seconds: Sequence[float], activation_energy: float = ACTIVATION_ENERGY
) -> float:
    """MKT in °C of `values` (°C), each standing for as many `seconds`; never below the time-weighted mean.

    Tk = (ΔH/R) / −ln( Σ tᵢ·e^(−ΔH/(R·Tᵢ)) / Σ tᵢ ), T in kelvin (USP <1079.2). The exponents are taken relative to
    the warmest value, so that no sum underflows. Raises NotApplicable when no time is covered, ValueError when the
    lengths differ, a weight is negative, a value is not above absolute zero or the energy is not positive.
    """
    if len(values) != len(seconds):
        raise ValueError(f"{len(values)} values but {len(seconds)} intervals")
    if not activation_energy > 0:
        raise ValueError(f"activation energy {activation_energy} kJ/mol is not positive")
    if any(not weight >= 0 for weight in seconds):
        raise ValueError("an interval is negative")
    if any(not value > -KELVIN or not math.isfinite(value) for value in values):
        raise ValueError("a value is not a temperature above absolute zero")
    total = math.fsum(seconds)
    if not total > 0:
        raise NotApplicable("no time is covered by readings")
    ratio = activation_energy / GAS_CONSTANT
    warmest = max(value for value, weight in zip(values, seconds, strict=True) if weight > 0) + KELVIN
    harm = math.fsum(
        weight * math.exp(ratio * (1 / warmest - 1 / (value + KELVIN)))
        for value, weight in zip(values, seconds, strict=True)
    )
    return ratio / (ratio / warmest - math.log(harm / total)) - KELVIN
