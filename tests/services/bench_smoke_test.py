"""Each benchmark runs once, small, and says its figures as JSON, one a line. Never how fast."""

import asyncio
import json
import math
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.collectors.mqtt import MqttCollector
from edge.spool import Spool
from lotwise.bench.api_operations import OPERATIONS
from lotwise.bench.broker import NatsBroker
from lotwise.bench.cli import app
from lotwise.bench.mqtt import _running, _until, fill, source

NO_BROWSER = "--no-browser"
pytestmark = pytest.mark.timeout(400)
KEYS = {"bench", "metric", "value", "unit", "n", "method", "machine"}


@pytest.fixture(autouse=True)
def asked_to_end() -> Iterator[None]:
    """A benchmark ends its servers when it is told to end; the tests' process has its own way."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("arguments", "metrics"),
    [
        (
            ("ingest", "--readings", "5000", "--zones", "20", "--sublots", "20"),
            {"readings_per_s", "cpu_s_per_million", "rss_growth_mb"},
        ),
        (
            ("ingest", "--readings", "2000", "--zones", "20", "--sublots", "20", "--workers", "2"),
            {"readings_per_s", "servers_cpu_s_per_million"},
        ),
        (("mqtt", "--messages", "1000"), {"messages_per_s", "cpu_s_per_million"}),
        (("mqtt", "--messages", "500", "--embedded"), {"messages_per_s", "cpu_s_per_million"}),
        (
            ("modbus", "--devices", "6", "--dead", "2", "--registers", "4", "--seconds", "2"),
            {"values_per_s", "lost_polls", "jitter_p99_ms", "cpu_s_per_million", "start_s"},
        ),
        (
            ("opcua", "--variables", "20", "--seconds", "2"),
            {"values_per_s", "lag_growth_s", "core_pct", "start_s"},
        ),
        (("latency", "--rate", "200", "--holds", "5"), {"p50_ms", "p99_ms", "max_ms"}),
        (("boards", "--zones", "2", "--days", "8", "--sublots", "1000"), {"slowest_ms", "slow", "median_ms"}),
        (("import", "--rows", "3000"), {"seconds", "peak_mb"}),
        (("audit", "--rows", "5000"), {"rows_per_s", "found_pct"}),
        (("exposure", "--days", "1", "--lots", "20", "--sample", "20"), {"seconds", "mismatches"}),
        (("check-config", "--points", "60"), {"seconds", "points"}),
        (
            ("live", "--sessions", "5", "--viewers", "3", "--seconds", "1", "--holds", "1"),
            {"idle_core_pct", "busy_core_pct", "p50_ms", "p99_ms", "missed"},
        ),
        (
            (
                "pages",
                "--zones=4",
                "--sublots=1000",
                "--shipments=100",
                "--excursions=40",
                "--days=2",
                "--requests=1",
                NO_BROWSER,
            ),
            {"list_p95_ms", "desk_p95_ms", "record_p95_ms", "page_p95_ms", "chart_ms"},
        ),
        (("signers", "--n", "3", "--wrong", "8"), {"signed_p95_s", "others_p95_ms", "errors", "wrong_errors"}),
        (
            ("api", "--lots", "1000", "--shipments", "100", "--workers", "1", "--at-once", "2", "--seconds", "0.1"),
            {"requests_per_s", "p95_ms", "errors"},
        ),
        (
            ("lists", "--sublots", "1000", "--shipments", "100", "--excursions", "40", "--turns", "1"),
            {"p95_ms", "pairs_over_50_ms", "pairs_refused"},
        ),
        (
            ("schedule", "--orders", "40", "--machines", "6", "--events", "4", "--seconds", "0.5", "--big", "80"),
            {"event_p95_s", "edd_pct", "atc_gain_pct", "changed_8h_pct", "frozen_cost_pct", "explained_pct", "rss_mb"},
        ),
    ],
    ids=[
        "ingest",
        "ingest-workers",
        "mqtt",
        "mqtt-embedded",
        "modbus",
        "opcua",
        "latency",
        "boards",
        "import",
        "audit",
        "exposure",
        "check-config",
        "live",
        "pages",
        "signers",
        "api",
        "lists",
        "schedule",
    ],
)
def test_it_says_its_figures(arguments: tuple[str, ...], metrics: set[str], capfd: pytest.CaptureFixture[str]) -> None:
    app(list(arguments), standalone_mode=False)  # not as a process: for most of them, importing takes longest
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert metrics <= {line["metric"] for line in said}
    for line in said:
        assert line.keys() - {"operation", "concurrency", "list", "filter", "sort", "store", "days"} == KEYS
        assert line["bench"] == arguments[0]
        assert math.isfinite(line["value"])
        assert line["n"] > 0
    if arguments[0] == "exposure":
        assert {line["value"] for line in said if line["metric"] == "mismatches"} == {0}
    assert {line["value"] for line in said if line["metric"].endswith("errors")} <= {0}
    if arguments[0] == "live":
        assert {line["value"] for line in said if line["metric"] == "missed"} == {0}
    if arguments[0] == "api":
        asked = {(line["operation"], line["concurrency"]) for line in said if line["metric"] == "p95_ms"}
        assert asked == {(operation, 2) for operation in OPERATIONS}
    if arguments[0] == "lists":
        pairs = {(line["list"], line["filter"], line["sort"]) for line in said if line["metric"] == "p95_ms"}
        assert {
            ("sublots", "held=true", "-created_at"),
            ("lots", "", "number"),
            ("shipments", "sublot_id", "id"),
        } <= pairs
    if arguments[0] == "audit":
        assert {line["value"] for line in said if line["metric"] == "found_pct"} == {100}


def test_what_the_embedded_broker_still_keeps_is_counted(tmp_path: Path) -> None:
    """What a session left unacknowledged comes again after half a minute only: its silence says nothing."""
    of = NatsBroker(tmp_path / "broker")
    of.start()

    async def main() -> int:
        async with await Spool.open(tmp_path / "spool", "bench", "b1") as spool:
            collector = MqttCollector(source(of.port, of.version))
            async with _running(collector, spool):
                pass
            await asyncio.to_thread(fill, of.port, 50)
            before = await of.unacknowledged()
            collector = MqttCollector(source(of.port, of.version))
            async with _running(collector, spool) as task:
                await _until(lambda: collector.counts["kept"] >= 50, task)
                async with asyncio.timeout(20):
                    while await of.unacknowledged():  # noqa: ASYNC110 - the broker tells when asked
                        await asyncio.sleep(0.05)
            return before

    try:
        assert asyncio.run(main()) == 50
    finally:
        of.stop()


def test_help_explains_each() -> None:
    said = CliRunner().invoke(app, ["--help"]).stdout
    for name in (
        "ingest",
        "mqtt",
        "modbus",
        "opcua",
        "latency",
        "import",
        "exposure",
        "signers",
        "api",
        "pages",
        "live",
        "lists",
        "check-config",
    ):
        assert name in said
