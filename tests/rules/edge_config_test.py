"""A wrong configuration is told whole, by line, before anything starts."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.telemetry.located import ConfigErrors
from edge.checking import check
from edge.config import load
from edge.points import points_of
from lotwise.bench.check_config import gateway_file

EXAMPLE = Path(__file__).parents[2] / "edge" / "examples" / "gateway.yaml"
SECRETS = {"LOTWISE_STREAM_PASSWORD": "one-secret", "LOTWISE_MQTT_PASSWORD": "two"}

RIGHT = """\
gateway: gw-1
site: plant
instance: test
data_dir: /tmp/gw-1
stream:
  urls: nats://localhost:4222
sources:
  - name: a
    protocol: modbus
    transport: {kind: tcp, host: localhost}
    units:
      - id: 1
        points:
          - {point: plant/store/room/probe/temperature, address: "40001", type: int16}
"""


def config_errors(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> list[tuple[int, str, str]]:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load(file, environment or {})
    assert all(str(error).startswith(f"{file}:{error.line}: ") for error in caught.value.errors)
    return [(error.line, error.path, error.message) for error in caught.value.errors]


def test_the_example_is_right() -> None:
    config = load(EXAMPLE, SECRETS)
    assert [source.name for source in config.sources] == ["floor-broker", "filler", "coldroom-controller"]
    assert config.spool.max_bytes == 4 * 1024**3
    assert config.forwarder.confirm_every.total_seconds() == 1.0
    assert config.stream.password is not None
    assert config.stream.password.get_secret_value() == "one-secret"
    assert "one-secret" not in repr(config)


class Everything(dict[str, str]):
    """An environment in which every name is set."""

    def get(self, key: str, default: object = None) -> str:
        del default
        return f"value of {key}"


@pytest.mark.parametrize("file", sorted(EXAMPLE.parent.glob("*.yaml")), ids=lambda file: file.name)
def test_every_example_is_right(file: Path) -> None:
    assert load(file, Everything()).sources


def test_a_small_one_is_right(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(RIGHT)
    assert load(file, {}).stream.urls == ("nats://localhost:4222",)


def test_everything_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
gateway: gw 1
site: plant
instance: live
data_dir: /tmp/gw-1
stream:
  urls: http://localhost
  pasword: x
site: other
spool: {max_bytes: lots}
forwarder:
  confirm_every: soon
sources:
  - name: a
    protocol: modbus
    simulated: true
    transport: {kind: tcp, host: localhost}
    units:
      - id: 300
        points:
          - {point: plant/store/room/probe, address: "40001", type: int16}
          - {point: plant/store/room/probe/temperature, adress: 5, table: holding, type: int16}
  - name: a
    protocol: modbuss
  - name: c
    protocol: modbus
    transport: {kind: tcp, host: "${NO_SUCH_HOST}"}
    units:
      - id: 1
        points:
          - {point: plant/store/room/probe/temperature, address: "40001", type: int16}
          - {point: elsewhere/store/room/probe/humidity, address: "40002", type: int16}
"""
    errors = config_errors(tmp_path, text)
    assert [(line, path) for line, path, _ in errors] == [
        (1, "gateway"),
        (6, "stream.urls"),
        (7, "stream.pasword"),
        (8, "site"),
        (9, "spool.max_bytes"),
        (11, "forwarder.confirm_every"),
        (15, "sources[0].simulated"),
        (18, "sources[0].units[0].id"),
        (20, "sources[0].units[0].points[0].point"),
        (21, "sources[0].units[0].points[1].address"),
        (21, "sources[0].units[0].points[1].adress"),
        (22, "sources[1].name"),
        (23, "sources[1].protocol"),
        (26, "sources[2].transport.host"),
        (30, "sources[2].units[0].points[0].point"),
        (31, "sources[2].units[0].points[1].point"),
    ]
    messages = {path: message for _, path, message in errors}
    assert messages["stream.pasword"] == "unknown key; did you mean 'password'?"
    assert messages["site"] == "the key stands twice; first on line 2"
    assert messages["sources[0].units[0].points[1].adress"] == "unknown key; did you mean 'address'?"
    assert messages["sources[0].units[0].points[1].address"] == "is required"
    assert messages["sources[1].protocol"] == "'modbuss' is not one of modbus, mqtt, opcua; did you mean 'modbus'?"
    assert messages["sources[2].transport.host"] == "the environment variable NO_SUCH_HOST is not set"
    assert "on line 21" in messages["sources[2].units[0].points[0].point"]
    assert "not at this gateway's site" in messages["sources[2].units[0].points[1].point"]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: [1\nb: 2", 2, "expected"),
        ("", 1, "must be a mapping"),
        ("- 1\n- 2\n", 1, "must be a mapping"),
        (RIGHT.split("sources:", maxsplit=1)[0], 1, "is required"),
        (RIGHT.split("sources:", maxsplit=1)[0] + "sources: []\n", 7, "at least one source"),
        (RIGHT.replace("nats://localhost:4222", "{a: ${B}}"), 6, "needs quotes"),
        (RIGHT.replace("test", "!secret test"), 3, "tag"),
        (RIGHT.replace("sources:\n", "spool: &s {max_bytes: *s}\nsources:\n"), 7, "itself part of"),
        (RIGHT.replace("sources:\n", "spool: {max_bytes: 5 min}\nsources:\n"), 7, "valid integer"),
        (RIGHT.replace("sources:\n", "spool: {keep_confirmed: 5 MB}\nsources:\n"), 7, "not a duration"),
        (RIGHT.replace("sources:\n", "forwarder: {confirm_every: 0 s}\nsources:\n"), 7, "greater than"),
        (RIGHT.replace("site: plant", "site: plant\nsites: plant"), 3, "did you mean 'site'"),
        (RIGHT.replace("sources:\n", f"spool: {{keep_confirmed: {'9' * 20} h}}\nsources:\n"), 7, "not a duration"),
        (RIGHT.replace("sources:\n", f"spool: {{max_bytes: {'9' * 400} GiB}}\nsources:\n"), 7, "valid integer"),
        (RIGHT.replace("sources:\n", "<<: 3\nsources:\n"), 7, "only mappings"),
        (RIGHT.replace("sources:\n", "<<: [{spool: {}}, x]\nsources:\n"), 7, "only mappings"),
        (RIGHT.replace("/tmp/gw-1", '""'), 4, "not a path of a folder"),
        (RIGHT.replace("/tmp/gw-1", "/dev/null"), 4, "not a folder"),
        (RIGHT.replace("4222", "99999"), 6, "out of range"),
        ("[" * 500 + "]" * 500, 1, "nested too deeply"),
        (RIGHT.replace("protocol: modbus", "protocol: [modbus]"), 9, "['modbus'] is not one of"),
        ("\tgateway: gw-1", 1, "cannot start any token"),
        (RIGHT + "---\n" + RIGHT, 15, "another document"),
    ],
)
def test_files_that_are_not_a_configuration(tmp_path: Path, text: str, line: int, part: str) -> None:
    errors = config_errors(tmp_path, text)
    assert any(found == line and part in message for found, _, message in errors), errors


def test_everything_wrong_with_subscriptions_is_told_at_once(tmp_path: Path) -> None:
    text = """\
gateway: gw-1
site: plant
instance: test
data_dir:
stream: {urls: [nats://localhost:4222], password: 12345}
sources:
  - name: a
    protocol: mqtt
    host: h
    versoin: 5
    subscriptions:
      - topic: "a/#/b"
        decoder: tasmotta
        point: plant/a/b/c/d
      - topic: x
        decoder: {name: json, values: {t: "$.["}}
        points:
          - {field: t, point: plant/a/b/c}
"""
    errors = config_errors(tmp_path, text)
    assert [(line, path.rpartition("subscriptions")[2]) for line, path, _ in errors] == [
        (4, "data_dir"),
        (5, "stream.password"),
        (10, "sources[0].versoin"),
        (12, "[0].topic"),
        (13, "[0].decoder"),
        (16, "[1].decoder.values.t"),
        (18, "[1].points[0].point"),
    ]
    messages = [message for _, _, message in errors]
    assert messages[:2] == ["is not a path", "must be text: put it in quotes"]
    assert messages[4].endswith("did you mean 'tasmota'?")


MQTT = """\
  - name: b
    protocol: mqtt
    host: h
    subscriptions: [{topic: "a/{device}", decoder: number, point: "plant/a/b/{device}/t"}]
"""


def test_a_template_at_another_site_is_told(tmp_path: Path) -> None:
    ((line, path, message),) = config_errors(tmp_path, RIGHT + MQTT.replace("plant/a", "plnat/a"))
    assert (line, path) == (18, "sources[1].subscriptions[0].point")
    assert "is not at this gateway's site" in message


def test_two_sources_cannot_have_one_session(tmp_path: Path) -> None:
    """Nor by a default that is another's choice; the same name at another broker is another session."""
    third = MQTT.replace("name: b", "name: c").replace("host: h", "host: h\n    client_id: lotwise-gw-1-b")
    third = third.replace("plant/a/b", "plant/a/c")
    ((line, path, message),) = config_errors(tmp_path, RIGHT + MQTT + third)
    assert (line, path) == (19, "sources[2]")
    assert message == "MQTT session 'lotwise-gw-1-b' at h:1883 is also that of the source on line 15"
    file = tmp_path / "gateway.yaml"
    file.write_text(RIGHT + MQTT + third.replace("host: h", "host: h\n    port: 1884"))
    assert len(load(file, {}).sources) == 3


def test_gateways_that_share_a_broker_have_sessions_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    sessions = set()
    for gateway in ("gw-1", "gw-2"):
        file.write_text((RIGHT + MQTT).replace("gw-1", gateway))
        (*_, source) = load(file, {}).sources
        sessions.add(source.alone)
    assert sessions == {"MQTT session 'lotwise-gw-1-b' at h:1883", "MQTT session 'lotwise-gw-2-b' at h:1883"}


@pytest.mark.parametrize("host", ["mqtt://h", "h:1883", "h h", '""', '":1883"', "h/"])
def test_a_host_is_a_host(tmp_path: Path, host: str) -> None:
    ((line, path, message),) = config_errors(tmp_path, RIGHT + MQTT.replace("host: h", f"host: {host}"))
    assert (line, path, message.partition(":")[0]) == (17, "sources[1].host", "is not a host's name or address")


@pytest.mark.parametrize("said", ["true", "yes", '"yes"', "1", '"1"', "${SIMULATED}"])
def test_a_live_instance_refuses_simulated_sources_however_they_are_spelled(tmp_path: Path, said: str) -> None:
    text = RIGHT.replace("instance: test", "instance: live").replace("modbus\n", f"modbus\n    simulated: {said}\n")
    ((line, path, message),) = config_errors(tmp_path, text, {"SIMULATED": "on"})
    assert (line, path, message) == (10, "sources[0].simulated", "a live instance refuses simulated sources")


def test_what_aliases_multiply_is_bounded(tmp_path: Path) -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, name in itertools.pairwise("abcdefghi"):
        text += f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    ((_, _, message),) = config_errors(tmp_path, text)
    assert message == "more than 200000 values, aliases counted"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"none\.yaml:1: cannot be read: No such file or directory$"):
        load(tmp_path / "none.yaml", {})


def test_secrets_come_from_the_environment_and_can_be_escaped(tmp_path: Path) -> None:
    text = RIGHT.replace("  urls:", "  user: gw\n  password: a${P}b\n  urls:").replace("gw-1\nstream", "$${x}\nstream")
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    config = load(file, {"P": "${Q}"})
    assert config.stream.password is not None
    assert config.stream.password.get_secret_value() == "a${Q}b"
    assert config.data_dir == Path("/tmp/${x}")


def test_anchors_and_merges_keep_their_lines(tmp_path: Path) -> None:
    text = RIGHT.replace("    transport: {kind: tcp", "    transport: &t {kind: tcp") + (
        "  - name: b\n    protocol: modbus\n    transport:\n      <<: *t\n      hots: other\n    units: []\n"
    )
    errors = config_errors(tmp_path, text)
    assert [(line, path) for line, path, _ in errors] == [
        (19, "sources[1].transport.hots"),
        (20, "sources[1].units"),
    ]


def test_check_says_what_is_wrong_or_what_it_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(RIGHT)
    assert check(file) == 0
    assert "source a: modbus" in capsys.readouterr().out
    file.write_text(RIGHT.replace("nats://localhost", "nats://gw:hidden@localhost"))
    assert check(file) == 0
    assert "hidden" not in capsys.readouterr().out
    file.write_text(RIGHT.replace("instance: test", "instance: tset"))
    assert check(file) == 1
    assert f"{file}:3: instance: " in capsys.readouterr().out


MANY = 3000
"""As many as once were too many: a duration was reworded a recursion."""


def many(source: str, one: str) -> str:
    """A gateway whose only source has MANY points."""
    head = RIGHT.partition("sources:")[0]
    return head + "sources:\n" + source + "".join(one.replace("#", str(i)) for i in range(MANY))


SOURCES = {
    "opcua": (
        "  - name: a\n    protocol: opcua\n    endpoint: opc.tcp://localhost:4840\n    nodes:\n",
        '      - {node: "nsu=urn:x;s=N#", point: plant/a/z/p-#/temperature, sampling: 1 s}\n',
    ),
    "modbus": (
        "  - name: a\n    protocol: modbus\n    transport: {kind: tcp, host: localhost}\n    units:\n",
        "      - {id: 1, every: 1 s, points: [{point: plant/a/z/p-#/t, table: input, address: #, type: int16}]}\n",
    ),
    "mqtt": (
        "  - name: a\n    protocol: mqtt\n    host: localhost\n    tolerance: 1 min\n    subscriptions:\n",
        "      - {topic: a/#, decoder: {name: sparkplug_b, rebirth_interval: 1 min}, point: plant/a/z/p-#/t}\n",
    ),
}


@pytest.mark.parametrize("protocol", SOURCES)
def test_thousands_of_points_with_durations_are_checked(tmp_path: Path, protocol: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(many(*SOURCES[protocol]))
    config = load(file, {})
    (source,) = config.sources
    assert len(getattr(source, {"opcua": "nodes", "modbus": "units", "mqtt": "subscriptions"}[protocol])) == MANY


def test_thousands_of_wrong_durations_are_told_each_at_its_line(tmp_path: Path) -> None:
    errors = config_errors(tmp_path, many(*SOURCES["opcua"]).replace("1 s}", "1 x}"))
    assert len(errors) == MANY
    assert {message for _, _, message in errors} == {
        "is not a duration: write 30 s, 5 min, 48 h, ISO 8601 (PT5M), or a number of seconds"
    }
    assert len({line for line, _, _ in errors}) == MANY


def test_a_stream_without_servers_is_the_one_that_the_environment_names(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    here = {"LOTWISE_NATS_URL": "nats://127.0.0.1:24222"}
    without = RIGHT.replace("stream:\n  urls: nats://localhost:4222\n", "")
    file.write_text(without)
    assert load(file, here).stream.urls == ("nats://127.0.0.1:24222",)
    file.write_text(without + "stream: {replicas: 3}\n")
    assert (load(file, here).stream.urls, load(file, here).stream.replicas) == (("nats://127.0.0.1:24222",), 3)
    file.write_text(RIGHT)
    assert load(file, here).stream.urls == load(file, {}).stream.urls, "what the file names holds"
    file.write_text(without)
    with pytest.raises(ConfigErrors, match="stream: is required"):
        load(file, {})


def mixed(tmp_path: Path, points: int) -> Path:
    """The file that `lotwise bench check-config` times."""
    file = tmp_path / f"{points}.yaml"
    file.write_text(gateway_file(points, tmp_path))
    return file


def test_ten_thousand_points_of_all_protocols_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = mixed(tmp_path, 10_000)
    points = {point.address for source in load(file, {}).sources for point in points_of(source)}
    assert len(points) == 10_000
    assert check(file) == 0
    told = capsys.readouterr().out
    assert [line.split()[-1] for line in told.splitlines()[3:]] == ["mqtt", "opcua", *["modbus"] * 6]


def test_a_fault_among_ten_thousand_points_is_told_at_its_line(tmp_path: Path) -> None:
    lines = mixed(tmp_path, 10_000).read_text().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if "point: plant/store/room-0/m-0/temperature" in line)
    lines[-1] = lines[-1].replace(lines[-1].split("point: ")[1].split(",")[0], "plant/store/room-0/m-0/temperature")
    ((line, _, message),) = config_errors(tmp_path, "".join(lines))
    assert (line, message) == (
        len(lines),
        f"plant/store/room-0/m-0/temperature is also read by another source, on line {first + 1}",
    )


def calls(work: Callable[[], object]) -> int:
    """How many functions it calls."""
    count = 0

    def called(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_twice_the_points_take_twice_the_work(tmp_path: Path) -> None:
    some, many = mixed(tmp_path, 600), mixed(tmp_path, 1200)
    load(some, {})  # what is made once is made
    assert calls(lambda: load(many, {})) < 2.1 * calls(lambda: load(some, {}))
