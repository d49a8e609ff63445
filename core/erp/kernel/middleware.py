"""What holds for every request, before any route: methods, other sites' forms, bounds of bodies, headers of answers."""

import re
import time
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Part

from core.erp.kernel.digits import whole
from core.erp.kernel.door import MIB, SAFE, limited_receive, too_large
from core.erp.kernel.problems import problem
from core.erp.kernel.words import Message, accepted

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
API = "/api/"
BEGAN = "lotwise.began"
"""Of a request: when it came, in milliseconds of the clock. A page is as of then: what changes later it is told of."""
MAX_BODY_ELSEWHERE, MAX_UPLOAD = MIB, 65 * MIB
"""Bytes of a body outside the API's routes, which say by themselves; of a file that a page takes."""
YEAR = 31_536_000
HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Answers of the API are data: a browser that is led to one runs nothing of it and shows it in no frame."""

_UPLOAD = re.compile(r"/[a-z-]+/import|/[a-z-]+/\d+/files(/\d+)?")
"""Where a page takes a file."""


class RequestGuard:
    """The outermost part of the app, behind the trusted proxies only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            await self._http(scope, receive, _with_headers(scope, send))
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[BEGAN] = int(time.time() * 1000)
        headers = Headers(scope=scope)
        most = MAX_UPLOAD if _UPLOAD.fullmatch(scope["path"]) else MAX_BODY_ELSEWHERE
        refused = _refused(scope, headers, most)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self._app(scope, limited_receive(scope, receive, most), send)


def _refused(scope: Scope, headers: Headers, most: int) -> JSONResponse | None:
    method, path = scope["method"], scope["path"]
    if method not in METHODS:
        unknown = Message("kernel.no_method", method=method)
        return _problem(headers, HTTPStatus.NOT_IMPLEMENTED, unknown, {"Allow": ", ".join(METHODS)})
    if method not in SAFE and _foreign(headers):  # without a cookie too: who is signed in as somebody else is misled
        return _problem(headers, HTTPStatus.FORBIDDEN, Message("kernel.form_from_another_site"))
    declared = whole(headers.get("content-length", "")) or 0
    if not path.startswith(API) and declared > most:
        return _problem(headers, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(most))
    return None


def _problem(
    asked: Headers, status: HTTPStatus, detail: Message, headers: dict[str, str] | None = None
) -> JSONResponse:
    return problem(status, status.phrase, detail, accepted(asked.get("accept-language")), headers)


def _foreign(headers: Headers) -> bool:
    """Whether a browser says that it comes from another site. Programs say nothing, and have no cookies to misuse."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"}
    return _host(urlsplit(origin).netloc) != _host(headers.get("host", ""))


def _host(netloc: str) -> str:
    """Without the port that the scheme has anyway: whether TLS ends here or at a proxy, the host is the same."""
    return netloc.lower().removesuffix(":80").removesuffix(":443")


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sending(message: Part) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if scope["path"].startswith(API):
                headers.setdefault("Content-Security-Policy", API_POLICY)
            if scope["scheme"] == "https":
                headers.setdefault("Strict-Transport-Security", f"max-age={YEAR}")
        await send(message)

    return sending
