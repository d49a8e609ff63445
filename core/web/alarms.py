"""Zone alarms, the operator's: acknowledge, shelve for a while with a reason, and what is shelved or silenced now."""

from datetime import timedelta
from typing import Any

from nicegui import ui

from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.web import queries as q
from core.web.formatting import NONE, clock, number
from core.web.old_frame import Visit, heading, live, refusal, table

ALARMS = (
    ("zone", "Zone"),
    ("kind", "Alarm"),
    ("state", "State"),
    ("value", "Value"),
    ("started", "Since"),
    ("returned", "Returned"),
    ("who", "Acknowledged by"),
)
SILENCED = (
    ("zone", "Zone"),
    ("kind", "Alarm"),
    ("how", "How"),
    ("until", "Until"),
    ("reason", "Reason"),
    ("by", "By"),
    ("since", "Since"),
    ("standing", "Alarms standing"),
)
FOR = {15: "15 minutes", 60: "1 hour", 240: "4 hours", 480: "8 hours", 1440: "24 hours"}
"""Minutes; nobody shelves for longer than a day at a time."""
ACTS = """<q-td :props="props">
    <q-btn v-if="props.row.open" dense flat color="primary" label="Acknowledge"
        @click="() => $parent.$emit('acknowledge', props.row.id)" />
    <q-btn v-if="props.row.shelves" dense flat color="primary" label="Shelve"
        @click="() => $parent.$emit('shelve', props.row.id)" /></q-td>"""
BACK = """<q-td :props="props"><q-btn v-if="props.row.until_known" dense flat color="primary" label="Unshelve"
    @click="() => $parent.$emit('unshelve', props.row.id)" /></q-td>"""


async def alarms(of: Visit) -> None:
    """Alarms that somebody should hear, and apart from them what is shelved, suppressed or out of service."""
    heading("Zone alarms")
    ui.label("The operator's: the room is out of its own band, or silent. Acknowledging releases nothing.").classes(
        "text-sm text-grey-8"
    )
    label = refusal()
    shelving = _Shelving(of)
    await live(of, "quality.read", q.alarms, lambda rows, _: _draw(of, rows, label, shelving))
    heading("Shelved, suppressed, out of service")
    ui.label("Not heard for now, yet recorded and judged like any other.").classes("text-sm text-grey-8")
    await live(of, "quality.read", q.silenced, lambda rows, _: _draw_silenced(of, rows, shelving))


class _Shelving:
    """The dialog that takes an alarm off the list, or puts it back: it outlives the lists being drawn anew."""

    def __init__(self, of: Visit) -> None:
        self._of = of
        self._row: dict[str, Any] = {}
        with ui.dialog() as self._dialog, ui.card().classes("w-96"):
            self._title = ui.label("").classes("text-lg font-medium")
            self._length = ui.select(FOR, label="For how long", value=60).classes("w-full")
            self._reason = ui.textarea("Reason").classes("w-full")
            self._said = refusal()
            self._button = ui.button("", on_click=self._do)

    def open(self, row: dict[str, Any], *, back: bool) -> None:
        """Asks for what is needed to shelve the row's alarm, or to put it `back`."""
        self._row = row | {"back": back}
        verb = "Put back" if back else "Shelve"
        self._title.set_text(f"{verb}: {row['kind']} of {row['zone']}")
        self._button.set_text("Put back now" if back else "Shelve now")
        self._length.set_visibility(not back)
        self._reason.set_value("")
        self._said.set_text("")
        self._dialog.open()

    async def _do(self) -> None:
        row, why, minutes = self._row, self._reason.value or "", int(self._length.value)

        def work(u: Unit) -> None:
            if row["back"]:
                quality.unshelve(u, row["zone_id"], row["kind"], why)
            else:
                quality.shelve(u, row["zone_id"], row["kind"], u.now + timedelta(minutes=minutes), why)

        if await self._of.act(work, "alarm.shelve", self._said):
            self._dialog.close()


def _draw(of: Visit, rows: list[dict[str, Any]], label: ui.label, shelving: _Shelving) -> None:
    async def acknowledge(alarm_id: int) -> None:
        await of.act(lambda u: quality.acknowledge(u, alarm_id), "alarm.acknowledge", label)

    may, shelves = of.actor.may("alarm.acknowledge"), of.actor.may("alarm.shelve")
    shown = [
        {
            "id": row["id"],
            "zone": row["zone"],
            "kind": row["kind"],
            "state": row["state"].replace("_", " "),
            "value": number(row["value"]),
            "started": clock(row["started_at"]),
            "returned": clock(row["returned_at"]),
            "who": row["acknowledged_by"] or NONE,
            "shelves": shelves,
            "open": may and row["state"] in {"unacknowledged", "returned_unacknowledged"},
        }
        for row in rows
    ]
    made = table((*ALARMS, ("act", "")) if may or shelves else ALARMS, shown, "No alarms")
    by_id = {row["id"]: row for row in rows}
    made.add_slot("body-cell-act", ACTS)
    made.on("acknowledge", lambda event: acknowledge(int(event.args)))
    made.on("shelve", lambda event: shelving.open(by_id[int(event.args)], back=False))


def _draw_silenced(of: Visit, rows: list[dict[str, Any]], shelving: _Shelving) -> None:
    shown = [
        {
            "id": number_,
            "zone": row["zone"],
            "kind": row["kind"],
            "how": _how(row),
            "until": clock(row["shelved_until"]),
            "reason": row["reason"],
            "by": row["by"],
            "since": clock(row["at"]),
            "standing": row["standing"],
            "until_known": row["shelved_until"] is not None,
        }
        for number_, row in enumerate(rows)
    ]
    may = of.actor.may("alarm.shelve")
    made = table((*SILENCED, ("act", "")) if may else SILENCED, shown, "Every alarm is heard")
    made.add_slot("body-cell-act", BACK)
    made.on("unshelve", lambda event: shelving.open(rows[int(event.args)], back=True))


def _how(row: dict[str, Any]) -> str:
    ways = (
        ("shelved", row["shelved_until"]),
        ("suppressed", row["suppressed"]),
        ("out of service", row["out_of_service"]),
    )
    return ", ".join(name for name, so in ways if so)
