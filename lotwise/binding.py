"""`lotwise import … --shipment S | --lot L`: sends a logger's readings through the public API and prints what came.

The core judges; this side only reads the file. The password is asked for, or taken from LOTWISE_PASSWORD.
"""

import getpass
import json as jsonlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from core.telemetry.quality import Quality
from core.telemetry.readers.recorded import by_quantity, set_right
from core.telemetry.readers.text import BadFile
from core.telemetry.reading import Reading

OK, FAILED, REFUSED = 0, 2, 3
"""Exit codes: bound; the core could not be asked, or the options do not fit; the core refused."""
_TIMEOUT = 300.0
_CREATED_OR_OK = (200, 201)

ApiOption = Annotated[str, typer.Option("--api", envvar="LOTWISE_API", help="Where the core is.")]
LoginOption = Annotated[str | None, typer.Option("--login", envvar="LOTWISE_LOGIN", help="Who signs in there.")]
ShipmentOption = Annotated[str | None, typer.Option("--shipment", help="Code or id: counts from leaving to arrival.")]
LotOption = Annotated[str | None, typer.Option("--lot", help="Number or id: counts where nobody else measured.")]
SublotOption = Annotated[str | None, typer.Option("--sublot", help="Code or id: as --lot, for one sublot.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", help="Address or id: the logger stays there; all counts.")]
FromOption = Annotated[
    datetime | None, typer.Option("--from", help="The logger was with the goods since then (its own clock).")
]
ToOption = Annotated[datetime | None, typer.Option("--to", help="… until then (its own clock).")]
ClockOption = Annotated[
    float, typer.Option("--clock-fast", help="Minutes by which the logger's clock was fast (negative: slow).")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would come of it; nothing is kept.")]
DEFAULT_API = "http://127.0.0.1:8080"


class NotBound(Exception):
    """The core could not be asked, or refused; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Binding:
    """What a logger was with, where the core is, and who asks."""

    api: str
    login: str | None
    shipment: str | None = None
    lot: str | None = None
    sublot: str | None = None
    zone: str | None = None
    start: datetime | None = None
    stop: datetime | None = None
    dry_run: bool = False
    clock_fast: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether anything was named to bind to, or to try."""
        return any(
            (
                self.shipment,
                self.lot,
                self.sublot,
                self.zone,
                self.start,
                self.stop,
                self.dry_run,
                self.clock_fast,
            )
        )

    def by_clock_of(self, zone: tzinfo) -> "Binding":
        """With `start` and `stop` as instants, where they were given by the logger's clock."""
        start, stop = (at if at is None or at.tzinfo else at.replace(tzinfo=zone) for at in (self.start, self.stop))
        return replace(self, start=start, stop=stop)

    def targets(self) -> dict[str, Any]:
        """The body's part that says what it was with."""
        named = {"shipment": self.shipment, "lot": self.lot, "sublot": self.sublot, "zone": self.zone}
        out: dict[str, Any] = {key: value for key, value in named.items() if value}
        if len(out) != 1:
            raise NotBound("name one of --shipment, --lot, --sublot, --zone", FAILED)
        times = {"start": self.start, "stop": self.stop}
        return out | {key: at.isoformat() for key, at in times.items() if at is not None} | {"dry_run": self.dry_run}


NOTHING = Binding(DEFAULT_API, None)
"""A file that is only read, and bound to nothing."""


def series_of(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    """Readings as the body's series, one a quantity, in the file's order. Raises BadFile as `by_quantity` does."""
    return [
        {
            "quantity": quantity,
            "unit": unit,
            "values": [_value(reading) for reading in found],
            "simulated": any(reading.simulated for reading in found),
        }
        for (quantity, unit), found in by_quantity(readings).items()
    ]


def _value(reading: Reading) -> dict[str, Any]:
    value = {"at": reading.at.isoformat(), "value": reading.value}
    if reading.quality is not Quality.GOOD:
        value |= {"quality": reading.quality.name.lower(), "reason": reading.reason}
    return value


def send(binding: Binding, serial: str, series: Sequence[dict[str, Any]], source: str) -> dict[str, Any]:
    """Signs in and posts; the core's answer. Raises NotBound."""
    body = {"serial": serial, "series": list(series), "source": source, **binding.targets()}
    if not binding.login:
        raise NotBound("who signs in? give --login or LOTWISE_LOGIN", FAILED)
    password = os.environ.get("LOTWISE_PASSWORD") or getpass.getpass(f"Password of {binding.login}: ", sys.stderr)
    try:
        with httpx.Client(base_url=binding.api.rstrip("/"), timeout=_TIMEOUT) as client:
            token = client.post("/api/v1/token", data={"username": binding.login, "password": password})
            headers = {"Authorization": f"Bearer {_answer_of(token)['access_token']}"}
            with Console(stderr=True).status(f"binding {sum(len(one['values']) for one in series)} readings …"):
                return _answer_of(client.post("/api/v1/imports", json=body, headers=headers))
    except httpx.HTTPError as error:
        raise NotBound(f"{binding.api}: {error or type(error).__name__}", FAILED) from error
    except httpx.InvalidURL as error:
        raise NotBound(f"{binding.api}: {error}", FAILED) from error


def _answer_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError as error:
        raise NotBound(f"{answer.url} is no Lotwise: it answered {answer.status_code}", FAILED) from error
    if answer.status_code not in _CREATED_OR_OK:
        raise NotBound(str(body.get("detail", body)), REFUSED)
    return dict(body)


def bind(binding: Binding, serial: str, readings: Iterable[Reading], source: str, *, json: bool = False) -> int:
    """Sends the readings and prints what came of it; returns the exit code. `source` names what was read."""
    try:
        right = set_right(readings, binding.clock_fast)
        if binding.clock_fast:
            source = f"{source}, clock {binding.clock_fast:g} min fast"
        answer = send(binding, serial, series_of(right), source)
    except NotBound as error:
        print(f"not bound: {error}", file=sys.stderr)
        return error.code
    except BadFile as error:
        print(f"not bound: {error}", file=sys.stderr)
        return FAILED
    if json:
        print(jsonlib.dumps(answer, ensure_ascii=False))
    else:
        show(answer)
    return OK


def show(answer: dict[str, Any]) -> None:
    """Prints the core's answer for people."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    lead = "[bold]Dry run, nothing kept.[/bold] Would be bound" if answer["dry_run"] else "[bold]Bound[/bold]"
    console.print(f"{lead} to {answer['bound_to']}, as {', '.join(answer['points'])}")
    for span in answer["together"]:
        goods = ", ".join(str(sublot) for sublot in span["sublot_ids"])
        console.print(f"  with sublot {goods} from {span['start']} to {span['stop'] or 'now, still travelling'}")
    console.print(
        f"  {answer['landed']} readings new, {answer['duplicates']} known already, {answer['conflicts']} in conflict"
    )
    apart = answer["before"] + answer["after"] + answer["between"]
    console.print(
        f"  {answer['counted']} counted; {apart} kept that do not count "
        f"({answer['before']} before, {answer['after']} after, {answer['between']} in between)"
    )
    for reason, count in answer["refused"].items():
        console.print(f"  [red]{count} refused: {reason}[/red]")
    for detail in answer["refused_details"]:
        console.print(f"    {detail}")
    if answer["logger"]:
        left = "" if answer["logger"] == "read" else " (the journey goes on: import again after the arrival)"
        console.print(f"  required logger: {answer['logger']}{left}")
    _table(
        console,
        "Excursions that stand now",
        answer["excursions"],
        ("sublot_id", "limit_key", "started_at", "broke_at", "ended_at", "certainty", "state"),
    )
    _table(
        console,
        "Holds that stand now",
        answer["holds"],
        ("sublot_id", "shipment_id", "kind", "certainty", "since_at", "reason"),
    )


def _table(console: Console, title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    if not rows:
        console.print(f"{title}: none")
        return
    made = Table(*columns, title=title)
    for row in rows:
        made.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    console.print(made)
