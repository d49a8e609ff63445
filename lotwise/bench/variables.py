"""The machine of `bench opcua`, as a process of its own: an OPC UA server whose variables all change at a steady rate.

`python -m lotwise.bench.variables VARIABLES RATE`: prints its port, then writes each variable RATE times a second with
the time of its writing, in slices, so that they do not all change at once. It ends when its input ends.
"""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime

from asyncua import Server, ua

from lotwise.embedded.process import free_port

NAMESPACE = "urn:lotwise:bench"
SLICES = 20
"""Parts of an interval in which a part of the variables is written."""


async def serve(variables: int, rate: float) -> None:
    """Serves until the input ends."""
    port = free_port()
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    folder = await server.nodes.objects.add_folder(index, "bench")
    ids = [ua.NodeId(f"v{number}", index) for number in range(variables)]
    for number, each in enumerate(ids):
        await folder.add_variable(each, f"v{number}", 0.0)
    async with server:
        print(json.dumps(port), flush=True)
        writing = asyncio.create_task(_write(server, ids, rate))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def _write(server: Server, ids: list[ua.NodeId], rate: float) -> None:
    loop = asyncio.get_running_loop()
    due, count = loop.time(), 0
    size = -(-len(ids) // SLICES)
    while True:
        for start in range(0, SLICES * size, size):
            due += 1 / rate / SLICES
            await asyncio.sleep(max(0.0, due - loop.time()))
            stamp = datetime.now(UTC).replace(tzinfo=None)
            for number, each in enumerate(ids[start : start + size]):
                value = ua.Variant(4.0 + (count * 7 + number) % 100 / 100, ua.VariantType.Double)
                await server.write_attribute_value(
                    each, ua.DataValue(value, SourceTimestamp=stamp, ServerTimestamp=stamp)
                )
        count += 1


if __name__ == "__main__":
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # that it offers no encryption is meant so
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
