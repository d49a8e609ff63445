"""`lotwise edge browse`: what an OPC UA server offers."""

import asyncio
from pathlib import Path

from pydantic import SecretStr, ValidationError
from rich.console import Console

from core.telemetry.located import ConfigErrors
from edge.browse import browse_lines
from edge.collectors.opcua_config import OpcUaServer, OpcUaSource
from edge.collectors.port import SourceLost, SourceMisconfigured
from edge.config import load


def plain(endpoint: str, user: str | None, password: str | None) -> OpcUaServer | None:
    """The server at an endpoint, over an open channel; None, and why, if that cannot be."""
    try:
        return OpcUaServer(endpoint=endpoint, user=user, password=SecretStr(password) if password is not None else None)
    except ValidationError as error:
        _say("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors()))
        return None


def configured(file: Path, name: str) -> OpcUaServer | None:
    """The server of a gateway's source, by its channel and identity; None, and why, if there is none."""
    try:
        sources = load(file).sources
    except ConfigErrors as errors:
        _say(str(errors))
        return None
    found = {source.name: source for source in sources if isinstance(source, OpcUaSource)}
    if name not in found:
        _say(f"{file} has no OPC UA source {name!r}; it has {', '.join(sorted(found)) or 'none'}")
        return None
    return found[name]


def browse(server: OpcUaServer, start: str, zone: str, *, everything: bool) -> int:
    """Prints the server's variables and a YAML section; 0, or 1 with the reason."""
    out = Console()

    async def main() -> None:
        async for line in browse_lines(server, start, zone=zone, everything=everything):
            out.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        asyncio.run(main())
    except (SourceLost, SourceMisconfigured) as error:
        _say(f"cannot browse: {error}")
        return 1
    return 0


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
