"""The gateway as a process: it ends in order when asked, and says why when it cannot start."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers import free_port

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from pathlib import Path; from edge.app import main; sys.exit(main(Path(sys.argv[1])))"


def config(folder: Path, port: int) -> Path:
    file = folder / "gateway.yaml"
    file.write_text(
        f"""\
gateway: gw-1
site: plant
instance: test
data_dir: {folder}/spool
stream: {{urls: "nats://127.0.0.1:{free_port()}"}}
health: {{port: {port}}}
sources:
  - name: controller
    protocol: modbus
    transport: {{kind: tcp, host: 127.0.0.1, port: {free_port()}}}
    units:
      - id: 1
        every: 200 ms
        points: [{{point: plant/store/room/probe/temperature, address: "40001", type: int16}}]
"""
    )
    return file


def start(file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(file)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def health(port: int) -> dict[str, Any]:
    """What it says of itself, once it does."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("no health within 20 s")


def test_it_runs_without_anything_else_there_and_ends_when_asked(tmp_path: Path) -> None:
    port = free_port()
    process = start(config(tmp_path, port))
    try:
        told = health(port)
        assert told["ok"] is False
        assert told["stream"]["connected"] is False
        assert told["spool"]["error"] is None
        assert [source["name"] for source in told["sources"]] == ["controller"]
        second = start(config(tmp_path, port))
        output, _ = second.communicate(timeout=30)
        assert second.returncode == 1
        assert b"cannot run" in output
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output


def test_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    file = config(tmp_path, 1)
    file.write_text(file.read_text().replace("gateway: gw-1", "gatewy: gw-1"))
    process = start(file)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"gateway.yaml:1: gatewy: unknown key; did you mean 'gateway'?" in output
    assert not (tmp_path / "spool").exists()
