"""Builds the boards into dashboards/json: `python -m dashboards.build`, or with --check only compares.

Exit code 1 of --check: the committed JSON is not what the code builds.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import cold_room, gateway_health

FOLDER = Path(__file__).parent / "json"
BOARDS: Mapping[str, Callable[[], Any]] = {"cold_room": cold_room.build, "gateway_health": gateway_health.build}


def rendered() -> dict[str, str]:
    """Every board's JSON, by file name without its ending; the same bytes on every machine."""
    return {name: json.dumps(make(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n" for name, make in BOARDS.items()}


def stale(folder: Path = FOLDER) -> list[str]:
    """Names of boards whose file in the folder differs from what the code builds, or that have none or no code."""
    boards = rendered()
    names = boards.keys() | {path.stem for path in folder.glob("*.json")}
    return sorted(name for name in names if boards.get(name) != _read(folder / f"{name}.json"))


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def write(folder: Path = FOLDER) -> list[Path]:
    """Writes every board's file; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in rendered().items():
        path = folder / f"{name}.json"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description="Build the Grafana boards.")
    parser.add_argument("--check", action="store_true", help="only compare with the committed JSON")
    options = parser.parse_args(arguments)
    if options.check:
        old = stale()
        for name in old:
            print(
                f"dashboards/json/{name}.json is not what the code builds: run python -m dashboards.build",
                file=sys.stderr,
            )
        return 1 if old else 0
    for path in write():
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
