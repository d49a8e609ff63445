"""`lotwise status`: what runs on this data folder, where it listens, and whether it is well."""

import json as jsonlib
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from core.settings import Settings
from core.telemetry.connection import without_credentials
from edge.health import Health
from lotwise.cli import settings
from lotwise.embedded.lease import ask_status
from lotwise.embedded.ports import read_ports
from lotwise.embedded.process import ServerFailed
from lotwise.embedded.supervisor import NATS, POSTGRES

app = typer.Typer(add_completion=False)

WELL, FAILING, NOTHING = 0, 1, 3
"""Exit status: all well; something is wrong; nothing runs here (as of service managers)."""


@app.command()
def status(*, json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False) -> None:
    """Say which embedded servers run, on which ports, and who uses them.

    Exit 0: all is well; 1: something is wrong; 3: nothing runs here.
    """
    conf = settings()
    try:
        found = collect_status(conf)
    except ServerFailed as error:
        raise SystemExit(str(error)) from error
    if json:
        print(jsonlib.dumps(found))
    else:
        _print(found, Console())
    raise typer.Exit(verdict(found))


def collect_status(conf: Settings) -> dict[str, Any]:
    """What the supervisor of the data folder says, and what each user that listens says of its health.

    Without a supervisor `supervisor` is null, and only the ports are known that the folder keeps. Raises ServerFailed
    where one does not answer.
    """
    status = ask_status(conf.data_dir) or {"supervisor": None, "servers": {}, "users": []}
    for user in status["users"]:
        user["health"] = _health(user["listens"]) if user["listens"] else None
    external = {POSTGRES: conf.database_url, NATS: conf.nats_url}
    return {
        **status,
        "data_dir": str(conf.data_dir.absolute()),
        "ports": read_ports(conf.data_dir),
        "external": {name: without_credentials([url]) for name, url in external.items() if url is not None},
    }


def _health(url: str) -> dict[str, Any]:
    """What a server's /healthz answers; no answer is told as `status: silent`."""
    try:
        # its certificate names the site, not this machine's own address, and nothing secret is asked
        answer = httpx.get(f"{url}/healthz", timeout=5, verify=False)  # noqa: S501 - its own machine's certificate need not name localhost
        health: Any = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return {"status": "silent", "checks": {"answer": str(error)}}
    return health_of(health) or {"status": "silent", "checks": {"answer": "no health of ours"}}


def health_of(answer: Any) -> dict[str, Any] | None:
    """A core's or gateway's health in the core's form; None for what is neither's."""
    if isinstance(answer, dict) and isinstance(answer.get("checks"), dict) and "status" in answer:
        return answer
    try:
        msgspec.convert(answer, Health)
    except msgspec.ValidationError:
        return None
    return _gateway(answer)


def _gateway(health: dict[str, Any]) -> dict[str, Any]:
    """A gateway's health (edge.health.Health) in the core's form: only what is wrong."""
    stream, spool, clock = health["stream"], health["spool"], health["clock"]
    away = [source for source in health["sources"] if not source["connected"]]
    wrong = {source["name"]: source["trouble"] or source["state"] for source in away}
    wrong |= {f"stream {name}": problem for name, problem in stream["trouble"].items()}
    if not stream["connected"]:
        wrong["stream"] = "its server is not reached"
    elif not stream["core_answers"]:
        wrong["core"] = "it does not answer"
    wrong |= {
        name: problem for name, problem in {"spool": spool["error"], "clock": clock["trouble"]}.items() if problem
    }
    return {"status": "ok" if health["ok"] else "failing", "checks": wrong}


def verdict(found: dict[str, Any]) -> int:
    """The exit status."""
    if found["supervisor"] is None:
        return NOTHING
    servers = [server["state"] for server in found["servers"].values()]
    health = [user["health"]["status"] for user in found["users"] if user["health"] is not None]
    return WELL if all(state in {"up", "not asked for"} for state in servers) and set(health) <= {"ok"} else FAILING


def _print(found: dict[str, Any], out: Console) -> None:
    out.print(f"data folder {found['data_dir']}", highlight=False, soft_wrap=True)
    for name, url in found["external"].items():
        out.print(f"{name} is not ours: {url}", highlight=False, soft_wrap=True)
    if found["supervisor"] is None:
        kept = ", ".join(f"{name} {port}" for name, port in found["ports"].items())
        out.print(f"no embedded server runs here; ports kept: {kept or 'none yet'}", highlight=False)
        return
    table = _table("server", "state", "listens", "process", "since", "restarts")
    for name, server in found["servers"].items():
        since, pid = _ago(server["since"]), str(server["pid"] or "–")
        table.add_row(name, server["state"], f"127.0.0.1:{server['port']}", pid, since, str(server["restarts"]))
    out.print(table)
    for name, server in found["servers"].items():
        if server["failure"]:
            out.print(f"{name}: {server['failure']}", style="red", markup=False, highlight=False, soft_wrap=True)
    people = _table("used by", "process", "since", "listens", "health")
    for user in found["users"]:
        people.add_row(
            user["name"], str(user["pid"]), _ago(user["since"]), user["listens"] or "–", _health_text(user["health"])
        )
    out.print(people)
    out.print(f"supervisor: process {found['supervisor']['pid']}", highlight=False)


def _table(*headings: str) -> Table:
    """A table whose words and addresses go over several lines where there is no room, and are never cut off."""
    return Table(*(Column(heading, overflow="fold") for heading in headings))


def _health_text(health: dict[str, Any] | None) -> str:
    if health is None:
        return "–"
    wrong = [f"{name}: {result}" for name, result in health.get("checks", {}).items() if result != "ok"]
    return "; ".join([str(health["status"]), *wrong])


def _ago(since: str | None) -> str:
    """How long ago, to the second."""
    if since is None:
        return "–"
    return f"{str(datetime.now(UTC) - datetime.fromisoformat(since)).partition('.')[0]}"
