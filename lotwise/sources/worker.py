"""In a process of its own: asks one source, or reads one configuration. The question comes in by standard input, with
the password in it: an environment can be read by others of the same user.
"""

import json
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from core.erp.kernel.bounded_process import bound
from core.telemetry.located import ConfigErrors
from core.web.desks.sources.port import AskedSource, Offered, OfferedPoint
from edge.browse.extension import addresses
from edge.browse.found import BrowsedSource, CannotBrowse
from edge.browse.gateway_file import Head, loaded, plain, whole
from lotwise.browsing import FAILURES, Wanted, browse
from lotwise.edge_points import named_points, wanted

MEMORY, PROCESSOR = 1024 * 1024 * 1024, 60
LINES, POINTS = 400, 500
"""That are told; of more it is said that there are more."""
PASTED = "pasted"


class Outside(Exception):
    """The address is in none of the plant's networks."""


def pin(address: str, networks: Sequence[str]) -> None:
    """From now on this process resolves the address's host alone, and to what it was found to be: a name that answers
    something else the second time leads nowhere. None of the protocols follows a server elsewhere. Raises Outside.
    """
    host = urlsplit(address).hostname
    if not host:
        raise CannotBrowse(f"{address!r} names no host")
    known = [ip_network(one, strict=False) for one in networks]
    resolve = socket.getaddrinfo
    found = resolve(host, None, type=socket.SOCK_STREAM)
    if not all(any(ip_address(str(one[4][0]).partition("%")[0]) in net for net in known) for one in found):
        raise Outside(host)

    def pinned(asked: Any, port: Any, *rest: Any, **more: Any) -> Any:
        numeric = {str(one[4][0]) for one in found}
        if asked in numeric:
            return resolve(asked, port, *rest, **more)
        if asked != host:
            raise socket.gaierror(socket.EAI_NONAME, f"{asked}: only {host} is asked")
        return [(*one[:4], (one[4][0], int(port or 0), *one[4][2:])) for one in found]

    socket.getaddrinfo = pinned  # type: ignore[assignment]  # its own type is narrower than what callers rely on


def asked_source(asked: AskedSource, head: Mapping[str, str]) -> Offered:
    """What the source has, and the file that reads it. Raises what `browse` does."""
    found = browse(asked.address, _wanted(asked), None)
    site = found.points[0].address.split("/")[0] if found.points else "SITE"
    gateway = asked.gateway or f"gw-{site}"
    made = Head(gateway, site, head["instance"], f"edge/{gateway}", head["stream"])
    return _offered(found, whole(made, found) if found.source is not None else "")


def _wanted(asked: AskedSource) -> Wanted:
    return Wanted(
        name=None,
        zones=asked.zone.split(),
        user=asked.user or None,
        password=asked.password or None,
        everything=False,
        simulated=False,
        timezone=None,
        topics=asked.topics.split() or ["#"],
        seconds=asked.seconds,
        ca=None,
        cert=None,
        key=None,
        units=asked.units or "1",
        registers=asked.registers.split() or ["input:0-31", "holding:0-31"],
        timeout=1.0,
        start="i=85",
        file=None,
    )


def _offered(found: BrowsedSource, section: str) -> Offered:
    points = tuple(
        OfferedPoint(one.address, one.quantity, one.unit, one.role, one.value, tuple(one.guesses))
        for one in found.points[:POINTS]
    )
    lines = (*found.lines, *found.notes)
    return Offered(lines[:LINES], section, points, cut=len(lines) > LINES or len(found.points) > POINTS)


# --- pasted


def read(text: str, head: Mapping[str, str]) -> Offered:
    """The points that a gateway's file names; a part of one (sources, or one of them) is read as such. Raises
    ConfigErrors, CannotBrowse.
    """
    with _as_file(text, head) as path:
        try:
            config = loaded(path)
        except ConfigErrors as errors:
            raise ConfigErrors([msgspec.structs.replace(one, file=PASTED) for one in errors.errors]) from errors
    points = [wanted(one) for one in named_points(config)]
    shown = tuple(
        OfferedPoint(one.address, one.quantity, one.unit, one.role, "", tuple(one.guesses)) for one in points[:POINTS]
    )
    return Offered((), "", shown, cut=len(points) > POINTS)


@contextmanager
def _as_file(text: str, head: Mapping[str, str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pasted.yaml"
        path.write_text(text, encoding="utf-8")
        document = plain(path)
        sources = document
        if isinstance(document, Mapping):
            sources = [document] if "protocol" in document else document.get("sources")
        if not isinstance(sources, list) or not all(isinstance(one, Mapping) for one in sources):
            raise CannotBrowse("it has no sources: paste a gateway's file, its list of sources, or one of them")
        if sources is not document and isinstance(document, Mapping) and "gateway" in document:
            yield path  # a whole file: what is wrong with it is told by its own lines
            return
        named = [one for source in sources for one in addresses(source)]
        site = re.split("/", named[0])[0] if named else "SITE"
        whole_file = {
            **Head("pasted", site, head["instance"], "edge/pasted", head["stream"]).document(),
            "sources": sources,
        }
        path.write_text(json.dumps(whole_file), encoding="utf-8")  # JSON is YAML
        yield path


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """What is answered to a question."""
    try:
        if "read" in question:
            return asdict(read(question["read"], question))
        asked = msgspec.convert(question["ask"], AskedSource)
        pin(asked.address, question["networks"])
        return asdict(asked_source(asked, question))
    except Outside:
        return {"outside": True}
    except (*FAILURES, ValueError) as error:
        return {"refused": str(error)}


def main() -> None:
    """Reads the question, writes the answer."""
    bound(MEMORY, PROCESSOR)
    told = answer(json.load(sys.stdin))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
