"""What MQTT devices of different makers send, by name. A table: device and sample in, topics and payloads out.

Shapes follow the makers' documentation and recorded messages. Numbers are finite, times are the device's.
"""

import base64
import json
import random
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from simulators.faults import Measured

Message = tuple[str, bytes]


@dataclass(frozen=True)
class Identity:
    """Who speaks: its name and zone (`site/area/zone`), and the topic where it is not the dialect's own."""

    name: str
    zone: str
    topic: str | None = None

    @property
    def eui(self) -> str:
        """A LoRaWAN device EUI of the locally administered kind, always the same for the name."""
        return f"02{uuid.uuid5(uuid.NAMESPACE_OID, self.name).hex[:14]}"


@dataclass(frozen=True)
class Sample:
    """One measurement of a device: its own time, its values by quantity, and the number of the measurement."""

    at: datetime
    values: Mapping[str, Measured]
    sequence: int | None = None


@dataclass(frozen=True)
class Dialect:
    """How one kind of device speaks. `topic` may hold {name}, {zone}, {eui} and, where each quantity has its own
    topic, {quantity}.
    """

    topic: str
    encode: Callable[[Identity, Sample], object]
    tells_time: bool = True

    def topic_of(self, who: Identity, quantity: str = "") -> str:
        """The topic, filled in."""
        pattern = who.topic or self.topic
        return pattern.format(name=who.name, zone=who.zone, eui=who.eui, quantity=quantity)

    def messages(self, who: Identity, sample: Sample) -> list[Message]:
        """The messages for one sample: one, or one for each quantity (and the sequence number)."""
        if "{quantity}" not in (who.topic or self.topic):
            return [(self.topic_of(who), json.dumps(self.encode(who, sample), separators=(",", ":")).encode())]
        values = dict(sample.values)
        if sample.sequence is not None:
            values["sequence"] = Measured(sample.sequence)
        return [(self.topic_of(who, name), _bare(measured.value)) for name, measured in values.items()]


def _bare(value: float | bool | str | None) -> bytes:
    """The bare value as text; an empty payload where there is none."""
    return b"" if value is None else str(int(value) if isinstance(value, bool) else value).encode()


def _number(sample: Sample, quantity: str) -> float | None:
    measured = sample.values.get(quantity)
    if measured is None or not isinstance(measured.value, int | float):
        return None
    return measured.value


def _iso(at: datetime, digits: str = "microseconds") -> str:
    return at.isoformat(timespec=digits).replace("+00:00", "Z")


def _flat(sample: Sample) -> dict[str, object]:
    values: dict[str, object] = {name: measured.value for name, measured in sample.values.items()}
    if sample.sequence is not None:
        values["sequence"] = sample.sequence
    return values


def _json(who: Identity, sample: Sample) -> object:
    """A plain object: device time, values by quantity, and the unit of the temperature."""
    temperature = sample.values.get("temperature")
    unit = {"unit": temperature.unit} if temperature else {}
    return {"device": who.name, "time": _iso(sample.at), **_flat(sample), **unit}


def _tasmota(_who: Identity, sample: Sample) -> object:
    """`tele/…/SENSOR`: local time without an offset (here UTC), to the second; a counter carries the sequence."""
    temperature = sample.values.get("temperature", Measured(0.0, "Cel"))
    sensor: dict[str, object] = {"Id": "0316A279B7FF", "Temperature": temperature.value}
    kind = "DS18B20"
    if (humidity := _number(sample, "humidity")) is not None:
        kind, sensor = "SHT3X", {"Temperature": temperature.value, "Humidity": humidity}
    counter = {} if sample.sequence is None else {"COUNTER": {"C1": sample.sequence}}
    unit = "F" if temperature.unit == "[degF]" else "C"
    return {"Time": sample.at.strftime("%Y-%m-%dT%H:%M:%S"), kind: sensor, **counter, "TempUnit": unit}


def _shelly(who: Identity, sample: Sample) -> object:
    """Shelly Gen2+ RPC notification of a Plus H&T, on battery."""
    celsius = _number(sample, "temperature") or 0.0
    return {
        "src": who.name,
        "dst": f"{who.name}/events",
        "method": "NotifyFullStatus",
        "params": {
            "ts": round(sample.at.timestamp(), 2),
            "ble": {},
            "cloud": {"connected": False},
            "devicepower:0": {"id": 0, "battery": {"V": 5.45, "percent": 88}, "external": {"present": False}},
            "humidity:0": {"id": 0, "rh": _number(sample, "humidity")},
            "temperature:0": {"id": 0, "tC": celsius, "tF": round(celsius * 9 / 5 + 32, 1)},
            "mqtt": {"connected": True},
            "sys": {"mac": who.eui[:12].upper(), "restart_required": False, "time": None, "unixtime": None},
            "wifi": {"sta_ip": "192.0.2.17", "status": "got ip", "ssid": "plant", "rssi": -61},
        },
    }


def _zigbee2mqtt(_who: Identity, sample: Sample) -> object:
    """A climate sensor such as WSDCGQ11LM, with `last_seen` switched on in ISO_8601."""
    still = {"battery": 91, "voltage": 2985, "linkquality": 120, "last_seen": _iso(sample.at, "milliseconds")}
    return {**_flat(sample), **still}


def _lpp(sample: Sample) -> str:
    """Cayenne LPP of the temperature (0.1 °C), base64, as the radio would carry it."""
    tenths = round((_number(sample, "temperature") or 0.0) * 10)
    return base64.b64encode(struct.pack(">BBh", 1, 0x67, max(-32768, min(32767, tenths)))).decode()


def _chirpstack(who: Identity, sample: Sample) -> object:
    """ChirpStack v4 uplink event."""
    counter = sample.sequence or 0
    return {
        "deduplicationId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{who.eui}:{counter}:{sample.at.isoformat()}")),
        "time": sample.at.isoformat(timespec="microseconds").replace("+00:00", "000+00:00"),
        "deviceInfo": {
            "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
            "tenantName": "Plant",
            "applicationId": APPLICATION,
            "applicationName": "climate",
            "deviceProfileName": "climate sensor",
            "deviceName": who.name,
            "devEui": who.eui,
            "tags": {},
        },
        "devAddr": "00189440",
        "adr": True,
        "dr": 5,
        "fCnt": counter,
        "fPort": 2,
        "confirmed": False,
        "data": _lpp(sample),
        "object": _flat(sample),
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "uplinkId": 4217106255, "rssi": -57, "snr": 9.5}],
        "txInfo": {"frequency": 868100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}},
    }


def _things_stack(who: Identity, sample: Sample) -> object:
    """The Things Stack v3 uplink: fields equal to zero, empty or false are left out, as its JSON does."""
    stamp = sample.at.isoformat(timespec="microseconds").replace("+00:00", "000Z")
    uplink: dict[str, object] = {
        "f_port": 2,
        "f_cnt": sample.sequence or 0,
        "frm_payload": _lpp(sample),
        "decoded_payload": _flat(sample),
        "rx_metadata": [{"gateway_ids": {"gateway_id": "plant-roof"}, "rssi": -57, "snr": 9.5, "time": stamp}],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868100000"},
        "received_at": stamp,
    }
    return {
        "end_device_ids": {
            "device_id": who.name.lower(),
            "application_ids": {"application_id": "climate"},
            "dev_eui": who.eui.upper(),
        },
        "correlation_ids": [f"as:up:{who.eui}"],
        "received_at": stamp,
        "uplink_message": {key: value for key, value in uplink.items() if value not in (0, "", False)},
    }


APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"
DIALECTS: dict[str, Dialect] = {
    "json": Dialect("sensors/{zone}/{name}", _json),
    "bare": Dialect("bare/{zone}/{name}/{quantity}", lambda _who, _sample: None, tells_time=False),
    "tasmota": Dialect("tele/{name}/SENSOR", _tasmota),
    "shelly": Dialect("{name}/events/rpc", _shelly),
    "zigbee2mqtt": Dialect("zigbee2mqtt/{name}", _zigbee2mqtt),
    "chirpstack": Dialect(f"application/{APPLICATION}/device/{{eui}}/event/up", _chirpstack),
    "things_stack": Dialect("v3/climate@plant/devices/{name}/up", _things_stack),
}
"""Every dialect by the name scenario files use."""


def garbage(payload: bytes, chance: random.Random) -> bytes:
    """A payload spoiled in one of the ways seen in the field: cut short, foreign bytes, NaN, another format, empty."""
    corruptions: tuple[Callable[[], bytes], ...] = (
        lambda: payload[: len(payload) // 2],
        lambda: chance.randbytes(24),
        lambda: b'{"temperature": NaN}',
        lambda: b"<xml>12.5</xml>",
        lambda: b"",
    )
    return chance.choice(corruptions)()
