"""`lotwise edge browse`: what an OPC UA server offers."""

import asyncio

from pydantic import SecretStr, ValidationError
from rich.console import Console

from edge.browse import browse_lines
from edge.collectors.opcua_config import OpcUaServer
from edge.collectors.port import SourceLost, SourceMisconfigured


def browse(endpoint: str, start: str, zone: str, user: str | None, password: str | None, *, everything: bool) -> int:
    """Prints the server's variables and a YAML section; 0, or 1 with the reason."""
    out = Console()

    async def main() -> None:
        server = OpcUaServer(
            endpoint=endpoint, user=user, password=SecretStr(password) if password is not None else None
        )
        async for line in browse_lines(server, start, zone=zone, everything=everything):
            out.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        asyncio.run(main())
    except (SourceLost, SourceMisconfigured, ValidationError) as error:
        out.print(f"cannot browse {endpoint}: {error}", markup=False, highlight=False)
        return 1
    return 0
