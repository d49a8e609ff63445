"""The nearest thresholds of a zone: while values stay inside them, no profile sees anything (design §2.7)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.erp.exposure.rules.profile import Limit, Profile


@dataclass(frozen=True, slots=True)
class SafeRange:
    """Values that are in range, and back past every hysteresis, under all limits of a quantity; both ends belong."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class NearestThresholds:
    """The narrowest of all profiles of a zone. `gap` is the shortest time that any lets a value speak; `gaps` are all
    of them, microseconds.
    """

    gap: int
    gaps: tuple[int, ...]
    inside: Mapping[str, SafeRange]
    """By quantity; one without limits is not in it."""


def nearest(profiles: Iterable[Profile], zone_gap: int) -> NearestThresholds:
    """The nearest thresholds of the profiles, for a zone that lets its own points be silent for `zone_gap`."""
    profiles = list(profiles)
    by_quantity: dict[str, list[Limit]] = {}
    for profile in profiles:
        for limit in profile.limits:
            by_quantity.setdefault(limit.quantity, []).append(limit)
    gaps = sorted({zone_gap, *(profile.allowed_gap for profile in profiles)})
    return NearestThresholds(
        gaps[0], tuple(gaps), {quantity: _safe_range(limits) for quantity, limits in by_quantity.items()}
    )


def _safe_range(limits: Iterable[Limit]) -> SafeRange:
    lows, highs = [-math.inf], [math.inf]
    for limit in limits:
        if limit.high:
            highs.append(limit.back if limit.op == ">" else math.nextafter(limit.back, -math.inf))
        else:
            lows.append(limit.back if limit.op == "<" else math.nextafter(limit.back, math.inf))
    return SafeRange(max(lows), min(highs))
