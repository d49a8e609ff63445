"""Recognising what topics speak: dialects, plain values, plain JSON; and a section that the gateway takes as it is."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.telemetry.sparkplug import DataType, Metric, Payload, PropertySet, PropertyValue
from edge.browse import mqtt
from edge.browse.found import BrowsedSource, CannotBrowse, Names, ZoneRules
from edge.browse.gateway_file import Head, extended, listing, whole, write
from edge.browse.mqtt_listen import Capture, Message
from edge.collectors.mqtt_points import MessageReader
from edge.config import load

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEAD = Head("gw-1", "plant", "test", "/var/lib/gw-1", "nats://127.0.0.1:4222")
BROKER = {"host": "broker"}


def capture(*messages: tuple[str, object], retained: bool = False) -> Capture:
    listened = Capture()
    for n, (topic, said) in enumerate(messages):
        payload = (
            said if isinstance(said, bytes) else said.encode() if isinstance(said, str) else json.dumps(said).encode()
        )
        listened.add(topic, Message(payload, NOW + timedelta(seconds=n), retained))
    return listened


def found(
    *messages: tuple[str, object], zones: tuple[str, ...] = ("plant/store/cold-1",), **options: Any
) -> BrowsedSource:
    return mqtt.browse(capture(*messages), BROKER, "floor", Names(ZoneRules(zones)), **options)


def values(of: BrowsedSource) -> dict[str, tuple[str, str]]:
    """Address below the zone → (unit, role)."""
    return {point.address.removeprefix("plant/store/cold-1/"): (point.unit, point.role) for point in of.points}


def read_back(of: BrowsedSource, folder: Path, *messages: tuple[str, object]) -> dict[str, object]:
    """The values that the gateway reads from these messages by the file that was made."""
    file = folder / "gateway.yaml"
    file.write_text(listing(of) + whole(HEAD, of))
    (source,) = load(file).sources
    reader = MessageReader(source)  # type: ignore[arg-type]  # it is an MQTT source
    out: dict[str, object] = {}
    for topic, message in (
        (topic, one) for topic, heard_on in capture(*messages).topics.items() for one in heard_on.kept
    ):
        read = reader.read(topic, message.payload, message.received_at, retained=False, queued=False)
        assert all("no subscription" in problem for problem in read.problems), read.problems
        out |= {reading.point.removeprefix("plant/store/cold-1/"): reading.value for reading in read.readings}
    return out


TASMOTA = {
    "Time": "2026-03-02T12:00:00",
    "SHT3X": {"Temperature": 4.5, "Humidity": 55.0, "DewPoint": 1.0},
    "TempUnit": "C",
}
SHELLY: dict[str, Any] = {
    "src": "shellyplusht-1",
    "method": "NotifyFullStatus",
    "params": {
        "ts": NOW.timestamp(),
        "temperature:0": {"id": 0, "tC": 4.5, "tF": 40.1},
        "humidity:0": {"id": 0, "rh": 42.2},
    },
}
CHIRPSTACK = {
    "deduplicationId": "1",
    "time": NOW.isoformat(),
    "deviceInfo": {"devEui": "0101010101010101"},
    "fPort": 2,
    "object": {"temperature": "4.5", "battery": 3},
}
TTN = {
    "end_device_ids": {"device_id": "probe-9"},
    "uplink_message": {"f_port": 2, "received_at": NOW.isoformat(), "decoded_payload": {"temperature": 4.5}},
}
ZIGBEE = {"temperature": 4.5, "humidity": 44.0, "battery": 91, "linkquality": 120, "last_seen": NOW.isoformat()}

DIALECTS: Mapping[str, tuple[list[tuple[str, object]], dict[str, tuple[str, str]], str]] = {
    "tasmota": (
        [("tele/tank/SENSOR", TASMOTA), ("tele/tank/LWT", "Online"), ("tele/tank/STATE", {"Time": "x"})],
        {"tank/humidity": ("%", "required"), "tank/temperature": ("Cel", "required")},
        "tele/+/SENSOR",
    ),
    "zigbee2mqtt": (
        [
            ("zigbee2mqtt/fridge", ZIGBEE),
            ("zigbee2mqtt/bridge/state", "online"),
            ("zigbee2mqtt/door", {"contact": True, "linkquality": 9}),
        ],
        {"door/door": ("", "machine"), "fridge/humidity": ("%", "required"), "fridge/temperature": ("Cel", "required")},
        "zigbee2mqtt/#",
    ),
    "zigbee2mqtt of another base": (
        [("home/z2m/fridge", ZIGBEE), ("home/z2m/bridge/state", {"state": "online"})],
        {"fridge/humidity": ("%", "required"), "fridge/temperature": ("Cel", "required")},
        "home/z2m/#",
    ),
    "shelly_gen2": (
        [("shellies/ht-1/events/rpc", SHELLY), ("shellies/ht-1/online", "true")],
        {"shellyplusht-1/humidity": ("%", "required"), "shellyplusht-1/temperature": ("Cel", "required")},
        "shellies/+/events/rpc",
    ),
    "shelly_gen1": (
        [("shellies/shellyht-A/sensor/temperature", "4.5"), ("shellies/shellyht-A/sensor/battery", "90")],
        {"shellyht-A/temperature": ("Cel", "required")},
        "shellies/shellyht-A/sensor/temperature",
    ),
    "chirpstack_v4": (
        [("application/7/device/0101010101010101/event/up", CHIRPSTACK)],
        {"0101010101010101/temperature": ("Cel", "required")},
        "application/+/device/+/event/+",
    ),
    "ttn_v3": (
        [("v3/climate@plant/devices/probe-9/up", TTN), ("v3/climate@plant/devices/probe-9/join", {"x": 1})],
        {"probe-9/temperature": ("Cel", "required")},
        "v3/+/devices/+/up",
    ),
    "homie": (
        [("homie/heater/$homie", "4.0"), ("homie/heater/air/t1/$unit", "°C"), ("homie/heater/air/t1", "4.5")],
        {"heater/temperature": ("Cel", "required")},
        "homie/heater/air/t1",
    ),
    "plain value": (
        [("plant/room-1/temperature", "4,5"), ("plant/room-2/temperature", "4,5"), ("plant/room-1/door", "OPEN")],
        {
            "room-1/door": ("", "machine"),
            "room-1/temperature": ("Cel", "required"),
            "room-2/temperature": ("Cel", "required"),
        },
        "plant/{device}/temperature",
    ),
    "plain JSON": (
        [
            ("sensors/a", {"id": "a", "temp": {"v": 4.5, "u": "°C"}, "ts": 1_772_452_800_123}),
            ("sensors/b", {"id": "b", "temp": {"v": 4.5, "u": "°C"}, "ts": 1_772_452_800_123}),
        ],
        {"a/temperature": ("Cel", "required"), "b/temperature": ("Cel", "required")},
        "sensors/{device}",
    ),
    "plain JSON of several devices on one topic": (
        [("sensors", {"id": "a", "temperature": 4.5}), ("sensors", {"id": "b", "temperature": 4.5})],
        {"a/temperature": ("Cel", "required"), "b/temperature": ("Cel", "required")},
        "sensors",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_is_recognised_and_its_section_reads_it(dialect: str, tmp_path: Path) -> None:
    messages, expected, topic = DIALECTS[dialect]
    of = found(*messages)
    assert values(of) == expected
    assert of.source is not None
    assert topic in [one["topic"] for one in of.source["subscriptions"]]
    read = read_back(of, tmp_path, *messages)
    assert read.keys() == expected.keys()
    assert {value for address, value in read.items() if address.endswith("/temperature")} == {4.5}


def test_several_probes_are_bound_by_their_identity(tmp_path: Path) -> None:
    def sensors(*ids: str) -> dict[str, object]:
        probes = {f"DS18B20-{n}": {"Id": one, "Temperature": 4.0 + int(one)} for n, one in enumerate(ids, 1)}
        return {"Time": "2026-03-02T12:00:00", **probes, "TempUnit": "C"}

    of = found(("tele/tank/SENSOR", sensors("01", "02")))
    first, second = (point.address.removeprefix("plant/store/cold-1/") for point in of.points)
    assert read_back(of, tmp_path, ("tele/tank/SENSOR", sensors("01", "02"))) == {first: 5.0, second: 6.0}
    # the first one died, and the second is called by its name now
    alone = {"Time": "2026-03-02T12:00:00", "DS18B20": {"Id": "02", "Temperature": 6.0}, "TempUnit": "C"}
    assert read_back(of, tmp_path, ("tele/tank/SENSOR", alone)) == {second: 6.0}


def test_sparkplug_is_read_once_its_birth_was_heard() -> None:
    unit = PropertySet(keys=["engUnit"], values=[PropertyValue(type=DataType.STRING.value, string_value="°C")])
    metric = Metric(
        name="Chamber/Temperature", alias=1, datatype=DataType.DOUBLE.value, double_value=4.5, properties=unit
    )
    birth = Payload(timestamp=1, seq=0, metrics=[metric]).SerializeToString()
    data = Payload(timestamp=2, seq=1, metrics=[Metric(alias=1, double_value=4.5)]).SerializeToString()
    of = found(("spBv1.0/plant/NBIRTH/node", birth), ("spBv1.0/plant/NDATA/node", data))
    assert of.source is not None
    assert [one["topic"] for one in of.source["subscriptions"]] == ["spBv1.0/plant/#"]
    assert values(of) == {"plant-node/temperature": ("Cel", "required")}
    unborn = found(("spBv1.0/plant/NDATA/node", data))
    assert unborn.source is None
    assert any("without a birth" in line for line in unborn.lines)


def test_what_was_guessed_is_said_and_what_the_device_says_is_not() -> None:
    of = found(("plant/room-1/temperature", "4.5"), ("tele/tank/SENSOR", TASMOTA))
    guessed = {point.address.split("/")[-2]: point.guesses for point in of.points}
    assert guessed["room-1"] == ("the unit Cel, from the name 'temperature'",)
    assert guessed["tank"] == ()
    text = whole(HEAD, of)
    assert "# 4.5 Cel, no device time; GUESS: the unit Cel, from the name 'temperature'" in text
    assert any("Time has no offset" in note for note in of.notes)
    assert not any("Time has no offset" in note for note in found(("tele/tank/SENSOR", TASMOTA), timezone="UTC").notes)
    fahrenheit = found(("x/y", {"tempF": 40.1}))
    assert [point.unit for point in fahrenheit.points] == ["[degF]"]


@pytest.mark.parametrize(
    ("payload", "taken"),
    [
        ({"temperature": 4.5, "sequence": 81, "unit": "C"}, ["temperature"]),
        ({"temperature": 4.5, "level": 81, "unit": "C"}, ["temperature"]),
        ({"value": 4.5, "slot": 3, "unit": "C"}, ["value"]),
        ({"core": 4.5, "unit": "C"}, ["core"]),
    ],
)
def test_a_unit_beside_several_values_is_not_a_counters(payload: dict[str, object], taken: list[str]) -> None:
    of = found(("plant/room-1/probe", payload))
    assert [(point.unit, point.role) for point in of.points] == [("Cel", "required")] * len(taken)
    text = whole(HEAD, of)
    assert [name for name in payload if f"field: {name}," in text] == taken


def test_a_clock_that_is_off_is_told() -> None:
    late = {"temperature": 4.5, "time": (NOW - timedelta(hours=1)).isoformat()}
    assert any(
        "advanced.last_seen" in note for note in found(("zigbee2mqtt/a", {"temperature": 4, "linkquality": 1})).notes
    )
    assert not any("last_seen" in note for note in found(("zigbee2mqtt/a", ZIGBEE)).notes)
    of = found(("sensors/a", late))
    assert any("device time, 3600 s behind" in line for line in of.lines)
    assert any("the clock of a is more than 5 min off" in note for note in of.notes)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-03-02T12:00:00Z", {"path": "$.ts"}),
        (1_772_452_800, {"path": "$.ts", "format": "epoch_s"}),
        ("1772452800123", {"path": "$.ts", "format": "epoch_ms"}),
        ("2026-03-02 12:00:00", None),
    ],
)
def test_how_a_time_is_written_is_found_out(said: object, expected: object) -> None:
    of = found(("sensors/a", {"temperature": 4.5, "ts": said}))
    assert of.source is not None
    decoder = of.source["subscriptions"][0]["decoder"]
    assert decoder.get("time") == expected
    if expected is None:
        assert any("has no offset" in note for note in of.notes)
        local = found(("sensors/a", {"temperature": 4.5, "ts": said}), timezone="Europe/Berlin").source
        assert local is not None
        assert local["subscriptions"][0]["decoder"]["time"] == {"path": "$.ts", "timezone": "Europe/Berlin"}


def test_filters_that_would_overlap_are_named_one_by_one(tmp_path: Path) -> None:
    # one topic within the dialect's wildcard speaks something else
    messages = [("floor/ht-1/events/rpc", SHELLY), ("floor/odd/events/rpc", {"temperature": 4.5})]
    of = found(*messages)
    assert of.source is not None
    assert [one["topic"] for one in of.source["subscriptions"]] == ["floor/ht-1/events/rpc", "floor/odd/events/rpc"]
    assert read_back(of, tmp_path, *messages)["rpc/temperature"] == 4.5


def test_what_nobody_knows_is_listed_and_hostile_payloads_break_nothing() -> None:
    of = found(
        ("a", b"\xff\xfe\x00"),
        ("b", b""),
        ("c", "RUNNING"),
        ("d", "[1, 2]"),
        ("e", '{"a": ' * 60),
        ("f", "{}"),
        ("g", '{"temperature": NaN}'),
        ("h/i", '{"x y": {"temp\'er": 4.5}}'),
        ("tele/x/SENSOR", "{"),
        ("/", "1"),
        ("$x/temp", "4"),
    )
    assert len([line for line in of.lines if "not recognised" in line]) >= 4
    assert of.source is not None
    assert '"h/i"' not in repr(of.source)
    assert any("i/temp" in point.address or "h" in point.address for point in of.points)


def test_everything_takes_what_is_no_climate_too() -> None:
    messages = [("tele/tank/SENSOR", TASMOTA), ("x/y", {"load": 7})]
    assert not any("DewPoint" in point.address for point in found(*messages).points)
    taken = values(found(*messages, everything=True))
    assert taken["y/load"] == ("", "machine")
    assert taken["tank/SHT3X-DewPoint"] == ("Cel", "machine")


def test_devices_stand_in_the_zones_that_patterns_name() -> None:
    of = found(
        ("tele/fridge-1/SENSOR", TASMOTA),
        ("tele/dock/SENSOR", TASMOTA),
        zones=("fridge-*=plant/cold/{device}", "plant/goods-in/dock"),
    )
    assert {point.address.rpartition("/")[0] for point in of.points} == {
        "plant/cold/fridge-1/fridge-1",
        "plant/goods-in/dock/dock",
    }
    for wrong in (("plant/x",), ("a=plant/x/y", "b=other/x/y"), ("{device}/x/y",)):
        with pytest.raises(CannotBrowse):
            ZoneRules(wrong)


def test_a_file_that_is_there_is_added_to_and_nothing_in_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    write(file, whole(HEAD, found(("tele/tank/SENSOR", TASMOTA))))
    mine = file.read_text().replace("plant/store/cold-1/tank/temperature", "plant/store/cold-1/tank/air")
    file.write_text("# ours\n" + mine + "# the end\n")
    more = found(
        ("tele/tank/SENSOR", TASMOTA),
        ("tele/dock/SENSOR", TASMOTA),
        ("plant/room-1/temperature", "4.5"),
        ("plant/x/SENSOR", {"temperature": 4.5}),
    )
    text, extension = extended(file, more)
    write(file, text)
    assert sorted(extension.added) == [
        "plant/store/cold-1/SENSOR/temperature",
        "plant/store/cold-1/dock/humidity",
        "plant/store/cold-1/dock/temperature",
        "plant/store/cold-1/room-1/temperature",
    ]
    assert text.startswith("# ours\n")
    assert text.count("# the end") == text.count("plant/store/cold-1/tank/air") == 1
    assert len(load(file).sources) == 1
    assert extended(file, more)[1].added == []


def test_a_wrong_file_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("sources: 7\n")
    with pytest.raises(CannotBrowse, match="no gateway file"):
        extended(file, found(("tele/tank/SENSOR", TASMOTA)))
    elsewhere = Head("gw-1", "other-site", "test", "/x", "nats://h:4222")
    with pytest.raises(Exception, match="not at this gateway's site"):
        write(tmp_path / "new.yaml", whole(elsewhere, found(("tele/tank/SENSOR", TASMOTA))))
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.yaml"]
