"""The demo's own story, unattended; and what is left when it is stopped: nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from lotwise.cli import main; main()", "demo", "--port", "0"]


def alive(marker: str) -> list[str]:
    """Command lines of running processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if marker in line and f"--data-dir {marker}" not in line:
                found.append(line)
    return found


@pytest.mark.timeout(400)
def test_the_story_holds_from_the_warm_room_to_the_proof(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--check", "--data-dir", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    failed = [step for step in said["steps"] if not step["ok"]]
    assert not failed, failed
    assert said["ok"]
    assert done.returncode == 0
    assert len(said["steps"]) == 12
    assert alive(str(tmp_path)) == []


@pytest.mark.timeout(120)
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    folder = str(tmp_path / "demo")
    process = subprocess.Popen(
        [*COMMAND, "--data-dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"COLUMNS": "120"},
    )
    deadline = time.monotonic() + 60
    while len(alive(folder)) < 3:
        assert time.monotonic() < deadline, "servers did not start"
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    assert alive(folder) == []
