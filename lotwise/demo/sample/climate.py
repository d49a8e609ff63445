"""Two weeks of each zone's temperature, as rooms, trucks and freezers go through them."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from lotwise.demo.sample.site import PLACES, Place, point_of

EVERY = timedelta(minutes=5)
RECOVERY = 0.7
"""Hours in which two thirds of a rise are gone."""
UNCERTAIN = 0.002
"""How many readings are, of all."""


@dataclass(frozen=True, slots=True)
class Rise:
    """It gets warmer: begins so many hours ago, for so many hours, by so many degrees at most."""

    ago: float
    hours: float
    degrees: float

    def at(self, ago: float) -> float:
        """What it adds, as rooms do: up by exponentials, and back."""
        since = self.ago - ago
        if since < 0:
            return 0.0
        if since < self.hours:
            return self.degrees * (1 - math.exp(-2.5 * since / self.hours))
        return self.degrees * (1 - math.exp(-2.5)) * math.exp(-(since - self.hours) / RECOVERY)


@dataclass(frozen=True, slots=True)
class Climate:
    """What happens to a zone: rises, silences (hours ago, from and to), and what comes again and again."""

    rises: tuple[Rise, ...] = ()
    silences: tuple[tuple[float, float], ...] = ()
    defrosts: bool = False
    follows_weather: bool = False

    def added(self, ago: float) -> float | None:
        """What is added to the temperature so many hours ago; None where nothing was measured."""
        if any(end < ago <= start for start, end in self.silences):
            return None
        added = sum(rise.at(ago) for rise in self.rises)
        if self.defrosts:
            added += max(0.0, 14.0 - abs(ago % 46.0 - 20.0) * 30.0)
        if self.follows_weather:
            added += 1.6 * math.sin(ago / 24.0 * 2 * math.pi) + 1.5
        return added


EVER = -1e9
CLIMATES = {
    "steady": Climate(),
    "compressor": Climate(rises=(Rise(5.2, 9.0, 7.5), Rise(222.0, 3.4, 6.0), Rise(130.0, 0.7, 4.0))),
    "sensor_fails": Climate(silences=((3.1, EVER), (101.4, 100.0))),
    "door": Climate(rises=(Rise(28.0, 2.2, 9.0), Rise(170.0, 1.6, 7.0))),
    "gaps": Climate(silences=((53.0, 50.0), (200.8, 200.0))),
    "power_cut": Climate(rises=(Rise(78.0, 4.5, 10.0),), silences=((76.2, 75.0),)),
    "defrost": Climate(defrosts=True),
    "summer": Climate(rises=(Rise(100.0, 5.0, 5.5),), follows_weather=True),
}


def readings(start: datetime, stop: datetime, now: datetime) -> Iterator[Reading]:
    """What every zone's thermometer said in [start, stop), by zone."""
    for place in PLACES:
        yield from _of(place, start, stop, now)


def _of(place: Place, start: datetime, stop: datetime, now: datetime) -> Iterator[Reading]:
    dice = random.Random(f"{place.address} {start.isoformat()}")  # noqa: S311 - no secret
    climate = CLIMATES[place.climate]
    assert place.low is not None
    assert place.high is not None
    middle = min(place.low + (place.high - place.low) / 2, 20.5)
    at = start
    while at < stop:
        added = climate.added((now - at).total_seconds() / 3600)
        if added is not None:
            swing = 0.35 * math.sin(at.timestamp() / 3600 * 2 * math.pi / 0.9)
            value = round(middle + swing + added + dice.gauss(0, 0.08), 1)
            uncertain = dice.random() < UNCERTAIN
            yield Reading(
                point_of(place.address),
                at,
                value,
                "Cel",
                at,
                None,
                Quality.UNCERTAIN if uncertain else Quality.GOOD,
                Reason.DEVICE if uncertain else Reason.NONE,
            )
        at += EVERY
