"""A sensor that has moved from one site to another: seen by the people of both, worked on where it stands, or stood."""

from datetime import UTC, datetime, timedelta

from core.erp.catalog.service import install_sensor
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.unit import Unit
from tests.services.two_sites_api import NOW, PASSWORD, PEOPLE, Sites, sites

__all__ = ["sites"]

MOVED = NOW - timedelta(hours=1)
BEFORE, AFTER = MOVED - timedelta(minutes=30), MOVED + timedelta(minutes=30)
DUE = datetime(2027, 3, 1, tzinfo=UTC)


def moved(sites: Sites) -> tuple[dict[str, str], dict[str, str]]:
    """(who belongs to the site that the far site's sensor came to, who to the one that it left)."""

    def work(u: Unit) -> None:
        far = Place(site_ids=(sites.far["site"],))
        create_user(u, "far.boss", "Far", PASSWORD, PEOPLE, place=far)

    def install(u: Unit) -> None:
        u.conn.exec_driver_sql("UPDATE installation SET to_at = %s WHERE sensor_id = %s", (MOVED, sites.far["sensor"]))
        install_sensor(u, sites.far["sensor"], sites.home["point"], MOVED)

    sites.plant.act("setup", NOW, work)
    sites.plant.act("setup", NOW, install)
    return sites.token("boss"), sites.token("far.boss")


def test_a_sensor_that_moved_is_worked_on_where_it_stands_or_stood_then(sites: Sites) -> None:
    here, there = moved(sites)
    sensor = sites.far["sensor"]

    def calibrated(who: dict[str, str], at: datetime) -> int:
        body = {"sensor_id": sensor, "done_at": at.isoformat(), "due_at": DUE.isoformat(), "as_found_ok": True}
        return sites.client.post("/api/v1/calibrations", json=body, headers=who).status_code

    for who in (here, there):
        assert sites.client.get(f"/api/v1/sensors/{sensor}", headers=who).status_code == 200, "its past is both sites'"
    assert (calibrated(there, BEFORE), calibrated(here, AFTER)) == (201, 201)
    assert (calibrated(here, BEFORE), calibrated(there, AFTER)) == (403, 403)

    plan = {"sensor_id": sensor, "interval": "P365D", "tolerance": 0.5}
    refused = sites.client.post("/api/v1/calibration-plans", json=plan, headers=there)
    assert (refused.status_code, "stands at another site" in refused.json()["detail"]) == (403, True)
    made = sites.client.post("/api/v1/calibration-plans", json=plan, headers=here).json()
    path = f"/api/v1/calibration-plans/{made['id']}"
    changed = {"version": made["version"], "tolerance": 0.4}
    assert sites.client.patch(path, json=changed, headers=there).status_code == 403
    assert sites.client.patch(path, json=changed, headers=here).status_code == 200
    why = {"reason": "not used for release any more"}
    assert sites.client.post(f"{path}/withdraw", json=why, headers=there).status_code == 403
    assert sites.client.post(f"{path}/withdraw", json=why, headers=here).status_code == 200

    found = sites.client.get(f"/api/v1/sensors/{sensor}", headers=here).json()
    renamed = {"version": found["version"], "model": "T-2"}
    assert sites.client.patch(f"/api/v1/sensors/{sensor}", json=renamed, headers=there).status_code == 403
    assert sites.client.patch(f"/api/v1/sensors/{sensor}", json=renamed, headers=here).status_code == 200
