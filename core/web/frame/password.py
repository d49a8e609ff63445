"""Choosing one's own password: also the only page that a one-time password opens."""

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from core.erp.kernel.door import signed_in_only
from core.erp.kernel.errors import LotwiseError, Unauthenticated
from core.erp.kernel.passwords import MAX_LENGTH, MIN_LENGTH
from core.erp.kernel.words import Message, render
from core.web.frame.routes import page_routes
from core.web.frame.templating import environment

router = page_routes()


@router.get("/password")
@signed_in_only(one_time=True)
def form(request: Request) -> Response:
    """The form."""
    return _page(request)


@router.post("/password")
@signed_in_only(one_time=True)
async def choose(request: Request) -> Response:
    """Makes it the password and leads to the sign-in page, or says why not."""
    sent = await request.form()
    password, chosen, again = (str(sent.get(name, "")) for name in ("password", "chosen", "again"))
    language = request.state.language
    if chosen != again:
        return _page(request, 422, render(Message("web.password_not_twice"), language))
    try:
        await request.app.state.checks.change_password(request.state.actor, password, chosen)
    except Unauthenticated:
        raise
    except LotwiseError as error:
        return _page(request, error.status, error.text(language))
    return RedirectResponse("/login?why=chosen", 303)


def _page(request: Request, status: int = 200, refused: str = "") -> HTMLResponse:
    made = environment(request.state.language, "UTC").get_template("password.html")
    return HTMLResponse(made.render(refused=refused, least=MIN_LENGTH, most=MAX_LENGTH), status)
