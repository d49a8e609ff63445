"""`lotwise torture` as a process: the small form here, ten minutes and the cluster in `make test-full`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = os.environ.get("LOTWISE_TEST_HEAVY") == "1"
MINUTES = 10.0 if HEAVY else 0.3
EVERYTHING = {"edge-1", "ingest-1", "serve", "postgres", "stream", "supervisor", "broker", "machine", "controller"}
MUST_BE_NONE = ("lost", "duplicate", "restamped", "wrong_quality", "missed", "double", "false_hold")


def torture(*arguments: str, instance: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("LOTWISE_")}
    return subprocess.run(
        [sys.executable, "-c", "from lotwise.cli import main; main()", "torture", *arguments],
        env=env | ({"LOTWISE_INSTANCE": instance} if instance else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=1700,
    )


def torture_result(*arguments: str) -> dict[str, Any]:
    done = torture(*arguments)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, f"{said}\n{done.stderr[-5000:]}"
    return said


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_nothing_is_lost_doubled_or_missed_while_everything_is_killed() -> None:
    said = torture_result("--minutes", str(MINUTES), "--seed", "1")
    assert said["ok"]
    assert {name: said[name] for name in MUST_BE_NONE} == dict.fromkeys(MUST_BE_NONE, 0)
    assert said["blows"] == sum(number for ways in said["kills"].values() for number in ways.values())
    assert said["kills"].keys() >= EVERYTHING
    assert said["checked"]["values"] > 1000
    assert sum(said["checked"]["excursions"].values()) > 0


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not HEAVY, reason="three NATS nodes, two workers and two gateways: in make test-full")
def test_a_cluster_loses_and_doubles_nothing_while_its_nodes_workers_and_gateways_are_killed() -> None:
    said = torture_result("--cluster", "--minutes", "5", "--seed", "1")
    assert {f"nats-{n}" for n in (1, 2, 3)} | {"ingest-1", "ingest-2", "edge-1", "edge-2"} <= said["kills"].keys()


def test_a_folder_with_something_in_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = torture("--folder", str(tmp_path))
    assert done.returncode == 2
    assert "not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_live_instance_is_refused() -> None:
    done = torture(instance="live")
    assert done.returncode == 2
    assert "'live'" in done.stderr
    assert done.stdout == ""
