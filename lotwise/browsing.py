"""What `lotwise edge browse` does with each kind of source, and the gateway file that comes of it."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr, ValidationError
from rich.console import Console

from core.settings import Settings
from core.telemetry.located import ConfigErrors
from edge.browse import modbus, mqtt, mqtt_listen, opcua
from edge.browse.found import BrowsedSource, CannotBrowse, Names, ZoneRules, segment_of
from edge.browse.gateway_file import Head, extended, foreign_points, listing, whole, write
from edge.collectors.opcua_config import OpcUaServer, OpcUaSource
from edge.collectors.port import SourceLost, SourceMisconfigured
from edge.config import load
from lotwise.stream_address import stream_of

T = TypeVar("T")
MQTT_PASSWORD, OPCUA_PASSWORD = "LOTWISE_MQTT_PASSWORD", "LOTWISE_OPCUA_PASSWORD"
_MODBUS_PORT = 502


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, whatever the protocol."""

    name: str | None
    zones: Sequence[str]
    user: str | None
    password: str | None
    everything: bool
    simulated: bool
    timezone: str | None
    # MQTT
    topics: Sequence[str]
    seconds: float
    ca: Path | None
    cert: Path | None
    key: Path | None
    # Modbus
    units: str
    registers: Sequence[str]
    timeout: float
    # OPC UA
    start: str
    file: Path | None


def browse(endpoint: str, asked: Wanted, names_in: Path | None) -> BrowsedSource:
    """What the source has. `names_in` is a gateway file whose other sources' points are taken.

    Raises CannotBrowse, SourceLost, SourceMisconfigured.
    """
    if asked.file is not None:
        return _opcua(configured(asked.file, endpoint), endpoint, asked, names_in)
    try:
        parts = urlsplit(endpoint)
    except ValueError as error:
        raise CannotBrowse(f"{endpoint!r} is no address: {error}") from error
    if parts.scheme in {"mqtt", "mqtts"}:
        return _mqtt(parts, asked, names_in)
    if parts.scheme in {"modbus", "modbus+rtu"}:
        return _modbus(parts, asked, names_in)
    if parts.scheme == "opc.tcp":
        return _opcua(unsecured_server(endpoint, asked.user, asked.password), "", asked, names_in)
    raise CannotBrowse(
        f"{endpoint!r} is none of mqtt://host[:1883], mqtts://host, modbus://host[:502], modbus+rtu://host (RTU by way"
        " of a serial server) and opc.tcp://host:4840/path"
    )


def _mqtt(parts: SplitResult, asked: Wanted, names_in: Path | None) -> BrowsedSource:
    user = unquote(parts.username) if parts.username else asked.user
    password = unquote(parts.password) if parts.password else asked.password
    host, port = _host(parts)
    broker: dict[str, Any] = {"host": host, **({"port": port} if port else {})}
    files = {
        name: str(path.absolute())
        for name, path in (("ca", asked.ca), ("cert", asked.cert), ("key", asked.key))
        if path
    }
    if parts.scheme == "mqtts" or files:
        broker["tls"] = files
    login = {"username": user} if user else {}
    secret = {"password": password} if password else {}
    listened = _stoppable(
        lambda stop: mqtt_listen.listen({**broker, **login, **secret}, asked.topics, asked.seconds, stop, _tell)
    )
    if not listened.topics:
        raise CannotBrowse(
            f"nothing came within {asked.seconds:g} s on {', '.join(asked.topics)}: listen longer (--seconds)"
        )
    shown = {"password": f"${{{MQTT_PASSWORD}}}"} if password else {}
    source = {**broker, **login, **shown}
    names = _names({"protocol": "mqtt", **source}, asked, names_in)
    name = asked.name or f"mqtt-{segment_of(host)}"
    found = mqtt.browse(listened, source, name, names, timezone=asked.timezone, everything=asked.everything)
    return _marked(found, asked)


def _modbus(parts: SplitResult, asked: Wanted, names_in: Path | None) -> BrowsedSource:
    host, port = _host(parts)
    kind = "rtu_over_tcp" if parts.scheme == "modbus+rtu" else "tcp"
    transport = {"kind": kind, "host": host, "port": port or _MODBUS_PORT}
    units, wanted = modbus.units(asked.units), modbus.ranges(asked.registers)
    scans = _stoppable(lambda stop: modbus.scan(transport, units, wanted, stop, timeout=asked.timeout, progress=_tell))
    names = _names({"protocol": "modbus", "transport": transport}, asked, names_in)
    name = asked.name or f"modbus-{segment_of(host)}"
    return _marked(modbus.found(scans, transport, name, names, everything=asked.everything), asked)


def _opcua(server: OpcUaServer, configured_as: str, asked: Wanted, names_in: Path | None) -> BrowsedSource:
    async def walk(stop: asyncio.Event) -> list[opcua.BrowsedNode]:
        nodes = []
        async for node in opcua.browse(server, asked.start, everything=asked.everything):
            nodes.append(node)
            if stop.is_set():
                break
        return nodes

    nodes = _stoppable(walk)
    if not nodes:
        raise CannotBrowse(f"no variables below {asked.start}")
    login = {"user": server.user, "password": f"${{{OPCUA_PASSWORD}}}"} if server.user is not None else {}
    source = {"endpoint": server.endpoint, **login}
    names = _names({"protocol": "opcua", **source}, asked, names_in)
    name = configured_as or asked.name or f"opcua-{segment_of(server.host)}"
    return _marked(opcua.found(nodes, source, name, names), asked)


def _names(like: Mapping[str, Any], asked: Wanted, names_in: Path | None) -> Names:
    site, taken = foreign_points(names_in, like) if names_in is not None else (None, [])
    return Names(ZoneRules(asked.zones, site), taken)


def _marked(found: BrowsedSource, asked: Wanted) -> BrowsedSource:
    """As the source of simulated devices, if it is one."""
    if found.source is not None and asked.simulated:
        found.source["simulated"] = True
    return found


def _host(parts: SplitResult) -> tuple[str, int | None]:
    try:
        port = parts.port
    except ValueError as error:
        raise CannotBrowse(f"{parts.netloc!r}: {error}") from error
    if not parts.hostname:
        raise CannotBrowse(f"{parts.geturl()!r} names no host")
    return parts.hostname, port


def _stoppable(work: Any) -> Any:
    """Runs work that ends early when somebody presses Ctrl-C: what was found by then counts."""

    async def main() -> Any:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, RuntimeError):  # not in the main thread, or not on this system
            loop.add_signal_handler(signal.SIGINT, stop.set)
        return await work(stop)

    return asyncio.run(main())


def unsecured_server(endpoint: str, user: str | None, password: str | None) -> OpcUaServer:
    """The server at an endpoint, over an open channel. Raises CannotBrowse."""
    try:
        return OpcUaServer(endpoint=endpoint, user=user, password=SecretStr(password) if password is not None else None)
    except ValidationError as error:
        raise CannotBrowse("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error


def configured(file: Path, name: str) -> OpcUaSource:
    """The server of a gateway's source, by its channel and identity. Raises CannotBrowse."""
    try:
        sources = load(file).sources
    except ConfigErrors as errors:
        raise CannotBrowse(str(errors)) from errors
    found = {source.name: source for source in sources if isinstance(source, OpcUaSource)}
    if name not in found:
        raise CannotBrowse(f"{file} has no OPC UA source {name!r}; it has {', '.join(sorted(found)) or 'none'}")
    return found[name]


def head(settings: Settings, gateway: str | None, site: str) -> tuple[Head, str | None]:
    """What a new gateway file says besides its sources, and what the operator has to know of it."""
    name = gateway or f"gw-{segment_of(socket.gethostname().partition('.')[0])}"
    data_dir = settings.data_dir.absolute() / "edge" / name
    stream, note = stream_of(settings)
    return Head(name, site, settings.instance, str(data_dir), stream), note


def report(found: BrowsedSource, file_head: Head, path: Path | None) -> None:
    """Prints what was found: with a file, the listing, and what was added to it; else a whole gateway file, the listing
    as its comments. Raises CannotBrowse, ConfigErrors, OSError.
    """
    out = Console(highlight=False)
    if path is None:
        print(listing(found), end="")
        if found.source is not None:
            print(whole(file_head, found), end="")
        return
    for line in (*found.lines, *(f"Note: {note}" for note in found.notes)):
        out.print(line, markup=False, soft_wrap=True)
    if found.source is None:
        out.print(f"{path}: nothing to add", markup=False)
    elif not path.exists():
        write(path, whole(file_head, found))
        out.print(f"{path}: written, with {len(found.points)} points", markup=False, soft_wrap=True)
    else:
        text, extension = extended(path, found)
        for note in extension.notes:
            out.print(f"Note: {note}", markup=False, soft_wrap=True)
        if extension.added:
            write(path, text)
        out.print(f"{path}: {len(extension.added)} points added", markup=False, soft_wrap=True)


def _tell(text: str) -> None:
    Console(stderr=True, highlight=False).print(f"… {text}", markup=False)


def failed(error: Exception) -> str:
    """Why nothing can be browsed, for the operator."""
    lead = "" if isinstance(error, CannotBrowse | ConfigErrors) else "cannot browse: "
    return f"{lead}{error}"


FAILURES = (CannotBrowse, SourceLost, SourceMisconfigured, ConfigErrors, OSError)
"""What `browse` and `report` raise for the operator."""
