"""The gateway configuration that matches a scenario's devices, so that `lotwise edge` reads them all.

Points are `zone/device/quantity`; for a controller the device is `name-unit`. Sources are marked as simulated.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from core.telemetry.sparkplug import NAMESPACE
from simulators.dialects import DIALECTS, Identity
from simulators.load import load_filter
from simulators.machine import VARIABLES
from simulators.opcua import NAMESPACE as NODES
from simulators.opcua_security import GATEWAY, Papers
from simulators.scenario import (
    ControllerDevice,
    LoadDevice,
    MachineDevice,
    Scenario,
    SensorDevice,
    SparkplugDevice,
)
from simulators.sparkplug_voice import METRICS, SOFTWARE
from simulators.unit import REGISTERS, Register

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
class Spoken:
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
SPOKEN: dict[str, Spoken] = {
    "json": Spoken(JSON_DECODER, _same),
    "tasmota": Spoken({"name": "tasmota", "timezone": "UTC"}, _tasmota, device_time=False),
    "shelly": Spoken("shelly_gen2", _shelly, _SHELLY_REST),
    "zigbee2mqtt": Spoken("zigbee2mqtt", _same, ("battery", "voltage", "linkquality")),
    "chirpstack": Spoken("chirpstack_v4", _same),
    "things_stack": Spoken("ttn_v3", _same),
}
"""Tasmota's time has whole seconds, so two readings of one second would be one: it is judged by the gateway's clock."""


def _rule(field: str, device: SensorDevice, quantity: str) -> dict[str, str]:
    unit = UNITS[quantity]
    return {"field": field, "point": f"{device.zone}/{device.name}/{quantity}", **({"unit": unit} if unit else {})}


def _quantities(device: SensorDevice) -> list[str]:
    told = device.sequence and device.dialect != "shelly"
    humidity = ["humidity"] if "humidity" in device.quantities else []
    return ["temperature", *humidity, *(["sequence"] if told else [])]


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
    spoken = SPOKEN[device.dialect]
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


def _mqtt(scenario: Scenario, devices: Iterable[Any]) -> list[dict[str, Any]]:
    """One source for the devices that tell a time worth judging by, one for the rest."""
    by_clock: dict[str, list[dict[str, Any]]] = {"device_within": [], "gateway": []}
    for device in devices:
        if isinstance(device, LoadDevice):
            by_clock["device_within"].append(_load(device))
        elif isinstance(device, SparkplugDevice):
            by_clock["device_within"].append(_sparkplug(device))
        elif isinstance(device, SensorDevice):
            timed = device.dialect != "bare" and SPOKEN[device.dialect].device_time
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


def _guarded(device: MachineDevice) -> dict[str, Any]:
    """How the gateway gets in where the machine is guarded."""
    found: dict[str, Any] = {}
    if device.security is not None:
        papers = Papers(device.security.certificates)
        found["security"] = {
            "policy": device.security.policy,
            "mode": device.security.mode,
            "certificate": str(papers.certificate(GATEWAY)),
            "key": str(papers.key(GATEWAY)),
            "trust": str(papers.servers),
        }
    if device.user is not None and device.password is not None:
        found |= {"user": device.user, "password": device.password.get_secret_value()}
        if device.security is None:
            found["allow_clear_password"] = True  # nothing else is offered, and the instance is a test
    return found


def _opcua(device: MachineDevice) -> dict[str, Any]:
    return {
        "name": device.name,
        "protocol": "opcua",
        "simulated": True,
        "endpoint": f"opc.tcp://{device.host}:{device.port}/lotwise/",
        **_guarded(device),
        "publishing": min(0.5, device.interval),
        "nodes": [
            {
                "node": f"nsu={NODES};s={device.name}.{name}",
                "point": f"{device.zone}/{device.name}/{variable.quantity}",
                **({"unit": variable.unit} if variable.unit else {}),
                "sampling": device.interval / 4,
                "report": "timestamp",
            }
            for name, variable in VARIABLES.items()
        ],
    }


def _register(register: Register, device: str) -> dict[str, Any]:
    extra: dict[str, Any] = {"scale": register.scale} if register.scale != "1" else {}
    extra |= {"order": register.order} if register.order != "ABCD" else {}
    extra |= {"length": register.length} if register.length is not None else {}
    extra |= {"bit": register.bit} if register.bit is not None else {}
    extra |= {"sentinels": list(register.sentinels)} if register.sentinels else {}
    extra |= {"unit": register.unit} if register.unit else {}
    return {
        "point": f"{device}/{register.name}",
        "table": register.table,
        "address": register.address,
        "type": register.kind,
        **extra,
    }


def _modbus(device: ControllerDevice) -> dict[str, Any]:
    where: dict[str, Any] = {
        "kind": "rtu_over_tcp" if device.rtu_over_tcp else "tcp",
        "host": device.host,
        "port": device.port,
    }
    if device.serial is not None:
        line = device.serial
        where = {"kind": "serial", "port": str(line.pty or line.port)}
        where |= {"baudrate": line.baudrate, "parity": line.parity, "stopbits": line.stopbits}
    return {
        "name": device.name,
        "protocol": "modbus",
        "simulated": True,
        "transport": where,
        "units": [
            {
                "id": unit,
                "every": device.interval,
                "holes": 0,
                "points": [_register(register, f"{zone}/{device.name}-{unit}") for register in REGISTERS],
            }
            for unit, zone in device.units.items()
        ],
    }


def gateway_around(
    sources: list[dict[str, Any]],
    site: str,
    *,
    gateway: str = "gateway-sim",
    data_dir: str = "gateway-sim",
    stream: str = "nats://127.0.0.1:4222",
    health_port: int = 9180,
) -> dict[str, Any]:
    """The configuration of a gateway with these sources, as `lotwise edge` takes it (YAML)."""
    return {
        "gateway": gateway,
        "site": site,
        "instance": "test",
        "data_dir": data_dir,
        "stream": {"urls": [stream]},
        "health": {"host": "127.0.0.1", "port": health_port},
        "sources": sources,
    }


def gateway_config(scenario: Scenario, *, site: str | None = None, **options: Any) -> dict[str, Any]:
    """The configuration of a gateway that reads every device of the scenario; options as for gateway_around.

    `site` is the scenario's only one unless given. Raises ValueError if the devices stand at several.
    """
    sites = sorted({zone.split("/")[0] for zone in scenario.zones})
    if site is None and len(sites) > 1:
        raise ValueError(f"{scenario.name}: one gateway has one site, and the zones are at {', '.join(sites)}")
    sources = _mqtt(scenario, scenario.devices)
    sources += [_opcua(device) for device in scenario.devices if isinstance(device, MachineDevice)]
    sources += [_modbus(device) for device in scenario.devices if isinstance(device, ControllerDevice)]
    return gateway_around(sources, site or sites[0], **options)


def as_yaml(config: dict[str, Any], what: str) -> str:
    """A configuration as text, headed by what it is for."""
    out = io.StringIO()
    yaml = YAML()
    yaml.representer.ignore_aliases = lambda _data: True
    yaml.dump(config, out)
    return f"# Gateway configuration for {what}\n{out.getvalue()}"


def gateway_yaml(scenario: Scenario, **options: Any) -> str:
    """The gateway configuration as text; options as for gateway_config."""
    return as_yaml(gateway_config(scenario, **options), f"the scenario {scenario.name!r}")
