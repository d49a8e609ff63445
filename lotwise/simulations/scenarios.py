"""The scenarios that come with Lotwise, as pages show them and as a run needs them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from core.telemetry.located import ConfigErrors
from core.web.desks.simulators.port import KnownScenario, Planned
from simulators.describe import gateway_yaml
from simulators.run import SCENARIOS
from simulators.scenario import FaultEvent, Scenario
from simulators.scenariofile import read_scenario

SPEAK_MQTT = frozenset({"mqtt_sensor", "sparkplug_node", "mqtt_load"})


@cache
def known() -> tuple[KnownScenario, ...]:
    """Each of them by the name of its file; one that cannot be read says why."""
    return tuple(_known(path.stem) for path in sorted(SCENARIOS.glob("*.yaml")))


def as_run(name: str, overrides: Mapping[str, Any]) -> Scenario:
    """The scenario with other figures. Raises ConfigErrors, ValueError; a name of none is one that is not there."""
    if name not in {path.stem for path in SCENARIOS.glob("*.yaml")}:
        raise ValueError(f"there is no scenario {name!r}")
    return read_scenario(SCENARIOS / f"{name}.yaml").overridden(overrides)


def section(name: str, overrides: Mapping[str, Any]) -> str:
    """The gateway's configuration that reads its devices (YAML). Raises as `as_run`."""
    return gateway_yaml(as_run(name, overrides))


def _known(name: str) -> KnownScenario:
    try:
        found = as_run(name, {})
    except (ConfigErrors, ValueError) as error:
        return KnownScenario(name, name, "", trouble=str(error))
    devices = tuple((device.name, device.kind) for device in found.devices)
    speak = any(kind in SPEAK_MQTT for _, kind in devices)
    return KnownScenario(
        name=name,
        title=found.name,
        about=found.about,
        zones=tuple(found.zones),
        devices=devices,
        plan=tuple(sorted(_plan(found), key=lambda one: one.at)),
        duration=found.duration,
        speed_up=found.speed_up,
        seed=found.seed,
        broker=f"{found.broker.host}:{found.broker.port}" if speak else None,
    )


def _plan(of: Scenario) -> list[Planned]:
    planned = [_fault(fault) for fault in of.faults]
    for event in of.timeline:
        fields = event.model_dump(exclude={"at", "lasting", "do"}, exclude_none=True)
        whom = fields.pop("zone", None) or fields.pop("device", "")
        detail = ", ".join(_figure(name, value) for name, value in fields.items() if (name, value) != ("unit", 1))
        planned.append(Planned(event.at, str(whom), event.do, detail, event.lasting))
    return planned


def _figure(name: str, value: object) -> str:
    if name in {"to", "temperature"}:
        return f"{value:g} °C"
    return f"{value:g} kg" if name == "kg" else str(value)


def _fault(fault: FaultEvent) -> Planned:
    return Planned(fault.begins, fault.device, "fault", fault.fault, fault.lasting)
