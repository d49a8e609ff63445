"""Rules on what the catalog may say. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from core.erp.kernel.errors import Invalid
from core.erp.kernel.words import Message
from core.telemetry.units import CANONICAL, alike, convertible

UNITS_OF_GOODS = (
    "each",
    "piece",
    "vial",
    "ampoule",
    "syringe",
    "bottle",
    "bag",
    "box",
    "pack",
    "carton",
    "kit",
    "set",
    "pair",
    "roll",
    "tablet",
    "capsule",
)
"""Units of measure of items that have a word in each language; any other stands as it was written."""
WORDS = {
    "state.calibration": ("recorded", "to_sign", "signed", "refused"),
    "record": ("profile_version",),
    "unit": UNITS_OF_GOODS,
}
"""A calibration's states, which it has no column for, as it is never changed; what is linked to and no entity."""


class Limit(Protocol):
    """One limit of a profile version, as its table has it."""

    key: str
    quantity: str
    unit: str
    kind: str
    delay: timedelta
    hysteresis: float
    allowance: str | None


def unit_fault(quantity: str, unit: str) -> Message | None:
    """What is wrong with a quantity's unit, or None: what is judged in one unit must be given in one of its kind.

    A limit whose unit cannot be converted could be judged by nobody.
    """
    canonical = CANONICAL.get(quantity)
    if canonical is None or convertible(unit, canonical):
        return None
    return Message("catalog.not_measured_in", quantity=quantity, unit=unit, units=list(alike(canonical)))


def faults(limits: Sequence[Limit], allowed_gap: timedelta) -> list[Message]:
    """What is wrong with a profile version's limits; an empty list: nothing."""
    found: list[Message] = []
    if allowed_gap <= timedelta(0):
        found.append(Message("catalog.no_gap_allowed"))
    keys = [limit.key for limit in limits]
    found += [Message("catalog.two_limits", key=key) for key in sorted({k for k in keys if keys.count(k) > 1})]
    for limit in limits:
        if limit.kind == "instant" and limit.delay != timedelta(0):
            found.append(Message("catalog.instant_has_delay", key=limit.key))
        if limit.kind != "instant" and limit.delay <= timedelta(0):
            found.append(Message("catalog.limit_without_delay", key=limit.key))
        if (fault := unit_fault(limit.quantity, limit.unit)) is not None:
            found.append(Message("catalog.limit_fault", key=limit.key, fault=fault))
        if limit.hysteresis < 0:
            found.append(Message("catalog.negative_hysteresis", key=limit.key))
    for allowance in {limit.allowance for limit in limits if limit.allowance is not None}:
        sharing = [limit for limit in limits if limit.allowance == allowance]
        if any(limit.kind != "cumulative" for limit in sharing):
            found.append(Message("catalog.shared_by_others", allowance=allowance))
        if len({limit.delay for limit in sharing}) > 1:
            found.append(Message("catalog.shared_of_different_time", allowance=allowance))
    return found


def within(error: float, tolerance: float, uncertainty: float | None = None, *, guarded: bool = False) -> bool:
    """Whether an error, either way, is within the tolerance; guarded: even if the uncertainty is added to it."""
    return abs(error) + (uncertainty or 0.0 if guarded else 0.0) <= tolerance


def calibration_passed(
    stated: bool | None,
    error: float,
    tolerance: float | None,
    uncertainty: float | None = None,
    *,
    guarded: bool = False,
) -> bool:
    """Whether a sensor was found good: as `within` says; without a tolerance as it is stated, else only if there was no
    error. Raises Invalid for a contradiction, or for a failure without an error.
    """
    if tolerance is None:
        found = (not error) if stated is None else stated
    else:
        found = within(error, tolerance, uncertainty, guarded=guarded)
        if stated is not None and stated != found:
            name = "catalog.found_within" if found else "catalog.found_beyond"
            raise Invalid(name, error=f"{error:g}", tolerance=f"{tolerance:g}")
    if not found and not error:
        raise Invalid("catalog.failed_without_error")
    return found


def left_good(error: float | None, tolerance: float | None, uncertainty: float | None, *, guarded: bool) -> bool:
    """Whether it was left good: what was not measured again was not adjusted, or is good by whoever adjusted it.

    Raises Invalid for an error that no tolerance says anything about.
    """
    if error is None:
        return True
    if tolerance is None:
        raise Invalid("catalog.left_without_tolerance")
    return within(error, tolerance, uncertainty, guarded=guarded)
