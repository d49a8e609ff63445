"""What a simulated Sparkplug B edge node says, read word by word and by the gateway's own decoder."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from core.telemetry.quality import Quality
from core.telemetry.sparkplug import Metric, Payload
from edge.collectors.decoders.base import EVERY_FIELD, Decoded
from edge.collectors.decoders.sparkplug_b import SparkplugB, SparkplugOptions
from simulators.dialects import Message
from simulators.faults import Measured, fahrenheit
from simulators.sparkplug_messages import SparkplugEncoder, SparkplugSample, asks_for_rebirth

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def climate(number: int = 1, celsius: float = 4.5) -> dict[str, Measured]:
    return {"temperature": Measured(celsius, "Cel"), "humidity": Measured(55.5, "%"), "sequence": Measured(number)}


def sample(values: Mapping[str, Measured], *, after: int = 0, late: bool = False) -> SparkplugSample:
    return SparkplugSample(NOW + timedelta(seconds=after), values, late)


def born() -> tuple[SparkplugEncoder, list[Message]]:
    voice = SparkplugEncoder("plant", "edge-1")
    will = voice.will()
    node = voice.node_birth(NOW, sample({"uptime": Measured(0, "s")}))
    return voice, [will, node, *(voice.birth(device, NOW, sample(climate())) for device in ("probe-a", "probe-b"))]


def parsed(message: Message) -> Payload:
    return Payload.FromString(message[1])


class Gateway:
    """The gateway's decoder, and what it asked for."""

    def __init__(self) -> None:
        self.decoder = SparkplugB(SparkplugOptions())

    def hears(self, *messages: Message) -> list[Decoded]:
        return [item for topic, payload in messages for item in self.decoder.decode(topic, payload, NOW)]

    def asked(self) -> list[bytes]:
        return [payload for _, payload in self.decoder.take_requests()]


def test_births_name_every_metric_with_type_and_an_alias_of_its_own() -> None:
    _, (_, *births) = born()
    assert [topic for topic, _ in births] == [
        "spBv1.0/plant/NBIRTH/edge-1",
        "spBv1.0/plant/DBIRTH/edge-1/probe-a",
        "spBv1.0/plant/DBIRTH/edge-1/probe-b",
    ]
    metrics = [metric for birth in births for metric in parsed(birth).metrics]
    assert all(metric.name and metric.datatype for metric in metrics)
    aliases = [metric.alias for metric in metrics if metric.HasField("alias")]
    assert len(set(aliases)) == len(aliases) == 7
    names = [metric.name for metric in parsed(births[0]).metrics]
    assert names == ["bdSeq", "Node Control/Rebirth", "Properties/Software", "Uptime"]


def test_data_name_nothing_and_the_gateway_reads_them_by_alias() -> None:
    voice, (_, *births) = born()
    gateway = Gateway()
    gateway.hears(*births)
    data = voice.data("probe-b", NOW, [sample(climate(2, -3.25), after=1)])
    assert not any(metric.name or metric.datatype for metric in parsed(data).metrics)
    found = {item.field: (item.device, item.value, item.unit, item.quality) for item in gateway.hears(data)}
    assert found == {
        "Climate/Temperature": ("plant/edge-1/probe-b", -3.25, "Cel", Quality.GOOD),
        "Climate/Humidity": ("plant/edge-1/probe-b", 55.5, "%", Quality.GOOD),
        "Sequence": ("plant/edge-1/probe-b", 2, "", Quality.GOOD),
    }


def test_numbers_begin_at_0_with_a_node_and_go_on_after_255_with_0() -> None:
    voice, (_, *births) = born()
    gateway = Gateway()
    gateway.hears(*births)
    sent = [voice.data("probe-a", NOW, [sample(climate(n), after=n)]) for n in range(2, 600)]
    numbers = [parsed(message).seq for message in [*births, *sent]]
    assert numbers == [n % 256 for n in range(len(numbers))]
    assert all(item.quality is Quality.GOOD for item in gateway.hears(*sent))
    assert gateway.asked() == []
    assert parsed(voice.node_birth(NOW, sample({"uptime": Measured(9, "s")}))).seq == 0


def test_a_death_bears_the_number_of_its_birth_and_each_connection_has_the_next() -> None:
    voice, (will, birth, *_) = born()

    def number(message: Message) -> int:
        return next(metric.long_value for metric in parsed(message).metrics if metric.name == "bdSeq")

    assert will[0] == "spBv1.0/plant/NDEATH/edge-1"
    assert not parsed(will).HasField("seq")
    assert number(will) == number(birth) == 0
    assert [number(voice.will()) for _ in range(257)] == [*range(1, 256), 0, 1]


def test_the_gateway_takes_the_death_for_node_and_devices_and_a_late_one_for_nothing() -> None:
    voice, (will, *births) = born()
    gateway = Gateway()
    gateway.hears(*births)
    gone = gateway.hears(voice.device_death("probe-a", NOW))
    assert [(item.device, item.field) for item in gone] == [("plant/edge-1/probe-a", EVERY_FIELD)]
    voice.will()
    gateway.hears(voice.node_birth(NOW, sample({"uptime": Measured(0, "s")})))
    assert gateway.hears(will) == []
    assert [item.quality for item in gateway.hears(voice.death())] == [Quality.BAD]


def test_what_was_kept_is_marked_and_many_readings_share_a_message() -> None:
    voice, (_, *births) = born()
    gateway = Gateway()
    gateway.hears(*births)
    late = gateway.hears(voice.data("probe-a", NOW, [sample(climate(n), after=n, late=True) for n in range(2, 7)]))
    assert all(item.historical for item in late)
    assert [(item.value, item.source_at) for item in late if item.field == "Sequence"] == [
        (n, NOW + timedelta(seconds=n)) for n in range(2, 7)
    ]


def test_another_unit_than_the_births_is_named() -> None:
    voice, (_, *births) = born()
    gateway = Gateway()
    gateway.hears(*births)
    wrong = {name: fahrenheit(measured) for name, measured in climate(2, 5.0).items()}
    temperature = gateway.hears(voice.data("probe-a", NOW, [sample(wrong)]))[0]
    assert (temperature.value, temperature.unit) == (41.0, "[degF]")
    assert gateway.hears(voice.data("probe-a", NOW, [sample(climate(3, 5.0))]))[0].unit == "Cel"


@pytest.mark.parametrize(
    ("metric", "asked"),
    [
        (Metric(name="Node Control/Rebirth", datatype=11, boolean_value=True), True),
        (Metric(name="Node Control/Rebirth", datatype=11, boolean_value=False), False),
        (Metric(name="Node Control/Reboot", datatype=11, boolean_value=True), False),
    ],
)
def test_only_a_rebirth_command_is_one(metric: Metric, asked: bool) -> None:
    assert asks_for_rebirth(Payload(metrics=[metric]).SerializeToString()) is asked


def test_the_gateways_own_request_is_understood() -> None:
    voice, _ = born()
    gateway = Gateway()
    gateway.hears(voice.data("", NOW, []))  # no birth before
    [request] = gateway.asked()
    assert asks_for_rebirth(request)
