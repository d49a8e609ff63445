"""Files that pages load: our own, at addresses that change with their content, so that browsers keep them for good."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

FOLDER = Path(__file__).parent.parent / "static"
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    kind: str
    plain: bytes
    packed: bytes


@cache
def version() -> str:
    """Twelve hex digits that change whenever any file does: modules name each other by where they stand, so all of them
    have one address.
    """
    found = hashlib.sha256()
    for name, one in sorted(assets().items()):
        found.update(name.encode() + one.plain)
    return found.hexdigest()[:12]


@cache
def assets() -> dict[str, Asset]:
    """Every file by its name below `static/`."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in KINDS:
            plain = path.read_bytes()
            found[path.relative_to(FOLDER).as_posix()] = Asset(KINDS[path.suffix], plain, gzip.compress(plain, mtime=0))
    return found


def address(name: str) -> str:
    """Where a file is. Raises KeyError for one that is not there."""
    assets()[name]
    return f"/static/{version()}/{name}"


router = APIRouter()


@router.get("/favicon.ico", include_in_schema=False)
def favicon(request: Request) -> Response:
    """Asked for by browsers where a page names none: a document, an error of the API."""
    return sent(request, assets()["favicon.svg"], kept=False)


@router.get("/static/{at}/{name:path}", include_in_schema=False)
def static(request: Request, at: str, name: str) -> Response:
    """One file. An address of another version is answered too, but not kept: a page of before the upgrade asks so."""
    return sent(request, assets().get(name), kept=at == version())


def sent(request: Request, found: Asset | None, *, kept: bool) -> Response:
    """A file as the browser takes it, `kept` for good or asked for again each time. Raises HTTPException for none."""
    if found is None:
        raise HTTPException(404)
    headers = {"Cache-Control": FOR_GOOD if kept else "no-cache", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, media_type=found.kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.plain, media_type=found.kind, headers=headers)
