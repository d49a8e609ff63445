"""`lotwise torture`: its options, and whom it refuses."""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from simulators.guard import EXIT_REFUSED, LiveInstance, refuse_unmarked

app = typer.Typer(add_completion=False)


def _ended(number: int, _: FrameType | None) -> None:
    """One that is told to end ends like one that fails: its servers stop and its folder goes."""
    raise SystemExit(128 + number)


@app.command()
def torture(
    minutes: Annotated[float, typer.Option(min=0.2, help="How long things are broken; setting up comes on top.")] = 5.0,
    seed: Annotated[int, typer.Option(help="The same seed breaks the same things at the same times.")] = 1,
    *,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Three NATS nodes with three replicas, two ingest workers and two gateways in hot standby.",
        ),
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0.0, help="Messages a second of sensors besides those of zones with goods.")
    ] = 50.0,
    folder: Annotated[
        Path | None,
        typer.Option(help="A new or empty folder where everything is kept: logs, configurations, truth.json."),
    ] = None,
) -> None:
    """Break everything that can be broken, and compare what came of it with a truth of its own.

    Devices that speak MQTT, OPC UA and Modbus write down what they say. A gateway, the stream, an ingest worker, the
    core and PostgreSQL are killed (kill -9), stopped in order, frozen, or lose their files; the devices' broker too;
    meanwhile goods arrive and move through the public API into zones whose temperature breaks their profiles at known
    times. At the end every value is looked for in the series, and every excursion and hold is compared with what the
    readings ask for, worked out by other code than the judge's.

    Everything is started by this command on free ports of 127.0.0.1 and in a folder of its own: no running instance is
    touched, and one that is marked live is refused. Progress goes to standard error; the last line on standard output
    is one JSON object: ok, lost, duplicate, restamped, wrong_quality, missed, double and so on, what was checked, and
    what was killed how often. Exit 0 if ok, else 1.
    """
    instance = os.environ.get("LOTWISE_INSTANCE")
    if instance is not None:
        try:
            refuse_unmarked(instance)
        except LiveInstance as error:
            print(error, file=sys.stderr)
            raise typer.Exit(EXIT_REFUSED) from error
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        print(f"{folder} is not an empty folder", file=sys.stderr)
        raise typer.Exit(EXIT_REFUSED)
    signal.signal(signal.SIGTERM, _ended)
    logging.basicConfig(level="ERROR", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    for devices in ("pymodbus", "asyncua"):
        # switched off in the middle of an answer they have much to say
        logging.getLogger(devices).setLevel(logging.CRITICAL)
    from lotwise.torture.run import run

    raise typer.Exit(run(minutes=minutes, seed=seed, cluster=cluster, rate=rate, folder=folder))
