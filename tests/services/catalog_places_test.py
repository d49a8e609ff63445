"""The catalog: what it refuses, and what it tells the judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.erp.catalog import calibrations
from core.erp.catalog import service as catalog
from core.erp.catalog.events import JudgingChanged
from core.erp.catalog.model import Installation, ProfileLimit
from core.erp.catalog.rules import calibration_passed
from core.erp.kernel.errors import Conflict, Invalid, NotFound, Refused
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit, system, unit

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Plant:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.told: list[JudgingChanged] = []
        self.events = Events()
        self.events.on(JudgingChanged, "test.record", lambda _, event: self.told.append(event))
        with self.unit() as u:
            self.site = catalog.create_site(u, "north", "North", "Europe/Berlin").id or 0
            names = ("truck", "shipper", "dock")
            zones = [catalog.create_zone(u, self.site, f"north/move/{name}", name).id or 0 for name in names]
            self.truck, self.shipper, self.dock = zones
            self.point = self.make_point(u, self.truck, "north/move/truck/probe/temperature")
            self.other = self.make_point(u, self.dock, "north/move/dock/probe/temperature")
            self.sensor = catalog.create_sensor(u, "PT-1").id or 0

    def make_point(self, u: Unit, zone: int, address: str) -> int:
        return catalog.create_point(u, zone, address, "temperature", "Cel").id or 0

    @contextmanager
    def unit(self, now: datetime = NOW) -> Iterator[Unit]:
        with unit(self.engine, system("test"), self.events, now) as u:
            yield u


@pytest.fixture
def plant(engine: Engine) -> Plant:
    return Plant(engine)


def test_what_the_catalog_refuses(plant: Plant) -> None:
    with plant.unit() as u:
        for code, zone in (("a/b", "UTC"), ("x", "Mars/Olympus"), ("", "UTC"), ("y", "")):
            with pytest.raises(Invalid):
                catalog.create_site(u, code, "Name", zone)
        with pytest.raises(Conflict):
            catalog.create_site(u, "north", "Again")
        for address in ("north/cold", "south/store/cold", "north/sto re/cold", "north/store/cold/x"):
            with pytest.raises(Invalid):
                catalog.create_zone(u, plant.site, address, "Cold")
        with pytest.raises(Invalid):
            catalog.create_zone(u, plant.site, "north/store/cold", "Cold", band_low=8.0, band_high=2.0)
        with pytest.raises(NotFound):
            catalog.create_zone(u, 999, "north/store/cold", "Cold")
        for point in ("north/move/dock/probe/temperature", "north/move/truck/temperature"):
            with pytest.raises(Invalid):
                plant.make_point(u, plant.truck, point)


def test_nesting_has_one_parent_at_a_time_and_no_circle(plant: Plant) -> None:
    with plant.unit() as u:
        stay = catalog.nest_zone(u, plant.shipper, plant.truck, NOW)
        for zone, parent in ((plant.shipper, plant.dock), (plant.truck, plant.shipper), (plant.dock, plant.dock)):
            with pytest.raises(Refused):
                catalog.nest_zone(u, zone, parent, NOW + HOUR)
        catalog.end_nesting(u, stay.id or 0, NOW + HOUR)
        catalog.nest_zone(u, plant.shipper, plant.dock, NOW + HOUR)
        with pytest.raises(Refused):
            catalog.end_nesting(u, stay.id or 0, NOW + 2 * HOUR)
    assert [set(event.zone_ids) for event in plant.told] == [
        {plant.shipper, plant.truck},
        {plant.shipper, plant.truck},
        {plant.shipper, plant.dock},
    ]


def test_exchanging_a_sensor_ends_the_one_before(plant: Plant) -> None:
    with plant.unit() as u:
        first = catalog.install_sensor(u, plant.sensor, plant.point, NOW).id
        with pytest.raises(Refused, match="another point"):
            catalog.install_sensor(u, plant.sensor, plant.other, NOW + HOUR)
        second = catalog.create_sensor(u, "PT-2").id or 0
        catalog.install_sensor(u, second, plant.point, NOW + HOUR)
        u.session.expire_all()
        assert u.session.get_one(Installation, first).to_at == NOW + HOUR
        catalog.install_sensor(u, plant.sensor, plant.other, NOW + HOUR)
        with pytest.raises(Refused, match="later installation"):
            catalog.install_sensor(u, catalog.create_sensor(u, "PT-3").id or 0, plant.point, NOW)


def test_a_failed_check_reaches_back_to_the_last_good_one(plant: Plant) -> None:
    day = timedelta(days=1)
    with plant.unit() as u:
        catalog.install_sensor(u, plant.sensor, plant.point, NOW - 30 * day)
        calibrations.record_calibration(u, plant.sensor, NOW - 20 * day, NOW + 300 * day)
        plant.told.clear()
        calibrations.record_calibration(u, plant.sensor, NOW, NOW + 365 * day, as_found_ok=False, as_found_error=0.8)
        with pytest.raises(Invalid, match="how large"):
            calibrations.record_calibration(u, plant.sensor, NOW, NOW + day, as_found_ok=False)
        with pytest.raises(Invalid, match="due after"):
            calibrations.record_calibration(u, plant.sensor, NOW, NOW - day)
    assert [(event.zone_ids, event.from_at, event.reason) for event in plant.told] == [
        ((plant.truck,), NOW - 20 * day, "calibration")
    ]


@pytest.mark.parametrize(
    ("said", "error", "tolerance", "found"),
    [
        (None, 0.0, None, True),
        (None, 0.3, None, False),
        (True, 0.3, None, True),
        (False, -0.7, None, False),
        (None, -0.5, 0.5, True),
        (None, -0.6, 0.5, False),
        (True, 0.5, 0.5, True),
        (False, 0.6, 0.5, False),
        (True, 0.6, 0.5, None),
        (False, 0.2, 0.5, None),
        (False, 0.0, None, None),
    ],
)
def test_a_check_passes_as_error_and_tolerance_say(
    said: bool | None, error: float, tolerance: float | None, found: bool | None
) -> None:
    if found is None:
        with pytest.raises(Invalid):
            calibration_passed(said, error, tolerance)
    else:
        assert calibration_passed(said, error, tolerance) is found


def test_versions_of_a_profile_are_never_changed(plant: Plant) -> None:
    limit: dict[str, Any] = {"key": "high", "op": ">", "threshold": 8.0, "kind": "consecutive", "delay": HOUR}
    with plant.unit() as u:
        profile = catalog.create_profile(u, "cold", "2 to 8").id or 0
        with pytest.raises(Refused):
            catalog.create_item(u, "early", "Early", profile_id=profile)
        one = catalog.add_version(u, profile, HOUR, [ProfileLimit(**limit)])
        item = catalog.create_item(u, "vaccine", "Vaccine", profile_id=profile).id or 0
        two = catalog.add_version(u, profile, HOUR, [ProfileLimit(**limit | {"threshold": 9.0})])
        assert (one.version, two.version) == (1, 2)
        found = catalog.profile_version_of(u, item, NOW)
        assert found is not None
        assert found.id == one.id, "a new version is used when it is assigned, not before"
        catalog.assign_profile(u, item, two.id or 0, NOW + HOUR)
        later = catalog.profile_version_of(u, item, NOW + HOUR)
        assert later is not None
        assert later.id == two.id
        with pytest.raises(Refused):
            catalog.assign_profile(u, item, one.id or 0, NOW)
        with pytest.raises(Invalid, match="two limits"):
            catalog.add_version(u, profile, HOUR, [ProfileLimit(**limit), ProfileLimit(**limit)])
    for sql in ("UPDATE profile_limit SET threshold = 99", "DELETE FROM profile_version", "TRUNCATE profile_limit"):
        with pytest.raises(DBAPIError), plant.engine.begin() as conn:
            conn.execute(text(sql))
