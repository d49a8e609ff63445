"""The lines that values should not cross: limits of products in their own words, and a zone's band."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.service import budget_of
from core.telemetry.units import CANONICAL
from core.web.charts.document import Bound
from core.web.frame.templating import Words

UNITS = {"Cel": "°C", "[degF]": "°F", "K": "K", "%": "%", "Pa": "Pa"}
"""How people write the canonical units."""

_LIMITS = {
    "instant": "web.chart_limit_instant",
    "consecutive": "web.chart_limit_consecutive",
    "cumulative": "web.chart_limit_cumulative",
}


def unit_of(quantity: str, unit: str = "") -> str:
    """The unit in which charts show a quantity."""
    return UNITS.get(CANONICAL.get(quantity, unit), CANONICAL.get(quantity, unit))


@dataclass(frozen=True, slots=True)
class _Said:
    """One line, as long as it may be told and as short as it can be."""

    kind: str
    high: bool
    value: float
    label: str
    short: str
    broken: bool


def limits(words: Words, profiles: Iterable[Profile], quantity: str, broken: Collection[str] = ()) -> list[_Said]:
    """The products' limits of one quantity; those with the keys `broken` were broken."""
    return [
        _limit(words, profile, limit, broken=limit.key in broken)
        for profile in profiles
        for limit in profile.limits
        if limit.quantity == quantity
    ]


def _limit(words: Words, profile: Profile, limit: Limit, *, broken: bool) -> _Said:
    value = words.num(limit.threshold, unit_of(limit.quantity))
    allowed = timedelta(microseconds=budget_of(profile, limit)[0])
    lasts = words.lasting(allowed)
    said = {"value": value, "time": lasts}
    return _Said(
        "limit",
        limit.high,
        limit.threshold,
        words.t(_LIMITS[limit.kind], **said),
        value if limit.kind == "instant" else words.t("web.chart_limit_short", **said),
        broken,
    )


def band(words: Words, low: float | None, high: float | None) -> list[_Said]:
    """A zone's own band, in degrees Celsius."""
    label = words.t("web.chart_band")
    return [
        _Said("band", upper, value, f"{label}: {words.num(value, UNITS['Cel'])}", words.num(value, UNITS["Cel"]), False)
        for upper, value in ((False, low), (True, high))
        if value is not None
    ]


def drawn(found: Sequence[_Said]) -> list[Bound]:
    """The lines, each once: what several say of one value stands beside each other. Limits come before bands."""
    by_place: dict[tuple[bool, float], list[_Said]] = {}
    for one in sorted(found, key=lambda one: (not one.broken, one.kind != "limit")):
        by_place.setdefault((one.high, one.value), []).append(one)
    return [
        Bound(
            kind="limit" if alike[0].kind == "limit" else "band",
            high=high,
            value=value,
            label=" · ".join(dict.fromkeys(one.label for one in alike)),
            short=alike[0].short,
            broken=any(one.broken for one in alike),
        )
        for (high, value), alike in by_place.items()
    ]
