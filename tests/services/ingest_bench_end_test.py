"""A benchmark that is asked to end leaves nothing behind."""

import signal
import subprocess
import sys
from pathlib import Path

BENCH = """
import tempfile, time
from lotwise.bench import cli

@cli.app.command()
def slow() -> None:
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder:
        print(folder, flush=True)
        time.sleep(60)

cli.app(["slow"])
"""


def test_a_benchmark_that_is_ended_takes_its_folder_along() -> None:
    with subprocess.Popen([sys.executable, "-c", BENCH], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        folder = Path(bench.stdout.readline().strip())
        assert folder.exists()
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(20) == 128 + signal.SIGTERM
    assert not folder.exists()
