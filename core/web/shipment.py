"""One shipment: how it stands, its required loggers, and the reading out of a logger's file: tried, then bound."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from nicegui import ui
from nicegui.events import UploadEventArguments

from core.erp.kernel.auth import now_utc
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.records.shown import shown
from core.erp.kernel.unit import Unit
from core.erp.shipments.records import SHIPMENTS
from core.web.formatting import NONE, clock
from core.web.old_frame import Visit, facts, heading, live, refusal, table

LINES = (("sublot", "Sublot"), ("lot", "Lot"), ("item", "Item"), ("amount", "Amount"), ("state", "State"))
LOGGERS = (("serial", "Required logger"), ("state", "State"), ("read", "Read"))
EXCURSIONS = (
    ("limit_key", "Limit"),
    ("sublot_id", "Sublot"),
    ("started", "From"),
    ("broke", "Broken"),
    ("certainty", "Certainty"),
)
MOST_BYTES = 64 * 1024 * 1024
SHOWN = 10
"""Doubtful lines of a file that a page shows; the API and the command line tell them all."""


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


async def shipment(take: FileImportPort, of: Visit, shipment_id: int) -> None:
    """The page of one shipment."""
    await live(of, "shipment.read", lambda u: shown(u, SHIPMENTS, shipment_id), lambda found, _: _draw(found))
    if of.actor.may("logger.import"):
        _LoggerImport(take, of, shipment_id)


def _draw(found: Any) -> None:
    with ui.element("h1").classes("text-xl font-medium"):
        ui.label(f"Shipment {found.code} to {found.consignee}")
    facts(
        (
            ("State", found.state.replace("_", " ")),
            ("Held", "held" if found.held else "not held"),
            ("Left", clock(found.departed_at or found.dispatched_at)),
            ("Arrived", clock(found.arrived_at)),
        )
    )
    lines = [line.model_dump(include={"id", *dict(LINES)}, mode="json") for line in found.lines]
    table(LINES, lines, "No goods")
    loggers = [
        {
            "id": one.serial,
            "serial": one.serial,
            "read": clock(one.read_at),
            "state": one.state if one.reason is None else f"{one.state}: {one.reason}",
        }
        for one in found.loggers
    ]
    table(LOGGERS, loggers, "No logger is required")


class _LoggerImport:
    """Where a logger's file is handed in. What is bound is exactly what was tried last."""

    def __init__(self, take: FileImportPort, of: Visit, shipment_id: int) -> None:
        self._take, self._of, self._shipment_id = take, of, shipment_id
        self._tried: tuple[str, bytes, dict[str, object]] | None = None
        heading("Read out a logger")
        with ui.card().classes("w-full max-w-2xl"):
            ui.label("Its own file, as the device or its program wrote it. It is tried first; nothing is kept of that.")
            # the rest as a hint: a phone cuts the label off
            self._zone = ui.input("Time zone its clock was set to", on_change=self._reset)
            self._zone.props('hint="Empty: UTC is assumed"')
            self._serial = ui.input("Its number, if the file has none", on_change=self._reset)
            self._said = refusal()
            self._file = ui.upload(label="Choose the file", auto_upload=True, max_file_size=MOST_BYTES)
            self._file.on_upload(self._on_upload).on_rejected(
                partial(self._said.set_text, "A file has at most 64 MiB.")
            )
            for field in (self._zone, self._serial, self._file):
                field.classes("w-full")
            self._outcome = ui.column().classes("w-full gap-1")
            self._bind = ui.button("Bind it to the shipment", on_click=self._bind_import)
            self._bind.set_visibility(False)

    def _reset(self) -> None:
        """Another time zone or number is another import: the file is to be chosen again."""
        self._outcome.clear()
        self._bind.set_visibility(False)

    async def _on_upload(self, event: UploadEventArguments) -> None:
        self._reset()
        self._file.reset()  # the same file may be chosen again
        fields = {"shipment": self._shipment_id, "timezone": self._zone.value or "", "serial": self._serial.value or ""}
        self._tried = (event.file.name, await event.file.read(), fields)
        self._bind.set_visibility(await self._run(dry_run=True))

    async def _bind_import(self) -> None:
        if await self._run(dry_run=False):
            self._bind.set_visibility(False)

    async def _run(self, *, dry_run: bool) -> bool:
        """Tries or binds the file that came, and shows what came of it; False where it was refused."""
        self._outcome.clear()
        assert self._tried is not None
        name, data, fields = self._tried
        answers: list[dict[str, Any]] = []
        try:
            upload = await self._take.read(name, data, fields | {"dry_run": dry_run}, now_utc())
        except LotwiseError as error:
            self._said.set_text(f"{error.title}: {error.detail}")
            return False
        if not await self._of.act(
            lambda u: answers.append(self._take.import_upload(u, upload)), "logger.import", self._said
        ):
            return False
        with self._outcome:
            _show_answer(answers[-1])  # of the last try, where the database made us begin again
        return True


def _show_answer(answer: dict[str, Any]) -> None:
    """What came of it, or would come."""
    file = answer["file"]
    heading("What would come of it" if answer["dry_run"] else "Bound")
    facts(
        (
            ("File", f"{file['name']}: {file['device'] or file['kind']} {file['serial']}, {file['readings']} readings"),
            ("Signature", file["authenticity"] or NONE),
            ("With the goods", f"{answer['counted']} readings, which count"),
            (
                "Kept, not counted",
                f"{answer['before']} before, {answer['after']} after, {answer['between']} in between",
            ),
            ("Known already", f"{answer['duplicates']} readings, and {answer['conflicts']} with another value"),
            ("Refused", ", ".join(f"{count} {reason}" for reason, count in answer["refused"].items()) or "none"),
            ("Required logger", answer["logger"] or "not one that the shipment requires"),
            ("Holds on the goods", "; ".join(hold["reason"] for hold in answer["holds"]) or "none"),
        )
    )
    rows = [
        one | {"started": clock(one["started_at"]), "broke": clock(one["broke_at"])} for one in answer["excursions"]
    ]
    kept = ("id", *dict(EXCURSIONS))
    table(EXCURSIONS, [{key: row[key] for key in kept} for row in rows], "No limit of the goods is broken")
    for doubt in file["doubts"][:SHOWN]:
        ui.label(f"line {doubt['line']}: {doubt['kind']}: {doubt['message']}").classes("text-sm text-grey-8")
    if file["doubts_in_all"] > SHOWN:
        ui.label(f"{file['doubts_in_all']} doubtful lines in all").classes("text-sm text-grey-8")
