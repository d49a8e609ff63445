"""The demo's plant: devices, places, items and people's master data, posted through the public API."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lotwise.demo.stage import GATEWAY, Stage
from simulators.describe import gateway_config
from simulators.scenario import Scenario

SPEED_UP = 600
"""Ten simulated minutes each second: physics and profile delays, never a clock."""

ROOM_1, ROOM_2, ROOM_3 = "plant/cold/room-1", "plant/cold/room-2", "plant/cold/room-3"
LINE, TRUCK, RIG = "plant/fill/line-1", "plant/trucks/truck-7", "plant/load/rig"
ZONES = {
    ROOM_1: "Cold room 1",
    ROOM_2: "Cold room 2",
    ROOM_3: "Cold room 3",
    LINE: "Filling line 1",
    TRUCK: "Truck 7",
    RIG: "Load rig",
}
GAP = timedelta(seconds=15)
RATE = 200.0
"""Numbered messages a second, so that every one can be looked for at the end."""
TOLERANCE = timedelta(seconds=2)
DELAY = timedelta(seconds=3)
"""Half an hour of simulated time."""


def scenario(mqtt_port: int, modbus_port: int, opcua_port: int) -> Scenario:
    """Four payload dialects, a Modbus controller, an OPC UA machine, and a load of numbered readings."""
    return Scenario.model_validate(
        {
            "name": "demo",
            "seed": 7,
            "speed_up": SPEED_UP,
            "duration": "1h",
            "broker": {"host": "127.0.0.1", "port": mqtt_port},
            "zones": {
                ROOM_1: {"kind": "cold_room", "physics": {"ambient": 32.0}},
                ROOM_2: {"kind": "cold_room"},
                ROOM_3: {"kind": "cold_room"},
                LINE: {"kind": "cold_room"},
                TRUCK: {"kind": "truck", "physics": {"ambient": 30.0}},
                RIG: {"kind": "cold_room"},
            },
            "devices": [
                _sensor("probe-1", ROOM_1, "json"),
                _sensor("probe-2", ROOM_2, "tasmota"),
                _sensor("probe-3", ROOM_3, "zigbee2mqtt"),
                _sensor("probe-7", TRUCK, "chirpstack"),
                {
                    "kind": "cold_room_controller",
                    "name": "controller",
                    "port": modbus_port,
                    "units": {1: ROOM_1, 2: ROOM_2},
                    "interval": "500ms",
                },
                {"kind": "filling_machine", "name": "filler", "zone": LINE, "port": opcua_port, "interval": "500ms"},
                {"kind": "mqtt_load", "name": "rig", "zone": RIG, "rate": RATE, "sensors": 10},
            ],
            "timeline": [],
        }
    )


def _sensor(name: str, zone: str, dialect: str) -> dict[str, Any]:
    return {"kind": "mqtt_sensor", "name": name, "zone": zone, "dialect": dialect, "interval": "500ms"}


def points_of(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(address, unit) of every point that a gateway's configuration names; templates are left to the caller."""
    if "point" in config and isinstance(config["point"], str):
        yield config["point"], config.get("unit", "")
    for value in config.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from points_of(item)


@dataclass(slots=True)
class Plant:
    """Ids by name, as the API gave them."""

    zones: dict[str, int] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)
    lots: dict[str, int] = field(default_factory=dict)
    sublots: dict[str, int] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)
    shipments: dict[str, int] = field(default_factory=dict)
    materials: dict[str, int] = field(default_factory=dict)
    reservations: dict[str, int] = field(default_factory=dict)
    centre: int = 0
    """The one work centre."""


def configure(stage: Stage, of: Scenario) -> dict[str, Any]:
    """Writes the gateway's file and returns it."""
    assert stage.broker.mqtt_port is not None
    config = gateway_config(
        of,
        gateway=GATEWAY,
        site="plant",
        data_dir=str(stage.spool_dir),
        stream=stage.stream.url,
        health_port=stage.health_port,
    )
    for source in config["sources"]:
        # the devices' clocks are this machine's: silence need not wait five minutes for a slow one
        source["tolerance"] = TOLERANCE.seconds
    stage.write_gateway(config)
    return config


async def make_catalog(stage: Stage, config: dict[str, Any]) -> Plant:
    """Sites, zones, points with calibrated sensors, items with profiles, a bill of material and a work centre."""
    admin, engineer, qa = stage.people["admin"], stage.people["engineer"], stage.people["qa"]
    plant = Plant()
    sites = {code: (await admin.post("/sites", {"code": code, "name": code.title()}))["id"] for code in ("plant",)}
    for address, name in ZONES.items():
        band = (
            {"band_low": 2.0, "band_high": 8.0, "band_delay": "PT2S"}
            if address in {ROOM_1, ROOM_2, ROOM_3, TRUCK}
            else {}
        )
        zone = await admin.post(
            "/zones",
            {
                "site_id": sites[address.split("/")[0]],
                "address": address,
                "name": name,
                "simulated": True,
                "allowed_gap": f"PT{GAP.seconds}S",
                **band,
            },
        )
        plant.zones[address] = zone["id"]
    cage = await admin.post(
        "/zones",
        {
            "site_id": sites["plant"],
            "address": "plant/cold/cage",
            "name": "Quarantine cage",
            "accepts_held": True,
            "worst_temperature": 5.0,
        },
    )
    plant.zones["plant/cold/cage"] = cage["id"]
    await _points(plant, config, engineer, qa)
    await _items(plant, admin, qa)
    return plant


async def _points(plant: Plant, config: dict[str, Any], engineer: Any, qa: Any) -> None:
    points = dict(points_of(config))
    expanded: dict[str, str] = {}
    for address, unit in points.items():
        if "{name}" in address:
            expanded |= {address.replace("{name}", f"rig-{n:03d}"): unit for n in range(1, 11)}
        else:
            expanded[address] = unit
    now = datetime.now(UTC)

    async def add(address: str, unit: str) -> None:
        zone, device, quantity = address.rsplit("/", 2)
        if quantity == "chamber_temperature":
            quantity = "temperature"
        role = "machine"
        if quantity == "temperature" and zone != RIG:
            role = "spare" if device.startswith("controller") else "required"
        point = await engineer.post(
            "/points",
            {"zone_id": plant.zones[zone], "address": address, "quantity": quantity, "unit": unit, "role": role},
        )
        if role == "required":
            sensor = await engineer.post("/sensors", {"serial": f"SN-{device}", "model": "demo"})
            await qa.post(
                "/calibrations",
                {
                    "sensor_id": sensor["id"],
                    "done_at": (now - timedelta(days=30)).isoformat(),
                    "due_at": (now + timedelta(days=335)).isoformat(),
                    "certificate": "demo",
                },
            )
            await engineer.post(
                "/installations",
                {"sensor_id": sensor["id"], "point_id": point["id"], "from_at": (now - timedelta(days=29)).isoformat()},
            )

    for address, unit in expanded.items():
        await add(address, unit)


PROFILES: dict[str, tuple[float, str]] = {"vaccine": (8.0, "2–8 °C"), "saline": (25.0, "2–25 °C")}


async def _items(plant: Plant, admin: Any, qa: Any) -> None:
    for code, (high, name) in PROFILES.items():
        profile = await qa.post("/profiles", {"code": code.upper(), "name": name})
        version = await qa.post(
            f"/profiles/{profile['id']}/versions",
            {
                "allowed_gap": f"PT{GAP.seconds}S",
                "limits": [
                    {
                        "key": "high",
                        "op": ">",
                        "threshold": high,
                        "kind": "consecutive",
                        "delay": f"PT{DELAY.seconds}S",
                    },
                    {"key": "low", "op": "<", "threshold": -5.0, "kind": "consecutive", "delay": "PT60S"},
                ],
            },
        )
        item = await admin.post("/items", {"code": code, "name": f"{code.title()} {name}", "profile_id": profile["id"]})
        await qa.post(f"/items/{item['id']}/profiles", {"version_id": version["id"]})
        plant.items[code] = item["id"]
    kit = await admin.post("/items", {"code": "kit", "name": "Injection kit"})
    plant.items["kit"] = kit["id"]
