"""A form that came after its session had ended: it is not acted on; what was written in it waits behind the sign-in."""

from collections.abc import Iterable

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from core.web.frame.templating import environment

SECRET = ("password", "login", "_key", "_resume")
"""Fields that are not kept: passwords, and what belongs to the one sending."""
MOST_FIELDS = 4000


async def form_of(request: Request) -> FormData:
    """What a form sent. One for five hundred records has more than the thousand fields that are usual."""
    return await request.form(max_fields=MOST_FIELDS)


async def signed_out_form(request: Request, why: str) -> Response:
    """The sign-in page with the form's fields, 401: nothing was posted."""
    sent = await form_of(request)
    kept = [(name, value) for name, value in sent.multi_items() if isinstance(value, str)]
    return sign_in_page(request, why, request.url.path, kept, 401)


WHY = {
    "expired": "web.why_expired",
    "out": "web.why_out",
    "bad": "web.why_wrong",
    "wrong": "web.why_ended",
    "many": "web.why_many",
    "invalid": "web.why_invalid",
    "password": "web.why_password",
    "ended": "web.why_administrator",
    "chosen": "web.why_chosen",
}
"""By why somebody is to sign in: what the page says. Nothing, where they come for the first time."""


def sign_in_page(
    request: Request, why: str, back: str, kept: Iterable[tuple[str, str]] = (), status: int = 200, login: str = ""
) -> HTMLResponse:
    """The sign-in page: why, where to afterwards, and what a form had in it."""
    fields = [(name, value) for name, value in kept if not any(secret in name for secret in SECRET)]
    made = environment(request.state.language, "UTC").get_template("login.html")
    text = made.render(why=why, reason=WHY.get(why), back=back, kept=fields, login=login)
    return HTMLResponse(text, status)
