"""Which protocols a gateway speaks: for each the configuration it takes and the collector it makes."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from edge.collectors.modbus_config import ModbusSource
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.opcua_config import OpcUaSource
from edge.collectors.port import Collector, SourceConfig

LastKept = Callable[[], Mapping[str, datetime]]


class SourceKind(msgspec.Struct, frozen=True):
    """A protocol: the model of its configuration, and how a collector is made of one.

    `make` gets the configuration and `last_kept`, which tells the latest kept time of each point (where a backfill
    begins).
    """

    config: type[SourceConfig]
    make: Callable[[Any, LastKept], Collector]


# A collector's library is imported where one is made: together they take half of a gateway's time to start.


def _mqtt(config: MqttSource, last_kept: LastKept) -> Collector:
    from edge.collectors.mqtt import MqttCollector

    return MqttCollector(config, last_kept=last_kept())


def _modbus(config: ModbusSource, _last_kept: LastKept) -> Collector:
    from edge.collectors.modbus import ModbusCollector

    return ModbusCollector(config)


def _opcua(config: OpcUaSource, last_kept: LastKept) -> Collector:
    from edge.collectors.opcua import OpcUaCollector

    return OpcUaCollector(config, last_kept())


PROTOCOLS: Mapping[str, SourceKind] = {
    "modbus": SourceKind(ModbusSource, _modbus),
    "mqtt": SourceKind(MqttSource, _mqtt),
    "opcua": SourceKind(OpcUaSource, _opcua),
}
