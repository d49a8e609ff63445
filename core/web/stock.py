"""Lots and sublots: what may be done with them and what stands in the way, and their release."""

from typing import Any

from nicegui import ui

from core.erp.exposure.service import Exposure, exposure
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import render
from core.erp.lots.rules import Purpose
from core.erp.quality import service as quality
from core.web import queries as q
from core.web.formatting import NONE, clock, length, number
from core.web.home import EXCURSIONS, excursion_row, holds_table
from core.web.old_frame import Visit, facts, heading, live, refusal, signing, table
from core.web.restrictions_form import restrictions

SUBLOTS = (
    ("code", "Sublot"),
    ("lot", "Lot"),
    ("item", "Item"),
    ("state", "State"),
    ("expiry", "Expiry"),
    ("zone", "Zone"),
    ("on_hand", "On hand"),
)
AGAINST = (("purpose", "Purpose"), ("may", "May be taken"), ("why", "What stands against it"))
WAITING = (*SUBLOTS, ("why", "What stands against its release"))
FREE = "yes"
LIMITS = (
    ("key", "Limit"),
    ("proven", "Out, proven"),
    ("uncertain", "Out, if uncertain values are believed"),
    ("worst", "Out, worst case"),
    ("longest", "Longest proven stretch"),
    ("budget", "Budget left"),
)


async def stock(of: Visit) -> None:
    """Search among sublots; each says for which purposes it is free."""
    heading("Lots and sublots")
    words = ui.input("Search by sublot, lot or item").classes("w-96").props("clearable autofocus debounce=300")
    columns = (*SUBLOTS, *((str(purpose), str(purpose).replace("_", " ")) for purpose in Purpose))
    await live(of, "stock.read", lambda u: q.sublots(u, words.value or ""), lambda rows, _: _draw(columns, rows))


def _draw(columns: tuple[tuple[str, str], ...], rows: list[dict[str, Any]]) -> None:
    purposes = [str(purpose) for purpose in Purpose]
    shown = [
        _row(row)
        | {name: _obstacles_short(row["against"][name]) for name in purposes}
        | {f"{name}_colour": "negative" if row["against"][name] else "positive" for name in purposes}
        for row in rows
    ]
    table(columns, shown, "No sublot of that name", links=("code",), badges=purposes)
    if len(rows) == q.MAX_ROWS:
        ui.label(f"The first {q.MAX_ROWS}; search for the others.")


def _obstacles_short(against: list[str]) -> str:
    return ", ".join(dict.fromkeys(one.partition(":")[0] for one in against)) or "free"


def _bars(u: Unit, sublot_id: int) -> list[str]:
    """What stands against a signed release."""
    return [render(one.message) for one in quality.release_obstacles(u, sublot_id, automatic=False)]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "code": row["code"],
        "code_link": f"/sublots/{row['id']}",
        "lot": row["lot"],
        "item": row["item"],
        "state": row["state"],
        "expiry": str(row["expiry"] or NONE),
        "zone": row["zone"] or NONE,
        "on_hand": format(row["on_hand"].normalize(), "f"),
    }


async def sublot(of: Visit, sublot_id: int) -> None:
    """One sublot: what may be done with it, what it went through, and its release."""

    def ask(u: Unit) -> Any:
        row = q.sublot(u, sublot_id)
        if row is None:
            return (None,)
        waits = row["state"] == "quarantine"
        reviewed = quality.review(u, sublot_id) if waits else None
        bars = _bars(u, sublot_id) if waits else []
        return (
            row,
            exposure(u.conn, sublot_id, u.now),
            q.excursions_of(u, sublot_id),
            q.holds_of(u, sublot_id),
            q.releases(u, sublot_id),
            reviewed,
            bars,
            q.signed_before(u),
            q.restrictions(u, sublot_id),
        )

    found = await of.read(ask, "stock.read", "exposure.read", "quality.read")
    if found is None:
        return
    if found[0] is None:
        ui.label(f"There is no sublot {sublot_id}.")
        return
    row, went_through, excursions, holds, released, reviewed, bars, signed, bound = found
    _show_facts(row, released)
    if reviewed is not None:
        _release(of, row, reviewed, bars, first=not signed)
    heading("Holds")
    holds_table(holds)
    restrictions(of, sublot_id, bound)
    heading("Excursions")
    table(EXCURSIONS, map(excursion_row, excursions), "None", links=("id",), badges=("certainty",))
    show_exposure(went_through)


def _show_facts(row: dict[str, Any], released: list[dict[str, Any]]) -> None:
    with ui.element("h1").classes("text-xl font-medium"):
        ui.label(f"Sublot {row['code']} of lot {row['lot']}")
    shown = _row(row)
    facts(
        (
            ("Item", row["item"]),
            ("State", row["state"]),
            ("Zone", shown["zone"]),
            ("On hand", shown["on_hand"]),
            ("Expiry", shown["expiry"]),
            *(
                (
                    "Released",
                    "automatically, " + clock(one["at"]) + " UTC: nothing stood against it"
                    if one["automatic"]
                    else signature_text(one["name"], one["at"], one["meaning"], one["reason"]),
                )
                for one in released
            ),
        )
    )
    heading("What it may be taken for, now")
    rows = [
        {
            "id": name,
            "purpose": name.replace("_", " "),
            "may": "no" if why else FREE,
            "may_colour": "negative" if why else "positive",
            "why": "; ".join(why) or NONE,
        }
        for name, why in row["against"].items()
    ]
    table(AGAINST, rows, "", badges=("may",))


def _release(of: Visit, row: dict[str, Any], reviewed: dict[str, Any], bars: list[str], *, first: bool) -> None:
    heading("Batch release")
    history = reviewed["exposure"]
    facts(
        (
            (
                "To be reviewed",
                f"{len(history['custody_intervals'])} stays, {len(history['excursions'])} excursions (below)",
            ),
            ("Audit trail", f"{reviewed['audit_rows']} rows, SHA-256 {reviewed['audit_hash']}"),
            (
                "Unfilled gaps",
                "; ".join(
                    f"{gap['reason']} from {gap['start_at']} to {gap['stop_at'] or 'now'}" for gap in history["gaps"]
                )
                or "none",
            ),
            ("Against it", "; ".join(bars) or "nothing"),
        )
    )
    if bars or not of.actor.may("batch.release"):
        return
    with ui.card().classes("w-full max-w-2xl mt-2"):
        reason = ui.textarea("Reason", value="exposure and audit trail reviewed").classes("w-full")
        label = refusal()

        async def sign(login: str | None, password: str) -> None:
            if await of.sign(quality.release_signing(row["id"], reason.value or ""), login, password, label):
                ui.navigate.reload()

        signing("Sign the release", sign, first=first)


async def release(of: Visit) -> None:
    """What waits in quarantine, with everything that stands against its release."""
    heading("Sublots in quarantine")
    ui.label("Open one to review and release it. Releasing needs the responsible person's signature.").classes(
        "text-sm text-grey-8"
    )

    def ask(u: Unit) -> list[dict[str, Any]]:
        return [_row(row) | {"why": "; ".join(_bars(u, row["id"])) or NONE} for row in q.quarantine(u)]

    await live(of, "quality.read", ask, lambda rows, _: _draw_waiting(rows))


def _draw_waiting(rows: list[dict[str, Any]]) -> None:
    table(WAITING, rows, "Nothing waits", links=("code",))


def show_exposure(found: Exposure | None) -> None:
    """What a sublot went through up to now."""
    heading("What the sublot went through, up to now")
    if found is None:
        ui.label("No exposure: these goods have no profile, or were never in a place.")
        return
    facts(
        (
            ("From", clock(found.start)),
            ("To", clock(found.stop)),
            ("Min / mean / max", " / ".join(number(v) for v in (found.lowest, found.mean, found.highest)) + " °C"),
            (
                "Mean kinetic temperature",
                f"{number(found.mkt, 2)} °C"
                if found.mkt is not None
                else "not applicable (frozen goods, or coverage is not complete)",
            ),
            ("Covered by good readings", f"{found.covered * 100:.2f} %"),
        )
    )
    rows = [
        {
            "id": one.key,
            "key": one.key,
            "proven": length(one.proven),
            "uncertain": length(one.uncertain),
            "worst": length(one.worst),
            "longest": length(one.longest),
            "budget": length(one.budget) if one.budget is not None else "not cumulative",
        }
        for one in found.limits
    ]
    table(LIMITS, rows, "The profile has no limits")


def signature_text(name: str, at: Any, meaning: str, reason: str | None) -> str:
    """A signature as people read it (21 CFR 11.50): printed name, time, meaning."""
    return f"Signed by {name}, {clock(at)} UTC, {meaning}: {reason or ''}"
