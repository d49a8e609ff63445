"""The gateway configuration that matches a scenario's devices, so that `lotwise edge` reads them all.

Points are `zone/device/quantity`; for a controller the device is `name-unit`. Sources are marked as simulated.
"""

import io
from typing import Any

from ruamel.yaml import YAML

from simulators.describe_mqtt import mqtt_sources
from simulators.devices import ControllerDevice, MachineDevice
from simulators.machine import VARIABLES
from simulators.opcua import NAMESPACE
from simulators.opcua_security import GATEWAY, CertificateFolder
from simulators.scenario import Scenario
from simulators.unit import REGISTERS, Register


def _guarded(device: MachineDevice) -> dict[str, Any]:
    """How the gateway gets in where the machine is guarded."""
    found: dict[str, Any] = {}
    if device.security is not None:
        papers = CertificateFolder(device.security.certificates)
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
                "node": f"nsu={NAMESPACE};s={device.name}.{name}",
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
    sources = mqtt_sources(scenario, scenario.devices)
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
