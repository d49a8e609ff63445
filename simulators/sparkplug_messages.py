"""How a Sparkplug B 3.0 edge node speaks: births that name its metrics, data by alias, deaths, all numbered. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.telemetry.sparkplug import BD_SEQ, NAMESPACE, SEQUENCE, DataType, Metric, Payload, PropertySet, PropertyValue
from simulators.dialects import Message
from simulators.faults import Measured

REBIRTH = "Node Control/Rebirth"
SOFTWARE = "Properties/Software"
UNITS = {"Cel": "°C", "[degF]": "°F", "%": "%", "s": "s"}
"""UCUM units as edge nodes write them in `engUnit`."""


@dataclass(frozen=True)
class Named:
    """A quantity's metric: its name and data type."""

    name: str
    datatype: DataType


METRICS: dict[str, Named] = {
    "temperature": Named("Climate/Temperature", DataType.DOUBLE),
    "humidity": Named("Climate/Humidity", DataType.DOUBLE),
    "sequence": Named("Sequence", DataType.INT64),
    "uptime": Named("Uptime", DataType.INT64),
}
"""The metric of every quantity; `uptime` is the node's own, the rest its devices'."""


@dataclass(frozen=True)
class SparkplugSample:
    """One reading: when it was taken and its values, by quantity. `late`: it was kept while nobody listened."""

    at: datetime
    values: Mapping[str, Measured]
    late: bool = False


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _unit(measured: Measured) -> PropertySet:
    text = PropertyValue(type=DataType.STRING.value, string_value=UNITS[measured.unit])
    return PropertySet(keys=["engUnit"], values=[text])


def _put(metric: Metric, datatype: DataType, value: float | bool | str | None) -> None:
    if value is None:
        metric.is_null = True
    elif datatype is DataType.DOUBLE:
        metric.double_value = float(value)
    elif datatype is DataType.INT64:
        metric.long_value = int(value) & (1 << 64) - 1
    elif datatype is DataType.BOOLEAN:
        metric.boolean_value = bool(value)
    else:
        metric.string_value = str(value)


@dataclass
class SparkplugEncoder:
    """One node's messages, from one connection to the next.

    `will` begins a connection: its bdSeq, one higher each time (0 to 255, then 0), ties the death to the birth that
    follows. A node's birth has sequence number 0; every birth, datum and device's death after it has the next, and 0
    comes after 255. Aliases belong to (device, quantity) for as long as the node lives; "" is the node itself.
    """

    group: str
    node: str
    bd_seq: int = -1
    _seq: int = 0
    _aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    _born_units: dict[tuple[str, str], str] = field(default_factory=dict)

    def topic(self, kind: str, device: str = "") -> str:
        """Topic of a message of the node, or of a device of it."""
        return "/".join([NAMESPACE, self.group, kind, self.node, *([device] if device else [])])

    def will(self) -> Message:
        """The death to leave with the broker at the next connection."""
        self.bd_seq = (self.bd_seq + 1) % SEQUENCE
        return self.death()

    def death(self) -> Message:
        """The death of this connection; deaths of nodes have no sequence number."""
        return self.topic("NDEATH"), Payload(metrics=[self._bd_seq()]).SerializeToString()

    def node_birth(self, at: datetime, sample: SparkplugSample) -> Message:
        """The birth of the node, which begins the numbers anew."""
        self._seq = 0
        stamp = _millis(at)
        fixed = [
            self._bd_seq(),
            Metric(name=REBIRTH, timestamp=stamp, datatype=DataType.BOOLEAN.value, boolean_value=False),
            Metric(name=SOFTWARE, timestamp=stamp, datatype=DataType.STRING.value, string_value="Lotwise simulators"),
        ]
        return self._message("NBIRTH", "", at, [*fixed, *self._named("", sample)])

    def birth(self, device: str, at: datetime, sample: SparkplugSample) -> Message:
        """The birth of a device."""
        return self._message("DBIRTH", device, at, self._named(device, sample))

    def data(self, device: str, at: datetime, samples: Iterable[SparkplugSample]) -> Message:
        """Readings of a device, or of the node itself, by alias."""
        metrics = [metric for one in samples for metric in self._aliased(device, one)]
        return self._message("DDATA" if device else "NDATA", device, at, metrics)

    def device_death(self, device: str, at: datetime) -> Message:
        """The death of a device, which the node tells of while it lives itself."""
        return self._message("DDEATH", device, at, [])

    def _bd_seq(self) -> Metric:
        return Metric(name=BD_SEQ, datatype=DataType.INT64.value, long_value=self.bd_seq)

    def _alias(self, key: tuple[str, str]) -> int:
        return self._aliases.setdefault(key, len(self._aliases) + 1)

    def _named(self, device: str, sample: SparkplugSample) -> list[Metric]:
        metrics = []
        for quantity, measured in sample.values.items():
            named, key = METRICS[quantity], (device, quantity)
            metric = Metric(
                name=named.name,
                alias=self._alias(key),
                timestamp=_millis(sample.at),
                datatype=named.datatype.value,
            )
            self._born_units[key] = measured.unit
            if measured.unit:
                metric.properties.CopyFrom(_unit(measured))
            _put(metric, named.datatype, measured.value)
            metrics.append(metric)
        return metrics

    def _aliased(self, device: str, sample: SparkplugSample) -> list[Metric]:
        """Data name neither metric nor unit, save where the unit is not that of the birth."""
        metrics = []
        for quantity, measured in sample.values.items():
            key = (device, quantity)
            metric = Metric(alias=self._alias(key), timestamp=_millis(sample.at))
            if sample.late:
                metric.is_historical = True
            if measured.unit != self._born_units[key]:
                metric.properties.CopyFrom(_unit(measured))
            _put(metric, METRICS[quantity].datatype, measured.value)
            metrics.append(metric)
        return metrics

    def _message(self, kind: str, device: str, at: datetime, metrics: Iterable[Metric]) -> Message:
        payload = Payload(timestamp=_millis(at), metrics=metrics, seq=self._seq)
        self._seq = (self._seq + 1) % SEQUENCE
        return self.topic(kind, device), payload.SerializeToString()


def asks_for_rebirth(payload: bytes) -> bool:
    """Whether a command to the node is the one to be born again. Raises DecodeError (protobuf) for no payload."""
    command = Payload.FromString(payload)
    return any(metric.name == REBIRTH and metric.boolean_value for metric in command.metrics)
