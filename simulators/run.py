"""What `lotwise simulate` does: runs a scenario file and shows it."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from simulators.describe import gateway_yaml
from simulators.guard import EXIT_REFUSED, InstanceSettings, LiveInstance
from simulators.link import BrokerUnreachable
from simulators.runner import Happened, Summary, run_scenario
from simulators.scenario import read_scenario
from simulators.yamlfile import BadFile

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
        told = f"{report.sequences[0]} to {report.sequences[-1]}" if report.sequences else ""
        waiting = str(len(report.unacknowledged)) if report.protocol == "mqtt" else ""
        table.add_row(
            report.device,
            report.protocol,
            str(report.readings),
            str(report.messages),
            told,
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

    def tell(happened: Happened) -> None:
        out.print(f"[dim]{happened.at:7.1f} s[/dim]  {happened.text}", highlight=False)

    async def main() -> Summary:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(NotImplementedError):  # no signal handlers on Windows' loop
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await run_scenario(find_scenario(path), overrides=overrides, on_event=tell, settings=settings)

    try:
        summary = asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        out.print("stopped; every simulated device is down")
        return EXIT_INTERRUPTED
    except LiveInstance as error:
        out.print(f"[red]refused:[/red] {error}", highlight=False)
        return EXIT_REFUSED
    except (BadFile, BrokerUnreachable, OSError, RuntimeError, ValueError) as error:
        out.print(f"[red]cannot simulate:[/red]\n{error}", highlight=False, soft_wrap=True)
        return EXIT_FAILED
    show(summary, out)
    return EXIT_OK


def describe(path: str | Path, **options: Any) -> str:
    """The gateway configuration (YAML) for the devices of a scenario file; options as for gateway_config.

    Raises BadFile.
    """
    return gateway_yaml(read_scenario(find_scenario(path)), **options)
