"""What every page shares: who is signed in, the header, tables, and acts that may be refused."""

import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import ui

from core.erp.kernel.auth import now_utc
from core.erp.kernel.errors import Forbidden, LotwiseError, Unauthenticated
from core.erp.kernel.sessions.cookies import cookie_of
from core.erp.kernel.signatures import Signing
from core.erp.kernel.unit import Actor, Unit
from core.web.desk import Desk

T = TypeVar("T")
REFRESH = 1.0
PRIMARY = "#1f5c99"
"""Dark enough for white words on it (WCAG AA)."""
NAVIGATION = (
    ("/", "Overview"),
    ("/stock", "Lots"),
    ("/release", "Release"),
    ("/shipments", "Shipments"),
    ("/centres", "Work centres"),
)

LINK = """<q-td :props="props"><a v-if="props.row.%s_link" class="text-primary underline" :href="props.row.%s_link">
    {{ props.value }}</a><span v-else>{{ props.value }}</span></q-td>"""
BADGE = """<q-td :props="props"><q-badge :color="props.row.%s_colour">{{ props.value }}</q-badge></q-td>"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One person on one page."""

    desk: Desk
    token: str
    actor: Actor
    path: str

    async def read(self, work: Callable[[Unit], T], *permits: str) -> T | None:
        """What `work` finds, at now, for who holds these permits (Forbidden else); None where the session has ended
        meanwhile, and then the page leaves.
        """
        try:
            return await self.desk.do(self.token, work, *permits)
        except Unauthenticated as error:
            self.leave(error)
            return None

    def leave(self, error: Unauthenticated) -> None:
        """To where the session may go on, or to the sign-in page, which says why and leads back."""
        ui.navigate.to(error_page(error, self.path))

    async def act(self, work: Callable[[Unit], object], permit: str, label: ui.label) -> bool:
        """Does it in one transaction; a refusal is written into `label`, in the core's words."""
        return await self._report(self.desk.do(self.token, work, permit), label)

    async def sign(self, signing: Signing[Any], login: str | None, password: str, label: ui.label) -> bool:
        """Does what is signed; a refusal is written into `label`, in the core's words."""
        return await self._report(self.desk.sign(self.token, signing, login, password), label)

    async def _report(self, doing: Awaitable[object], label: ui.label) -> bool:
        label.set_text("")
        try:
            await doing
        except Unauthenticated as error:
            self.leave(error)
            return False
        except LotwiseError as error:
            label.set_text(f"{error.title}: {error.detail}")
            return False
        return True


def signing_in(why: str, back: str = "/") -> str:
    """Where to sign in, with a word why and the way back."""
    return "/login?" + urlencode({"why": why, "back": back})


async def visit(desk: Desk, request: Request) -> Visit | RedirectResponse:
    """The visit of whoever the request's cookie speaks for, or the way to the sign-in page."""
    token = cookie_of(request)
    path = request.url.path
    if token is None:
        return RedirectResponse(signing_in("first", path), 303)
    try:
        actor = await desk.actor(token)
    except Unauthenticated as error:
        return RedirectResponse(error_page(error, path), 303)
    return Visit(desk, token, actor, path)


_WHY = {"out": "out", "wrong": "ended", "ended": "by_administrator", "password": "changed"}
"""By why a session has ended: what the sign-in page says."""


def error_page(error: Unauthenticated, path: str) -> str:
    """Where to when a session has ended, or opens only the choice of a password."""
    if error.extra.get("why") == "one_time":
        return "/password"
    return signing_in(_WHY.get(error.extra.get("why", ""), "expired"), path)


def header(of: Visit) -> None:
    """Where one can go, who is signed in, and what the times are."""
    ui.colors(primary=PRIMARY)
    with ui.header().classes("items-center justify-between bg-primary q-py-sm"):
        with (
            ui.row().classes("items-center gap-4"),
            ui.element("nav").props('aria-label="Pages"').classes("flex gap-4"),
        ):
            ui.label("Lotwise").classes("text-xl")
            for path, name in NAVIGATION:
                ui.link(name, path).classes("text-white" + (" font-bold" if path == of.path else " no-underline"))
        with ui.row().classes("items-center gap-3"):
            roles = ", ".join(sorted(role.replace("_", " ") for role in of.actor.roles))
            ui.label(f"{of.actor.login} ({roles}) · all times are UTC")
            with ui.element("form").props("method=post action=/logout"):
                ui.button("Sign out").props("type=submit flat color=white dense")


def heading(words: str) -> None:
    """A section's heading, for eyes and screen readers."""
    with ui.element("h2").classes("text-lg font-medium mt-4 mb-1"):
        ui.label(words)


def table(
    columns: Sequence[tuple[str, str]],
    rows: Iterable[dict[str, Any]],
    empty: str,
    *,
    links: Sequence[str] = (),
    badges: Sequence[str] = (),
) -> ui.table:
    """Rows under (key, label) columns. A link column's address is `<key>_link`, a badge's colour `<key>_colour`."""
    common = {"align": "left", "sortable": True}
    made = ui.table(
        columns=[{"name": key, "label": name, "field": key, **common} for key, name in columns],
        rows=list(rows),
        row_key="id",
        pagination={"rowsPerPage": 25},
    ).classes("w-full")
    made.props(f'dense flat bordered wrap-cells no-data-label="{empty}"')
    if len(made.rows) <= 25:  # noqa: PLR2004 - one page of it
        made.props("hide-pagination")
    for key in links:
        made.add_slot(f"body-cell-{key}", LINK % (key, key))
    for key in badges:
        made.add_slot(f"body-cell-{key}", BADGE % key)
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values side by side."""
    with ui.element("dl").classes("grid gap-x-6 gap-y-1").style("grid-template-columns: max-content 1fr"):
        for name, value in pairs:
            with ui.element("dt").classes("text-grey-8"):
                ui.label(name)
            with ui.element("dd").classes("m-0"):
                ui.label(value)


def refusal() -> ui.label:
    """Where a refusal is written; read out by screen readers when it comes."""
    return ui.label("").classes("text-negative").props("role=alert")


async def live(of: Visit, permit: str, ask: Callable[[Unit], T], draw: Callable[[T, datetime], None]) -> None:
    """Draws what `ask` finds, and again whenever it has changed; says as of when it is true. Who lacks the permit is
    told so, also where it was withdrawn meanwhile.
    """
    stamp = ui.label("").classes("text-grey-8 text-sm")
    body = ui.column().classes("w-full gap-1")
    shown: list[T] = []

    async def refresh() -> None:
        try:
            found = await of.read(ask, permit)
        except Forbidden as error:
            timer.cancel()
            body.clear()
            stamp.set_text(f"{error.title}: {error.detail}")
            return
        if found is None:
            timer.cancel()
            return
        now = now_utc()
        stamp.set_text(f"As of {now:%Y-%m-%d %H:%M:%S} UTC")
        if shown == [found]:
            return
        shown[:] = [found]
        body.clear()
        with body:
            draw(found, now)

    timer = ui.timer(REFRESH, refresh, immediate=False)
    await refresh()


def signing(verb: str, sign: Callable[[str | None, str], Awaitable[None]], *, first: bool) -> None:
    """The two components of a signature: the password, and for the first of a session the login as well."""
    login = ui.input("Your login").classes("w-full").props("autocomplete=off") if first else None
    password = ui.input("Your password", password=True).classes("w-full").props("autocomplete=off")
    if first:
        ui.label("The first signing of a session needs login and password.").classes("text-sm text-grey-8")

    async def press() -> None:
        given, secret = (login.value or None) if login else None, password.value or ""
        password.set_value("")
        await sign(given, secret)

    ui.button(verb, on_click=functools.partial(press)).props("color=primary")
