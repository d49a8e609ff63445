"""The zone's own conditions: out of its band, or silent. The operator's; what goods went through is another matter."""

from collections.abc import Iterator
from typing import Literal

from core.erp.exposure.events import ZoneState
from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.readings.profiles import BAND
from core.erp.exposure.rules.runs import run_containing
from core.erp.exposure.times import moment


def zone_states(fold: ZoneFold) -> Iterator[ZoneState]:
    """The conditions that have changed since the fold was last asked; all of them the first time.

    A spell out of the band that began and ended since then is both, so that one fold of six hours says what six hours
    of folds would have. What late data say of the time before raises no alarm: that is told by excursions and gaps.
    """
    for kind, active, at, value in (*_band(fold), *_stale(fold)):
        if fold.conditions.get(kind) is not active:
            fold.conditions[kind] = active
            yield ZoneState(fold.tail.setup.zone_id, kind, active, moment(at), value)
    fold.tail.reported_to = fold.tail.stop


def _band(fold: ZoneFold) -> Iterator[tuple[Literal["high", "low"], bool, int, float | None]]:
    band, seen = fold.tail.setup.band, fold.tail.current.get(BAND)
    if band is None or seen is None:
        return
    for limit in band.limits:
        kind: Literal["high", "low"] = "high" if limit.high else "low"
        tracks = seen.of(limit.key)
        still_open = bool(tracks.open) and tracks.open[-1][1] >= fold.tail.stop
        # silence is the stale alarm's; only what a reading said, however uncertain, moves the band's
        broken = [run for run in tracks.uncertain if run[1] > fold.tail.reported_to and run[1] - run[0] >= limit.delay]
        if broken:
            lasts = broken[-1][1] >= fold.tail.stop
            yield kind, True, broken[-1][0] + limit.delay, fold.value if lasts else None
        if not still_open:
            back = run_containing(tracks.open, broken[-1])[1] if broken else fold.tail.stop - 1
            yield kind, False, back, fold.value


def _stale(fold: ZoneFold) -> Iterator[tuple[Literal["stale"], bool, int, None]]:
    if not fold.tail.setup.monitored:
        return
    gap = min([fold.tail.setup.allowed_gap, *(profile.allowed_gap for profile in fold.tail.profiles.values())])
    last = fold.expected_since()
    if last is None:
        return
    active = fold.tail.watermark >= last + gap
    yield "stale", active, last + gap if active else max(fold.last_good_at.values(), default=last), None
