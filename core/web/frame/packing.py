"""Answers packed on the wire: a page of many tiles or rows is a fifth of its size then.

Nothing of a page is a secret that its length could tell: sessions are in cookies alone.
"""

import gzip

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

FROM = 1400
"""Bytes: what fits into one packet is sent as it is."""
LEVEL = 3
"""zlib's, at which 200 kB take 3 ms."""


def packed(plain: bytes) -> bytes | None:
    """The same, packed; None where it is not worth it."""
    return gzip.compress(plain, LEVEL, mtime=0) if len(plain) > FROM else None


def sent(request: Request, plain: bytes, small: bytes | None, kind: str) -> Response:
    """The one that the reader takes."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if small is None or not _takes(request):
        return Response(plain, media_type=kind, headers=headers)
    return Response(small, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})


def pack(request: Request, page: Response) -> None:
    """A whole page, packed where its reader takes that."""
    if not isinstance(page, HTMLResponse):
        return
    page.headers["Vary"] = "Accept-Encoding"
    small = packed(bytes(page.body)) if _takes(request) else None
    if small is not None:
        page.body = small
        page.headers["Content-Encoding"], page.headers["Content-Length"] = "gzip", str(len(small))


def _takes(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")
