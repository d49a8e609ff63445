"""`lotwise dashboards`: the Grafana boards, built from code, and brought into a Grafana that exists."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from core.outbound.grafana_client import GrafanaApi, GrafanaFault
from core.outbound.settings import OutboundSettings
from core.settings import Settings
from dashboards.sources import Store
from lotwise.boards.pushing import Alerts, Boards, Found
from lotwise.cli import settings

SHOWN = 12
"""Differences told of one board."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The Grafana boards: built from code, and brought into a Grafana that exists.\n\nThe Grafana is "
    "LOTWISE_GRAFANA_URL,"
    " the token LOTWISE_GRAFANA_TOKEN.",
)
StoreOption = Annotated[
    Store | None,
    typer.Option(
        help="Whose readings the boards ask for. Default: influx where LOTWISE_INFLUX_URL is set, else postgres."
    ),
]
UrlOption = Annotated[str | None, typer.Option("--url", help="Default LOTWISE_GRAFANA_URL.")]
AlertsOption = Annotated[bool, typer.Option("--alerts", help="The alert rules too.")]


@app.command()
def build(
    *, check: Annotated[bool, typer.Option("--check", help="Fail if the committed JSON differs.")] = False
) -> None:
    """Build the boards' JSON and provisioning files from code."""
    from dashboards.build import main

    raise typer.Exit(main(["--check"] if check else []))


@app.command()
def diff(*, store: StoreOption = None, url: UrlOption = None, alerts: AlertsOption = False) -> None:
    """Say what in Grafana differs from what would be pushed. Exits 0 if nothing does, 1 if something does."""
    with _grafana(url, store) as boards:
        found = [*boards.found(), *(Alerts(boards.api).found() if alerts else ())]
        for one in found:
            _tell(one)
        raise typer.Exit(int(any(one.state != "same" for one in found)))


@app.command()
def push(
    *,
    store: StoreOption = None,
    url: UrlOption = None,
    alerts: AlertsOption = False,
    mail: Annotated[
        str | None,
        typer.Option(help="With --alerts: whom Grafana writes to, where it has no contact point of ours yet."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what people changed in Grafana.")] = False,
) -> None:
    """Bring the boards into Grafana. Doing it twice is doing it once; what people changed there is kept and told.

    Exits 0 if all stands as here, 1 if something was kept.
    """
    with _grafana(url, store) as boards:
        boards.make_folder()
        kept = [found for found in boards.found() if not _pushed(boards, found, force=force)]
        if alerts:
            kept += _push_alerts(Alerts(boards.api), mail, force=force)
        raise typer.Exit(int(bool(kept)))


@app.command()
def source() -> None:
    """Print the data source of this site's embedded PostgreSQL, as a file for Grafana's `provisioning/datasources`.

    It has the password of a login that may read what the boards show and nothing else; keep the file readable by
    Grafana alone. With a database of your own see docker/postgres.
    """
    from lotwise.boards.source import data_source
    from lotwise.runtime import error_sentence, servers

    conf = settings()
    if conf.database_url is not None:
        print(
            "LOTWISE_DATABASE_URL is set: its logins are yours to make (docker/postgres/10-roles.sh)", file=sys.stderr
        )
        raise typer.Exit(2)
    with error_sentence(), servers(conf, stream=False, user="dashboards") as found:
        found.prepare()
        assert found.lease is not None
        print(data_source(conf.data_dir, found.lease.ports), end="")


@app.command()
def check(*, store: StoreOption = None, url: UrlOption = None) -> None:
    """Say whether this Grafana can show the boards: version, token, data sources, and the boards themselves.

    Exits 0 if so, 1 with what is wrong.
    """
    with _grafana(url, store) as boards:
        wrong = list(boards.problems())
        for problem in wrong:
            print(problem)
        missing = [found.name for found in boards.found() if found.state == "absent"]
        if missing:
            print(f"not there yet: {', '.join(missing)} (lotwise dashboards push)")
        if not wrong and not missing:
            print("all is there, and every data source works")
        raise typer.Exit(int(bool(wrong or missing)))


def _pushed(boards: Boards, found: Found, *, force: bool) -> bool:
    """Pushes one board unless it is the same, or not ours to change; whether it stands as here."""
    if found.state == "same":
        print(f"{found.name}: same")
        return True
    if found.state == "provisioned":
        print(f"{found.name}: comes from files there (provisioning), which only its server's files can change")
        return not found.lines
    if found.state == "edited" and not force:
        _tell(found)
        print("  kept; --force overwrites it, and Grafana keeps its versions")
        return False
    boards.push(found, force=force)
    print(f"{found.name}: {'made' if found.state == 'absent' else 'renewed'}")
    return True


def _push_alerts(alerts: Alerts, mail: str | None, *, force: bool) -> list[Found]:
    kept = []
    for found in alerts.found():
        if found.state == "edited" and not force:
            _tell(found)
            print("  kept; --force overwrites it")
            kept.append(found)
        elif found.state == "same":
            print(f"{found.name}: same")
        else:
            alerts.push(found)
            print(f"{found.name}: {'made' if found.state == 'absent' else 'renewed'}")
    if mail is not None:
        for made in alerts.make_receivers(mail):
            print(f"made: {made}")
    return kept


_STATES = {
    "absent": "not there",
    "same": "same",
    "older": "pushed by another version of this code",
    "edited": "changed there",
    "provisioned": "from files there",
}


def _tell(found: Found) -> None:
    who = f" (saved last by {found.by})" if found.state in {"edited", "provisioned"} and found.by else ""
    print(f"{found.name}: {_STATES[found.state]}{who}")
    _list(found.lines if found.state != "same" else ())


def _list(lines: Iterable[str]) -> None:
    every = list(lines)
    for line in every[:SHOWN]:
        print(f"  {line}")
    if len(every) > SHOWN:
        print(f"  and {len(every) - SHOWN} more")


@contextmanager
def _grafana(url: str | None, store: Store | None) -> Iterator[Boards]:
    """A Grafana that is set; what it refuses ends the command with a sentence and exit code 2."""
    conf = settings()
    where = url or conf.grafana_url
    if not where or conf.grafana_token is None:
        missing = "LOTWISE_GRAFANA_URL (or --url)" if not where else "LOTWISE_GRAFANA_TOKEN"
        print(f"{missing} is not set: which Grafana, and as whom?", file=sys.stderr)
        raise typer.Exit(2)
    api = GrafanaApi(where.rstrip("/"), conf.grafana_token.get_secret_value())
    try:
        yield Boards(api, store or _store(conf), OutboundSettings().public_url)
    except GrafanaFault as fault:
        print(fault, file=sys.stderr)
        raise typer.Exit(2) from fault
    finally:
        api.close()


def _store(conf: Settings) -> Store:
    return Store.INFLUX if conf.influx_url else Store.POSTGRES
