"""`lotwise bench`: speed and memory, measured on this machine."""

import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Measure speed and memory on embedded servers of the benchmark's own. Prints one JSON object per figure and"
    " line: bench, metric, value, unit, n, method, machine. Everything else goes to standard error.",
)


def _ended(number: int, _: FrameType | None) -> None:
    """A benchmark that is told to end ends like one that fails: its servers stop and its folder goes."""
    raise SystemExit(128 + number)


@app.callback()
def _begin() -> None:
    signal.signal(signal.SIGTERM, _ended)
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)


@app.command()
def ingest(
    readings: Annotated[int, typer.Option(min=1000, help="How many readings.")] = 1_000_000,
    zones: Annotated[int, typer.Option(min=1, help="How many zones they come from.")] = 200,
    sublots: Annotated[int, typer.Option(min=1, help="How many sublots stand in them.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers share the work.")] = 1,
) -> None:
    """Stream → landed → judged → confirmed, 20 profiles.

    Prints readings_per_s, cpu_s_per_million and, for one worker, rss_growth_mb.
    """
    from lotwise.bench.ingest import Size, run

    run(Size(readings, zones, sublots, workers))


@app.command()
def alerts(
    events: Annotated[int, typer.Option(min=10, help="How many zones alarm at once.")] = 1000,
) -> None:
    """A flood of alarms → messages handed to a webhook's server: first_p95_s, messages, lost."""
    from lotwise.bench.alerts import run

    run(events)


@app.command()
def mqtt(
    messages: Annotated[int, typer.Option(min=100, help="How many messages the broker has queued.")] = 100_000,
    *,
    embedded: Annotated[bool, typer.Option("--embedded", help="The embedded broker even where Mosquitto is.")] = False,
) -> None:
    """A broker's queue of QoS 1 messages → fsynced in the spool → acknowledged: messages_per_s, cpu_s_per_million.

    On Mosquitto where it is on the PATH (or in /usr/sbin), else on the embedded NATS broker; the line says which.
    """
    from lotwise.bench.mqtt import run

    run(messages, embedded=embedded)


@app.command()
def modbus(
    devices: Annotated[int, typer.Option(min=2, help="How many devices, a TCP connection to each.")] = 500,
    registers: Annotated[int, typer.Option(min=1, max=125, help="How many registers of each, a point each.")] = 30,
    dead: Annotated[int, typer.Option(min=0, help="How many of the devices are dead.")] = 10,
    seconds: Annotated[float, typer.Option(min=2, help="How long to measure.")] = 30.0,
) -> None:
    """Devices polled every second → in the spool: values_per_s, lost_polls, jitter_p99_ms, cpu_s_per_million, start_s.

    The gateway (`lotwise edge run`) and the devices are processes of their own.
    """
    from lotwise.bench.modbus import Size, run

    if dead >= devices:
        raise typer.BadParameter("one device must live", param_hint="--dead")
    run(Size(devices, registers, dead, seconds))


@app.command()
def opcua(
    variables: Annotated[int, typer.Option(min=1, help="How many variables the server has.")] = 3000,
    rate: Annotated[float, typer.Option(min=0.1, max=20, help="How often each changes, times a second.")] = 2.0,
    seconds: Annotated[float, typer.Option(min=2, help="How long to measure.")] = 30.0,
) -> None:
    """Variables of one OPC UA server → in the spool: values_per_s, lag_growth_s, core_pct, start_s.

    The gateway (`lotwise edge run`) and the server are processes of their own.
    """
    from lotwise.bench.opcua import run

    run(variables, rate, seconds)


@app.command()
def latency(
    rate: Annotated[int, typer.Option(min=1, help="Readings a second, all the time.")] = 2000,
    holds: Annotated[int, typer.Option(min=1, help="How many holds, at least.")] = 1000,
    *,
    embedded: Annotated[bool, typer.Option("--embedded", help="The embedded broker even where Mosquitto is.")] = False,
) -> None:
    """Source time of the reading that breaks a limit → its hold row committed, under load: p50_ms, p99_ms, max_ms.

    Real processes: publisher, MQTT broker, gateway (`lotwise edge run`), stream, `lotwise ingest`, PostgreSQL.
    """
    from lotwise.bench.latency import run

    run(rate, holds, embedded=embedded)


@app.command()
def exposure(
    days: Annotated[int, typer.Option(min=1, help="How many days of readings.")] = 30,
    lots: Annotated[int, typer.Option(min=1, help="How many sublots.")] = 10_000,
    sample: Annotated[int, typer.Option(min=1, help="How many are compared with brute force.")] = 200,
) -> None:
    """Exposure of every sublot over a random interval, 5 profiles: seconds, and mismatches against brute force."""
    from lotwise.bench.exposure import run

    run(days, lots, sample)


@app.command()
def boards(
    zones: Annotated[int, typer.Option(min=2, help="How many zones.")] = 100,
    days: Annotated[int, typer.Option(min=8, help="How many days of readings.")] = 90,
    sublots: Annotated[int, typer.Option(min=1000, help="How many sublots.")] = 100_000,
) -> None:
    """Every question of Grafana's boards, all zones chosen, over all days and over seven: slowest_ms, slow, median_ms.

    On PostgreSQL alone, and with InfluxDB where there is an influxd.
    """
    from lotwise.bench.boards import run
    from lotwise.bench.volume import Volume

    run(
        Volume(
            zones=zones,
            sublots=sublots,
            shipments=max(100, sublots // 10),
            excursions=max(40, sublots // 50),
            days=days,
        )
    )


@app.command("import")
def import_(
    rows: Annotated[int, typer.Option(min=1000, help="How many rows the logger's file has.")] = 500_000,
) -> None:
    """A logger's CSV uploaded to the core, read, landed, judged and answered: seconds, peak_mb of the core."""
    from lotwise.bench.imports import run

    run(rows)


@app.command()
def signers(
    n: Annotated[int, typer.Option("--n", min=1, help="How many people sign at once.")] = 44,
    wrong: Annotated[int, typer.Option(min=0, help="How many wrong passwords one person tries at once.")] = 60,
) -> None:
    """Different people sign at once, then one tries wrong passwords: signed_p95_s, others_p95_ms, errors; wrong_….

    Prints token_p95_s too: all of them sign in at once before.
    """
    from lotwise.bench.signers import run

    run(n, wrong)


@app.command()
def api(
    lots: Annotated[int, typer.Option(min=1000, help="How many lots, a sublot each.")] = 100_000,
    shipments: Annotated[int, typer.Option(min=100, help="How many shipments, three lines each.")] = 20_000,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes serve: `lotwise serve --workers`.")
    ] = 2,
    at_once: Annotated[list[int] | None, typer.Option(min=1, help="How many ask at once; may be given again.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each is measured.")] = 8.0,
    only: Annotated[list[str] | None, typer.Option(help="Only this operation; may be given again.")] = None,
) -> None:
    """The commonest reads and acts over HTTP at 1, 8 and 32 at once: requests_per_s, p95_ms and errors.

    Each line names its operation: sublots, lots, shipments, sublot, shipment, lot, search, reserve, reserve_same, pick,
    token. The core (`lotwise serve`) and the client are processes of their own.
    """
    from lotwise.bench.api import Size, run
    from lotwise.bench.api_operations import OPERATIONS

    unknown = sorted(set(only or ()) - set(OPERATIONS))
    if unknown:
        raise typer.BadParameter(f"no operation {', '.join(unknown)}", param_hint="--only")
    run(Size(lots, shipments, workers, tuple(at_once or (1, 8, 32)), seconds, tuple(only or ())))


@app.command()
def pages(
    zones: Annotated[int, typer.Option(min=1, help="How many zones.")] = 100,
    sublots: Annotated[int, typer.Option(min=1000, help="How many sublots, a lot each.")] = 1_000_000,
    shipments: Annotated[int, typer.Option(min=100, help="How many shipments, three lines each.")] = 100_000,
    excursions: Annotated[int, typer.Option(min=40, help="How many excursions.")] = 5_000,
    days: Annotated[int, typer.Option(min=1, help="How many days of readings.")] = 90,
    requests: Annotated[int, typer.Option(min=1, help="How often each page is asked for.")] = 100,
    *,
    browser: Annotated[bool, typer.Option(help="Open them in Chromium too.")] = True,
) -> None:
    """The pages of a firm of volume: list_p95_ms, desk_p95_ms, record_p95_ms and page_p95_ms of each; chart_ms.

    In a browser, where Chromium is on the PATH: cold_kb, cold_chart_kb, warm_requests, chart_drawn_ms.
    """
    from lotwise.bench.pages import Size, run
    from lotwise.bench.volume import Volume

    run(Size(Volume(zones, sublots, shipments, excursions, days), requests), browser=browser)


@app.command()
def lists(
    sublots: Annotated[int, typer.Option(min=1000, help="How many sublots, a lot to each.")] = 1_000_000,
    shipments: Annotated[int, typer.Option(min=100, help="How many shipments.")] = 100_000,
    excursions: Annotated[int, typer.Option(min=20, help="How many excursions.")] = 5_000,
    turns: Annotated[int, typer.Option(min=1, help="How many pages of each pair.")] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Only this list; may be given again.")] = None,
) -> None:
    """Every filter of a list with every sort, for somebody of one site: p95_ms, pairs_over_50_ms, pairs_refused.

    Lists are sublot, lot, shipment and excursion. What takes longer than 2 s is refused in words.
    """
    from lotwise.bench.lists import LISTS, Size, run
    from lotwise.bench.volume import Volume

    unknown = sorted(set(only or ()) - set(LISTS))
    if unknown:
        raise typer.BadParameter(f"no list {', '.join(unknown)}", param_hint="--only")
    volume = Volume(sublots=sublots, shipments=shipments, excursions=excursions, days=1)
    run(Size(volume, turns, tuple(only or LISTS)))


@app.command()
def audit(rows: Annotated[int, typer.Option(min=5000, help="How many audit rows.")] = 1_000_000) -> None:
    """Verify a long audit trail, and find what an owner of the database has tampered with: rows_per_s, found_pct."""
    from lotwise.bench.audit import run

    run(rows)


@app.command()
def live(
    sessions: Annotated[int, typer.Option(min=1, help="How many sessions, each with a stream of its own.")] = 200,
    viewers: Annotated[int, typer.Option(min=1, help="How many of them watch a region that changes.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, help="How long each is looked at.")] = 30.0,
    holds: Annotated[int, typer.Option(min=1, help="How many holds are placed meanwhile.")] = 30,
) -> None:
    """Many open pages: idle_core_pct, busy_core_pct, and from a hold's commit to the page p50_ms, p99_ms, missed.

    Prints alone_core_pct (the core with no page open), idle_database_pct and busy_database_pct too.
    """
    from lotwise.bench.live import run

    run(sessions, viewers, seconds, holds)


@app.command()
def schedule(
    seed: Annotated[int, typer.Option(help="Of the generated plant.")] = 1,
    orders: Annotated[int, typer.Option(min=20, help="How many orders; five operations each in the mean.")] = 1000,
    machines: Annotated[int, typer.Option(min=4, help="How many machines.")] = 20,
    events: Annotated[int, typer.Option(min=4, help="How many events happen to the published plan.")] = 40,
    seconds: Annotated[
        float, typer.Option(min=0.5, help="How long the plan is made better before it is judged.")
    ] = 10.0,
    big: Annotated[int, typer.Option(min=0, help="Orders of the big plant; 0 for none.")] = 5000,
    plant: Annotated[
        int | None, typer.Option(help="Print the plant of this seed as JSON, and measure nothing.")
    ] = None,
) -> None:
    """Finite plans of a generated plant: event_p95_s, edd_pct, atc_gain_pct, changed_8h_pct, frozen_cost_pct,
    explained_pct, feasible_25k_s, rss_mb.
    """
    from core.erp.scheduling import formats
    from lotwise.bench.schedule import Size, run
    from lotwise.bench.shop_plant import plant as made

    if plant is not None:
        print(formats.to_json(made(plant, orders, machines)).decode())
        return
    run(Size(seed, orders, machines, events, seconds, big))


@app.command()
def jobshop(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSPLIB text, or .fjs.")],
    seconds: Annotated[float, typer.Option(min=0.5, help="How long each run may take.")] = 20.0,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs; the median counts.")] = 3,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Threads of the solver.")] = 2,
    best_known: Annotated[int | None, typer.Option(min=1, help="The best known makespan, for the gap.")] = None,
) -> None:
    """A known job shop or flexible job shop: objective, proven, and gap_pct where the best known is given."""
    from lotwise.bench.jobshop import run

    run(file, seconds, seeds, workers, best_known)


@app.command("check-config")
def check_config(
    points: Annotated[int, typer.Option(min=10, help="How many points the gateway's file has.")] = 10_000,
) -> None:
    """`lotwise edge check` of a file with MQTT, OPC UA and Modbus points mixed: seconds, points."""
    from lotwise.bench.check_config import run

    run(points)
