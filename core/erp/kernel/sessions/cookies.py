"""The cookie that a browser session is carried in.

HttpOnly: no script reads it. SameSite=Lax, not Strict: whoever follows a link in a mail arrives signed in. What Lax
lets through from other sites are top-level GETs, which change nothing; every other request from elsewhere is refused by
its Origin (`middleware.RequestGuard`). Over TLS its name begins with `__Host-`: then no other host of the domain can
set one.
"""

from datetime import timedelta

from fastapi import Request, Response

SECURE_COOKIE, PLAIN_COOKIE = "__Host-lotwise", "lotwise_session"
COOKIES = (SECURE_COOKIE, PLAIN_COOKIE)
UNASKED = "lotwise-unasked"
"""A header: the page asks by itself, nobody has clicked. Such a request does not prolong the session."""


def cookie_name(request: Request) -> str:
    """Over TLS, here or at a trusted proxy, only the guarded name counts."""
    return SECURE_COOKIE if request.url.scheme == "https" else PLAIN_COOKIE


def cookie_of(request: Request) -> str | None:
    """The session's cookie as the browser sent it; None without one."""
    return request.cookies.get(cookie_name(request)) or None


def prolongs(request: Request) -> bool:
    """Whether somebody asked, and not the page by itself."""
    return UNASKED not in request.headers


def set_cookie(response: Response, request: Request, value: str, lasts: timedelta | None = None) -> None:
    """Gives the browser its cookie, until it is closed; with `lasts` so long, for a wall display that starts again."""
    name = cookie_name(request)
    response.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()) if lasts is not None else None,
        path="/",
        secure=name == SECURE_COOKIE,
        httponly=True,
        samesite="lax",
    )


def delete_cookie(response: Response, request: Request) -> None:
    """The browser forgets it."""
    name = cookie_name(request)
    response.delete_cookie(name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax")
