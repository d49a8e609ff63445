"""A local socket in a folder, and JSON lines over it.

A socket's path may have about 107 bytes, a data folder's more: a longer one is reached through a short link.
"""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

LONGEST = 100
"""Bytes of a socket's path that every system takes."""


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of the socket that is short enough to bind and connect, for as long as the block lasts."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="lw-") as folder:
        Path(folder).chmod(0o700)  # whatever the process masks: without this a umask for sockets shuts its owner out
        link = Path(folder) / "d"
        link.symlink_to(path.parent)
        yield str(link / path.name)


def connect(path: Path, timeout: float | None = None) -> socket.socket:
    """A connection to the socket. Raises OSError (FileNotFoundError, ConnectionRefusedError) where nobody listens."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        with reachable(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Sends one line. Raises OSError where the other end is gone."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(lines: BufferedIOBase) -> dict[str, Any] | None:
    """The next line; None where the other end is gone, or says what is no line of ours."""
    try:
        message: Any = json.loads(lines.readline())
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None
