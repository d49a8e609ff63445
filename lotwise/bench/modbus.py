"""Many Modbus devices, polled in step with the clock: what a gateway takes, and how evenly."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from lotwise.bench.figures import figure
from lotwise.bench.gateway import Gateway, devices, load, measured

EVERY = 1.0
SETTLED = 3.0
"""Seconds of polling before the span begins that is measured."""
METHOD = (
    "good readings of {devices} devices, {dead} of them dead (every other one takes connections and never answers, the"
    " others take none), a TCP connection to each, {registers} registers as one point each every {every:.0f} s, in one"
    " block; the devices one process that answers from memory, the gateway `lotwise edge run` with a stream and without"
    " a core; counted are those that its spool has, fsynced, by their time within {seconds:.1f} s that begin"
    " {settled:.0f} s after every live device has answered once; all on one machine, {load}"
)

LOST = (
    "intervals that passed without a good reading, of every point of every live device, within the same span: a poll"
    " that is lost counts once for each of its registers"
)
JITTER = "how far from the interval two neighbouring readings of a point are apart, 99 % at most, within the same span"
CPU = "processor seconds of the gateway's process, user and system, over the same span, by the good readings in it"
START = (
    "from the start of the gateway's process until the last live device had been read once; first turns are spread"
    " over an interval"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How many devices, registers of each, dead ones; seconds measured."""

    devices: int
    registers: int
    dead: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Polled:
    """What was kept: values in the span, polls that live devices missed, deviations from the interval in ms, and
    when the last live device had been read once (s since 1970).
    """

    values: int
    lost: int
    deviations: list[float]
    first: float


def sources(ports: list[int], registers: int) -> list[dict[str, Any]]:
    """A source for each device."""
    return [
        {
            "name": f"d{number}",
            "protocol": "modbus",
            "transport": {"kind": "tcp", "host": "127.0.0.1", "port": port},
            "units": [
                {
                    "id": 1,
                    "every": EVERY,
                    "points": [
                        {
                            "point": f"b1/store/z{number // 4}/d{number}/r{register}",
                            "table": "holding",
                            "address": register,
                            "type": "int16",
                            "scale": 0.1,
                            "unit": "Cel",
                        }
                        for register in range(registers)
                    ],
                }
            ],
        }
        for number, port in enumerate(ports)
    ]


def polled(readings: Iterable[Reading], begin: datetime, end: datetime) -> Polled:
    """What the kept readings show between two instants. A poll is lost where the readings of a point are two intervals
    apart, or more, at some time of the span.
    """
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    values = 0
    for reading in readings:
        if reading.quality is Quality.GOOD:
            values += begin <= reading.at < end
            times[reading.point].append(reading.at)
    lost = 0
    deviations = []
    for of_point in times.values():
        beyond = [*of_point, end] if of_point[-1] < end else of_point
        for one, other in pairwise(beyond):
            if other >= begin and one < end:
                apart = (other - one).total_seconds() / EVERY
                lost += max(0, round(apart) - 1)
                if other is not end:
                    deviations.append(abs(apart - 1) * EVERY * 1000)
    return Polled(values, lost, deviations, max(of_point[0].timestamp() for of_point in times.values()))


def run(size: Size) -> None:
    """Prints `values_per_s`, `lost_polls`, `jitter_p99_ms`, `cpu_s_per_million` and `start_s`.

    Raises RuntimeError where a live device was never read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder,
        devices("lotwise.bench.registers", size.devices, size.registers, size.dead) as answers,
    ):
        gateway = Gateway(Path(folder), sources(answers(), size.registers))
        with gateway:
            answers()  # every live device has answered
            time.sleep(SETTLED)
            begin, end, cpu = measured(gateway, size.seconds)
            time.sleep(2 * EVERY)
        kept = list(gateway.kept())
        found = polled(kept, begin, end)
    live = size.devices - size.dead
    read = len({reading.point for reading in kept if reading.quality is Quality.GOOD})
    if read != live * size.registers:
        raise RuntimeError(f"{read} of {live * size.registers} points of live devices were read")
    seconds = (end - begin).total_seconds()
    method = METHOD.format(
        devices=size.devices,
        dead=size.dead,
        registers=size.registers,
        every=EVERY,
        seconds=seconds,
        settled=SETTLED,
        load=load(),
    )
    intervals = len(found.deviations)
    figure("modbus", "values_per_s", found.values / seconds, "1/s", found.values, method)
    figure("modbus", "lost_polls", found.lost, "1", intervals, LOST)
    figure("modbus", "jitter_p99_ms", float(np.percentile(found.deviations, 99)), "ms", intervals, JITTER)
    figure("modbus", "cpu_s_per_million", cpu / found.values * 1e6, "s", found.values, CPU)
    figure("modbus", "start_s", found.first - gateway.started, "s", live, START)
