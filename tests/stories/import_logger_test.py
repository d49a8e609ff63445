"""A logger read out after the journey yields what a live sensor would have: at the service, with the time in hand."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.model import ProfileLimit
from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.errors import Invalid, NotFound, Refused
from core.erp.kernel.permits import Role
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.erp.shipments import service as shipments
from core.ingest.importing import ImportRequest, import_logger
from core.telemetry.readers.fridgetag import read_fridgetag
from core.wiring import build_events
from tests.stories.loggers import AFTER, FILE, FREEZE, JOURNEY, PASSWORD, Journey, person, series
from tests.world import HOUR, OVER_8_FOR_60, World, at, every

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "fridgetag-2l_130500109088.txt"


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


LIVE = [
    ("high", at("09:05"), at("10:05"), "proven"),
    ("low", at("11:05"), at("11:35"), "proven"),
]


def test_a_logger_read_out_after_the_journey_yields_what_a_live_sensor_would_have(world: World) -> None:
    live, recorded = Journey(world, truck_points=("p1",)), Journey(world, "R-1", number=2)
    for journey in (live, recorded):
        journey.leave()
    world.feed("truck1", JOURNEY, upto=at("12:00"))
    recorded.beat(at("11:30"))  # nobody measures the truck: its logger may still tell
    assert world.holds(recorded.goods) == []
    for journey in (live, recorded):
        journey.arrive()
    assert recorded.found() == []
    done = recorded.take(FILE)
    assert live.found() == recorded.found() == LIVE
    assert sorted(world.holds(recorded.goods)) == sorted(world.holds(live.goods)) == ["proven", "proven"]
    assert (done.counted, done.before, done.after, done.logger) == (48, 36, 37, "read")
    assert (done.landed, done.duplicates) == (len(FILE), 0)


def test_the_same_file_twice_lands_nothing_and_another_value_is_a_conflict(world: World) -> None:
    journey = Journey(world, "R-1")
    journey.leave()
    journey.arrive()
    journey.take(FILE)
    again = journey.take(FILE)
    assert (again.landed, again.duplicates, again.conflicts) == (0, len(FILE), 0)
    assert journey.found() == LIVE
    other = journey.take([(at("08:30"), 6.0)])
    assert (other.landed, other.conflicts) == (0, 1)
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM reading_conflict")).scalar_one() == 1


def test_one_logger_read_and_one_waived_then_the_receipt_may_leave_quarantine(world: World) -> None:
    journey = Journey(world, "R-1", "R-2")
    quinn, rory = person(world, "quinn", Role.QA), person(world, "rory", Role.RESPONSIBLE_PERSON)
    journey.leave()
    journey.arrive()
    assert world.state(journey.goods) == "quarantine"
    journey.take(FILE)
    assert world.holds(journey.goods) == ["proven", "proven"]
    with world.engine.connect() as conn:
        broken = conn.execute(text("SELECT id FROM excursion WHERE state <> 'superseded' ORDER BY id")).scalars().all()
    for one in broken:
        world.do(lambda u, e=one: quality.assess(u, e, "looked at it"), now=at("16:01"), actor=quinn)  # type: ignore[misc]  # the loop's value is bound by a default
        world.sign(quinn, quality.disposition_signing(one, "accept", "stability data"), PASSWORD, now=at("16:02"))
    assert world.holds(journey.goods) == []
    with world.engine.connect() as conn:
        stopped = conn.execute(text("SELECT id FROM hold WHERE lifted_at IS NULL")).scalars().all()
    for hold in stopped:
        world.do(lambda u, h=hold: lots.lift_hold(u, h, "its goods are cleared"), now=at("16:03"), actor=quinn)  # type: ignore[misc]  # the loop's value is bound by a default
    with pytest.raises(Refused, match="R-2"):
        world.sign(rory, quality.release_signing(journey.goods), PASSWORD, now=at("16:04"))
    with pytest.raises(Refused, match="R-2"):
        world.do(lambda u: shipments.accept(u, journey.shipment), now=at("16:05"))
    waiver = shipments.waiver_signing(journey.shipment, "R-2", "crushed in transit")
    world.sign(quinn, waiver, PASSWORD, now=at("16:06"))
    world.sign(rory, quality.release_signing(journey.goods), PASSWORD, now=at("16:07"))
    world.do(lambda u: shipments.accept(u, journey.shipment), now=at("16:08"))
    assert world.state(journey.goods) == "released"
    assert journey.found() == LIVE  # the other logger of the box has told; its waiver changes nothing


def test_a_journey_whose_only_logger_is_waived_is_not_good_for_lack_of_data(world: World) -> None:
    journey = Journey(world, "R-1")
    quinn = person(world, "quinn", Role.QA)
    journey.leave()
    journey.arrive()
    assert journey.found() == []
    world.sign(quinn, shipments.waiver_signing(journey.shipment, "R-1", "lost"), PASSWORD, now=at("16:00"))
    assert {row[3] for row in journey.found()} == {"unproven"}
    assert world.holds(journey.goods) == ["unproven", "unproven"]


def test_two_loggers_in_one_box_the_worse_counts_and_one_stands_in_for_the_other(world: World) -> None:
    journey = Journey(world, "R-1", "R-2")
    journey.leave()
    journey.arrive()
    journey.take([one for one in FILE if not at("09:30") < one[0] < at("11:00")])  # 90 minutes missing
    assert "unproven" in {row[3] for row in journey.found()} | set(world.holds(journey.goods))
    journey.take([(when, min(value, 5.0)) for when, value in FILE], serial="R-2")
    assert journey.found() == [LIVE[1]]


def test_any_split_of_a_file_in_any_order_gives_the_same_excursions(world: World) -> None:
    rolled = random.Random(7)
    for number in range(1, 4):
        journey = Journey(world, "R-1", number=number)
        journey.leave()
        journey.arrive()
        mark = rolled.randrange(1, len(FILE))
        mixed = FILE[:] if number == 1 else rolled.sample(FILE, len(FILE))
        halves = [mixed[:mark], mixed[mark:]]
        for half in halves if number != 1 else reversed(halves):
            journey.take(half)
        assert journey.found() == LIVE, (number, mark)
        assert {"proven"} <= set(world.holds(journey.goods))


def test_a_silence_in_the_file_is_judged_and_one_at_its_end_too(world: World) -> None:
    gap, early = Journey(world, "R-1"), Journey(world, "R-1", number=2)
    for journey in (gap, early):
        journey.leave()
        journey.arrive()
    gap.take([*every(5, at("07:00"), at("09:00"), 5.0), *every(5, at("11:00"), at("13:00"), 5.0)])
    assert gap.found() == [
        ("high", at("09:30"), at("10:30"), "unproven"),
        ("low", at("09:30"), at("10:00"), "unproven"),
    ]
    early.take(every(5, at("07:00"), at("10:00"), 5.0))  # its battery died at 10:00
    assert early.found() == [
        ("high", at("10:30"), at("11:30"), "unproven"),
        ("low", at("10:30"), at("11:00"), "unproven"),
    ]
    assert gap.world.holds(gap.goods) == ["unproven", "unproven"]


def test_read_on_the_way_it_counts_so_far_and_is_still_to_be_read(world: World) -> None:
    journey = Journey(world, "R-1")
    journey.leave()
    done = journey.take([one for one in FILE if one[0] <= at("10:10")], now=at("10:12"))
    assert done.logger == "required"
    assert journey.found() == LIVE[:1]
    journey.arrive()
    assert journey.take(FILE).logger == "read"
    assert journey.found() == LIVE


def test_nobodys_word_stands_for_a_loggers(world: World) -> None:
    """That it was read is true only of what was imported, up to the arrival; that may have been keyed afterwards."""
    full, part, none = (Journey(world, "R-1", number=number) for number in (1, 2, 3))
    full.leave()
    full.take(FILE, now=at("15:05"))

    def confirm(journey: Journey) -> str:
        return world.do(lambda u: shipments.confirm_logger_read(u, journey.shipment, "R-1").state, now=AFTER)

    with pytest.raises(Refused, match="still under way"):
        confirm(full)
    full.arrive()
    assert confirm(full) == "read"
    part.leave()
    part.take([one for one in FILE if one[0] < at("10:00")], now=at("10:05"))
    none.leave()
    for journey in (part, none):
        journey.arrive()
        with pytest.raises(Refused, match="up to its end: import its file"):
            confirm(journey)


def test_no_import_holds_back_a_live_gateway_or_looks_like_a_silent_one(world: World) -> None:
    journey = Journey(world, "R-1")
    journey.leave()
    journey.arrive()
    journey.take(FILE)
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM source_watermark WHERE gateway = 'import'")).scalar_one() == 0
    store = world.zone("store", points=())
    goods = world.sublot(world.item(OVER_8_FOR_60), store, at("05:00", 1))
    order = ImportRequest("F-1", series(every(5, at("05:00", 1), at("06:00", 1), 5.0)), zone="s1/a/store")
    world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("07:00", 1))
    address = "s1/a/store/F-1/temperature"
    world.feed(
        "store",
        every(5, at("06:05", 1), at("09:00", 1), 9.0),
        point="F-1",
        upto=at("09:00", 1),
        gateway="live",
    )
    assert [row[1:] for row in world.excursions(goods)] == [("high", at("06:05", 1), at("07:05", 1), "proven")]
    with world.engine.connect() as conn:
        assert (
            conn.execute(text("SELECT role FROM point WHERE address = :a"), {"a": address}).scalar_one() == "required"
        )


def test_a_lots_logger_counts_where_nobody_else_measured(world: World) -> None:
    room, van, cellar = world.zone("room"), world.zone("van", points=()), world.zone("cellar")
    goods = world.sublot(world.item(OVER_8_FOR_60, FREEZE), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("08:00"), 5.0), upto=at("08:00"))
    world.put(goods, van, at("08:00"))
    world.put(goods, cellar, at("12:00"))
    world.feed("cellar", every(5, at("12:00"), at("15:00"), 5.0), upto=at("15:00"))
    order = ImportRequest("R-1", series(FILE), lot="L" + str(_number(world, goods)))
    done = world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("16:00"))
    assert [(s.start, s.stop) for s in done.spans] == [(at("08:00"), at("12:00"))]
    assert [row[1:] for row in world.excursions(goods)] == LIVE
    named = ImportRequest("R-1", series(FILE), sublot=goods, start=at("12:30"), stop=at("14:00"))
    with pytest.raises(Refused):
        world.do(
            lambda u: import_logger(
                u,
                Judge(),
                ImportRequest("R-2", series(FILE), lot=named.lot or 1, start=at("00:10"), stop=at("00:20")),
                live=True,
            ),
            now=at("16:00"),
        )
    world.do(lambda u: import_logger(u, Judge(), named, live=True), now=at("16:30"))
    assert [row[1:] for row in world.excursions(goods)] == [
        *LIVE[:1],
        ("high", at("12:30"), at("13:30"), "proven"),
        LIVE[1],
    ]


def _number(world: World, sublot: int) -> str:
    with world.engine.connect() as conn:
        query = text("SELECT l.number FROM lot l JOIN sublot s ON s.lot_id = l.id WHERE s.id = :s")
        return str(conn.execute(query, {"s": sublot}).scalar_one()).removeprefix("L")


def test_absurd_times_wrong_units_and_wrong_bindings_are_named(world: World) -> None:
    journey = Journey(world, "R-1")
    with pytest.raises(Refused, match="has not left"):
        journey.take(FILE)
    journey.leave()
    journey.arrive()
    done = journey.take([(datetime.fromisoformat("1970-01-01T00:00:00Z"), 5.0), *FILE, (at("08:00", 3000), 5.0)])
    assert done.refused == {"absurd_time": 2}
    assert len(done.details) == 2
    odd = ImportRequest("R-1", series([(at("08:01"), 5.0)], unit="%"), shipment="SH-1")
    with pytest.raises(Invalid, match="none of the 1 readings can be used"):
        world.do(lambda u: import_logger(u, Judge(), odd, live=True))
    for wrong in (
        ImportRequest("R-1", series(FILE)),
        ImportRequest("R-1", series(FILE), shipment=1, lot=1),
        ImportRequest("R-1", [], lot=1),
    ):
        with pytest.raises(Invalid):
            world.do(lambda u, order=wrong: import_logger(u, Judge(), order, live=True))  # type: ignore[misc]  # the loop's value is bound by a default
    with pytest.raises(NotFound):
        journey.take(FILE, shipment="SH-99")


def test_the_real_logger_read_out_is_judged_as_if_live(world: World) -> None:
    if not SAMPLE.exists():
        pytest.skip(f"{SAMPLE} is not here")
    report = read_fridgetag(SAMPLE)
    column = report.columns[report.judged_column]
    readings = report.readings({column: "s1/a/truck/p1/temperature"}, world.now + timedelta(days=300))
    values = [(r.at, float(r.value)) for r in readings if isinstance(r.value, int | float)]
    values = [one for one in values if one[0] < values[0][0] + timedelta(days=8)]
    start, stop = values[0][0] + timedelta(days=2, hours=3), values[0][0] + timedelta(days=6)
    truck, van, gone = world.zone("truck"), world.zone("van", points=()), world.zone("gone", points=())
    item = world.item(OVER_8_FOR_60, ProfileLimit(key="low", op="<", threshold=2.0, kind="consecutive", delay=HOUR))
    live, recorded = world.sublot(item, truck, start), world.sublot(item, van, start)
    world.feed("truck", [one for one in values if one[0] < stop], upto=stop)
    for goods in (live, recorded):
        world.put(goods, gone, stop)
    order = ImportRequest("130500109088", series(values), sublot=recorded, stop=stop)
    done = world.do(lambda u: import_logger(u, Judge(), order, live=True), now=world.now + HOUR)
    assert done.before > 500
    assert done.after > 500
    mine = [row[1:] for row in world.excursions(recorded) if row[2] < stop]
    assert mine == [row[1:] for row in world.excursions(live) if row[2] < stop]
    assert mine
