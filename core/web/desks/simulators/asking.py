"""From a form of the simulators' pages to what is asked of them: figures as numbers, faults by field."""

import math
from collections.abc import Mapping
from typing import Any

from core.erp.kernel.digits import whole
from core.erp.kernel.words import Message
from core.web.desks.simulators.port import Asked, KnownScenario

MINUTES_MOST, FASTEST = 24 * 60, 100_000
TEXTS = ("do", "zone", "device", "fault", "over", "state")
NUMBERS = ("to", "amount")
LONGEST = 200
FIELDS = {
    "minutes": "web.sim_minutes",
    "speed_up": "web.sim_speed_up",
    "seed": "web.sim_seed",
    "broker": "web.sim_broker",
    "seconds": "web.sim_for_seconds",
    "to": "web.sim_to",
    "amount": "web.sim_amount",
    "unit": "web.sim_unit",
}
Errors = dict[str, Message]


def as_in_file(known: KnownScenario) -> dict[str, str]:
    """What the form of a scenario begins with."""
    figures = {"minutes": f"{known.duration / 60:g}", "speed_up": f"{known.speed_up:g}", "seed": str(known.seed)}
    return figures | ({"broker": known.broker} if known.broker is not None else {})


def asked_of(known: KnownScenario, written: Mapping[str, str]) -> tuple[Asked, Errors]:
    """The run that is asked for; what is wrong with it, by field."""
    errors: Errors = {}
    minutes = _number("minutes", written.get("minutes", ""), errors, MINUTES_MOST)
    speed_up = _number("speed_up", written.get("speed_up", ""), errors, FASTEST)
    seed, broker = written.get("seed", ""), written.get("broker", "")
    if seed and whole(seed) is None:
        errors["seed"] = Message("web.no_number")
    host, _, port = broker.rpartition(":")
    if broker and not (host and whole(port)):
        errors["broker"] = Message("web.no_host_and_port")
    duration = None if minutes is None else minutes * 60
    return Asked(known.name, duration, speed_up, whole(seed), broker or None), errors


def event_of(written: Mapping[str, str]) -> tuple[dict[str, Any], Errors]:
    """What is to happen, as a scenario's file says it; what is wrong with it, by field."""
    errors: Errors = {}
    found: dict[str, Any] = {name: written[name][:LONGEST] for name in TEXTS if written.get(name)}
    if written.get("unit"):
        found["unit"] = whole(written["unit"])
        if found["unit"] is None:
            errors["unit"] = Message("web.no_number")
    for name in NUMBERS:
        value = _number(name, written.get(name, ""), errors, None)
        if value is not None:
            found[name] = value
    seconds = _number("seconds", written.get("seconds", ""), errors, MINUTES_MOST * 60)
    return (found | {"for": seconds} if seconds is not None else found), errors


def _number(name: str, text: str, errors: Errors, most: int | None) -> float | None:
    """What was written; None where nothing was, or no number. With `most` it is above zero and no more."""
    if not text:
        return None
    try:
        value = float(text.replace("\u2212", "-"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        errors[name] = Message("web.no_number")
    elif most is not None and not 0 < value <= most:
        errors[name] = Message("web.not_between", least=0, most=most)
    else:
        return value
    return None
