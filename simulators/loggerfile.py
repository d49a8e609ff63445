"""The file of a simulated logger in a refrigerator: a report with the device's own alarm record, or a table.

The device measures every minute and judges by that; it logs every few minutes. So its record and what its log tells
differ by minutes, as those of a real one do. The same seed and settings make the same file, to the byte.
"""

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import groupby

from core.telemetry.readers.text import SIMULATED

LOW, HIGH, DELAY = 2.0, 8.0, 60
"""The limits of a simulated logger (°C), and for how many minutes on end an alarm needs them broken."""
_FORM = re.compile(r"(\d+)@(\d\d?):(\d\d)\+(\d+)(?:=([+-]?\d+(?:\.\d+)?))?")
_WARMING, _COOLING = 7.0, 11.0
"""Minutes in which the air goes two thirds of the way, with the door open, and after."""
_MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Episode:
    """On a day (1 for the first), from a time, for so many minutes: the air goes to `peak` °C; None: a silence."""

    day: int
    at: time
    minutes: int
    peak: float | None = None

    @classmethod
    def read(cls, text: str) -> "Episode":
        """`3@11:20+100=12.5`: day 3, from 11:20, 100 minutes, to 12.5 °C; without `=` a silence. Raises ValueError."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not DAY@HH:MM+MINUTES=CELSIUS, or without =CELSIUS for a silence")
        day, hour, minute, minutes, peak = match.groups()
        return cls(int(day), time(int(hour), int(minute)), int(minutes), None if peak is None else float(peak))


USUAL = tuple(
    map(Episode.read, ("2@11:20+120=12.5", "3@14:05+45=10", "4@09:30+110=-1.5", "5@22:50+150=13", "6@03:00+180"))
)
"""A door left open, one closed in time, a thermostat set wrong, an alarm that runs on over midnight, a silence."""


@dataclass(frozen=True, slots=True)
class SimulatedLogger:
    """What is simulated. `start` is naive, as the device's clock shows it; `every` is in minutes."""

    seed: int = 7
    start: datetime = datetime(2026, 3, 2, 8, 0)  # noqa: DTZ001 - a device's clock has no zone
    days: int = 7
    every: int = 5
    episodes: Sequence[Episode] = field(default=USUAL)

    def __post_init__(self) -> None:
        if not 1 <= self.days <= _MOST_DAYS or not 1 <= self.every <= DELAY:
            raise ValueError(f"a logger runs 1 to {_MOST_DAYS} days and logs every 1 to {DELAY} minutes")

    @property
    def serial(self) -> str:
        """Its number, by the seed."""
        return f"SIM{self.seed:07d}"


@dataclass(frozen=True, slots=True)
class Minute:
    """What the device measured in a minute; `alarms` are the limits (0 low, 1 high) whose alarm is on by then."""

    at: datetime
    value: float
    out: tuple[bool, bool]
    alarms: tuple[bool, bool]


def minutes(logger: SimulatedLogger) -> Iterator[Minute]:
    """Every minute the device measured, in the order of time."""
    chance = random.Random(logger.seed)  # noqa: S311 - noise, not a secret
    air = 5.0
    since: list[int] = [0, 0]
    for count in range(logger.days * 1440):
        at = logger.start + timedelta(minutes=count)
        usual = 5.0 + 0.7 * math.sin(count * math.tau / 47) + 0.3 * math.sin(count * math.tau / 1440)
        episode = next((one for one in logger.episodes if _begin(logger, one) <= at < _end(logger, one)), None)
        target, slow = (usual, _COOLING) if episode is None or episode.peak is None else (episode.peak, _WARMING)
        air += (target - air) / slow + chance.gauss(0, 0.03)
        if episode is not None and episode.peak is None:
            since = [0, 0]  # a device that was off begins anew
            continue
        value = round(air, 1)
        out = (value < LOW, value > HIGH)
        since = [run + 1 if broken else 0 for run, broken in zip(since, out, strict=True)]
        yield Minute(at, value, out, (since[0] > DELAY, since[1] > DELAY))


def _begin(logger: SimulatedLogger, episode: Episode) -> datetime:
    return datetime.combine(logger.start.date() + timedelta(days=episode.day - 1), episode.at)


def _end(logger: SimulatedLogger, episode: Episode) -> datetime:
    return _begin(logger, episode) + timedelta(minutes=episode.minutes)


def report(logger: SimulatedLogger) -> str:
    """A text report as a Fridge-tag with a log writes it; unsigned, and marked as simulated in its first line."""
    measured = list(minutes(logger))
    logged = [minute for minute in measured if _is_logged(logger, minute)]
    days = [list(of_day) for _, of_day in groupby(measured, key=lambda minute: minute.at.date())]
    lines = [
        f"Device: Fridge-tag 2 L, {SIMULATED}",
        "Vers: 0.5",
        "Fw Vers: 4.0p0o",
        "Sensor: 1",
        "Conf:",
        f" Serial: {logger.serial}",
        " Zone: 0.00",
        " Temp unit: C",
        " Alarm:",
        f"  0:\n   T AL: {LOW:+.1f}, t AL: {DELAY}",
        f"  1:\n   T AL: {HIGH:+.1f}, t AL: {DELAY}",
        " Int Sensor:",
        "  Timeout: 1, Offset: +0.0",
        " Report history length: 60",
        " Use ext devices: 0",
        f" Logging Interval: {logger.every}",
        "Hist:",
        f" TS Actv: {logger.start:%Y-%m-%d %H:%M}",
        f" TS Report Creation: {measured[-1].at + timedelta(minutes=1):%Y-%m-%d %H:%M}",
    ]
    for number, day in enumerate(reversed(days), start=1):
        lines += _day(number, day)
    lines += ["Data:", "\tyyyy-MM-dd hh:mm\tT\tOut of limits"]
    lines += [f"\t{m.at:%Y-%m-%d %H:%M}\t{m.value:.1f}{chr(9) + 'x' if any(m.out) else ''}" for m in logged]
    return "\n".join([*lines, ""])


def _is_logged(logger: SimulatedLogger, minute: Minute) -> bool:
    return (minute.at - logger.start) % timedelta(minutes=logger.every) == timedelta(0)


def _day(number: int, day: Sequence[Minute]) -> list[str]:
    """The device's record of one of its days, the newest being number 1."""
    low, high = min(day, key=lambda minute: minute.value), max(day, key=lambda minute: minute.value)
    average = sum(minute.value for minute in day) / len(day)
    lines = [
        f" {number}:",
        f"  Date: {day[0].at:%Y-%m-%d}",
        f"  Min T: {low.value:+.1f}, TS Min T: {low.at:%H:%M}",
        f"  Max T: {high.value:+.1f}, TS Max T: {high.at:%H:%M}",
        f"  Avrg T: {average:+.1f}",
        "  Alarm:",
    ]
    for limit in (0, 1):
        out = sum(minute.out[limit] for minute in day)
        begun = next((minute.at for minute in day if minute.alarms[limit]), None)
        lines += [f"   {limit}:", f"    t Acc: {out}" + (f", TS A: {begun:%H:%M}, C A: 0" if begun else "")]
    return [*lines, "  Int Sensor timeout:", "   t AccST: 0", "  Events: 0"]


def table(logger: SimulatedLogger) -> str:
    """The same log as a table, with the device's marks as events; times are in UTC, and its heading says so."""
    lines = [f"# {SIMULATED}", f"Serial: {logger.serial}", "", "Time (UTC+00:00);Temperature (°C);Event"]
    alarmed = False
    for minute in minutes(logger):
        if any(minute.alarms) and not alarmed:
            lines.append(f"{minute.at:%Y-%m-%d %H:%M:%S};;Alarm")
        alarmed = any(minute.alarms)
        if _is_logged(logger, minute):
            lines.append(f"{minute.at:%Y-%m-%d %H:%M:%S};{minute.value:.1f};")
    return "\n".join([*lines, ""])
