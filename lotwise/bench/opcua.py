"""A machine with thousands of OPC UA variables: whether a gateway keeps pace, and what it takes of a processor core."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.telemetry.quality import Quality
from lotwise.bench.figures import figure
from lotwise.bench.gateway import Gateway, devices, load, measured
from lotwise.bench.variables import NAMESPACE

SETTLED = 3.0
"""Seconds of reports before the span begins that is measured."""
METHOD = (
    "good readings of {variables} variables of one OPC UA server (asyncua, no security, a process of its own), each"
    " written {rate:g} times a second; one subscription, sampled every {sampling:.0f} ms, published every 500 ms; the"
    " gateway `lotwise edge run` with a stream and without a core; counted are those that its spool has, fsynced, by"
    " the server's stamp within {seconds:.1f} s that begin {settled:.0f} s after the gateway tells of as many readings"
    " as there are variables; all on one machine, {load}"
)
LAG = "receipt less the server's stamp: the median over the last fifth of the same readings less that over the first"
CORE = "processor seconds of the gateway's process, user and system, by seconds, over the same span"
START = "from the start of the gateway's process until it had received the first good value of every variable"


def source(port: int, variables: int, rate: float) -> dict[str, Any]:
    """The gateway's source."""
    return {
        "name": "machine",
        "protocol": "opcua",
        "endpoint": f"opc.tcp://127.0.0.1:{port}",
        "clock": "device",
        "nodes": [
            {
                "node": f"nsu={NAMESPACE};s=v{number}",
                "point": f"b1/store/z{number // 30}/m{number}/temperature",
                "unit": "Cel",
                "sampling": f"{_sampling(rate):.0f} ms",
            }
            for number in range(variables)
        ],
    }


def _sampling(rate: float) -> float:
    """Milliseconds between two looks of the server: so many that no writing is missed."""
    return 500 / rate


def run(variables: int, rate: float, seconds: float) -> None:
    """Prints `values_per_s`, `lag_growth_s`, `core_pct` and `start_s`.

    Raises RuntimeError where a variable is silent.
    """
    with (
        tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder,
        devices("lotwise.bench.variables", variables, rate) as answers,
    ):
        gateway = Gateway(Path(folder), [source(answers(), variables, rate)])
        with gateway:
            gateway.until_it_reads(variables)
            time.sleep(SETTLED)
            begin, end, cpu = measured(gateway, seconds)
            time.sleep(2.0)
        kept = list(gateway.kept())
    good = [reading for reading in kept if reading.quality is Quality.GOOD and reading.source_at is not None]
    first = {reading.point: reading.edge_at for reading in reversed(good)}
    if len(first) != variables:
        raise RuntimeError(f"{len(first)} of {variables} variables were read")
    within = [(r.source_at, (r.edge_at - r.source_at).total_seconds()) for r in good if r.source_at is not None]
    lags = np.array([lag for at, lag in sorted(within) if begin <= at < end])
    part = max(1, len(lags) // 5)
    growth = float(np.median(lags[-part:]) - np.median(lags[:part]))
    span = (end - begin).total_seconds()
    method = METHOD.format(
        variables=variables, rate=rate, sampling=_sampling(rate), seconds=span, settled=SETTLED, load=load()
    )
    start = max(first.values()).timestamp() - gateway.started
    figure("opcua", "values_per_s", len(lags) / span, "1/s", len(lags), method)
    figure("opcua", "lag_growth_s", growth, "s", len(lags), LAG)
    figure("opcua", "core_pct", 100 * cpu / span, "%", len(lags), CORE)
    figure("opcua", "start_s", start, "s", variables, START)
