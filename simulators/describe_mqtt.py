"""How a gateway reads what simulated devices say by MQTT: the subscriptions, decoders and points of its sources."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from core.telemetry.sparkplug import NAMESPACE
from simulators.devices import LoadDevice, SensorDevice, SparkplugDevice
from simulators.dialects import DIALECTS, Identity
from simulators.load import load_filter
from simulators.scenario import Scenario
from simulators.sparkplug_messages import METRICS, SOFTWARE

UNITS = {"temperature": "Cel", "humidity": "%", "sequence": "", "uptime": "s"}
JSON_DECODER = {
    "name": "json",
    "device": "device",
    "time": {"path": "time"},
    "values": {
        "temperature": {"path": "temperature", "unit": "Cel", "unit_path": "unit"},
        "humidity": {"path": "humidity", "unit": "%"},
        "sequence": "sequence",
    },
}


@dataclass(frozen=True)
class DialectDescription:
    """How a gateway reads a dialect: its decoder, the decoder's name of each quantity, what it may leave out."""

    decoder: Any
    fields: Callable[[SensorDevice], dict[str, str]]
    ignore: tuple[str, ...] = ()
    device_time: bool = True


def _same(_device: SensorDevice) -> dict[str, str]:
    return {"temperature": "temperature", "humidity": "humidity", "sequence": "sequence"}


def _tasmota(device: SensorDevice) -> dict[str, str]:
    kind = "SHT3X" if "humidity" in device.quantities else "DS18B20"
    return {"temperature": f"{kind}.Temperature", "humidity": f"{kind}.Humidity", "sequence": "COUNTER.C1"}


def _shelly(_device: SensorDevice) -> dict[str, str]:
    return {"temperature": "temperature:0.tC", "humidity": "humidity:0.rh"}


_SHELLY_REST = (
    "devicepower:0.battery.V",
    "devicepower:0.battery.percent",
    "devicepower:0.external.present",
    "temperature:0.tF",
    "humidity:0.rh",
    "cloud.connected",
    "mqtt.connected",
    *(f"sys.{key}" for key in ("mac", "restart_required", "time", "unixtime")),
    *(f"wifi.{key}" for key in ("sta_ip", "status", "ssid", "rssi")),
)
DIALECT_DESCRIPTIONS: dict[str, DialectDescription] = {
    "json": DialectDescription(JSON_DECODER, _same),
    "tasmota": DialectDescription({"name": "tasmota", "timezone": "UTC"}, _tasmota, device_time=False),
    "shelly": DialectDescription("shelly_gen2", _shelly, _SHELLY_REST),
    "zigbee2mqtt": DialectDescription("zigbee2mqtt", _same, ("battery", "voltage", "linkquality")),
    "chirpstack": DialectDescription("chirpstack_v4", _same),
    "things_stack": DialectDescription("ttn_v3", _same),
}
"""Tasmota's time has whole seconds, so two readings of one second would be one: it is judged by the gateway's clock."""


def _rule(field: str, device: SensorDevice, quantity: str) -> dict[str, str]:
    unit = UNITS[quantity]
    return {"field": field, "point": f"{device.zone}/{device.name}/{quantity}", **({"unit": unit} if unit else {})}


def _quantities(device: SensorDevice) -> list[str]:
    with_sequence = device.sequence and device.dialect != "shelly"
    humidity = ["humidity"] if "humidity" in device.quantities else []
    return ["temperature", *humidity, *(["sequence"] if with_sequence else [])]


def _subscriptions(device: SensorDevice) -> list[dict[str, Any]]:
    dialect, who = DIALECTS[device.dialect], Identity(device.name, device.zone, device.topic)
    if device.dialect == "bare":
        return [
            {
                "topic": dialect.topic_of(who, quantity),
                "decoder": {"name": "number", "field": quantity},
                "points": [_rule(quantity, device, quantity)],
            }
            for quantity in _quantities(device)
        ]
    spoken = DIALECT_DESCRIPTIONS[device.dialect]
    fields = spoken.fields(device)
    rules = [_rule(fields[quantity], device, quantity) for quantity in _quantities(device)]
    ignore = [field for field in spoken.ignore if field not in {rule["field"] for rule in rules}]
    return [
        {
            "topic": dialect.topic_of(who),
            "decoder": spoken.decoder,
            "points": rules,
            **({"ignore": ignore} if ignore else {}),
        }
    ]


def _sparkplug(device: SparkplugDevice) -> dict[str, Any]:
    """One subscription for the node and all its devices: a decoder must see all messages of a node, in order."""
    node = f"{device.group}/{device.name}"
    members = {node: (f"{device.zone}/{device.name}", ("uptime",))}
    humidity = ("humidity",) if "humidity" in device.quantities else ()
    for name, zone in device.devices.items():
        members[f"{node}/{name}"] = (f"{zone}/{name}", ("temperature", *humidity, "sequence"))
    return {
        "topic": f"{NAMESPACE}/{device.group}/+/{device.name}/#",
        "decoder": "sparkplug_b",
        "points": [
            {"device": who, "field": METRICS[quantity].name, "point": f"{where}/{quantity}"}
            for who, (where, quantities) in members.items()
            for quantity in quantities
        ],
        "ignore": [SOFTWARE],
    }


def _load(device: LoadDevice) -> dict[str, Any]:
    return {
        "topic": load_filter(device.zone, device.name),
        "decoder": JSON_DECODER,
        "points": [
            {
                "field": field,
                "point": f"{device.zone}/{{name}}/{field}",
                **({"unit": UNITS[field]} if UNITS[field] else {}),
            }
            for field in ("temperature", "sequence")
        ],
    }


def mqtt_sources(scenario: Scenario, devices: Iterable[Any]) -> list[dict[str, Any]]:
    """One source for the devices that tell a time worth judging by, one for the rest."""
    by_clock: dict[str, list[dict[str, Any]]] = {"device_within": [], "gateway": []}
    for device in devices:
        if isinstance(device, LoadDevice):
            by_clock["device_within"].append(_load(device))
        elif isinstance(device, SparkplugDevice):
            by_clock["device_within"].append(_sparkplug(device))
        elif isinstance(device, SensorDevice):
            timed = device.dialect != "bare" and DIALECT_DESCRIPTIONS[device.dialect].device_time
            by_clock["device_within" if timed else "gateway"].extend(_subscriptions(device))
    broker = scenario.broker
    login = {} if broker.username is None else {"username": broker.username}
    if broker.password is not None:
        login["password"] = broker.password.get_secret_value()
    tls = {} if broker.ca_file is None else {"tls": {"ca": broker.ca_file}}
    return [
        {
            "name": f"mqtt-{'stamped' if clock == 'device_within' else 'unstamped'}",
            "protocol": "mqtt",
            "simulated": True,
            "clock": clock,
            "host": broker.host,
            "port": broker.port,
            "version": broker.protocol,
            **login,
            **tls,
            "subscriptions": subscriptions,
        }
        for clock, subscriptions in by_clock.items()
        if subscriptions
    ]
