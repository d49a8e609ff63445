"""Browsing: every variable with its path, node id, type, value and unit, and a source that reads them as it is."""

import asyncio
from pathlib import Path

import pytest
from asyncua import ua

from edge.browse import opcua
from edge.browse.found import BrowsedSource, CannotBrowse, Names, ZoneRules
from edge.browse.opcua import unit_of
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.opcua_config import OpcUaServer
from lotwise.browsing import configured, unsecured_server
from tests.faults.opcua_peer import NAMESPACE, Machine, Memory, machine, running, source, until
from tests.servers import free_port


async def furnish(peer: Machine) -> None:
    """An object with a measured variable that has a unit, a readable history, shown twice, and a loop."""
    index = await peer.server.get_namespace_index(NAMESPACE)
    chamber = await peer.server.nodes.objects.add_object(ua.NodeId("Chamber", index), f"{index}:Chamber")
    probe = await chamber.add_variable(ua.NodeId("Chamber.T", index), f"{index}:Air temperature", 4.5)
    unit = ua.EUInformation(DisplayName=ua.LocalizedText("°C"), UnitId=4408652)
    await probe.add_property(index, "EngineeringUnits", unit)
    await peer.server.historize_node_data_change(probe)
    await chamber.add_variable(ua.NodeId("Chamber.Probes", index), f"{index}:Probes", [1.0, 2.0])
    await chamber.add_variable(ua.NodeId("Chamber.Key", index), f"{index}:Key", b"\x01")
    for name, status in (
        ("Failed", "BadSensorFailure"),
        ("Old", "UncertainLastUsableValue"),
        ("By hand", "GoodLocalOverride"),
    ):
        node = await chamber.add_variable(ua.NodeId(f"Chamber.{name}", index), f"{index}:{name}", 1.5)
        await node.write_value(ua.DataValue(ua.Variant(1.5), StatusCode=ua.StatusCode(getattr(ua.StatusCodes, status))))
    view = await chamber.add_object(ua.NodeId("View", index), f"{index}:View")
    for shown in (probe, chamber):
        await view.add_reference(shown, ua.ObjectIds.Organizes, bidirectional=False)


async def found_at(peer: Machine) -> BrowsedSource:
    nodes = [node async for node in opcua.browse(OpcUaServer(endpoint=peer.endpoint))]
    return opcua.found(nodes, {"endpoint": peer.endpoint}, "filler", Names(ZoneRules(["plant/hall/cell"])))


def test_what_is_found_can_be_pasted_and_read() -> None:
    async def main() -> None:
        async with machine(free_port(), {"n": 7}) as peer:
            await furnish(peer)
            found = await found_at(peer)
            listed = found.lines
            air = next(line for line in listed if line.startswith("Chamber/Air temperature"))
            assert f"nsu={NAMESPACE};s=Chamber.T  Double  4.5 Cel  (read+history, historizing)" in air
            assert sum("Air temperature" in line for line in listed) == 1
            assert not any(line.startswith("Server/") for line in listed)
            assert not any("EngineeringUnits" in line for line in listed)

            assert found.source is not None
            by_node = {node["node"]: node for node in found.source["nodes"]}
            assert by_node[f"nsu={NAMESPACE};s=Chamber.T"]["unit"] == "Cel"
            assert by_node[f"nsu={NAMESPACE};s=Chamber.T"]["point"] == "plant/hall/cell/Chamber/Air-temperature"
            assert by_node[f"nsu={NAMESPACE};s=Chamber.Probes"]["index"] == 0
            roles = {point.address: (point.quantity, point.role) for point in found.points}
            assert roles["plant/hall/cell/Chamber/Air-temperature"] == ("temperature", "required")
            assert roles["plant/hall/cell/Chamber/Probes"] == ("Probes", "machine")
            # What no reading can carry is listed only.
            assert f"nsu={NAMESPACE};s=Chamber.Key" not in by_node
            assert any("Chamber.Key" in line for line in listed)
            # What is bad or doubtful just now is a node all the same, and shown as it is.
            assert {f"nsu={NAMESPACE};s=Chamber.{name}" for name in ("Failed", "Old", "By hand")} <= by_node.keys()
            assert "  Double  BadSensorFailure  (" in next(line for line in listed if "/Failed " in line)
            assert "  Double  1.5 UncertainLastUsableValue  (" in next(line for line in listed if "/Old " in line)

            keeper = Memory()
            async with running(OpcUaCollector(source(peer, nodes=found.source["nodes"])), keeper):
                await until(lambda: keeper.of("Air-temperature") and keeper.of("Probes") and keeper.of("n"))
            assert keeper.values("Air-temperature") == [4.5]
            assert keeper.of("Air-temperature")[0].unit == "Cel"

    asyncio.run(main())


def test_a_configured_source_is_browsed_by_its_own_channel_and_name(
    tmp_path: Path,
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "{gateway: g, site: plant, instance: test, data_dir: d, stream: {urls: [nats://h]}, sources: [{name: filler, "
        "protocol: opcua, endpoint: opc.tcp://h:4841, user: u, password: hidden, "
        "nodes: [{node: i=1, point: plant/a/z/d/x}]}]}"
    )
    server = configured(file, "filler")
    assert (server.endpoint, server.user) == ("opc.tcp://h:4841", "u")
    with pytest.raises(CannotBrowse, match="no OPC UA source 'capper'; it has filler"):
        configured(file, "capper")
    with pytest.raises(CannotBrowse, match="cannot be read"):
        configured(tmp_path / "none.yaml", "filler")
    with pytest.raises(CannotBrowse, match="not an endpoint") as told:
        unsecured_server("http://h", "u", "hidden")
    assert "hidden" not in str(told.value)


def test_units() -> None:
    def unit(text: str, code: int) -> tuple[str, str]:
        return unit_of(ua.EUInformation(DisplayName=ua.LocalizedText(text), UnitId=code))

    assert unit("degrees", int.from_bytes(b"CEL", "big")) == ("Cel", "degrees")
    assert unit("%", int.from_bytes(b"P1", "big")) == ("%", "%")
    assert unit("°C", -1) == ("Cel", "°C")
    assert unit("furlong", -1) == ("", "furlong")
