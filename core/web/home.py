"""The overview: zones live, zone alarms, open excursions by incident, holds."""

from datetime import datetime
from itertools import groupby
from typing import Any

from nicegui import ui

from core.erp.kernel.unit import Unit
from core.web import queries as q
from core.web.alarms import alarms
from core.web.formatting import NONE, age, band, clock, length, limit, number
from core.web.old_frame import Visit, heading, live, table

ZONES = (
    ("address", "Zone"),
    ("name", "Name"),
    ("value", "Last good value, °C"),
    ("band", "Band, °C"),
    ("state", "State"),
    ("last_good", "Last good reading"),
    ("judged", "Judged to"),
    ("sublots", "Sublots"),
    ("held", "Held"),
)
EXCURSIONS = (
    ("id", "No."),
    ("lot", "Lot"),
    ("sublot", "Sublot"),
    ("item", "Item"),
    ("zone", "Broke in"),
    ("limit", "Limit"),
    ("certainty", "Certainty"),
    ("state", "State"),
    ("started", "Out since"),
    ("broke", "Broke"),
    ("known", "Known"),
    ("out", "Out for"),
    ("extremes", "Min / max, °C"),
)
HOLDS = (
    ("id", "No."),
    ("target", "On"),
    ("lot", "Lot"),
    ("zone", "Zone"),
    ("kind", "Kind"),
    ("certainty", "Certainty"),
    ("reason", "Reason"),
    ("since", "Since"),
    ("known", "Known"),
    ("excursion", "Excursion"),
    ("lifts", "Lifted by"),
)
COLOURS = {
    "good": "positive",
    "warm": "negative",
    "cold": "negative",
    "stale": "orange-10",
    "unknown": "grey-7",
    "no band": "grey-7",
    "proven": "negative",
    "uncertain": "orange-10",
    "unproven": "grey-8",
}


async def overview(of: Visit) -> None:
    """The page."""
    heading("Zones")
    zones = table(ZONES, (), "No zones yet", badges=("state",))
    await live(of, "exposure.read", _zones, lambda rows, _: _update_card(zones, rows))
    await alarms(of)
    heading("Open excursions")
    await live(of, "quality.read", q.excursions, lambda rows, _: _draw_excursions(rows))
    heading("Holds")
    await live(of, "stock.read", q.holds, lambda rows, _: _draw_holds(rows))


def _zones(u: Unit) -> list[dict[str, Any]]:
    """Rows as shown: the ages in them change each second, and the table with them."""
    return [_zone(zone, u.now) for zone in q.zones(u)]


def _zone(zone: dict[str, Any], now: datetime) -> dict[str, Any]:
    state = q.standing(zone, now)
    marks = [word for word, on in (("accepts held", zone["accepts_held"]), ("simulated", zone["simulated"])) if on]
    return {
        "id": zone["id"],
        "address": zone["address"],
        "value": number(zone["last_value"]),
        "state": state,
        "name": zone["name"] + (f" ({', '.join(marks)})" if marks else ""),
        "state_colour": COLOURS[state],
        "band": band(zone["band_low"], zone["band_high"]),
        "last_good": age(zone["last_good_at"], now),
        "judged": clock(zone["judged_to"]),
        "sublots": zone["sublots"],
        "held": zone["held"],
    }


def _update_card(made: ui.table, rows: list[dict[str, Any]]) -> None:
    """New rows in the same table: what somebody sorted stays sorted."""
    made.rows = rows
    made.update()


def _draw_excursions(rows: list[dict[str, Any]]) -> None:
    if not rows:
        ui.label("Nothing is against any lot.")
    for _, group in groupby(rows, key=lambda row: row["incident_id"]):
        members = list(group)
        first = members[0]
        ui.link(
            f"Incident {first['incident_id']}: {first['incident']}, known {clock(first['incident_known'])}",
            f"/incidents/{first['incident_id']}",
        ).classes("font-medium mt-2")
        table(EXCURSIONS, map(excursion_row, members), "", links=("id", "sublot"), badges=("certainty",))
    if len(rows) == q.MAX_ROWS:
        ui.label(f"The newest {q.MAX_ROWS}; there may be more.")


def excursion_row(row: dict[str, Any]) -> dict[str, Any]:
    """An excursion as tables show it."""
    return {
        "id": row["id"],
        "id_link": f"/excursions/{row['id']}",
        "lot": row["lot"],
        "sublot": row["sublot"],
        "sublot_link": f"/sublots/{row['sublot_id']}",
        "item": row["item"],
        "zone": row["zone"] or NONE,
        "limit": f"{row['limit_key']}: {limit(row['op'], row['threshold'], row['kind'], row['delay'])}",
        "certainty": row["certainty"],
        "certainty_colour": COLOURS[row["certainty"]],
        "state": row["state"],
        "started": clock(row["started_at"]),
        "broke": clock(row["broke_at"]),
        "known": clock(row["known_at"]),
        "out": length(row["out_for"]),
        "extremes": f"{number(row['lowest'])} / {number(row['highest'])}",
    }


def _draw_holds(rows: list[dict[str, Any]]) -> None:
    holds_table(rows)
    if len(rows) == q.MAX_ROWS:
        ui.label(f"The newest {q.MAX_ROWS}; there may be more.")


def holds_table(rows: list[dict[str, Any]]) -> None:
    """Holds that stand, each with its reason, since when it is so and when it was known."""
    shown = [
        {
            "id": row["id"],
            "id_link": f"/holds/{row['id']}",
            "target": row["target"],
            "target_link": row["sublot_id"] and f"/sublots/{row['sublot_id']}",
            "lot": row["lot"] or NONE,
            "zone": row["zone"] or NONE,
            "kind": row["kind"],
            "certainty": row["certainty"] or NONE,
            "reason": row["reason"],
            "since": clock(row["since_at"]),
            "known": clock(row["placed_at"]),
            "excursion": row["excursion_id"] or NONE,
            "excursion_link": row["excursion_id"] and f"/excursions/{row['excursion_id']}",
            "lifts": row["lift_permit"],
        }
        for row in rows
    ]
    table(HOLDS, shown, "Nothing is held", links=("id", "target", "excursion"))
