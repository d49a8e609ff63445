"""The points that a gateway's configuration names."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.collectors.modbus_config import Kind, ModbusSource, Table
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.port import SourceConfig


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A point by its address. `unit` is UCUM, "" where the file does not say one: the device may. `number` is False
    where the value is known to be none, so that it has no unit. `setting`: a register or coil that can be written,
    which is a setting as often as a measurement.
    """

    source: str
    address: str
    unit: str
    number: bool = True
    setting: bool = False


def points_of(source: SourceConfig) -> Iterator[NamedPoint]:
    """Every point that a source names outright. Templates name points only when a device speaks."""
    if isinstance(source, MqttSource):
        for subscription in source.subscriptions:
            for rule in subscription.rules:
                if "{" not in rule.point:
                    yield NamedPoint(source.name, rule.point, rule.unit, rule.kind not in {"bool", "text"})
    elif isinstance(source, ModbusSource):
        for unit in source.units:
            for point in unit.points:
                number = point.type not in {Kind.BOOL, Kind.BIT, Kind.STRING}
                yield NamedPoint(
                    source.name, point.point, point.unit, number, point.table in {Table.HOLDING, Table.COIL}
                )
    elif isinstance(source, OpcUaSource):
        for node in source.nodes:
            yield NamedPoint(source.name, node.point, node.unit)


def templates_of(source: SourceConfig) -> list[str]:
    """The templates from which a source makes points."""
    subscriptions = source.subscriptions if isinstance(source, MqttSource) else ()
    return sorted({rule.point for one in subscriptions for rule in one.rules if "{" in rule.point})
