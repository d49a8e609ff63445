"""What travels, and what is made next: shipments with their holds, and the work centres' dispatch lists."""

from typing import Any

from nicegui import ui

from core.erp.kernel.unit import Unit
from core.erp.scheduling import service as scheduling
from core.web import queries as q
from core.web.formatting import NONE, clock, length
from core.web.old_frame import Visit, heading, live, table

SHIPMENTS = (
    ("code", "Shipment"),
    ("kind", "Kind"),
    ("consignee", "To"),
    ("market", "Market"),
    ("state", "State"),
    ("held", "Held"),
    ("since", "Held since"),
    ("lines", "Lines"),
    ("due", "Due"),
    ("departed", "Left"),
    ("arrived", "Arrived"),
)
ENTRIES = (
    ("rank", "Rank"),
    ("order_code", "Work order"),
    ("name", "Operation"),
    ("item", "Item"),
    ("amount", "Amount"),
    ("due", "Due"),
    ("priority", "Priority"),
    ("duration", "Takes"),
    ("state", "State"),
)


async def shipments(of: Visit) -> None:
    """Shipments, open ones first."""
    heading("Shipments")
    await live(of, "shipment.read", q.shipments, lambda rows, _: _draw_shipments(rows))


def _draw_shipments(rows: list[dict[str, Any]]) -> None:
    shown = [
        {
            "id": row["id"],
            "code": row["code"],
            "code_link": f"/shipments/{row['id']}",
            "kind": row["kind"],
            "consignee": row["consignee"],
            "market": row["market"] or NONE,
            "state": row["state"].replace("_", " "),
            "held": f"held: {row['held']}" if row["held"] else "not held",
            "held_colour": "negative" if row["held"] else "positive",
            "since": clock(row["held_since"]),
            "lines": row["lines"],
            "due": clock(row["due_at"]),
            "departed": clock(row["departed_at"]),
            "arrived": clock(row["arrived_at"]),
        }
        for row in rows
    ]
    table(SHIPMENTS, shown, "No shipments", links=("code",), badges=("held",))


async def centres(of: Visit) -> None:
    """What each work centre runs and should start next."""
    await live(of, "schedule.read", _lists, lambda lists, _: _draw_lists(lists))


def _lists(u: Unit) -> list[dict[str, Any]]:
    return [scheduling.dispatch_list(u, code) for code in q.work_centres(u)]


def _draw_lists(lists: list[dict[str, Any]]) -> None:
    if not lists:
        ui.label("No work centres yet.")
    for one in lists:
        heading(f"{one['work_centre']}: {one['name']}")
        state = "up" if one["up"] else f"down ({one['state_reason']})"
        runs = one["running"]
        ui.label(
            f"{state} since {clock(one['state_since'])} · "
            + (
                f"runs {runs['order_code']}: {runs['name']} since {clock(runs['started_at'])}"
                if runs
                else "runs nothing"
            )
            + f" · list remade {clock(one['made_at'])} ({one['cause'] or 'never'})"
        )
        rows = [
            {
                "id": entry["operation_id"],
                "rank": entry["rank"],
                "order_code": entry["order_code"],
                "name": entry["name"],
                "item": entry["item"],
                "amount": format(entry["amount"].normalize(), "f"),
                "due": clock(entry["due_at"]),
                "priority": entry["priority"],
                "duration": length(entry["duration"]),
                "state": entry["state"],
            }
            for entry in one["entries"]
        ]
        table(ENTRIES, rows, "Nothing is ready")
