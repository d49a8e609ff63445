"""Each benchmark runs once, small, and says its figures as JSON, one a line. Never how fast."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lotwise.bench.cli import app

ROOT = Path(__file__).parents[2]
COMMAND = "from lotwise.cli import main; main()"
KEYS = {"bench", "metric", "value", "unit", "n", "method", "machine"}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "bench", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "metrics"),
    [
        (("ingest", "--readings", "5000"), {"readings_per_s", "rss_growth_mb"}),
        (("mqtt", "--messages", "1000"), {"messages_per_s", "cpu_s_per_million"}),
        (("mqtt", "--messages", "500", "--embedded"), {"messages_per_s", "cpu_s_per_million"}),
        (("latency", "--rate", "200", "--holds", "5"), {"p50_ms", "p99_ms", "max_ms"}),
        (("exposure", "--days", "1", "--lots", "20", "--sample", "20"), {"seconds", "mismatches"}),
    ],
    ids=["ingest", "mqtt", "mqtt-embedded", "latency", "exposure"],
)
def test_it_says_its_figures(arguments: tuple[str, ...], metrics: set[str]) -> None:
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert metrics <= {line["metric"] for line in said}
    for line in said:
        assert line.keys() == KEYS
        assert line["bench"] == arguments[0]
        assert math.isfinite(line["value"])
        assert line["n"] > 0
    if arguments[0] == "exposure":
        assert {line["value"] for line in said if line["metric"] == "mismatches"} == {0}


def test_help_explains_each() -> None:
    said = CliRunner().invoke(app, ["--help"]).stdout
    for name in ("ingest", "mqtt", "latency", "exposure"):
        assert name in said
