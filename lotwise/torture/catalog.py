"""The soak's master data, through the public API: zones, points with calibrated sensors, an item of every profile."""

from datetime import UTC, datetime, timedelta

from lotwise.torture.devices import LOAD, Devices
from lotwise.torture.plan import GAP, PROFILES
from lotwise.torture.stage import ZONES
from lotwise.torture.truth import Device
from lotwise.torture.work import Caller, Catalog


async def make_catalog(caller: Caller, devices: Devices) -> Catalog:
    """Site, zones, points with calibrated sensors, and an item of every profile, through the API. Raises Unanswered."""
    catalog = Catalog()
    site = await caller.post("admin", "/sites", {"code": "torture", "name": "Torture"})
    for address in (*ZONES, LOAD):
        zone = await caller.post(
            "admin",
            "/zones",
            {"site_id": site["id"], "address": address, "name": address, "simulated": True, "allowed_gap": f"PT{GAP}S"},
        )
        catalog.zones[address] = zone["id"]
    for book in devices.books.values():
        await _points(caller, catalog.zones[book.zone], book)
    for profile in PROFILES:
        made = await caller.post("qa", "/profiles", {"code": profile.item.upper(), "name": profile.item})
        limit = {"key": "high", "op": ">", "threshold": profile.threshold, "kind": profile.kind}
        if profile.delay:
            limit["delay"] = f"PT{profile.delay}S"
        version = await caller.post(
            "qa", f"/profiles/{made['id']}/versions", {"allowed_gap": f"PT{GAP}S", "limits": [limit]}
        )
        item = await caller.post(
            "admin", "/items", {"code": profile.item, "name": profile.item, "profile_id": made["id"]}
        )
        await caller.post("qa", f"/items/{item['id']}/profiles", {"version_id": version["id"]})
        catalog.items[profile.item] = item["id"]
    return catalog


async def _points(caller: Caller, zone_id: int, book: Device) -> None:
    now = datetime.now(UTC)
    role = "machine" if book.zone == LOAD else "required"
    point = await caller.post(
        "engineer",
        "/points",
        {"zone_id": zone_id, "address": book.temperature, "quantity": "temperature", "unit": "Cel", "role": role},
    )
    await caller.post(
        "engineer",
        "/points",
        {"zone_id": zone_id, "address": book.sequence, "quantity": "sequence", "unit": "", "role": "machine"},
    )
    if role == "machine":
        return
    sensor = await caller.post("engineer", "/sensors", {"serial": book.temperature, "model": "torture"})
    await caller.post(
        "qa",
        "/calibrations",
        {
            "sensor_id": sensor["id"],
            "done_at": (now - timedelta(days=30)).isoformat(),
            "due_at": (now + timedelta(days=335)).isoformat(),
            "certificate": "torture",
        },
    )
    await caller.post(
        "engineer",
        "/installations",
        {"sensor_id": sensor["id"], "point_id": point["id"], "from_at": (now - timedelta(days=29)).isoformat()},
    )
