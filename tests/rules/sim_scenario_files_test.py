"""Scenario files: what is right is read, what is wrong is told all at once with file and line; the guard holds."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from core.telemetry.located import ConfigErrors
from edge.config import load as load_gateway
from simulators.describe import gateway_config, gateway_yaml
from simulators.dialects import DIALECTS
from simulators.faults import APPLIES
from simulators.field_types import seconds
from simulators.run import SCENARIOS, find_scenario, show_gateway
from simulators.scenario import Scenario
from simulators.scenariofile import PROTOCOLS, read_scenario

SHIPPED = sorted(SCENARIOS.glob("*.yaml"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [("10s", 10), ("500ms", 0.5), ("2m", 120), ("1.5 h", 5400), ("1d", 86400), (3, 3), ("-2h", -7200)],
)
def test_durations(said: object, expected: float) -> None:
    assert seconds(said) == expected


@pytest.mark.parametrize("said", ["", "10", "s", "10 parsecs", True, None, "nan s", "1e3s"])
def test_what_is_no_duration(said: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(said)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_scenarios_that_come_along_are_right(path: Path) -> None:
    assert read_scenario(path).devices


def test_the_scenarios_asked_for_are_there_and_show_every_fault() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "cold_room_failure",
        "truck_door",
        "sensor_silent",
        "all_faults",
        "filling_line",
        "edge_node",
        "serial_bus",
        "secured_machine",
    }


def test_the_tour_of_faults_shows_each_on_every_protocol_that_can_show_it() -> None:
    tour = read_scenario(SCENARIOS / "all_faults.yaml")
    protocols = {device.name: PROTOCOLS[device.kind] for device in tour.devices}
    shown = {(protocols[fault.device], fault.fault) for fault in tour.faults}
    assert shown == {(protocol, kind) for protocol, kinds in APPLIES.items() for kind in kinds}


WRONG = """\
name: wrong
speed_up: 0
duration: 30s
zones:
  plant/cold/room-1: {kind: igloo}
  plant/cold/room-2: {kind: cold_room, physics: {walls: 3}}
  plant/cold: {}
devices:
  - {kind: mqtt_sensor, name: probe-1, zone: plant/cold/room-9, dialect: klingon}
  - {kind: mqtt_sensor, name: probe-1, zone: plant/cold/room-1, interval: soon}
  - kind: cold_room_controller
    name: ctl
    port: 70000
    units: {1: plant/cold/room-1, 2: plant/cold/room-8}
  - {kind: toaster, name: t}
timeline:
  - {at: 40s, do: door_open, zone: plant/cold/room-1}
  - {at: 1s, do: opcua_state, device: ctl, state: running}
  - {at: 1s, do: dance, zone: plant/cold/room-1}
  - {at: 1s, do: silence, device: nobody}
faults:
  - {device: ctl, fault: clock_step, from: 1s}
  - {device: probe-1, fault: hiccup, from: 1s}
  - {device: ctl, unit: 7, fault: freeze, from: 1s}
surprise: 1
"""
FAULTS = {
    2: "speed_up",
    5: "cold_room",
    6: "walls",
    7: "site/area/zone",
    9: "no zone 'plant/cold/room-9'",
    10: "there twice",
    13: "port",
    14: "no zone 'plant/cold/room-8'",
    15: "toaster",
    17: "not before the scenario's end",
    18: "needs a filling_machine",
    19: "dance",
    20: "no device 'nobody'",
    22: "cannot show the fault clock_step",
    23: "hiccup",
    24: "no unit 7",
    25: "surprise",
}


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    with pytest.raises(ConfigErrors) as caught:
        read_scenario(path)
    told: dict[int, str] = {}
    for line in str(caught.value).splitlines():
        file, number, text = line.split(":", 2)
        assert file == str(path)
        told[int(number)] = told.get(int(number), "") + text
    assert {number: text for number, text in FAULTS.items() if text not in told.get(number, "")} == {}
    assert set(told) == set(FAULTS) | {9, 10}
    assert "klingon" in told[9]
    assert "soon" in told[10]


@pytest.mark.parametrize(("text", "line"), [("name: [", 1), ("- 1\n- 2\n", 1), ("", 1), ("\ttab: 1", 1)])
def test_what_is_no_mapping_at_all_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        read_scenario(path)
    assert caught.value.errors[0].line in {line, line + 1}


def test_a_key_that_stands_twice_and_a_variable_that_is_not_set_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("name: a\nname: b\nabout: ${NOT_SET}\nbroker: {password: [x]}\n")
    with pytest.raises(ConfigErrors) as caught:
        read_scenario(path, {})
    told = {error.line: error.message for error in caught.value.errors if error.line > 1}
    assert "first on line 1" in told[2]
    assert told[3] == "the environment variable NOT_SET is not set"
    assert "'x'" not in told[4]


def test_a_secret_comes_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    text = (SCENARIOS / "truck_door.yaml").read_text()
    path.write_text(text + "broker: {username: tester, password: '${BROKER_PASSWORD}'}\n")
    password = read_scenario(path, {"BROKER_PASSWORD": "quiet"}).broker.password
    assert password is not None
    assert password.get_secret_value() == "quiet"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"nothing\.yaml:1: cannot be read"):
        read_scenario(tmp_path / "nothing.yaml")


def test_a_scenario_is_found_by_name_too() -> None:
    assert find_scenario("truck_door") == find_scenario("scenarios/truck_door.yaml") == SCENARIOS / "truck_door.yaml"


def small() -> Scenario:
    return read_scenario(SCENARIOS / "filling_line.yaml")


def test_overrides_change_figures_and_ports_and_are_checked() -> None:
    changed = small().overridden({"speed_up": 5, "duration": 3, "ports": {"filler-1": 4999}})
    assert (changed.speed_up, changed.duration) == (5, 3)
    assert {device.name: getattr(device, "port", None) for device in changed.devices}["filler-1"] == 4999
    with pytest.raises(ValueError, match="no device named nobody"):
        small().overridden({"ports": {"nobody": 1}})
    with pytest.raises(ValueError, match="speed_up") as wrong:
        small().overridden({"speed_up": -1, "duration": "5x", "broker": {"port": 99999}})
    assert str(wrong.value).splitlines() == [
        "speed_up: Input should be greater than 0 (found -1)",
        "duration: '5x' is not a duration such as 500ms, 10s, 2m or 1h",
        "broker.port: Input should be less than or equal to 65535 (found 99999)",
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_gateway_configuration_made_for_a_scenario_is_one_the_gateway_takes(path: Path, tmp_path: Path) -> None:
    scenario = read_scenario(path)
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_yaml(scenario, data_dir=str(tmp_path)))
    config = load_gateway(file)
    assert config.instance == "test"
    assert all(source.simulated for source in config.sources)


def test_the_gateway_configuration_covers_every_dialect_and_every_broker_setting(tmp_path: Path) -> None:
    devices: list[dict[str, object]] = [
        {
            "kind": "mqtt_sensor",
            "name": f"d-{n}",
            "zone": "p/c/r",
            "dialect": name,
            "quantities": ["temperature", "humidity"],
        }
        for n, name in enumerate(DIALECTS)
    ]
    devices.append({"kind": "mqtt_load", "name": "load", "zone": "p/c/r", "rate": 10})
    scenario = Scenario.model_validate(
        {
            "name": "all",
            "duration": 1,
            "zones": {"p/c/r": {}},
            "devices": devices,
            "broker": {"username": "u", "password": "secret", "protocol": "5"},
        }
    )
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_yaml(scenario, data_dir=str(tmp_path)))
    assert {source.name for source in load_gateway(file).sources} == {"mqtt-stamped", "mqtt-unstamped"}


def test_one_gateway_has_one_site() -> None:
    two = Scenario.model_validate(
        {
            "name": "two",
            "duration": 1,
            "zones": {"a/b/c": {}, "x/y/z": {}},
            "devices": [{"kind": "mqtt_sensor", "name": "p", "zone": "a/b/c"}],
        }
    )
    with pytest.raises(ValueError, match="one site"):
        gateway_config(two)


def test_secured_and_serial_devices_are_described_as_the_gateway_needs_them(tmp_path: Path) -> None:
    config = gateway_config(read_scenario(SCENARIOS / "secured_machine.yaml"))
    [source] = config["sources"]
    assert (source["user"], source["password"]) == ("gateway", "only-for-tests")
    assert source["security"]["trust"] == "/tmp/lotwise-papers/trusted-servers"
    [source] = gateway_config(read_scenario(SCENARIOS / "serial_bus.yaml"))["sources"]
    assert source["transport"] == {
        "kind": "serial",
        "port": "/tmp/lotwise-bus-1",
        "baudrate": 9600,
        "parity": "N",
        "stopbits": 1,
    }
    console = Console(file=io.StringIO(), width=40)
    assert show_gateway("serial_bus", overrides={"broker": {"port": 1}}, console=console) == 0
    file = tmp_path / "gateway.yaml"
    file.write_text(str(console.file.getvalue()))  # type: ignore[attr-defined]  # the console was given a StringIO
    assert load_gateway(file).sources, "a narrow terminal breaks no line"
