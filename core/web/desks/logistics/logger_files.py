"""A logger's own file, for a shipment, a lot, a sublot or a zone: tried first, then bound."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from core.erp.kernel.auth import now_utc
from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.middleware import MAX_UPLOAD
from core.erp.kernel.unit import Unit
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting

router = page_routes()
TARGETS = ("shipment", "lot", "sublot", "zone")
FIELDS = ("timezone", "serial", "date_form", "columns")
MEASURED = 3
"""Columns of measurements that the form has lines for; a mapping over the API has no such end."""
QUANTITIES = {
    "temperature": "web.quantity_temperature",
    "humidity": "web.quantity_humidity",
    "pressure": "web.quantity_pressure",
}
UNITS = ("Cel", "[degF]", "K", "%", "hPa")
DELIMITERS, DECIMALS = (",", ";", "\t", "|"), (".", ",")
SHOWN = 10
"""Doubtful lines of a file that the page shows; the API and the command line tell them all."""
MOST_COLUMNS = 1000
"""No table has more: a greater number is a heading."""


class FileImportPort(Protocol):
    """Does with a logger's file what the API's `/imports/files` does, and answers as that does.

    The fields are that form's. Raises what the core raises.
    """

    async def read(self, name: str, data: bytes, fields: Mapping[str, object], now: datetime) -> Any:
        """What the file holds, to be taken."""
        ...

    def import_upload(self, u: Unit, upload: Any) -> dict[str, Any]:
        """Imports what was read."""
        ...


class _Done(BaseModel):
    """What an import answers, as it is."""

    model_config = ConfigDict(extra="allow")


@router.get("/loggers/import")
@needs("logger.import")
def show(visit: Visiting) -> Response:
    """The form; `?shipment=CODE` and the like say what the logger was with."""
    asked = visit.request.query_params
    target = next((name for name in TARGETS if name in asked), "shipment")
    return _page(visit, {"target": target, "called": asked.get(target, "")})


@router.post("/loggers/import")
@needs("logger.import", max_body=MAX_UPLOAD)
async def take(visit: Visiting) -> Response:
    """Tries the file, or binds it; what came of it is shown beside the form, which stays filled."""
    given = {name: visit.given(name) for name in ("target", "called", *FIELDS)}
    given["target"] = given["target"] if given["target"] in TARGETS else TARGETS[0]
    sent = visit.files.get("file")
    if sent is None or not sent.filename or not given["called"].strip():
        missing = "web.choose_file" if given["called"].strip() else "web.say_what_it_was_with"
        return _page(visit, given, 422, refused=visit.words.t(missing))
    dry_run = visit.given("act") != "bind"
    fields = {given["target"]: given["called"].strip(), "dry_run": dry_run} | {name: given[name] for name in FIELDS}
    fields["mapping"] = _mapping(visit)
    state = visit.request.app.state
    try:
        async with state.upload_limiter.slot(visit.actor.login, asyncio.Lock()):
            upload = await state.file_import.read(sent.filename, await sent.read(), fields, now_utc())
    except LotwiseError as error:
        return _page(visit, given, error.status, refused=error.text(visit.language))
    outcome = await visit.post(lambda u: _Done(**state.file_import.import_upload(u, upload)))
    if outcome.refused:
        return _page(visit, given, outcome.status, refused=outcome.detail)
    return _page(visit, given, found=outcome.body)


def _lines(visit: Visit) -> list[tuple[str, str, str]]:
    """(column, quantity, unit) of every line of the form, filled or not."""
    written = [visit.form.get(name, []) for name in ("value_column", "value_quantity", "value_unit")]
    filled = [(a.strip(), b, c) for a, b, c in zip(*written, strict=False)]
    return [*filled, *[("", "", "")] * MEASURED][:MEASURED]


def _mapping(visit: Visit) -> str:
    """What the form says of a table whose form is not known; empty where it says nothing."""
    values = [
        {"column": _column(column), "point": f"file/table/r/file/{quantity}", "unit": unit}
        for column, quantity, unit in _lines(visit)
        if column and quantity in QUANTITIES and unit in ("", *UNITS)
    ]
    time = [_column(part.strip()) for part in visit.given("time_columns").split(";") if part.strip()]
    said: dict[str, Any] = {"values": values, "time": time}
    said |= {"delimiter": visit.given("delimiter"), "decimal": visit.given("decimal")}
    known = {name: value for name, value in said.items() if value}
    return json.dumps(known) if known else ""


def _column(text: str) -> str | int:
    """A column by its heading, or by its number, 1 for the first."""
    number = whole(text)
    return number if number is not None and number < MOST_COLUMNS else text


def _page(
    visit: Visit,
    given: Mapping[str, str],
    status: int = 200,
    *,
    refused: str = "",
    found: Mapping[str, Any] | None = None,
) -> Response:
    said = {name: visit.given(name) for name in ("time_columns", "delimiter", "decimal")}
    return visit.page(
        "desks/logger_file.html",
        status,
        given={**dict.fromkeys(FIELDS, ""), **said, **given},
        lines=_lines(visit),
        choices=(
            ("delimiter", "web.import_delimiter", DELIMITERS),
            ("decimal", "web.import_decimal", DECIMALS),
        ),
        quantities=QUANTITIES,
        units=UNITS,
        targets=TARGETS,
        refused=refused,
        found=found,
        shown=SHOWN,
    )
