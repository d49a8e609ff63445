"""Builds the boards into dashboards/json/STORE, and the alert rules and whom they tell into dashboards/provisioning:
`python -m dashboards.build`, or with --check only compares.

One folder of boards for each series store (`influx`, `postgres`), since a board asks the store that there is.

Exit code 1 of --check: the committed JSON is not what the code builds.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.alerts import contacts_file, mutes_file, policies_file, rules_file
from dashboards.boards import cold_room, gateways, goods, itself, kpis, lot, machines, shipments, site
from dashboards.sources import Store

ROOM = Path(__file__).parent
BOARD_FILES, ALERT_FILES = "json", "provisioning/alerting"
BOARDS: Mapping[str, Callable[[Store], Any]] = {
    "site_overview": site.build,
    "cold_room": cold_room.build,
    "gateway_health": gateways.build,
    "machines": machines.build,
    "excursions_and_holds": goods.build,
    "shipments": shipments.build,
    "lot_history": lot.build,
    "lotwise_itself": itself.build,
    "kpis": kpis.build,
}


def board(name: str, store: Store) -> dict[str, Any]:
    """One board's JSON as Python has it. Raises KeyError for an unknown one."""
    made: dict[str, Any] = json.loads(_text(BOARDS[name](store)))
    return made


def _text(made: object) -> str:
    return json.dumps(made, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def rendered() -> dict[str, str]:
    """Every board's JSON, by store and name (`influx/cold_room`); the same bytes on every machine."""
    return {f"{store}/{name}": _text(make(store)) for store in Store for name, make in BOARDS.items()}


def files() -> dict[str, str]:
    """Every file that is built, by its path in this room. JSON is YAML too: Grafana reads provisioning as that."""
    alerting = {"rules": rules_file(), "contacts": contacts_file(), "policies": policies_file(), "mutes": mutes_file()}
    return {
        **{f"{BOARD_FILES}/{name}.json": text for name, text in rendered().items()},
        **{f"{ALERT_FILES}/{name}.json": _text(content) for name, content in alerting.items()},
    }


def stale(room: Path = ROOM) -> list[str]:
    """Files in the room that differ from what the code builds, or are missing, or that no code builds."""
    built = files()
    there = {
        path.relative_to(room).as_posix()
        for folder in (BOARD_FILES, ALERT_FILES)
        for path in (room / folder).glob("**/*.json")
    }
    return sorted(name for name in built.keys() | there if built.get(name) != _read(room / name))


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def write(room: Path = ROOM) -> list[Path]:
    """Writes every file; returns them."""
    paths = []
    for name, text in files().items():
        path = room / name
        path.parent.mkdir(parents=True, exist_ok=True)
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
                f"dashboards/{name} is not what the code builds: run python -m dashboards.build",
                file=sys.stderr,
            )
        return 1 if old else 0
    for path in write():
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
