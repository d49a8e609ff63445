"""Devices in scenario files: what is wrong with one is told with its line; the README's examples are right."""

import re
from pathlib import Path

import pytest

from core.telemetry.located import ConfigErrors
from simulators.faults import FaultKind
from simulators.run import SCENARIOS
from simulators.scenariofile import PROTOCOLS, read_scenario

README = SCENARIOS.parent / "README.md"

WRONG_DEVICES = """\
name: wrong
duration: 30s
zones: {p/c/r: {}}
devices:
  - {kind: cold_room_controller, name: a, units: {1: p/c/r}}
  - {kind: cold_room_controller, name: b, units: {1: p/c/r}, port: 15020, serial: {pty: /tmp/x}}
  - {kind: cold_room_controller, name: c, units: {1: p/c/r}, serial: {pty: /tmp/x, port: /dev/ttyS0}}
  - {kind: cold_room_controller, name: d, units: {1: p/c/r}, serial: {pty: /tmp/x, parity: E}}
  - {kind: cold_room_controller, name: e, units: {1: p/c/r}, serial: {pty: /tmp/y}}
  - {kind: cold_room_controller, name: f, units: {1: p/c/r}, serial: {pty: /tmp/y}}
  - {kind: filling_machine, name: g, zone: p/c/r, port: 14840, user: somebody}
  - {kind: filling_machine, name: h, zone: p/c/r, port: 14841, security: {mode: Shout, certificates: x}}
  - {kind: filling_machine, name: i, zone: p/c/r, port: 14842, security: {mode: Sign}}
  - {kind: sparkplug_node, name: j, zone: p/c/r, devices: {}}
  - {kind: sparkplug_node, name: k, zone: p/c/r, devices: {m: p/c/x, n: p/c/r}}
  - {kind: mqtt_sensor, name: l, zone: [p]}
  - {kind: cold_room_controller, name: q, port: 15021, units: {300: p/c/r}}
  - {kind: mqtt_sensor, name: r, zone: p/c/r, interval: .inf, sensor: {noise: .nan}}
timeline:
  - {at: 1s, do: silence, device: k, member: o}
  - {at: 1s, do: silence, device: l, member: o}
  - {at: 1s, do: door_open, device: l}
  - {at: 1s, do: door_open, device: g, zone: p/c/r}
  - {at: 1s, do: opcua_status, device: g, variable: Pressure, status: BadSensorFailure}
  - {at: 1s, do: opcua_status, device: g, variable: Good, status: BadMood}
faults:
  - {device: a, unit: 1, fault: [duplicate]}
  - {device: l, fault: clock_step, step: 10000000d}
"""
WRONG_DEVICE_TEXTS = {
    5: "either port (TCP) or serial",
    6: "either port (TCP) or serial",
    7: "either pty",
    8: "no parity",
    10: "is taken by 'e'",
    11: "user and password go together",
    12: "SignAndEncrypt",
    13: "certificates",
    14: "devices",
    15: "no zone 'p/c/x'",
    16: "zone",
    17: "247",
    18: "interval",
    20: "'k' has no member 'o'",
    21: "'l' has no member 'o'",
    22: "needs a filling_machine",
    23: "either zone",
    24: "no variable 'Pressure'",
    25: "no status 'BadMood'",
    27: "fault",
    28: "step",
}


def test_what_is_wrong_with_a_device_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG_DEVICES)
    with pytest.raises(ConfigErrors) as caught:
        read_scenario(path)
    told: dict[int, str] = {}
    for error in caught.value.errors:
        told[error.line] = told.get(error.line, "") + str(error)
    assert {number: text for number, text in WRONG_DEVICE_TEXTS.items() if text not in told.get(number, "")} == {}


def examples() -> list[str]:
    """The YAML of the README: scenarios, and lists of devices."""
    text = README.read_text("utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("text", examples(), ids=range(len(examples())))
def test_every_example_in_the_readme_is_right(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    if not text.startswith("name:"):
        zones = sorted(set(re.findall(r"plant/\w+/[\w-]+", text)))
        head = "name: example\nduration: 10s\nzones: {" + ", ".join(f"{zone}: {{}}" for zone in zones) + "}\ndevices:\n"
        text = head + text
    path.write_text(text)
    assert read_scenario(path, {"FILLER_PASSWORD": "quiet"}).devices


def test_the_readme_has_an_example_of_every_device_and_names_every_fault_and_scenario() -> None:
    text = README.read_text("utf-8")
    assert all(f"kind: {kind}" in text for kind in PROTOCOLS)
    assert all(f"`{kind}`" in text for kind in FaultKind)
    assert all(f"| `{path.stem}` |" in text for path in SCENARIOS.glob("*.yaml"))
