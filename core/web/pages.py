"""The pages people use: zones live, excursions, holds, and QA's disposition with its evidence."""

import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI
from nicegui import app as pages
from nicegui import ui

from core.erp.kernel.auth import now_utc
from core.erp.kernel.errors import LotwiseError, Unauthenticated
from core.erp.quality import service as quality
from core.web import desk as d
from core.web.desk import Desk

REFRESH = 1.0

ZONES = (("address", "Zone"), ("name", "Name"), ("value", "°C"), ("band", "Band °C"), ("last_good", "Last good reading"),
         ("judged", "Judged to"), ("sublots", "Sublots"), ("held", "Held"))  # fmt: skip
EXCURSIONS = (("id", "No."), ("lot", "Lot"), ("sublot", "Sublot"), ("item", "Item"), ("zone", "Zone"), ("limit_key", "Limit"),
              ("certainty", "Certainty"), ("state", "State"), ("started", "Since"), ("broke", "Broke"), ("known", "Known"),
              ("out", "Out for"), ("extremes", "Min / max °C"))  # fmt: skip
HOLDS = (("id", "No."), ("target", "Held"), ("lot", "Lot"), ("kind", "Kind"), ("certainty", "Certainty"), ("reason", "Reason"),
         ("since", "Since"), ("placed", "Placed"))  # fmt: skip


def install_pages(app: FastAPI) -> None:
    """Mounts the pages on the core's app, at `/`. The session cookie is signed with the app's own key."""
    desk = Desk(app.state.engine, app.state.events, app.state.signing_key, app.state.settings.token_minutes)

    @ui.page("/login")
    def login() -> None:
        _login_page(desk)

    @ui.page("/")
    async def home() -> None:
        await _signed_in(desk, _home)

    @ui.page("/excursions/{excursion_id}")
    async def excursion(excursion_id: int) -> None:
        await _signed_in(desk, functools.partial(_excursion, excursion_id=excursion_id))

    ui.run_with(app, title="Lotwise", storage_secret=app.state.signing_key, mount_path="/")


async def _signed_in(desk: Desk, page: Callable[[Desk, str], Awaitable[None]]) -> None:
    token = pages.storage.user.get("token")
    try:
        if token is None:
            raise Unauthenticated("sign in first")
        await desk.actor(token)
    except Unauthenticated:
        ui.navigate.to("/login")
        return
    await page(desk, token)


def _login_page(desk: Desk) -> None:
    async def sign_in() -> None:
        request = ui.context.client.request
        address = request.client.host if request is not None and request.client else "unknown"
        try:
            token = await desk.sign_in(name.value or "", password.value or "", address)
        except LotwiseError as error:
            ui.notify(error.detail, type="negative")
            return
        pages.storage.user["token"] = token
        pages.storage.user["login"] = name.value
        ui.navigate.to("/")

    with ui.card().classes("absolute-center w-80"):
        ui.label("Lotwise").classes("text-2xl")
        name = ui.input("Login").classes("w-full").props("autofocus autocomplete=username")
        password = ui.input("Password", password=True).classes("w-full").props("autocomplete=current-password")
        password.on("keydown.enter", sign_in)
        ui.button("Sign in", on_click=sign_in).classes("w-full")


def _header() -> None:
    def sign_out() -> None:
        pages.storage.user.clear()
        ui.navigate.to("/login")

    with ui.header().classes("items-center justify-between"):
        ui.link("Lotwise", "/").classes("text-white text-xl no-underline")
        with ui.row().classes("items-center"):
            ui.label(f"{pages.storage.user.get('login', '')} · times in UTC")
            ui.button("Sign out", on_click=sign_out).props("flat color=white")


def _table(title: str, columns: tuple[tuple[str, str], ...], empty: str) -> ui.table:
    ui.label(title).classes("text-lg mt-4")
    table = ui.table(
        columns=[{"name": key, "label": label, "field": key, "align": "left", "sortable": True} for key, label in columns],
        rows=[], row_key="id", pagination=20,
    ).classes("w-full")  # fmt: skip
    table.props(f'dense no-data-label="{empty}"')
    return table


async def _home(desk: Desk, token: str) -> None:
    _header()
    zones = _table("Zones", ZONES, "No zones yet")
    excursions = _table("Open excursions", EXCURSIONS, "Nothing is against any lot")
    excursions.on("rowClick", lambda event: ui.navigate.to(f"/excursions/{event.args[1]['id']}"))
    excursions.classes("cursor-pointer")
    holds = _table("Holds", HOLDS, "Nothing is held")

    async def refresh() -> None:
        try:
            found = await desk.do(token, lambda u: (d.overview(u), d.excursions(u), d.holds(u)))
        except Unauthenticated:
            ui.navigate.to("/login")
            return
        zones.rows = [_zone_row(zone) for zone in found[0]]
        excursions.rows = [_excursion_row(row) for row in found[1]]
        holds.rows = [_hold_row(row) for row in found[2]]
        for table in (zones, excursions, holds):
            table.update()

    await refresh()
    ui.timer(REFRESH, refresh)


async def _excursion(desk: Desk, token: str, excursion_id: int) -> None:
    _header()
    rows = await desk.do(token, lambda u: d.excursions(u, excursion_id=excursion_id))
    if not rows:
        ui.label(f"There is no excursion {excursion_id}.")
        return
    row = rows[0]
    ui.label(f"Excursion {row['id']}: lot {row['lot']}, sublot {row['sublot']}").classes("text-xl")
    ui.label(
        f"{row['item']} · limit {row['limit_key']} ({row['kind']}) broken in {row['zone']} at {_clock(row['broke_at'])}, "
        f"known at {_clock(row['known_at'])} · {row['certainty']} · {row['state']} · out for {_length(row['out_for'])}"
    )
    start, stop = d.span_around(row["started_at"], row["ended_at"], now_utc())
    lines = await desk.do(token, lambda u: d.evidence(u, row["zone_id"], start, stop))
    ui.echart(_chart(lines, row)).classes("w-full h-80")
    if row["state"] in {"open", "ended", "assessed"}:
        _disposition_form(desk, token, row)


def _disposition_form(desk: Desk, token: str, row: dict[str, Any]) -> None:
    async def sign() -> None:
        try:
            await desk.do(
                token,
                lambda u: quality.disposition(
                    u, row["id"], decision.value or "", reason.value or "", password.value or "",
                    login=pages.storage.user.get("login"),
                ).id,
                "excursion.disposition",
            )  # fmt: skip
        except LotwiseError as error:
            ui.notify(error.detail, type="negative", multi_line=True)
            return
        ui.notify("Signed.", type="positive")
        ui.navigate.to("/")

    with ui.card().classes("w-full max-w-xl"):
        ui.label("Disposition").classes("text-lg")
        ui.label("Lifts this excursion's own hold and nothing else. Batch release is another act.").classes("text-sm")
        decision = ui.select(["accept", "restrict", "reject", "rework", "return", "destroy"], label="Decision").classes(
            "w-full"
        )
        reason = ui.textarea("Reason").classes("w-full")
        password = ui.input("Your password", password=True).classes("w-full").props("autocomplete=off")
        ui.button("Sign", on_click=sign)


def _chart(lines: dict[str, list[Any]], row: dict[str, Any]) -> dict[str, Any]:
    spell = [{"xAxis": _ms(row["started_at"])}, {"xAxis": _ms(row["ended_at"] or now_utc())}]
    series: list[dict[str, Any]] = [
        {"name": point.split("/")[3], "type": "line", "showSymbol": False,
         "data": [[_ms(bucket.start), round(bucket.mean, 2)] for bucket in buckets]}
        for point, buckets in lines.items()
    ]  # fmt: skip
    if series:
        series[0]["markArea"] = {"itemStyle": {"opacity": 0.15}, "data": [spell]}
        series[0]["markLine"] = {"symbol": "none", "data": [{"xAxis": _ms(row["broke_at"]), "name": "broke"}]}
    return {
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "name": "°C", "scale": True},
        "legend": {},
        "tooltip": {"trigger": "axis"},
        "series": series,
    }


def _zone_row(zone: Any) -> dict[str, Any]:
    band = f"{_number(zone.band_low)} … {_number(zone.band_high)}" if zone.band_low or zone.band_high else ""
    return {"id": zone.id, "address": zone.address, "name": zone.name, "value": _number(zone.value), "band": band,
            "last_good": _clock(zone.last_good_at), "judged": _clock(zone.judged_to), "sublots": zone.sublots,
            "held": zone.held}  # fmt: skip


def _excursion_row(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "lot": row["lot"], "sublot": row["sublot"], "item": row["item"], "zone": row["zone"],
            "limit_key": row["limit_key"], "certainty": row["certainty"], "state": row["state"],
            "started": _clock(row["started_at"]), "broke": _clock(row["broke_at"]), "known": _clock(row["known_at"]),
            "out": _length(row["out_for"]), "extremes": f"{_number(row['lowest'])} / {_number(row['highest'])}"}  # fmt: skip


def _hold_row(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "target": row["target"], "lot": row["lot"], "kind": row["kind"],
            "certainty": row["certainty"] or "", "reason": row["reason"], "since": _clock(row["since_at"]),
            "placed": _clock(row["placed_at"])}  # fmt: skip


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _length(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes} min {seconds} s"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
