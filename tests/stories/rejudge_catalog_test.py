"""What the catalog learns late is judged again at once: calibrations, exchanged sensors, nesting, stricter profiles."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog import calibrations
from core.erp.catalog import service as catalog
from core.erp.catalog.events import JudgingChanged
from core.erp.catalog.model import ProfileLimit, Zone
from core.erp.exposure.judge.timer import judge_new_profiles
from core.erp.kernel.events import Events, MissingHandlers
from core.erp.kernel.unit import Unit
from core.wiring import build_events
from tests.world import DAY, HOUR, MINUTE, OVER_8_FOR_60, World, at, every

YEAR = timedelta(days=365)


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def calibrate(world: World, sensor: int, done: str, *, now: str, due: timedelta = YEAR, error: float = 0.0) -> None:
    world.do(
        lambda u: calibrations.record_calibration(
            u, sensor, at(done), at(done) + due, as_found_ok=not error, as_found_error=error
        ),
        now=at(now),
    )


def stricter(world: World, item: int, *, since: str, now: str) -> int:
    """A new version of the item's profile: not above 6 °C for 60 minutes."""

    def work(u: Unit) -> int:
        profile = u.conn.execute(text("SELECT profile_id FROM item WHERE id = :i"), {"i": item}).scalar_one()
        limit = ProfileLimit(key="high", op=">", threshold=6.0, kind="consecutive", delay=HOUR)
        version = catalog.add_version(u, profile, 30 * MINUTE, [limit])
        catalog.assign_profile(u, item, version.id, at(since))
        return version.id

    return world.do(work, now=at(now))


def test_without_its_handler_the_core_does_not_start() -> None:
    with pytest.raises(MissingHandlers, match=r"exposure\.rejudge"):
        Events().check(JudgingChanged)


def test_a_failed_as_found_check_makes_what_was_in_range_an_uncertain_excursion(world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=300), due=DAY + timedelta(days=65))
    stands, gone = (world.sublot(world.item(OVER_8_FOR_60), room, at("01:00")) for _ in range(2))
    world.feed("room", every(5, at("01:00"), at("05:00"), 7.5), upto=at("05:00"))
    world.put(gone, None, at("03:00"), known=at("05:00"))
    assert world.holds(stands) == world.holds(gone) == []
    calibrate(world, sensor, "05:00", now="05:30", error=1.0)
    for sublot in (stands, gone):
        assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "uncertain")]
        assert world.holds(sublot) == ["uncertain"]


def test_a_failed_as_found_check_makes_a_proven_excursion_uncertain(world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=300), due=DAY + timedelta(days=65))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed(
        "room",
        [
            *every(5, at("01:00"), at("02:55"), 5.0),
            *every(5, at("03:00"), at("04:30"), 8.5),
            *every(5, at("04:35"), at("06:00"), 5.0),
        ],
        upto=at("06:00"),
    )
    assert world.excursions(sublot) == [(sublot, "high", at("03:00"), at("04:00"), "proven")]
    calibrate(world, sensor, "06:00", now="06:10", error=1.0)
    assert world.excursions(sublot) == [(sublot, "high", at("03:00"), at("04:00"), "uncertain")]
    assert "proven" in world.holds(sublot)  # it stands until QA lifts it
    # the running ingest, which had the zone in memory, goes on from there
    world.feed("room", every(5, at("06:05"), at("08:00"), 5.0), upto=at("08:00"))
    assert world.excursions(sublot) == [(sublot, "high", at("03:00"), at("04:00"), "uncertain")]


def test_a_calibration_recorded_after_it_expired_covers_nothing_since(world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=300), due=DAY + timedelta(days=65))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed(
        "room",
        [
            *every(5, at("01:00"), at("03:55"), 5.0),
            *every(5, at("04:00"), at("05:30"), 9.0),
            *every(5, at("05:35"), at("06:00"), 5.0),
        ],
        upto=at("06:00"),
    )
    assert world.excursions(sublot) == [(sublot, "high", at("04:00"), at("05:00"), "proven")]
    calibrate(world, sensor, "01:30", now="06:10", due=HOUR)  # due again at 02:30
    found = {(limit, started): certainty for _, limit, started, _, certainty in world.excursions(sublot)}
    assert found[("high", at("04:00"))] == "uncertain"


def test_a_calibration_in_time_proves_what_was_uncertain(world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=300), due=DAY - timedelta(days=1))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:30"), 9.0), upto=at("02:30"))
    assert [certainty for *_, certainty in world.excursions(sublot)] == ["uncertain"]
    calibrate(world, sensor, "00:30", now="03:00")
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "proven")]


def test_exchanging_a_sensor_resets_nothing(world: World) -> None:
    room = world.zone("room")
    world.sensor("room", done=DAY - timedelta(days=30), due=DAY + YEAR)
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed(
        "room", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("02:40"), 9.0)], upto=at("02:40")
    )

    def exchange(u: Unit) -> None:
        fresh = catalog.create_sensor(u, "SN-fresh")
        calibrations.record_calibration(u, fresh.id, DAY - timedelta(days=1), DAY + YEAR)
        point = u.conn.execute(text("SELECT id FROM point WHERE zone_id = :z"), {"z": room}).scalar_one()
        catalog.install_sensor(u, fresh.id, point, at("02:41"))

    world.do(exchange, now=at("02:42"))
    world.feed("room", every(5, at("02:45"), at("03:30"), 9.0), upto=at("03:30"))
    assert world.excursions(sublot) == [(sublot, "high", at("02:00"), at("03:00"), "proven")]


def test_a_stricter_profile_holds_goods_that_stand_there_already(world: World) -> None:
    room = world.zone("room")
    item, other = world.item(OVER_8_FOR_60), world.item(OVER_8_FOR_60)
    sublot, untouched = world.sublot(item, room, at("01:00")), world.sublot(other, room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("05:00"), 7.0), upto=at("05:00"))
    assert world.holds(sublot) == []
    stricter(world, item, since="05:10", now="05:10")
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "proven")]
    assert world.holds(sublot) == ["proven"]
    assert world.holds(untouched) == []


def test_what_a_version_no_longer_in_force_said_is_superseded_and_its_hold_stands(world: World) -> None:
    room = world.zone("room")
    item = world.item(OVER_8_FOR_60)
    sublot = world.sublot(item, room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("05:00"), 9.0), upto=at("05:00"))
    first = world.excursions(sublot)
    assert first == [(sublot, "high", at("01:00"), at("02:00"), "proven")]
    version = stricter(world, item, since="05:10", now="05:10")
    with world.engine.connect() as conn:
        rows = conn.execute(
            text("SELECT version_id = :v, state = 'superseded' FROM excursion ORDER BY id"), {"v": version}
        ).all()
    assert [tuple(row) for row in rows] == [(False, True), (True, False)]
    assert world.excursions(sublot) == first
    assert world.holds(sublot)


def test_a_profile_assigned_for_later_judges_when_it_comes_into_force(world: World) -> None:
    room = world.zone("room")
    item = world.item(OVER_8_FOR_60)
    sublot = world.sublot(item, room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("05:00"), 7.0), upto=at("05:00"))
    stricter(world, item, since="09:00", now="05:10")
    assert world.holds(sublot) == []
    world.do(lambda u: judge_new_profiles(u, at("08:59")), now=at("08:59:30"))
    assert world.holds(sublot) == []
    world.do(lambda u: judge_new_profiles(u, at("08:59:30")), now=at("09:00"))
    assert world.holds(sublot) == ["proven"]


def test_nesting_known_late_judges_the_goods_of_the_shipper_by_the_truck(world: World) -> None:
    truck = world.zone("truck")
    shipper = world._add(Zone(site_id=world.site, address="s1/a/shipper", name="shipper"))
    item = world.item(OVER_8_FOR_60)
    sublot = world.sublot(item, shipper, at("01:00"))
    world.feed("truck", every(5, at("01:00"), at("03:00"), 9.0), upto=at("03:00"))
    assert world.excursions(sublot) == []
    world.do(lambda u: catalog.nest_zone(u, shipper, truck, at("01:00")), now=at("03:05"))
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "proven")]


def test_nesting_in_an_unmeasured_crate_is_watched_by_the_truck_around_it(world: World) -> None:
    truck = world.zone("truck")
    crate, shipper = (
        world._add(Zone(site_id=world.site, address=f"s1/a/{name}", name=name)) for name in ("crate", "shipper")
    )
    world.do(lambda u: catalog.nest_zone(u, crate, truck, at("00:30")), now=at("00:30"))
    sublot = world.sublot(world.item(OVER_8_FOR_60), shipper, at("01:00"))
    world.feed("truck", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.do(lambda u: catalog.nest_zone(u, shipper, crate, at("01:00")), now=at("02:01"))
    world.feed("truck", every(5, at("02:05"), at("02:30"), 9.0), upto=at("02:30"))
    world.feed("truck", every(5, at("02:35"), at("03:30"), 9.0), upto=at("03:30"))
    assert world.excursions(sublot) == [(sublot, "high", at("02:05"), at("03:05"), "proven")]


def test_of_shipper_and_truck_the_innermost_that_is_monitored_judges(world: World) -> None:
    """A warm shipper in a cold truck breaks its goods; a cold one in a warm truck keeps them; a blind one does not."""
    item = world.item(OVER_8_FOR_60)
    cold, warm = world.zone("cold-truck"), world.zone("warm-truck")
    boxes = {name: world.zone(name) for name in ("warm-box", "cold-box")}
    boxes["blind-box"] = world._add(Zone(site_id=world.site, address="s1/a/blind-box", name="blind-box"))
    for box, truck in (("warm-box", cold), ("cold-box", warm), ("blind-box", warm)):
        world.do(lambda u, b=box, t=truck: catalog.nest_zone(u, boxes[b], t, at("01:00")), now=at("01:00"))  # type: ignore[misc]  # the loop's value is bound by a default
    goods = {name: world.sublot(item, zone, at("01:00")) for name, zone in boxes.items()}
    for name, value in (("cold-truck", 5.0), ("warm-truck", 9.0), ("warm-box", 9.0), ("cold-box", 5.0)):
        world.feed(name, every(10, at("01:00"), at("02:30"), value), upto=at("02:30"))
    broken = {name: world.excursions(sublot) for name, sublot in goods.items()}
    assert broken["cold-box"] == []
    for name in ("warm-box", "blind-box"):
        assert broken[name] == [(goods[name], "high", at("01:00"), at("02:00"), "proven")]
