"""ECharts, as the pinned NiceGUI wheel carries it: found by the wheel's list of files, never imported, served by us.

No other kept wheel carries ECharts, and the wheel is there for nothing else: no code of its own runs.
The wheel says nothing of these files, so their names and what they export are looked at when the core starts.
"""

import gzip
import re
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from fastapi import APIRouter, Request
from fastapi.responses import Response

from core.web.frame.assets import Asset, sent

WHEEL, PINNED = "nicegui", "3.18.0"
FOLDER, ENTRY = "nicegui/elements/echart/dist/", "index.js"
_IMPORTED = re.compile(r"""from\s*["']\./([\w.-]+\.js)["']""")
_EXPORTED = re.compile(r"\bas echarts\b")


class EchartsMissing(RuntimeError):
    """The wheel that carries ECharts is not there, or not as it was pinned: the core must not start."""


def _wheel() -> Distribution:
    try:
        return distribution(WHEEL)
    except PackageNotFoundError as error:
        raise EchartsMissing(f"ECharts comes with the wheel {WHEEL}, which is not installed: run make setup") from error


@cache
def version() -> str:
    """The wheel's, which is part of the address. Raises EchartsMissing where it is not the one that was tried."""
    found = _wheel().version
    if found != PINNED:
        raise EchartsMissing(
            f"ECharts was tried as {WHEEL} {PINNED} carries it, and {found} is installed: run make setup"
        )
    return found


@cache
def files() -> dict[str, Asset]:
    """The entry and the modules that it imports at once, by name, packed once. Raises EchartsMissing.

    What is only loaded on demand (three dimensions) is left out: nothing of ours asks for it.
    """
    version()
    entry = _read(ENTRY)
    names = _IMPORTED.findall(entry)
    if not _EXPORTED.search(entry) or not names:
        raise EchartsMissing(
            f"{WHEEL} {version()}: {FOLDER}{ENTRY} exports no `echarts` any more: pin a wheel that does"
        )
    return {name: _asset(text) for name, text in ((ENTRY, entry), *((name, _read(name)) for name in names))}


def _read(name: str) -> str:
    wheel = _wheel()
    found = next((one for one in wheel.files or () if one.as_posix() == FOLDER + name), None)
    if found is None:
        raise EchartsMissing(f"{WHEEL} {wheel.version} has no file {FOLDER}{name}: pin a wheel that does")
    try:
        return found.read_text(encoding="utf-8")
    except OSError as error:
        raise EchartsMissing(f"{found.locate()} of {WHEEL} {wheel.version} cannot be read: run make setup") from error


def _asset(text: str) -> Asset:
    plain = text.encode()
    return Asset("text/javascript; charset=utf-8", plain, gzip.compress(plain, mtime=0))


def address() -> str:
    """Where the module is that exports `echarts`. Raises EchartsMissing."""
    return f"/echarts/{version()}/{ENTRY}"


router = APIRouter()


@router.get("/echarts/{at}/{name}", include_in_schema=False)
def echarts(request: Request, at: str, name: str) -> Response:
    """One of its files. An address of another version is not kept, as with all assets."""
    return sent(request, files().get(name), kept=at == version())
