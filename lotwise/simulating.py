"""`lotwise simulate` and `lotwise replay`: devices that speak the real protocols, on an instance marked `test`.

Exit codes: 0 it ran to its end; 1 a file is wrong, a server cannot be reached or a port is taken; 2 the instance is not
a test instance, or the options cannot be; 130 stopped by Ctrl-C.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Spoken = Literal["mqtt", "opcua", "modbus"]
Degrees = Literal["C", "F", "K"]
PORTS: dict[Spoken, int] = {"mqtt": 1883, "opcua": 14840, "modbus": 15020}
"""Where a replay finds the broker, or serves, unless it is told."""
UNITS: dict[Degrees, str] = {"C": "Cel", "F": "[degF]", "K": "K"}


def _address(text: str) -> dict[str, Any]:
    """Host and port of `HOST` or `HOST:PORT`."""
    host, _, port = text.partition(":")
    if not host or (port and not port.isdecimal()):
        raise typer.BadParameter(f"{text!r} is not HOST or HOST:PORT")
    return {"host": host} | ({"port": int(port)} if port else {})


def simulate(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of one in simulators/scenarios.")],
    *,
    describe: Annotated[bool, typer.Option("--describe", help="Print the gateway configuration that fits it.")] = False,
    broker: Annotated[str | None, typer.Option(help="Another MQTT broker than the file's: HOST or HOST:PORT.")] = None,
    duration: Annotated[
        str | None, typer.Option(help="How long, in place of what the file says: 90s, 10m, 8h.")
    ] = None,
    speed_up: Annotated[float | None, typer.Option(help="How much faster the physics run; clocks never do.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed: other noise, other rejects.")] = None,
) -> None:
    """Run simulated devices that speak the real protocols. Refuses an instance that is not marked `test`."""
    from simulators import run

    given = {"duration": duration, "speed_up": speed_up, "seed": seed, "broker": broker and _address(broker)}
    overrides = {name: value for name, value in given.items() if value is not None}
    raise typer.Exit((run.show_gateway if describe else run.simulate)(scenario, overrides=overrides))


def simulate_logger(
    file: Annotated[Path, typer.Argument(help="The file to write; one that is there already is left alone.")],
    *,
    form: Annotated[
        Literal["report", "csv"], typer.Option(help="A Fridge-tag's text report with its own alarms, or a table.")
    ] = "report",
    seed: Annotated[int, typer.Option(min=0, max=9_999_999, help="The same seed makes the same file.")] = 7,
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="When it was started, by its own clock.")
    ] = datetime(2026, 3, 2, 8, 0),  # noqa: DTZ001 - a device's clock has no zone
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days it ran.")] = 7,
    every: Annotated[int, typer.Option(min=1, max=60, help="Minutes between the readings it logs.")] = 5,
    excursion: Annotated[
        list[str] | None,
        typer.Option(
            help="DAY@HH:MM+MINUTES=CELSIUS, without =CELSIUS a silence; may be repeated. In place of the usual five."
        ),
    ] = None,
) -> None:
    """Write the file of a simulated logger, marked as such, with warm and cold episodes and a silence.

    lotwise simulate logger logger.txt

    lotwise simulate logger logger.csv --form csv --days 2 --excursion "1@11:20+100=12.5"
    """
    from simulators import loggerfile

    try:
        episodes = loggerfile.USUAL if excursion is None else [loggerfile.Episode.read(one) for one in excursion]
        logger = loggerfile.SimulatedLogger(seed, start, days, every, episodes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    text = loggerfile.report(logger) if form == "report" else loggerfile.table(logger)
    try:
        with file.open("x", encoding="utf-8", newline="\n") as out:
            out.write(text)
    except OSError as error:
        print(f"{file}: {error.strerror or error}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(f"{file}: {form} of logger {logger.serial}, {days} days from {start:%Y-%m-%d %H:%M}")


def replay(
    file: Annotated[Path, typer.Argument(help="A recorded CSV or a logger's report.")],
    *,
    protocol: Annotated[Spoken, typer.Option(help="What the replaying device speaks.")] = "mqtt",
    zone: Annotated[str, typer.Option(help="The zone it says it is in: site/area/zone.")] = "plant/cold/room-1",
    name: Annotated[str, typer.Option(help="The device's name.")] = "replay",
    host: Annotated[str, typer.Option(help="Broker (mqtt), or the address to serve on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Broker's port (1883), or the port to serve on.")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="How many times faster than it was recorded.")] = 60.0,
    time: Annotated[str, typer.Option(help="CSV: the column of times, by name or number.")] = "1",
    value: Annotated[str, typer.Option(help="CSV: the column of temperatures, by name or number.")] = "2",
    unit: Annotated[Degrees, typer.Option(help="CSV: the temperatures' unit; they are told in °C.")] = "C",
    timezone: Annotated[str, typer.Option(help="What the logger's clock was set to.")] = "UTC",
    describe: Annotated[bool, typer.Option("--describe", help="Print the gateway configuration that fits it.")] = False,
) -> None:
    """Replay a recorded file through a protocol, with its own times as the device's. Refuses a live instance."""
    from core.telemetry.readers.text import BadFile
    from core.telemetry.readers.wall_time import zone_named
    from simulators.link import Broker
    from simulators.players import Device
    from simulators.recordings import temperatures
    from simulators.run import replay_file, show_replay

    where = port or PORTS[protocol]
    device = Device(name, zone, Broker(host=host, port=where), host, where)
    if describe:
        raise typer.Exit(show_replay(protocol, device))
    try:
        clock = zone_named(timezone)
    except BadFile as error:
        raise typer.BadParameter(str(error)) from error
    mapping = temperatures(time, value, UNITS[unit], timezone)
    raise typer.Exit(replay_file(file, protocol, device, speed=speed, mapping=mapping, zone=clock))
