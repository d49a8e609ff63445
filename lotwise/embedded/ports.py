"""The ports that a data folder's servers keep: chosen once, so that gateways find the stream after every restart."""

import json
from collections.abc import Sequence
from pathlib import Path

from lotwise.embedded.process import ServerFailed, free_port

FILE = "ports.json"
HIGHEST = 65_535


def kept_ports(data_dir: Path, names: Sequence[str]) -> dict[str, int]:
    """The port of each server, chosen now where there is none yet. Only who owns the folder may ask.

    Raises ServerFailed for a file that says no ports, and OSError where it cannot be read or written.
    """
    path = data_dir / FILE
    ports = read_ports(data_dir)
    missing = [name for name in names if name not in ports]
    if missing:
        for name in missing:
            port = free_port()
            while port in ports.values():
                port = free_port()
            ports[name] = port
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(ports, indent=2) + "\n")
        fresh.replace(path)
    return {name: ports[name] for name in names}


def read_ports(data_dir: Path) -> dict[str, int]:
    """The ports chosen so far. Raises ServerFailed for a file that says no ports, and OSError."""
    path = data_dir / FILE
    if not path.exists():
        return {}
    try:
        ports = json.loads(path.read_text())
    except ValueError as error:
        raise ServerFailed(f"{path} is no JSON: {error}") from error
    if not isinstance(ports, dict) or not all(isinstance(p, int) and 0 < p <= HIGHEST for p in ports.values()):
        raise ServerFailed(f"{path} must name a port for each server, such as {{'postgres': 25432, 'nats': 24222}}")
    return ports
