"""Payloads as the devices and networks send them, and what each decoder makes of them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Value
from edge.collectors.decoders import DECODERS, BadPayload, Decoded, Decoder, DecoderOptions, make_decoder
from edge.collectors.decoders.base import EVERY_FIELD, WRONG_TYPE, printable
from edge.collectors.mqtt_config import PointRule
from edge.collectors.mqtt_values import checked

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OPTIONS: TypeAdapter[Any] = TypeAdapter(DecoderOptions)


def decoder(options: object) -> Decoder:
    return make_decoder(OPTIONS.validate_python(options))


def read(options: object, topic: str, payload: object) -> dict[str, Decoded]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {item.field: item for item in decoder(options).decode(topic, raw, NOW)}


def values_and_units(items: dict[str, Decoded]) -> dict[str, tuple[Value, str]]:
    return {name: (item.value, item.unit) for name, item in items.items()}


TASMOTA = {
    "Time": "2019-01-01T00:00:00",
    "DS18B20": {"Id": "0316A2795CFF", "Temperature": 49.7},
    "AM2301": {"Temperature": 21.3, "Humidity": 48.1, "DewPoint": 9.9},
    "TempUnit": "C",
}


def test_tasmota_keeps_each_sensor_and_its_unit() -> None:
    found = read("tasmota", "tele/fridge-1/SENSOR", TASMOTA)
    assert values_and_units(found) == {
        "DS18B20.Temperature": (49.7, "Cel"),
        "AM2301.Temperature": (21.3, "Cel"),
        "AM2301.Humidity": (48.1, "%"),
        "AM2301.DewPoint": (9.9, "Cel"),
    }
    assert {item.device for item in found.values()} == {"fridge-1"}


def test_tasmota_time_without_offset_is_placed_only_with_a_configured_zone() -> None:
    assert read("tasmota", "tele/f/SENSOR", TASMOTA)["DS18B20.Temperature"].source_at is None
    placed = read({"name": "tasmota", "timezone": "Europe/Berlin"}, "tele/f/SENSOR", TASMOTA)
    assert placed["DS18B20.Temperature"].source_at == datetime(2018, 12, 31, 23, 0, tzinfo=UTC)
    with_offset = read("tasmota", "tele/f/SENSOR", {**TASMOTA, "Time": "2019-01-01T00:00:00+02:00"})
    assert with_offset["DS18B20.Temperature"].source_at == datetime(2018, 12, 31, 22, 0, tzinfo=UTC)


def test_a_local_time_that_the_zone_repeats_or_skips_is_uncertain() -> None:
    options = {"name": "tasmota", "timezone": "Europe/Berlin"}
    for local in ("2025-10-26T02:30:00", "2025-03-30T02:30:00"):
        item = read(options, "tele/f/SENSOR", {"Time": local, "DS18B20": {"Temperature": 4.0}, "TempUnit": "C"})
        assert item["DS18B20.Temperature"].source_at is None
        assert item["DS18B20.Temperature"].quality is Quality.UNCERTAIN


@pytest.mark.parametrize(("value", "unit"), [(85.0, "C"), (-127, "C"), (185.0, "F"), (-196.6, "F")])
def test_ds18b20_error_codes_are_no_temperatures(value: float, unit: str) -> None:
    found = read("tasmota", "tele/f/SENSOR", {"DS18B20-1": {"Temperature": value}, "TempUnit": unit})
    item = found["DS18B20-1.Temperature"]
    assert (item.quality, item.reason, item.value) == (Quality.BAD, Reason.SENTINEL, value)


def test_tasmota_fahrenheit_stays_fahrenheit() -> None:
    found = read("tasmota", "tele/f/SENSOR", {"SI7021": {"Temperature": 39.2}, "TempUnit": "F"})
    assert values_and_units(found) == {"SI7021.Temperature": (39.2, "[degF]")}


def test_tasmota_status_answer_null_and_last_will() -> None:
    found = read("tasmota", "stat/f/STATUS10", {"StatusSNS": {"DS18B20": {"Temperature": None}, "TempUnit": "C"}})
    assert (found["DS18B20.Temperature"].quality, found["DS18B20.Temperature"].reason) == (
        Quality.BAD,
        Reason.NO_VALUE,
    )
    dead = read("tasmota", "tele/f/LWT", b"Offline")[EVERY_FIELD]
    assert (dead.device, dead.quality, dead.reason) == ("f", Quality.BAD, Reason.DISCONNECTED)
    assert read("tasmota", "tele/f/LWT", b"Online") == {}
    assert read("tasmota", "tele/f/STATE", b"{}") == {}


def test_tasmota_full_topics_with_the_device_first() -> None:
    for topic in ("fridge-1/tele/SENSOR", "hall/fridge-1/tele/SENSOR", "tele/hall/fridge-1/SENSOR"):
        assert {item.device for item in read("tasmota", topic, TASMOTA).values()} == {"fridge-1"}
    assert read("tasmota", "fridge-1/tele/LWT", b"Offline")[EVERY_FIELD].device == "fridge-1"


def test_tasmota_several_probes_on_one_wire() -> None:
    """As documented for several DS18x20 sensors; the third has lost its wire."""
    payload = {
        "Time": "2021-01-02T09:09:44",
        "DS18B20-1": {"Id": "00000566CC39", "Temperature": 13.3},
        "DS18B20-2": {"Id": "000005E8BCC6", "Temperature": -127.0},
        "DS18B20-3": {"Id": "0000059F2C11", "Temperature": None},
        "TempUnit": "C",
    }
    found = read("tasmota", "tele/f/SENSOR", payload)
    assert {name: (item.value, item.reason) for name, item in found.items()} == {
        "DS18B20-1.Temperature": (13.3, ""),
        "DS18B20-2.Temperature": (-127.0, Reason.SENTINEL),
        "DS18B20-3.Temperature": (None, Reason.NO_VALUE),
    }


SHELLY = {
    "src": "shellyplusht-08b61fcb7f3c",
    "dst": "shellyplusht-08b61fcb7f3c/events",
    "method": "NotifyFullStatus",
    "params": {
        "ts": 1680962879.62,
        "ble": {},
        "devicepower:0": {"id": 0, "battery": {"V": 0.47, "percent": 0}, "external": {"present": True}},
        "humidity:0": {"id": 0, "rh": 42.2},
        "temperature:0": {"id": 0, "tC": 19.8, "tF": 67.6},
        "sys": {"mac": "08B61FCB7F3C", "time": None, "unixtime": None, "uptime": 2},
    },
}


def test_shelly_full_status() -> None:
    found = read("shelly_gen2", "shellyplusht-08b61fcb7f3c/events/rpc", SHELLY)
    assert values_and_units(found)["temperature:0.tC"] == (19.8, "Cel")
    assert values_and_units(found)["temperature:0.tF"] == (67.6, "[degF]")
    assert values_and_units(found)["humidity:0.rh"] == (42.2, "%")
    assert found["temperature:0.tC"].device == "shellyplusht-08b61fcb7f3c"
    assert found["temperature:0.tC"].source_at == datetime(2023, 4, 8, 14, 7, 59, 620000, tzinfo=UTC)
    assert found["sys.time"].reason == Reason.NO_VALUE


def test_shelly_battery_on_external_power_is_no_battery_value() -> None:
    found = read("shelly_gen2", "s/events/rpc", SHELLY)
    assert (found["devicepower:0.battery.percent"].quality, found["devicepower:0.battery.percent"].value) == (
        Quality.BAD,
        0,
    )
    assert found["devicepower:0.external.present"].value is True


def test_shelly_status_topic_errors_energy_and_online() -> None:
    item = read("shelly_gen2", "site/shelly-1/status/temperature:100", {"id": 100, "tC": None, "errors": ["read"]})
    assert (item["temperature:100.tC"].device, item["temperature:100.tC"].quality) == ("shelly-1", Quality.BAD)
    plug = read("shelly_gen2", "p/status/switch:0", {"id": 0, "apower": 8.9, "aenergy": {"total": 6.532}})
    assert values_and_units(plug) == {"switch:0.apower": (8.9, "W"), "switch:0.aenergy.total": (6.532, "W.h")}
    assert read("shelly_gen2", "p/online", b"false")[EVERY_FIELD].reason == Reason.DISCONNECTED
    assert read("shelly_gen2", "p/online", b"true") == {}
    assert read("shelly_gen2", "p/events/rpc", {"src": "p", "method": "NotifyEvent", "params": {}}) == {}


def test_a_bluetooth_sensor_behind_a_shelly_is_not_heard_anew_by_a_full_status() -> None:
    heard = {"id": 200, "value": 4.2, "last_updated_ts": 1709300000}
    status = {"ts": 1709366391.23, "bthomesensor:200": heard, "bthomesensor:201": heard | {"last_updated_ts": None}}
    found = read("shelly_gen2", "s/events/rpc", {"src": "s", "method": "NotifyFullStatus", "params": status})
    assert found["bthomesensor:200.value"].source_at == datetime(2024, 3, 1, 13, 33, 20, tzinfo=UTC)
    assert found["bthomesensor:201.value"].source_at == datetime(2024, 3, 2, 7, 59, 51, 230000, tzinfo=UTC)
    assert set(found) == {"bthomesensor:200.value", "bthomesensor:201.value"}
    assert read("shelly_gen2", "s/status/bthomesensor:200", heard)["bthomesensor:200.value"].source_at is not None


def test_a_shelly_that_goes_offline_is_the_one_its_notifications_name() -> None:
    """The topic's prefix is the owner's, `src` is the maker's: seen on real devices."""
    one = decoder("shelly_gen2")
    notification = {
        "src": "shelly1pmmini-348518e0bcfc",
        "method": "NotifyStatus",
        "params": {"temperature:100": {"tC": 4}},
    }
    item, *_ = one.decode("shelly1pmmini-solar/events/rpc", json.dumps(notification).encode(), NOW)
    assert (item.device, item.source_at) == ("shelly1pmmini-348518e0bcfc", None)
    gone = one.decode("shelly1pmmini-solar/online", b"false", NOW)
    assert [item.device for item in gone] == ["shelly1pmmini-348518e0bcfc", "shelly1pmmini-solar"]
    assert [item.device for item in one.decode("another/online", b"false", NOW)] == ["another"]


def test_zigbee2mqtt_battery_sensor() -> None:
    payload = {
        "battery": 100,
        "humidity": 51.2,
        "linkquality": 120,
        "pressure": 998.1,
        "temperature": 5.43,
        "voltage": 3005,
        "last_seen": "2026-03-01T12:59:58+01:00",
    }
    found = read("zigbee2mqtt", "zigbee2mqtt/Cold Room/probe 3", payload)
    assert values_and_units(found) == {
        "battery": (100, "%"),
        "humidity": (51.2, "%"),
        "linkquality": (120, ""),
        "pressure": (998.1, "hPa"),
        "temperature": (5.43, "Cel"),
        "voltage": (3005, "mV"),
    }
    assert found["temperature"].device == "Cold Room/probe 3"
    assert found["temperature"].source_at == datetime(2026, 3, 1, 11, 59, 58, tzinfo=UTC)
    millis = read("zigbee2mqtt", "zigbee2mqtt/p", {"temperature": 5, "last_seen": 1772366398000})
    assert millis["temperature"].source_at == datetime(2026, 3, 1, 11, 59, 58, tzinfo=UTC)


def test_zigbee2mqtt_availability_bridge_and_mains_voltage() -> None:
    for payload in (b"offline", b'{"state":"offline"}'):
        assert read("zigbee2mqtt", "zigbee2mqtt/a/b/availability", payload)[EVERY_FIELD].device == "a/b"
    assert read("zigbee2mqtt", "zigbee2mqtt/bridge/state", b'{"state":"online"}') == {}
    assert read("zigbee2mqtt", "zigbee2mqtt/plug/set", b'{"state":"ON"}') == {}
    assert values_and_units(read("zigbee2mqtt", "zigbee2mqtt/plug", {"voltage": 231}))["voltage"] == (231, "")
    with pytest.raises(BadPayload, match="topic"):
        read("zigbee2mqtt", "other/plug", b"{}")


CHIRPSTACK = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2022-07-18T09:34:15.775023242+00:00",
    "deviceInfo": {"tenantName": "t", "deviceName": "probe", "devEui": "0101010101010101"},
    "devAddr": "00189440",
    "dr": 1,
    "fCnt": 4,
    "fPort": 2,
    "data": "AgI=",
    "object": {"temperature": "4.7", "humidity": 61, "door": "open", "nested": {"battery": 3.1}},
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -48}, {"gatewayId": "0016c001f153a14d", "rssi": -90}],
}
UP = "application/7/device/0101010101010101/event/up"


def test_chirpstack_uplink_ignores_gateways_and_reads_text_numbers() -> None:
    found = read("chirpstack_v4", UP, CHIRPSTACK)
    assert values_and_units(found) == {
        "temperature": (4.7, ""),
        "humidity": (61, ""),
        "door": ("open", ""),
        "nested.battery": (3.1, ""),
    }
    assert found["temperature"].source_at == datetime(2022, 7, 18, 9, 34, 15, 775023, tzinfo=UTC)
    assert found["temperature"].device == "0101010101010101"
    as_sent = read({"name": "chirpstack_v4", "numeric_strings": False}, UP, CHIRPSTACK)
    assert as_sent["temperature"].value == "4.7"


def test_chirpstack_reads_an_uplink_once() -> None:
    one = decoder("chirpstack_v4")
    raw = json.dumps(CHIRPSTACK).encode()
    assert len(one.decode(UP, raw, NOW)) == 4
    assert one.decode(UP, raw, NOW) == []
    other = json.dumps({**CHIRPSTACK, "deduplicationId": "another"}).encode()
    assert len(one.decode(UP, other, NOW)) == 4


def test_chirpstack_ports_status_and_missing_codec() -> None:
    assert read({"name": "chirpstack_v4", "f_ports": [3]}, UP, CHIRPSTACK) == {}
    bare = {key: value for key, value in CHIRPSTACK.items() if key != "object"}
    with pytest.raises(BadPayload, match="codec"):
        read("chirpstack_v4", UP, bare)
    status = {**bare, "margin": 7, "batteryLevel": 75.3, "batteryLevelUnavailable": False}
    assert values_and_units(read("chirpstack_v4", UP.replace("/up", "/status"), status)) == {
        "batteryLevel": (75.3, "%"),
        "margin": (7, "dB"),
    }
    assert read("chirpstack_v4", UP.replace("/up", "/join"), b"{}") == {}


TTN: dict[str, Any] = {
    "end_device_ids": {"device_id": "dock-3", "dev_eui": "0004A30B001C0530"},
    "received_at": "2020-02-12T15:15:45.9Z",
    "uplink_message": {
        "f_port": 1,
        "frm_payload": "AA==",
        "decoded_payload": {"temperature": -1.25, "sensor": {"name": "a"}},
        "received_at": "2020-02-12T15:15:45.787123456Z",
        "rx_metadata": [{"rssi": -35}],
    },
}
TTN_UP = "v3/app@tenant/devices/dock-3/up"


def test_ttn_uplink() -> None:
    found = read("ttn_v3", TTN_UP, TTN)
    assert values_and_units(found) == {"temperature": (-1.25, ""), "sensor.name": ("a", "")}
    assert found["temperature"].source_at == datetime(2020, 2, 12, 15, 15, 45, 787123, tzinfo=UTC)
    assert found["temperature"].device == "dock-3"
    assert found["temperature"].complete
    assert not found["temperature"].simulated
    assert read("ttn_v3", TTN_UP, {**TTN, "simulated": True})["temperature"].simulated
    assert read("ttn_v3", TTN_UP.replace("/up", "/down/sent"), b"{}") == {}


def test_ttn_without_a_formatter_says_so() -> None:
    uplink = {key: value for key, value in TTN["uplink_message"].items() if key != "decoded_payload"}
    with pytest.raises(BadPayload, match="formatter"):
        read("ttn_v3", TTN_UP, {**TTN, "uplink_message": uplink})
    with pytest.raises(BadPayload, match="formatter"):  # null is no complete message either: nothing in it is zero
        read("ttn_v3", TTN_UP, {**TTN, "uplink_message": {**uplink, "decoded_payload": None}})


JSON = {
    "name": "json",
    "values": {"temperature": {"path": "$.t.v", "unit_path": "$.t.u"}, "door": "$.door"},
    "device": "$.id",
    "time": {"path": "$.ts", "format": "epoch_ms"},
    "quality": {"path": "$.q"},
}


def test_json_paths() -> None:
    found = read(JSON, "x", {"id": 7, "t": {"v": 4.1, "u": "°C"}, "door": True, "ts": 1772366398123, "q": "good"})
    assert values_and_units(found) == {"temperature": (4.1, "Cel"), "door": (True, "")}
    assert found["temperature"].source_at == datetime(2026, 3, 1, 11, 59, 58, 123000, tzinfo=UTC)
    assert found["temperature"].device == "7"


@pytest.mark.parametrize(
    ("mark", "quality"),
    [
        ("good", Quality.GOOD),
        (192, Quality.GOOD),
        ("uncertain", Quality.UNCERTAIN),
        ("broken", Quality.BAD),
        (True, Quality.BAD),
        (None, Quality.BAD),
    ],
)
def test_json_device_verdict(mark: object, quality: Quality) -> None:
    assert read(JSON, "x", {"t": {"v": 4.1}, "q": mark})["temperature"].quality is quality


def test_json_list_of_records_with_their_own_times() -> None:
    options = {
        "name": "json",
        "each": "$.samples[*]",
        "values": {"temperature": "c"},
        "time": {"path": "at"},
        "historical": "buffered",
    }
    payload = {
        "samples": [
            {"c": 5.0, "at": "2026-03-01T11:00:00Z", "buffered": True},
            {"c": 5.5, "at": "2026-03-01T12:00:00Z"},
        ]
    }
    found = decoder(options).decode("x", json.dumps(payload).encode(), NOW)
    assert [(item.value, item.source_at, item.historical) for item in found] == [
        (5.0, datetime(2026, 3, 1, 11, tzinfo=UTC), True),
        (5.5, datetime(2026, 3, 1, 12, tzinfo=UTC), False),
    ]
    assert decoder(options).decode("x", b'{"samples": []}', NOW) == []


def test_json_path_that_finds_nothing_or_too_much_is_said() -> None:
    with pytest.raises(BadPayload, match="none of the configured paths"):
        read(JSON, "x", {"other": 1})
    with pytest.raises(BadPayload, match="finds 2 values"):
        read({"name": "json", "values": {"t": "$..c"}}, "x", {"a": {"c": 1}, "b": {"c": 2}})


def test_json_filter_expressions_are_the_librarys() -> None:
    options = {"name": "json", "values": {"t": "$.s[?@.kind=='temp'].v"}}
    assert values_and_units(read(options, "x", {"s": [{"kind": "rh", "v": 50}, {"kind": "temp", "v": 4}]})) == {
        "t": (4, "")
    }


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("iso", "2026-03-01T12:00:00Z"),
        ("iso", "2026-03-01T13:00:00.000000000+01:00"),
        ("epoch_s", 1772366400),
        ("epoch_s", "1772366400.0"),
        ("epoch_ms", 1772366400000),
        ("epoch_us", 1772366400000000),
        ("epoch_ns", 1772366400000000000),
    ],
)
def test_time_formats(form: str, raw: object) -> None:
    options = {"name": "json", "values": {"t": "t"}, "time": {"path": "ts", "format": form}}
    assert read(options, "x", {"t": 1, "ts": raw})["t"].source_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "payload", "value"),
    [
        ("number", b"21.5", 21.5),
        ("number", b" -4 \n", -4),
        ("number", b"+1.2E1", 12.0),
        ({"name": "number", "decimal_comma": True}, b"21,5", 21.5),
        ({"name": "number", "kind": "text"}, b"RUNNING", "RUNNING"),
        ({"name": "number", "kind": "bool"}, b"ON", True),
        ({"name": "number", "kind": "bool"}, b"closed", False),
    ],
)
def test_bare_values(options: object, payload: bytes, value: object) -> None:
    assert read(options, "x", payload)["value"].value == value


@pytest.mark.parametrize("payload", [b"21,5", b"1_000", b"0x10", b"warm", b"1 2", "٣".encode()])
def test_what_is_not_a_number_is_a_bad_reading(payload: bytes) -> None:
    item = read("number", "x", payload)["value"]
    assert (item.value, item.quality, item.reason) == (payload.decode(), Quality.BAD, WRONG_TYPE)


@pytest.mark.parametrize("word", [b"unavailable", b"unknown", b"None", b"NULL", b"n/a", b"-", b" ", b"\0"])
@pytest.mark.parametrize("kind", ["number", "bool"])
def test_a_word_that_says_there_is_no_value_is_a_bad_reading(word: bytes, kind: str) -> None:
    item = read({"name": "number", "kind": kind}, "x", word)["value"]
    assert (item.value, item.quality, item.reason) == (None, Quality.BAD, Reason.NO_VALUE)


@pytest.mark.parametrize("payload", [b"4.1\0", b"4.1\0\0\n", b"\xef\xbb\xbf4.1", b"\xef\xbb\xbf 4.1\r\n\0"])
def test_a_byte_order_mark_and_trailing_nuls_are_no_part_of_a_value(payload: bytes) -> None:
    """The value is found all the same; that its reading is bad is said where the points are known."""
    assert printable(payload)
    item = read("number", "x", payload)["value"]
    assert (item.value, item.quality) == (4.1, Quality.GOOD)
    (item,) = read({"name": "json", "values": {"value": "t"}}, "x", payload.replace(b"4.1", b'{"t": 4.1}')).values()
    assert (item.value, item.quality) == (4.1, Quality.GOOD)


def test_a_nul_within_is_not_guessed_at() -> None:
    item = read("number", "x", b"4.1\x0015")["value"]
    assert item.quality is Quality.BAD


def test_a_switch_that_is_neither_on_nor_off_is_a_bad_reading() -> None:
    item = read({"name": "number", "kind": "bool"}, "x", b"ajar")["value"]
    assert (item.value, item.quality, item.reason) == ("ajar", Quality.BAD, WRONG_TYPE)


NO_JSON = [
    (b'{"a": nan, "b": 4.1}', Reason.NOT_A_NUMBER),
    (b'{"a": -nan, "b": 4.1}', Reason.NOT_A_NUMBER),
    (b'{"a": NaN, "b": 4.1}', Reason.NOT_A_NUMBER),
    (b'{"a": inf, "b": 4.1}', Reason.NOT_A_NUMBER),
    (b'{"a":-inf,"b":4.1}', Reason.NOT_A_NUMBER),
    (b'{"a": Infinity, "b": 4.1}', Reason.NOT_A_NUMBER),
    (b'{"a": None, "b": 4.1}', Reason.NO_VALUE),
    (b'{"a": unavailable, "b": 4.1}', Reason.NO_VALUE),
    (b'{"a": unknown, "b": 4.1}', Reason.NO_VALUE),
    (b'{"a": , "b": 4.1}', Reason.NO_VALUE),
    (b'{"b": 4.1, "a":}', Reason.NO_VALUE),
    (b'{"a": "unavailable", "b": 4.1}', Reason.NO_VALUE),
    (b'{"a": "", "b": 4.1}', Reason.NO_VALUE),
    (b'{"a": "None", "b": 4.1}', Reason.NO_VALUE),
    (b'{"a": "nan", "b": 4.1}', Reason.NOT_A_NUMBER),
    (b'{"a": "warm", "b": 4.1}', WRONG_TYPE),
    (b'{"a": "4.1 \xc2\xb0F", "b": 4.1}', Reason.WRONG_UNIT),
    (b'{"a": nan, "b": "4.1 \xc2\xb0C", "c": "a: nan, b: None,"}', Reason.NOT_A_NUMBER),
]
DIALECT_OF = {
    "json": ({"name": "json", "values": {"a": "a", "b": "b"}}, "x/y", "%s"),
    "tasmota": ("tasmota", "tele/d/SENSOR", "%s"),
    "zigbee2mqtt": ("zigbee2mqtt", "zigbee2mqtt/d", "%s"),
    "shelly_gen2": ("shelly_gen2", "d/status/temperature:0", "%s"),
    "chirpstack_v4": (
        "chirpstack_v4",
        "application/1/device/d/event/up",
        '{"deduplicationId": "1", "deviceInfo": {"devEui": "d"}, "object": %s}',
    ),
    "ttn_v3": (
        "ttn_v3",
        "v3/a@t/devices/d/up",
        '{"end_device_ids": {"device_id": "d"}, "uplink_message": {"decoded_payload": %s}}',
    ),
}


@pytest.mark.parametrize("dialect", DIALECT_OF)
@pytest.mark.parametrize(("payload", "reason"), NO_JSON)
def test_a_word_instead_of_a_value_is_a_bad_reading_and_costs_its_neighbours_nothing(
    dialect: str, payload: bytes, reason: str
) -> None:
    options, topic, frame = DIALECT_OF[dialect]
    rules = {name: PointRule(field=name, point="s/a/z/p/t", unit="Cel") for name in ("a", "b")}
    found = {
        item.field.rpartition(".")[2]: checked(item, rules[item.field[-1]])
        for item in decoder(options).decode(topic, (frame % payload.decode()).encode(), NOW)
        if item.field[-1] in rules
    }
    assert found["b"] == (4.1, Quality.GOOD, "")
    assert found["a"][1:] == (Quality.BAD, reason)


def test_words_in_keys_and_texts_stay_as_they_are() -> None:
    found = read({"name": "json", "values": {"a": "a", "nan": "nan"}}, "x", b'{"nan": inf, "a": "x: nan, y: None}"}')
    assert found["a"].value == "x: nan, y: None}"
    assert found["nan"].reason == Reason.NOT_A_NUMBER


def test_an_empty_payload_is_a_missing_value() -> None:
    item = read("number", "x", b"")["value"]
    assert (item.value, item.quality, item.reason) == (None, Quality.BAD, Reason.NO_VALUE)


def test_every_decoder_has_a_name() -> None:
    assert set(DECODERS) == {
        "json",
        "number",
        "tasmota",
        "shelly_gen2",
        "zigbee2mqtt",
        "chirpstack_v4",
        "ttn_v3",
        "sparkplug_b",
    }
