"""What an OPC UA server has: a walk through its address space, and the YAML to read it by."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.ua.object_ids import ObjectIdNames

from edge.browse.found import BrowsedSource, FoundPoint, Names
from edge.browse.quantities import measured
from edge.collectors.opcua_config import OpcUaServer
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_service import in_groups, node_id, operation_limit, reaching
from edge.collectors.opcua_values import UNSUPPORTED, reported_value
from edge.collectors.port import SourceMisconfigured

_ATTRIBUTES = (
    ua.AttributeIds.Value,
    ua.AttributeIds.DataType,
    ua.AttributeIds.UserAccessLevel,
    ua.AttributeIds.Historizing,
)
_ACCESS = ((ua.AccessLevel.CurrentRead, "read"), (ua.AccessLevel.CurrentWrite, "write"))
_NEVER_READ = {UNSUPPORTED, "BadNotReadable", "BadUserAccessDenied"}
_PER_CALL = 100
_SHOWN = 60

UCUM = {
    "CEL": "Cel",
    "FAH": "[degF]",
    "KEL": "K",
    "P1": "%",
    "C62": "1",
    "BAR": "bar",
    "MBR": "mbar",
    "PAL": "Pa",
    "A97": "hPa",
    "KPA": "kPa",
    "MPA": "MPa",
    "SEC": "s",
    "MIN": "min",
    "HUR": "h",
    "MTR": "m",
    "CMT": "cm",
    "MMT": "mm",
    "KGM": "kg",
    "GRM": "g",
    "MGM": "mg",
    "LTR": "L",
    "MLT": "mL",
    "VLT": "V",
    "AMP": "A",
    "WTT": "W",
    "KWT": "kW",
    "KWH": "kW.h",
    "HTZ": "Hz",
    "RPM": "/min",
    "MTS": "m/s",
    "MQH": "m3/h",
    "L2": "L/min",
    "DD": "deg",
}
"""UN/ECE Recommendation 20 codes, which OPC UA packs into a unit's id, to UCUM."""
_UCUM_OF_TEXT = {"°C": "Cel", "℃": "Cel", "C": "Cel", "°F": "[degF]", "K": "K", "%": "%", "% RH": "%", "%RH": "%"}


@dataclass(frozen=True)
class BrowsedNode:
    """One variable of the server."""

    path: tuple[str, ...]
    """Browse names from the start down to it."""
    node_id: str
    """With the namespace's URI, as the configuration takes it."""
    type: str
    value: object
    """Its value now, None if it has none or is not readable."""
    status: str
    """What the server says of the value, or why it cannot be had; "" if it is simply good."""
    unit: str
    """UCUM, "" if the server tells none or one that is not known here."""
    unit_text: str
    """The unit as the server writes it."""
    access: tuple[str, ...]
    """read, write, history."""
    historizing: bool
    array: int | None
    """Number of elements where the value is an array."""

    @property
    def wanted(self) -> bool:
        """Whether it can be read at all; a value that is bad or missing now may be good tomorrow."""
        return self.status not in _NEVER_READ


async def browse(server: OpcUaServer, start: str = "i=85", *, everything: bool = False) -> AsyncIterator[BrowsedNode]:
    """Every variable below a node (by default the Objects folder), depth first, in the server's order, each once.

    The Server object and other diagnostics of namespace 0 are left out unless `everything`. Raises SourceLost,
    SourceMisconfigured (also where the start is no node id, or the server has no such node).
    """
    client = StrictClient(server)
    with reaching(server.endpoint):
        await client.secure()
        await client.connect()
    try:
        with reaching(server.endpoint):
            per_call = await operation_limit(client, _PER_CALL * len(_ATTRIBUTES)) // len(_ATTRIBUTES)
            namespaces = await client.get_namespace_array()
            walk = _Walk(client, namespaces, max(1, per_call), everything=everything)
            async for found in walk.below(client.get_node(_start(start, namespaces))):
                yield found
    except LookupError as error:
        raise SourceMisconfigured(f"{server.endpoint}: {error}") from error
    finally:
        await client.disconnect()


def _start(text: str, namespaces: Sequence[str]) -> ua.NodeId:
    try:
        return node_id(text, namespaces)
    except ua.UaStringParsingError as error:
        raise LookupError(f"{text!r} is no node id such as i=85 or 'nsu=http://x;s=Line 1'") from error


class _Walk:
    """Goes down once into every node, however deep, and however its references run in circles."""

    def __init__(self, client: StrictClient, namespaces: Sequence[str], per_call: int, *, everything: bool) -> None:
        self._client = client
        self._namespaces = namespaces
        self._per_call = per_call
        self._everything = everything
        self._seen: set[ua.NodeId] = set()
        self._read: dict[ua.NodeId, list[ua.DataValue]] = {}

    async def below(self, start: Any) -> AsyncIterator[BrowsedNode]:
        """Every variable below the start. Raises LookupError if the server does not have it."""
        if not (await start.read_attribute(ua.AttributeIds.NodeClass, raise_on_bad_status=False)).StatusCode.is_good():
            raise LookupError(f"the server has no node {start.nodeid.to_string()}")
        self._seen.add(start.nodeid)
        stack = [self._entries((), await self._children(start))]
        while stack:
            entry = await anext(stack[-1], None)
            if entry is None:
                stack.pop()
                continue
            reference, path = entry
            node = self._client.get_node(reference.NodeId)
            if node.nodeid in self._seen:
                continue
            self._seen.add(node.nodeid)
            children = await self._children(node)
            if reference.NodeClass == ua.NodeClass.Variable:
                yield await self._describe(node, path, children)
            stack.append(self._entries(path, children))

    async def _entries(
        self, path: tuple[str, ...], children: Sequence[ua.ReferenceDescription]
    ) -> AsyncIterator[tuple[ua.ReferenceDescription, tuple[str, ...]]]:
        """Children that are not properties nor the server's own, their values read a group at a time."""
        wanted = [
            child
            for child in children
            if child.ReferenceTypeId != ua.NodeId(ua.ObjectIds.HasProperty)
            and (self._everything or child.NodeId.NamespaceIndex != 0)
        ]
        for group in in_groups(wanted, self._per_call):
            await self._read_all([child.NodeId for child in group if child.NodeClass == ua.NodeClass.Variable])
            for child in group:
                yield child, (*path, child.BrowseName.Name or "")

    async def _read_all(self, nodes: Sequence[ua.NodeId]) -> None:
        if not nodes:
            return
        params = ua.ReadParameters()
        params.TimestampsToReturn = ua.TimestampsToReturn.Both
        params.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=each) for node in nodes for each in _ATTRIBUTES]
        values = await self._client.uaclient.session.read(params)
        for node, of_node in zip(nodes, in_groups(values, len(_ATTRIBUTES)), strict=True):
            self._read[node] = list(of_node)

    async def _describe(
        self, node: Any, path: tuple[str, ...], children: Sequence[ua.ReferenceDescription]
    ) -> BrowsedNode:
        value, kind, access, historizing = self._read.pop(node.nodeid)
        raw = value.Value.Value if value.Value is not None else None
        array = len(raw) if isinstance(raw, list) else None
        word = reported_value(value, 0 if array else None)
        level = access.Value.Value if access.Value is not None and isinstance(access.Value.Value, int) else 0
        unit, unit_text = await self._unit(children)
        may = [name for bit, name in _ACCESS if level & 1 << int(bit)]
        return BrowsedNode(
            path=path,
            node_id=self._id(node.nodeid),
            type=self._type(kind, value),
            value=raw if array is not None else word.value,
            status=word.reason,
            unit=unit,
            unit_text=unit_text,
            access=(*may, "history") if level & 1 << int(ua.AccessLevel.HistoryRead) else tuple(may),
            historizing=bool(historizing.Value.Value) if historizing.Value is not None else False,
            array=array,
        )

    async def _unit(self, children: Sequence[ua.ReferenceDescription]) -> tuple[str, str]:
        for reference in children:
            if reference.BrowseName.Name == "EngineeringUnits":
                told_unit = (await self._client.get_node(reference.NodeId).read_data_value(False)).Value
                if told_unit is not None and isinstance(told_unit.Value, ua.EUInformation):
                    return unit_of(told_unit.Value)
        return "", ""

    @staticmethod
    async def _children(node: Any) -> list[ua.ReferenceDescription]:
        """What the node points down to on this server."""
        references = await node.get_references(
            refs=ua.ObjectIds.HierarchicalReferences, direction=ua.BrowseDirection.Forward, includesubtypes=True
        )
        return [each for each in references or () if not getattr(each.NodeId, "ServerIndex", 0)]

    def _id(self, node_id: ua.NodeId) -> str:
        text = str(node_id.to_string())
        index = node_id.NamespaceIndex
        return re.sub(r"^ns=\d+", f"nsu={self._namespaces[index]}", text) if index < len(self._namespaces) else text

    @staticmethod
    def _type(kind: ua.DataValue, value: ua.DataValue) -> str:
        named = kind.Value.Value if kind.Value is not None else None
        if isinstance(named, ua.NodeId) and named.NamespaceIndex == 0:
            return str(ObjectIdNames.get(named.Identifier, named.to_string()))
        return str(value.Value.VariantType.name) if value.Value is not None else "?"


def unit_of(information: ua.EUInformation) -> tuple[str, str]:
    """UCUM code (or "") and the server's own text of an engineering unit (OPC 10000-8 §5.6.4.3)."""
    text = information.DisplayName.Text or ""
    packed = information.UnitId
    code = packed.to_bytes(4, "big").strip(b"\0").decode("ascii", "replace") if packed and packed > 0 else ""
    return UCUM.get(code) or _UCUM_OF_TEXT.get(text.strip(), ""), text


def line_of(node: BrowsedNode) -> str:
    """The node as a line of a listing."""
    access = "+".join(node.access) + (", historizing" if node.historizing else "")
    value = f"{_shown(node)} {node.unit or node.unit_text}".rstrip()
    return f"{'/'.join(node.path)}  {node.node_id}  {node.type}  {value}  ({access})"


def found(nodes: Sequence[BrowsedNode], server: Mapping[str, Any], name: str, names: Names) -> BrowsedSource:
    """The server's variables as a source of that name; points are called by the last two browse names."""
    points: list[FoundPoint] = []
    made: list[dict[str, Any]] = []
    for node in nodes:
        if not node.wanted:
            continue
        device, last = ("server", *node.path)[-2:]
        point = _point(node, names.address(device, last))
        points.append(point)
        unit = {"unit": node.unit} if node.unit else {}
        index = {"index": 0} if node.array is not None else {}
        made.append({"node": node.node_id, "point": point.address, **unit, **index})
    lines = tuple(line_of(node) for node in nodes)
    source = {"name": name, "protocol": "opcua", **server, "nodes": made} if made else None
    notes = tuple(
        f"{'/'.join(node.path)}: unit {node.unit_text!r} has no UCUM code here: say it by hand"
        for node in nodes
        if node.unit_text and not node.unit and node.wanted
    )
    return BrowsedSource(lines, source, tuple(points), notes)


def _point(node: BrowsedNode, address: str) -> FoundPoint:
    what = measured(node.path[-1], node.unit, node.value) if node.unit else None
    value = f"{_shown(node)} {node.unit or node.unit_text}".rstrip()
    quantity, role = (what.quantity, what.role) if what is not None else (address.rpartition("/")[2], "machine")
    return FoundPoint(address, quantity, node.unit, role, value, node.node_id)


def _shown(node: BrowsedNode) -> str:
    text = " ".join(filter(None, (repr(node.value) if node.value is not None else "", node.status)))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
