"""What a profile would have found in a zone over a span that has passed: the judge's own rules on the readings as they
stand. Nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.readings.trace import by_quantity, first_known, load_readings
from core.erp.exposure.readings.zone_setup import ZoneSetup
from core.erp.exposure.rules.assess import Break, Slice, assess
from core.erp.exposure.rules.kinetic import kinetic_breaks
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.signal import within
from core.erp.exposure.rules.summary import Summary, ZoneView, add
from core.erp.exposure.times import BUCKET, bucket, micros

DAY = 24 * BUCKET
"""Readings are taken a day at a time."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Every break that goods would have had that stood in the zone over all of [start, stop); times in microseconds.

    `covered`: how much of it good readings cover. `lowest` and `highest` are of good readings.
    """

    start: int
    stop: int
    breaks: tuple[Break, ...]
    covered: int
    lowest: float | None
    highest: float | None


def preview(conn: Connection, zone_id: int, profile: Profile, start: datetime, now: datetime) -> Preview | None:
    """What the profile would have found since `start`, or since the zone was first measured, from the beginning of that
    hour up to what is known of the zone. None where nobody measures.
    """
    history = ExposureHistory(conn, now)
    setup = history.setup(zone_id)
    if not setup.monitored:
        return None
    begun = first_known(conn, [setup])[zone_id]
    end = history.known_to(zone_id)
    begin = end if begun is None else bucket(max(micros(start), begun))
    hours = list(_hours(conn, setup, profile, begin, end, history.watermark(zone_id) + 1))
    if not hours:
        return Preview(begin, begin, (), 0, None, None)
    whole = add(hours)
    kinetic = kinetic_breaks(
        profile, [hour for hour in hours if hour.stop - hour.start == BUCKET], {hour.start: zone_id for hour in hours}
    )
    found = assess(profile, [Slice(zone_id, begin, end, whole.seen)]).breaks
    return Preview(begin, end, (*found, *kinetic), whole.covered, whole.lowest, whole.highest)


def _hours(
    conn: Connection, setup: ZoneSetup, profile: Profile, begin: int, end: int, silence_known_to: int
) -> Iterator[Summary]:
    for day in range(begin, end, DAY):
        until = min(day + DAY, end)
        traces = by_quantity(setup, load_readings(conn, setup, day, until, profile.allowed_gap))
        for hour in range(day, until, BUCKET):
            stop = min(hour + BUCKET, until)
            yield ZoneView(within(traces, hour, stop), hour, stop, silence_known_to).summary(profile)
