"""The story's steps. Each asserts through the public API what it tells, and returns its evidence."""

import asyncio
import functools
import json
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lotwise.demo.api import Unexpected
from lotwise.demo.plant import LINE, RIG, ROOM_1, ROOM_2, ROOM_3, TRUCK, Plant
from lotwise.demo.stage import GATEWAY, PASSWORD, Stage
from simulators.fleet import Fleet
from simulators.load import MqttLoad
from simulators.sensors import MqttSensor

Evidence = dict[str, Any]
CENTRE = "FILL-1"
SIGN = {"password": PASSWORD}


@dataclass(slots=True)
class Scene:
    """What the steps share."""

    stage: Stage
    plant: Plant
    fleet: Fleet
    load: MqttLoad
    began: datetime

    async def until(self, what: str, ask: Callable[[], Awaitable[Any]], within: float = 30.0) -> Any:
        """Asks again and again until the answer is truthy. Raises Unexpected after `within` seconds."""
        deadline = time.monotonic() + within
        while True:
            answer = await ask()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Unexpected(f"waited {within:.0f} s for {what}")
            await asyncio.sleep(0.1)

    async def sublot(self, name: str) -> Any:
        """A sublot as it stands."""
        return await self.stage.people["qa"].get(f"/sublots/{self.plant.sublots[name]}")

    async def excursions(self, name: str) -> list[Any]:
        """Excursions that stand, of every sublot of a lot: what was picked or issued is a sublot of its own."""
        found = await self.stage.people["qa"].all("/excursions", lot_id=self.plant.lots[name])
        return [item for item in found if item["state"] != "superseded"]


def expect(condition: object, what: str) -> None:
    """Raises Unexpected with the words if the condition does not hold."""
    if not condition:
        raise Unexpected(what)


async def devices_speak(scene: Scene) -> Evidence:
    """MQTT, Modbus and OPC UA devices are read by one gateway, and judged."""

    async def known() -> Any:
        zones = await scene.stage.people["engineer"].get("/zone-status")
        current = {zone["address"]: zone["value"] for zone in zones if zone["value"] is not None}
        return current if {ROOM_1, ROOM_2, ROOM_3, LINE, TRUCK} <= current.keys() else None

    values = await scene.until("readings of every zone", known, 40)
    health = await scene.stage.health()
    # only now: what a broker is told before the gateway has its session there is nobody's to keep
    await scene.load.start()
    return {"temperatures": values, "sources": sorted(source["name"] for source in health["sources"])}


async def goods_arrive(scene: Scene) -> Evidence:
    """Lots are received into quarantine and released by signature; a shipment is picked, another is on the road."""
    s, p = scene.stage, scene.plant
    warehouse, rp = s.people["warehouse"], s.people["rp"]
    for name, item, zone in (
        ("V1", "vaccine", ROOM_1),
        ("V2", "vaccine", ROOM_1),
        ("W1", "saline", ROOM_1),
        ("V3", "vaccine", ROOM_2),
        ("V5", "vaccine", ROOM_2),
        ("V4", "vaccine", ROOM_3),
    ):
        lot = await warehouse.post("/lots", {"item_id": p.items[item], "number": name})
        made = await warehouse.post(
            f"/lots/{lot['id']}/receive", {"amount": "100", "zone_id": p.zones[zone], "code": name}
        )
        p.lots[name], p.sublots[name] = lot["id"], made["id"]
        if name != "V4":
            await rp.post(f"/sublots/{made['id']}/release", {**SIGN, "login": "rp"})
    return {"released": [name for name in p.sublots if name != "V4"], "in quarantine": ["V4"]}


async def plans_are_made(scene: Scene) -> Evidence:
    """Two work orders on one filling line, one running; two shipments, one picked and one on the road."""
    s, p = scene.stage, scene.plant
    planner, logistics, warehouse = s.people["planner"], s.people["logistics"], s.people["warehouse"]
    centre = await planner.post("/work-centres", {"code": CENTRE, "name": "Filling line 1", "zone_id": p.zones[LINE]})
    p.centre = centre["id"]
    bom = await planner.post(
        "/boms",
        {
            "item_id": p.items["kit"],
            "output_amount": "1",
            "lines": [{"item_id": p.items["vaccine"], "amount": "1"}],
            "steps": [{"number": 10, "name": "Fill and pack", "work_centre": CENTRE, "duration": "PT30M"}],
        },
    )
    for code, sublot, hours in (("WO-1", "V1", 1), ("WO-2", "V5", 2)):
        due = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        order = await planner.post("/work-orders", {"code": code, "bom_id": bom["id"], "amount": "10", "due_at": due})
        p.orders[code] = order["id"]
        detail = await planner.post(
            f"/work-orders/{order['id']}/materials", {"sublot_id": p.sublots[sublot], "amount": "10"}
        )
        p.materials[code] = (detail.get("materials") or [detail])[-1]["id"]
        for move in ("check-material", "release"):
            await planner.post(f"/work-orders/{order['id']}/{move}")
    started = await planner.post(f"/work-centres/{p.centre}/start")
    expect(started["code"] == "WO-1", f"WO-1 should have been started, not {started['code']}")
    await warehouse.post(f"/work-order-materials/{p.materials['WO-1']}/issue")
    for code, sublot in (("S-1", "V1"), ("S-2", "V3")):
        leg = {"origin": "plant", "destination": "clinic", "vehicle_zone_id": p.zones[TRUCK]}
        shipment = await logistics.post(
            "/shipments",
            {
                "code": code,
                "consignee": "clinic-17",
                "lines": [{"sublot_id": p.sublots[sublot], "amount": "20"}],
                "legs": [leg],
            },
        )
        p.shipments[code] = shipment["id"]
        await warehouse.post(f"/shipments/{shipment['id']}/pick")
    await logistics.post(f"/shipments/{p.shipments['S-2']}/dispatch")
    reserved = await planner.post(
        f"/sublots/{p.sublots['V1']}/reserve", {"amount": "5", "purpose": "sale", "reference": "order:demo-1"}
    )
    p.reservations["V1"] = reserved["id"]
    return {"running": "WO-1", "next": "WO-2", "picked": "S-1", "on the road": "S-2"}


async def cold_room_fails(scene: Scene) -> Evidence:
    """The compressor of cold room 1 fails: lots whose profile that breaks are held, the wider one is not."""
    room = scene.fleet.rooms[ROOM_1]
    room.fail_compressor()
    room.open_door()

    async def held() -> bool:
        return bool((await scene.sublot("V1"))["held"] and (await scene.sublot("V2"))["held"])

    await scene.until("V1 and V2 to be held", held, 40)
    room.close_door()
    room.repair()
    room.force_temperature(5.0)
    expect(not (await scene.sublot("W1"))["held"], "W1 has a wider profile and should not be held")
    expect(not (await scene.sublot("V5"))["held"], "V5 stands in another room and should not be held")
    holds = await scene.stage.people["qa"].all("/holds", sublot_id=scene.plant.sublots["V1"])
    lag = [_seconds(hold["since_at"], hold["placed_at"]) for hold in holds if hold["kind"] == "exposure"]
    return {"held": ["V1", "V2"], "not held": ["W1", "V5"], "seconds from broken limit to hold": lag}


def _seconds(start: str, stop: str) -> float:
    return round((datetime.fromisoformat(stop) - datetime.fromisoformat(start)).total_seconds(), 3)


async def held_lot_is_refused(scene: Scene) -> Evidence:
    """Pick, consume and dispatch are refused, each with the reason."""
    s, p = scene.stage, scene.plant
    refusals = {
        "pick": await s.people["warehouse"].refused(f"/reservations/{p.reservations['V1']}/pick"),
        "consume": await s.people["planner"].refused(f"/work-order-materials/{p.materials['WO-1']}/consume"),
        "dispatch": await s.people["logistics"].refused(f"/shipments/{p.shipments['S-1']}/dispatch"),
    }
    return {name: problem["detail"] for name, problem in refusals.items()}


async def floor_replans(scene: Scene) -> Evidence:
    """The work order of the held lot is held; the next ready one is first on the list and is started."""
    s, p = scene.stage, scene.plant
    planner = s.people["planner"]
    order = await planner.get(f"/work-orders/{p.orders['WO-1']}")
    expect(order["state"] == "held", f"WO-1 should be held, it is {order['state']}")
    listed = await planner.get(f"/work-centres/{p.centre}/dispatch-list")
    codes = [entry["order_code"] for entry in listed["entries"]]
    expect(codes[:1] == ["WO-2"], f"WO-2 should be next, the list says {codes}")
    started = await planner.post(f"/work-centres/{p.centre}/start")
    expect(started["code"] == "WO-2", f"WO-2 should have been started, not {started['code']}")
    return {"held": "WO-1", "because": order["stopped_reason"], "started": "WO-2"}


async def truck_door_left_open(scene: Scene) -> Evidence:
    """The truck warms up: the lot on board and its shipment are held."""
    scene.fleet.rooms[TRUCK].open_door()
    scene.fleet.rooms[TRUCK].fail_compressor()

    async def held() -> Any:
        shipment = await scene.stage.people["logistics"].get(f"/shipments/{scene.plant.shipments['S-2']}")
        return shipment if shipment["held"] else None

    shipment = await scene.until("shipment S-2 to be held", held, 40)
    return {"shipment": shipment["code"], "state": shipment["state"], "held": shipment["held"]}


async def qa_decides(scene: Scene) -> Evidence:
    """The room is cold again. QA accepts one lot's excursions and rejects another's, each with a signature."""
    qa = scene.stage.people["qa"]

    async def ended() -> bool:
        found = [*await scene.excursions("V1"), *await scene.excursions("V2")]
        return all(item["state"] in {"ended", "assessed"} for item in found)

    await scene.until("the excursions to end", ended, 40)
    signed: Evidence = {}
    for name, decision in (("V1", "accept"), ("V2", "reject")):
        for item in await scene.excursions(name):
            await qa.post(
                f"/excursions/{item['id']}/assess", {"assessment": f"{item['out']:.0f} s out of {item['limit_key']}"}
            )
            made = await qa.post(
                f"/excursions/{item['id']}/dispositions",
                {**SIGN, "login": "qa", "decision": decision, "reason": f"stability data reviewed: {decision}"},
            )
            signed.setdefault(name, []).append({"sublot": item["sublot"], decision: made["signature_id"]})
    expect(not (await scene.sublot("W1"))["held"], "W1 has a wider profile and should not be held")
    # a disposition lifts its own hold and nothing else: the shipment's is lifted by itself
    for hold in await qa.all("/holds", shipment_id=scene.plant.shipments["S-1"], open_only=True):
        await qa.post(f"/holds/{hold['id']}/lift", {"reason": "every excursion of the goods is disposed of"})
    return signed


async def released_moves_rejected_never(scene: Scene) -> Evidence:
    """The accepted lot's shipment leaves; the rejected lot stays where it is."""
    s, p = scene.stage, scene.plant

    async def free() -> bool:
        shipment = await s.people["logistics"].get(f"/shipments/{p.shipments['S-1']}")
        return not shipment["held"] and not (await scene.sublot("V1"))["held"]

    await scene.until("V1 and S-1 to be free", free, 10)
    shipment = await s.people["logistics"].post(f"/shipments/{p.shipments['S-1']}/dispatch")
    problem = await s.people["warehouse"].refused(
        f"/sublots/{p.sublots['V2']}/move",
        {"amount": "1", "target": "customer", "purpose": "sale", "reference": "order:demo-2"},
    )
    rejected = await scene.sublot("V2")
    expect(rejected["state"] == "rejected", f"V2 should be rejected, it is {rejected['state']}")
    return {"S-1": shipment["state"], "V2": rejected["state"], "refused": problem["detail"]}


async def sensor_goes_silent(scene: Scene) -> Evidence:
    """Cold room 3's sensor falls silent: the gap is on record and nothing there is released automatically."""
    probe = scene.fleet.devices["probe-3"]
    assert isinstance(probe, MqttSensor)
    probe.silence()
    zone = scene.plant.zones[ROOM_3]
    people = scene.stage.people

    async def stale() -> Any:
        alarms = await people["engineer"].all("/alarms", zone_id=zone)
        return [alarm for alarm in alarms if alarm["kind"] == "stale" and alarm["returned_at"] is None]

    alarms = await scene.until("the stale alarm", stale, 40)
    problem = await people["warehouse"].refused(f"/sublots/{scene.plant.sublots['V4']}/auto-release")
    expect("nothing is known of zone" in problem["detail"], f"the gap should be among the reasons: {problem['detail']}")
    return {"alarm": alarms[0]["kind"], "since": alarms[0]["started_at"], "refused": problem["detail"]}


async def nothing_is_lost(scene: Scene) -> Evidence:
    """The gateway is killed under load and started again, then the stream's files are deleted under it."""
    stage = scene.stage
    stage.children["edge"].kill()
    await asyncio.sleep(2)
    await stage.start_gateway()
    await asyncio.sleep(2)
    stage.stream.kill()
    shutil.rmtree(stage.stream.store_dir)
    stage.stream.start()
    await asyncio.sleep(2)
    report = await scene.load.stop(drain=40.0)
    expect(report.complete, f"the broker acknowledged {report.acknowledged} of {report.published}")
    counts = {}
    for name, last in report.last.items():
        ask = functools.partial(_all_there, scene, name, last)
        counts[name] = await scene.until(f"all {last} readings of {name}", ask, 60)
    return {"published": report.published, "each present once": sum(counts.values())}


async def _all_there(scene: Scene, sensor: str, last: int) -> int:
    """How many readings of a numbered sensor there are, once every number from 1 to `last` is there; else 0."""
    rows = await scene.stage.people["engineer"].get(
        "/readings",
        point=f"{RIG}/{sensor}/sequence",
        start=scene.began.isoformat(),
        limit=10_000,
        stop=(datetime.now(UTC) + timedelta(minutes=1)).isoformat(),
    )
    numbers = [row["value"] for row in rows]
    if set(numbers) != set(range(1, last + 1)):
        return 0
    expect(len(numbers) == last, f"{sensor}: {len(numbers)} readings of {last} numbers")
    return len(numbers)


async def proof(scene: Scene) -> Evidence:
    """`lotwise prove` lays spool, confirmations and series side by side."""
    stage = scene.stage
    command = [
        "prove",
        "--gateway",
        GATEWAY,
        "--from",
        scene.began.isoformat(),
        "--to",
        datetime.now(UTC).isoformat(),
        "--spool",
        str(stage.spool_dir),
        "--json",
    ]

    async def agrees() -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from lotwise.cli import main; main()",
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=stage.environment(),
        )
        out, _ = await process.communicate()
        return json.loads(out) if process.returncode == 0 else None

    report = await scene.until("prove to agree", agrees, 40)
    return {
        "spool": report["spool"],
        "core": report["core"],
        "series": report["series"],
        "differences": report["differences"],
    }


STEPS: tuple[tuple[str, Callable[[Scene], Awaitable[Evidence]]], ...] = (
    ("devices speak MQTT, Modbus and OPC UA", devices_speak),
    ("goods arrive and are released", goods_arrive),
    ("work orders and shipments stand on them", plans_are_made),
    ("cold room fails: the lots it broke are held, the wider profile is not", cold_room_fails),
    ("held lot refused by pick, consume and dispatch", held_lot_is_refused),
    ("its work order is held and the next ready one started", floor_replans),
    ("truck door left open: shipment held", truck_door_left_open),
    ("QA releases one lot and rejects another, with signature", qa_decides),
    ("the released one moves, the rejected never", released_moves_rejected_never),
    ("sensor goes silent: gap recorded, automatic release blocked", sensor_goes_silent),
    ("gateway killed, stream's files deleted: every number present once", nothing_is_lost),
    ("prove agrees", proof),
)
