"""Servers whose numbers come to mean something else: namespaces in another order, arrays of another length."""

import asyncio
import json

import pytest
from asyncua import ua

from core.telemetry.quality import Quality, Reason
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.port import SourceMisconfigured
from tests.faults.opcua_peer import ZONE, Machine, Memory, running, source, until
from tests.servers import free_port


async def serve(port: int, *namespaces: tuple[str, object]) -> Machine:
    """A server with `s=t` in each namespace, numbered from 2 in this order."""
    made = Machine(port)
    await made.server.init()
    made.server.set_endpoint(made.endpoint)
    for uri, value in namespaces:
        index = await made.server.register_namespace(uri)
        node_id = ua.NodeId("t", index)
        made.nodes[uri] = await made.server.nodes.objects.add_variable(node_id, "t", value)
    await made.server.start()
    return made


def node(name: str, quantity: str = "t", **more: object) -> dict[str, object]:
    return {"node": name, "point": f"{ZONE}/machine/{quantity}", "sampling": 0.05, **more}


async def values(port: int, keeper: Memory, *nodes: dict[str, object], quantity: str = "t", count: int = 1) -> None:
    """Runs a collector of a process of its own until the quantity has so many readings."""
    collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{port}", nodes=list(nodes)))
    async with running(collector, keeper) as task:
        await until(lambda: task.done() or len(keeper.of(quantity)) >= count)
        if task.done():
            await task


def test_a_namespace_numbered_anew_is_refused_and_its_decoy_never_read() -> None:
    async def main() -> None:
        port, keeper = free_port(), Memory()
        peer = await serve(port, ("urn:chamber", 5.0), ("urn:decoy", 99.0))
        await values(port, keeper, node("ns=2;s=t"))
        await peer.server.stop()
        peer = await serve(port, ("urn:decoy", 99.0), ("urn:chamber", 5.0))
        try:
            with pytest.raises(SourceMisconfigured, match="namespace 2 was urn:chamber and is now urn:decoy"):
                await values(port, keeper, node("ns=2;s=t"), count=2)
            assert keeper.values("t") == [5.0]
            await values(port, keeper, node("nsu=urn:chamber;s=t"), count=2)
            assert set(keeper.values("t")) == {5.0}
        finally:
            await peer.server.stop()
        assert json.loads(keeper.notes[f"numbers of opc.tcp://127.0.0.1:{port}"]) == {"2": "urn:chamber"}

    asyncio.run(main())


def test_of_several_nodes_only_those_of_the_moved_namespace_are_bad() -> None:
    async def main() -> None:
        port, keeper = free_port(), Memory()
        nodes = node("ns=2;s=t"), node("nsu=urn:line;s=t", "speed")
        peer = await serve(port, ("urn:chamber", 5.0), ("urn:line", 7.0))
        await values(port, keeper, *nodes, quantity="speed")
        await until(lambda: keeper.notes)
        await peer.server.stop()
        peer = await serve(port, ("urn:line", 8.0), ("urn:decoy", 99.0))
        try:
            known = len(keeper.of("t"))
            await values(port, keeper, *nodes, count=known + 1)
            last = keeper.of("t")[-1]
            assert (last.value, last.quality, last.reason) == (None, Quality.BAD, Reason.CONFIGURATION)
            assert 99.0 not in keeper.values("t")
        finally:
            await peer.server.stop()

    asyncio.run(main())


def test_an_array_of_another_length_says_nothing_of_its_elements() -> None:
    async def main() -> None:
        port, keeper = free_port(), Memory()
        peer = await serve(port, ("urn:probes", [4.0, 5.0, 6.0]))
        try:
            collector = OpcUaCollector(source(peer, nodes=[node("nsu=urn:probes;s=t", index=1)]))
            async with running(collector, keeper):
                await until(lambda: keeper.values("t") == [5.0])
                await peer.nodes["urn:probes"].write_value([5.0, 6.0])
                await until(lambda: len(keeper.of("t")) == 2)
                await until(lambda: keeper.notes)
            last = keeper.of("t")[-1]
            assert (last.value, last.quality, last.reason) == (None, Quality.BAD, Reason.IDENTITY)
            again = Memory()
            again.notes = keeper.notes
            await values(port, again, node("nsu=urn:probes;s=t", index=1))
            assert again.values("t") == [None]
            stated = Memory()
            await values(port, stated, node("nsu=urn:probes;s=t", index=1, of=2))
            assert stated.values("t") == [6.0]
        finally:
            await peer.server.stop()

    asyncio.run(main())
