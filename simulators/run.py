"""What `lotwise simulate` does: runs a scenario file and shows it."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from core.telemetry.address import check_zone
from core.telemetry.located import ConfigErrors
from simulators.describe import as_yaml, gateway_around, gateway_yaml
from simulators.guard import EXIT_REFUSED, InstanceSettings, LiveInstance
from simulators.link import BrokerUnreachable
from simulators.players import Device, Protocol
from simulators.replay import replay, replay_source
from simulators.runner import ScenarioEvent, Summary, run_scenario
from simulators.scenariofile import read_scenario
from simulators.sensors import Report

Result = TypeVar("Result")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
SCENARIOS = Path(__file__).parent / "scenarios"


def find_scenario(name: str | Path) -> Path:
    """The file itself, or the scenario of that name that comes with Lotwise."""
    path = Path(name)
    known = SCENARIOS / f"{path.name.removesuffix('.yaml')}.yaml"
    return path if path.exists() or not known.exists() else known


def show(summary: Summary, console: Console) -> None:
    """Prints what each device sent."""
    table = Table(title=f"{summary.scenario}: {summary.seconds:.1f} s", title_justify="left")
    for heading in ("device", "protocol", "readings", "messages", "sequence", "lost", "unacknowledged"):
        table.add_column(heading, justify="left" if heading in {"device", "protocol", "sequence"} else "right")
    for report in summary.reports:
        span = f"{report.sequences[0]} to {report.sequences[-1]}" if report.sequences else ""
        waiting = str(len(report.unacknowledged)) if report.protocol == "mqtt" else ""
        table.add_row(
            report.device,
            report.protocol,
            str(report.readings),
            str(report.messages),
            span,
            str(len(report.lost)),
            waiting,
        )
    console.print(table)


def simulate(
    path: str | Path,
    *,
    settings: InstanceSettings | None = None,
    overrides: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> int:
    """Runs a scenario file, printing what happens and then what was sent; the exit code.

    0: ran to its end; 1: the file is wrong, a server cannot be reached or a port is taken; 2: the instance is not a
    test instance; 130: stopped by Ctrl-C or SIGTERM, with every server down.
    """
    out = console or Console()

    def tell(happened: ScenarioEvent) -> None:
        out.print(f"[dim]{happened.at:7.1f} s[/dim]  {happened.text}", highlight=False)

    async def main() -> Summary:
        return await run_scenario(find_scenario(path), overrides=overrides, on_event=tell, settings=settings)

    return _carry_out(main, lambda summary: show(summary, out), out)


def _carry_out(main: Callable[[], Coroutine[Any, Any, Result]], finish: Callable[[Result], None], out: Console) -> int:
    """Runs it to its end, or to a signal, and turns what comes of it into an exit code."""

    async def guarded() -> Result:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(NotImplementedError):  # no signal handlers on Windows' loop
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main()

    for noisy in ("asyncua", "pymodbus.logging"):  # their warnings are of servers and clients that are meant to fail
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        result = asyncio.run(guarded())
    except (KeyboardInterrupt, asyncio.CancelledError):
        out.print("stopped; every simulated device is down")
        return EXIT_INTERRUPTED
    except LiveInstance as error:
        out.print(f"[red]refused:[/red] {error}", highlight=False)
        return EXIT_REFUSED
    except (ConfigErrors, BrokerUnreachable, OSError, ValueError) as error:
        out.print("[red]cannot simulate:[/red]")
        out.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return EXIT_FAILED
    finish(result)
    return EXIT_OK


def replay_file(
    path: str | Path,
    protocol: Protocol,
    device: Device,
    *,
    console: Console | None = None,
    **options: Any,
) -> int:
    """Replays a recorded file, printing how far it is; the exit code as for `simulate`. Options as for `replay`."""
    out = console or Console()

    def tell(done: int, of: int) -> None:
        out.print(f"{done} of {of} lines", highlight=False)

    async def main() -> Report:
        return await replay(path, protocol, device, on_progress=tell, **options)

    def finish(report: Report) -> None:
        waiting = f", {len(report.unacknowledged)} not acknowledged" if protocol == "mqtt" else ""
        out.print(f"{report.device}: {report.readings} lines replayed by {protocol}{waiting}", highlight=False)

    return _carry_out(main, finish, out)


def show_gateway(
    path: str | Path, *, overrides: Mapping[str, Any] | None = None, console: Console | None = None
) -> int:
    """Prints the gateway configuration (YAML) for the devices of a scenario file; 1 if the file is wrong, else 0."""
    out = console or Console()
    try:
        text = gateway_yaml(read_scenario(find_scenario(path)).overridden(overrides or {}))
    except (ConfigErrors, ValueError) as error:
        out.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return EXIT_FAILED
    out.print(text, highlight=False, markup=False, soft_wrap=True)
    return EXIT_OK


def show_replay(protocol: Protocol, device: Device, *, console: Console | None = None) -> int:
    """Prints the gateway configuration (YAML) that reads a replay; 1 if its zone cannot be, else 0."""
    out = console or Console()
    try:
        check_zone(device.zone)
    except ValueError as error:
        out.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return EXIT_FAILED
    config = gateway_around([replay_source(protocol, device)], device.zone.split("/")[0])
    out.print(as_yaml(config, f"the replay {device.name!r}"), highlight=False, markup=False, soft_wrap=True)
    return EXIT_OK
