"""Looks at all sensors and says which are not to be trusted, and which are again. Places no hold and judges nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Engine

from core.erp.exposure.events import SensorState, SensorStates
from core.erp.exposure.rules.sensor import (
    DAY,
    HOUSE,
    Finding,
    Hour,
    Kind,
    Samples,
    drifts,
    jumps,
    misses_defrosts,
    stuck,
)
from core.erp.exposure.sensors.samples import (
    Watched,
    forget_old,
    keep_hours,
    kept_hours,
    milliseconds,
    moment,
    readings,
    watched,
)
from core.erp.kernel.events import Events
from core.erp.kernel.unit import system, unit
from core.erp.kernel.words import Message

ZONES_AT_ONCE = 20


def look_at_sensors(engine: Engine, events: Events, now: datetime) -> int:
    """Looks at every sensor in use; returns how many findings stand."""
    with engine.connect() as conn:
        zones = list(watched(conn).values())
    standing = 0
    for first in range(0, len(zones), ZONES_AT_ONCE):
        standing += _look(engine, events, zones[first : first + ZONES_AT_ONCE], now)
    forget_old(engine, now)
    return standing


def _look(engine: Engine, events: Events, zones: Sequence[Sequence[Watched]], now: datetime) -> int:
    points = [point for zone in zones for point in zone]
    with engine.connect() as conn:
        found = readings(conn, points, now)
    keep_hours(engine, found, now)
    with engine.connect() as conn:
        past = kept_hours(conn, [point.id for point in points], now)
    states = [state for zone in zones for state in _states(zone, found, past, now)]
    if states:
        with unit(engine, system("sensors"), events, now) as u:
            u.emit(SensorStates(tuple(states)))
    return sum(state.active for state in states)


def _states(
    zone: Sequence[Watched], found: Mapping[int, Samples], past: Mapping[int, Sequence[Hour]], now: datetime
) -> list[SensorState]:
    """Every condition of every sensor of a zone, as it is now. Of one that says too little nothing is known."""
    at = milliseconds(now)
    day = {point.id: found[point.id].between(at - DAY, at) for point in zone}
    states = []
    for point in zone:
        if len(day[point.id]) < HOUSE.least_readings:
            continue
        beside = [one for one in zone if one.id != point.id and one.quantity == point.quantity]
        others = [day[one.id] for one in beside]
        mine: dict[Kind, tuple[Finding, Watched | None] | None] = {
            Kind.STUCK: _alone(stuck(day[point.id], past[point.id], others, at)),
            Kind.JUMPS: _alone(jumps(day[point.id], others, at)),
            Kind.DRIFTS: _drift(point, beside, past, at),
            Kind.NO_DEFROST: _alone(misses_defrosts(day[point.id], past[point.id], others, at)),
        }
        if mine[Kind.STUCK] is not None:
            mine[Kind.NO_DEFROST] = None  # one that stands still misses them for that
        states += [_state(point, kind, one, now) for kind, one in mine.items()]
    return states


def _alone(finding: Finding | None) -> tuple[Finding, None] | None:
    return None if finding is None else (finding, None)


def _drift(
    point: Watched, beside: Sequence[Watched], past: Mapping[int, Sequence[Hour]], at: int
) -> tuple[Finding, Watched] | None:
    """Whether it drifted from most of the probes beside it; with two alone, both have from the other."""
    found = [(finding, one) for one in beside if (finding := drifts(past[point.id], past[one.id], at)) is not None]
    if len(found) * 2 <= len(beside):
        return None
    return max(found, key=lambda one: abs(one[0].figures["moved"]))


def _state(point: Watched, kind: Kind, found: tuple[Finding, Watched | None] | None, now: datetime) -> SensorState:
    if found is None:
        return SensorState(point.zone_id, point.id, f"sensor_{kind}", active=False, at=now, detail=None)
    finding, other = found
    detail = _MESSAGES[kind](point, finding.figures, other)
    return SensorState(point.zone_id, point.id, f"sensor_{kind}", active=True, at=moment(finding.since), detail=detail)


def _stuck(point: Watched, figures: Mapping[str, float], _: Watched | None) -> Message:
    said: dict[str, str | float] = {
        "point": point.address,
        "value": round(figures["value"], 2),
        "hours": round(figures["hours"], 1),
    }
    if figures["neighbour"] < HOUSE.neighbour_moves:
        return Message("exposure.sensor_stuck", **said)
    return Message("exposure.sensor_stuck_beside", **said, moved=round(figures["neighbour"], 2))


def _jumps(point: Watched, figures: Mapping[str, float], _: Watched | None) -> Message:
    largest = round(figures["largest"], 2)
    return Message("exposure.sensor_jumps", point=point.address, times=int(figures["count"]), largest=largest)


def _drifts(point: Watched, figures: Mapping[str, float], other: Watched | None) -> Message:
    said = {name: round(figures[name], 2) for name in ("before", "after", "moved")}
    return Message("exposure.sensor_drifts", point=point.address, probe=other.address if other else "", **said)


def _no_defrost(point: Watched, figures: Mapping[str, float], _: Watched | None) -> Message:
    said = {name: round(figures[name]) for name in ("missed", "expected")}
    return Message("exposure.sensor_no_defrost", point=point.address, **said)


_MESSAGES = {Kind.STUCK: _stuck, Kind.JUMPS: _jumps, Kind.DRIFTS: _drifts, Kind.NO_DEFROST: _no_defrost}
