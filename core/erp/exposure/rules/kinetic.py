"""Mean kinetic temperature over a rolling window, judged whenever an hour closes (USP <1079.2>)."""

import math
from collections.abc import Mapping, Sequence

from core.erp.exposure.rules.assess import Break
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.summary import Summary
from core.telemetry.mkt import GAS_CONSTANT, KELVIN

MKT = "mkt"
"""The limit key, and the kind, of a break of the mean kinetic temperature."""


def kinetic_mean(arrhenius: float, covered: int, activation_energy: float) -> float | None:
    """MKT in °C from the sum of time × e^(−ΔH/RT) and the time it is over; None where nothing was covered."""
    if covered <= 0 or arrhenius <= 0:
        return None
    return (activation_energy / GAS_CONSTANT) / -math.log(arrhenius / covered) - KELVIN


def applicable(profile: Profile) -> bool:
    """Whether MKT means anything for these goods: never for frozen ones (a limit at or below 0 °C)."""
    return profile.mkt_limit is not None and profile.mkt_limit > 0 and profile.mkt_window > 0


def kinetic_breaks(profile: Profile, hours: Sequence[Summary], zones: Mapping[int, int]) -> list[Break]:
    """The spells during which the MKT of the trailing window was above the limit.

    `hours` are whole hours in order, `zones` gives by an hour's start the zone it was spent in. A window counts only
    if it is covered throughout: otherwise MKT is not applicable, and never a pass or a fault. A spell starts where
    its first window starts, breaks where that window ends, and is out as long as the trailing mean is.
    """
    if not applicable(profile) or profile.mkt_limit is None or not hours:
        return []
    width = hours[0].stop - hours[0].start
    count = max(profile.mkt_window // width, 1)
    out: list[Break] = []
    spell: list[Summary] | None = None
    for index, hour in enumerate(hours):
        window = hours[max(index + 1 - count, 0) : index + 1]
        above = _whole(window, count) and _mean(window, profile) > profile.mkt_limit
        if above:
            spell = [*(spell or [window[0]]), hour]
        elif spell is not None:
            out.append(_spell(spell, spell[-1].stop, zones))
            spell = None
    if spell is not None:
        out.append(_spell(spell, None, zones))
    return out


def warm_until(profile: Profile, hours: Sequence[Summary]) -> int:
    """Until when windows hold an hour that was warmer than the limit, and one hour more in which they may end."""
    limit = math.inf if profile.mkt_limit is None else profile.mkt_limit
    warm = [hour for hour in hours if hour.highest is not None and hour.highest > limit]
    return warm[-1].stop + profile.mkt_window + (warm[-1].stop - warm[-1].start) if warm else 0


def _whole(window: Sequence[Summary], count: int) -> bool:
    return (
        len(window) == count
        and all(hour.covered == hour.stop - hour.start for hour in window)
        and window[-1].stop - window[0].start == sum(hour.stop - hour.start for hour in window)
    )


def _mean(window: Sequence[Summary], profile: Profile) -> float:
    mean = kinetic_mean(
        sum(hour.arrhenius for hour in window), sum(hour.covered for hour in window), profile.activation_energy
    )
    return -math.inf if mean is None else mean


def _spell(spell: Sequence[Summary], ended: int | None, zones: Mapping[int, int]) -> Break:
    first, above = spell[0], spell[1:]
    return Break(
        MKT,
        MKT,
        first.start,
        above[0].stop,
        ended,
        "proven",
        sum(hour.stop - hour.start for hour in above),
        zones[above[0].start],
    )
