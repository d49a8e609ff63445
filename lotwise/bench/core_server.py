"""`lotwise serve` as a process of its own, for the benchmarks of what people and programs ask the core."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx

from lotwise.embedded.process import ServerProcess, free_port

COMMAND = "from lotwise.cli import main; main()"
START = 180.0
"""Seconds that the core may take to start: a busy machine makes several workers slow to come."""
TOKEN_MINUTES = 60
"""How long people stay signed in: longer than a benchmark takes."""


def core(stack: ExitStack, folder: Path, database: str, *options: str) -> tuple[ServerProcess, int]:
    """(the core, its port) on that database, until the stack is unwound. Raises ServerFailed."""
    port = free_port()
    env = {
        "LOTWISE_INSTANCE": "test",
        "LOTWISE_DATABASE_URL": database,
        "LOTWISE_SECRET_KEY": "b" * 40,
        "LOTWISE_DATA_DIR": str(folder / "data"),
        "LOTWISE_TOKEN_MINUTES": str(TOKEN_MINUTES),
    }
    process = ServerProcess(
        "serve",
        [sys.executable, "-c", COMMAND, "serve", "--port", str(port), *options],
        folder / "serve.log",
        env={**os.environ, **env},
    )
    process.start(lambda: _up(port), within=START)
    stack.callback(process.stop)
    return process, port


def _up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/v1/instance", timeout=5).is_success
    except httpx.HTTPError:
        return False
