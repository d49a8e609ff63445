"""Loggers of boxes, of several legs, of humidity, beside live sensors and beside each other."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.model import ProfileLimit
from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.errors import Refused
from core.erp.shipments import service as shipments
from core.ingest.importing import ImportRequest, ImportResult, Series, Value, import_logger
from core.telemetry.readers.csv_file import read_csv
from core.telemetry.readers.csv_mapping import Column, CsvMapping
from core.wiring import build_events
from tests.stories.loggers import OFFICE, Journey, Values, series
from tests.world import MINUTE, OVER_8_FOR_60, World, at, every

NAB = Path(__file__).parents[3] / "shared" / "data" / "nab_ambient_temperature_system_failure.csv"
DAMP = ProfileLimit(
    key="damp", quantity="humidity", unit="%", op=">", threshold=70.0, kind="consecutive", delay=30 * MINUTE
)
GOOD = every(5, at("07:32"), at("13:57"), 5.0)
WARM = [(when, 9.5 if at("09:00") <= when <= at("10:30") else value) for when, value in GOOD]
FOUND = [("high", at("09:02"), at("10:02"), "proven")]


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def travelled(world: World, *loggers: str, **more: object) -> Journey:
    made = Journey(world, *loggers, limits=(OVER_8_FOR_60,), **more)  # type: ignore[arg-type]  # keywords of several types
    made.leave()
    return made


def load(world: World, shipment: int, serial: str, what: Sequence[Series], now: datetime | None = None) -> ImportResult:
    order = ImportRequest(serial, what, shipment=shipment)
    return world.do(lambda u: import_logger(u, Judge(), order, live=True), now=now or at("16:00"))


def in_a_shed(world: World, *what: Series) -> list[tuple[object, ...]]:
    """What became of goods that stood from 07:40 to 12:00 where nobody measures, with a logger of these series."""
    shed, gone = world.zone("shed", points=()), world.zone("gone", points=(), worst_temperature=5.0)
    goods = world.sublot(world.item(OVER_8_FOR_60, DAMP), shed, at("07:40"))
    world.put(goods, gone, at("12:00"))
    order = ImportRequest("R-1", what, sublot=goods, stop=at("12:00"))
    world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("12:01"))
    return [row[1:] for row in world.excursions(goods) if row[2] < at("12:00")]


def test_humidity_is_judged_beside_temperature(world: World) -> None:
    moist = [Value(when, 80.0 if at("10:00") <= when <= at("10:40") else 50.0) for when, _ in GOOD]
    assert in_a_shed(world, *series(GOOD), Series("humidity", "%", moist)) == [
        ("damp", at("10:02"), at("10:32"), "proven"),
    ]


def test_a_quantity_is_the_profiles_however_it_is_written(world: World) -> None:
    """`Temperature` as a point of its own would be judged by no limit, and the goods be unproven for lack of data."""
    values = [Value(when, value) for when, value in WARM]
    moist = [Value(when, 50.0) for when, _ in GOOD]
    assert in_a_shed(world, Series("Temperature ", "Cel", values), Series("HUMIDITY", "%", moist)) == FOUND


def test_a_quantity_nobody_recorded_is_not_good_for_lack_of_data(world: World) -> None:
    assert in_a_shed(world, *series(GOOD)) == [("damp", at("07:40"), at("08:10"), "unproven")]


def test_a_boxs_logger_speaks_for_its_box_alone(world: World) -> None:
    room, far = world.zone("room1"), world.zone("far1")
    truck, box = world.zone("truck1", points=()), world.zone("box1", points=())
    item = world.item(OVER_8_FOR_60)
    boxed, loose = world.sublot(item, room, at("01:00")), world.sublot(item, room, at("01:00"))
    world.feed("room1", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    made = world.do(
        lambda u: shipments.create(
            u,
            "SH-1",
            "C-1",
            [(boxed, Decimal(100)), (loose, Decimal(100))],
            [shipments.PlannedLeg("dock", "far", truck)],
            kind="transfer",
            receiving_zone_id=far,
            loggers=[shipments.RequiredLogger("BOX", zone_id=box), shipments.RequiredLogger("TRUCK")],
        ),
        now=at("02:00"),
    )
    number = made.id
    world.feed("room1", every(5, at("02:05"), at("07:59"), 5.0), upto=at("08:00"))
    first = world.do(lambda u: shipments.lines_of(u, number)[0].id)
    assert first is not None
    world.do(lambda u: shipments.pack(u, first, "340123450000000017", kind="shipper", zone_id=box), now=at("07:40"))
    world.do(lambda u: shipments.pick(u, number), now=at("07:50"))
    world.do(lambda u: shipments.departed(u, number, at("08:00"), "paper"), now=at("08:05"))
    world.do(lambda u: shipments.arrived(u, number, at("12:00"), "unloaded"), now=at("12:10"))
    world.feed("far1", every(5, at("12:00"), at("16:00"), 5.0), upto=at("16:00"))
    for serial, values, counted in (("BOX", WARM, (boxed,)), ("TRUCK", GOOD, (boxed, loose))):
        done = load(world, number, serial, series(values))
        assert set(done.sublots) <= set(counted), serial
        assert done.logger == "read"
    assert [row[1:] for row in world.excursions(boxed)] == FOUND
    assert world.excursions(loose) == []
    assert world.holds(loose) == []


def test_a_logger_counts_through_all_legs_and_between_them(world: World) -> None:
    room, far = world.zone("room1"), world.zone("far1")
    trucks, depot = (world.zone("truck1", points=()), world.zone("truck2", points=())), world.zone("depot", points=())
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room1", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    made = world.do(
        lambda u: shipments.create(
            u,
            "SH-1",
            "C-1",
            [(goods, Decimal(100))],
            [shipments.PlannedLeg("dock", "depot", trucks[0], depot), shipments.PlannedLeg("depot", "far", trucks[1])],
            kind="transfer",
            receiving_zone_id=far,
            loggers=[shipments.RequiredLogger("R-1")],
        ),
        now=at("02:00"),
    )
    number = made.id
    world.feed("room1", every(5, at("02:05"), at("07:59"), 5.0), upto=at("08:00"))
    world.do(lambda u: shipments.pick(u, number), now=at("07:50"))
    for leg, (left, came) in enumerate((("08:00", "09:30"), ("10:15", "12:00")), start=1):
        world.do(lambda u, n=leg, t=left: shipments.departed(u, number, at(t), "paper", leg=n), now=at(left))  # type: ignore[misc]  # the loop's value is bound by a default
        world.do(lambda u, n=leg, t=came: shipments.arrived(u, number, at(t), "paper", leg=n), now=at(came))  # type: ignore[misc]  # the loop's value is bound by a default
    world.feed("far1", every(5, at("12:00"), at("16:00"), 5.0), upto=at("16:00"))
    done = load(world, number, "R-1", series(WARM))
    assert [(span.start, span.stop) for span in done.spans] == [(at("08:00"), at("12:00"))]
    assert [row[1:] for row in world.excursions(goods)] == FOUND, "from the first truck through the depot"


def test_what_travelled_beside_the_goods_counts_before_the_trucks_own_sensor(world: World) -> None:
    """The truck is measured live. A logger lies with the goods: it is the innermost climate, and speaks for them."""
    cold, warm = travelled(world, "R-1", truck_points=("p1",)), travelled(world, "R-2", truck_points=("p1",), number=2)
    world.feed("truck1", [one for one in GOOD if at("08:00") <= one[0] < at("12:00")], upto=at("12:00"))
    world.feed("truck2", [one for one in WARM if at("08:00") <= one[0] < at("12:00")], upto=at("12:00"))
    for made in (cold, warm):
        made.arrive()
    assert (cold.found(), warm.found()) == ([], FOUND)
    load(world, cold.shipment, "R-1", series(WARM))
    load(world, warm.shipment, "R-2", series(GOOD))
    assert (cold.found(), warm.found()) == (FOUND, [])
    assert world.holds(cold.goods) == ["proven"]
    assert world.holds(warm.goods) == ["proven"], "what was refuted is superseded; its hold is QA's to lift"


def test_a_logger_left_in_a_measured_room_counts_like_its_sensor(world: World) -> None:
    room = world.zone("room")
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("07:00"))
    world.feed("room", every(5, at("07:00"), at("14:00"), 5.0), upto=at("14:00"))
    order = ImportRequest("R-9", series(WARM), zone="s1/a/room")
    world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("16:00"))
    assert [row[1:] for row in world.excursions(goods)] == FOUND
    with world.engine.connect() as conn:
        role = conn.execute(text("SELECT role FROM point WHERE address = 's1/a/room/R-9/temperature'")).scalar_one()
    assert role == "spare", "its silence costs the room nothing"


def both(world: World, first: Values, second: Values, number: int) -> Journey:
    made = travelled(world, "R-1", "R-2", number=number)
    made.arrive()
    load(world, made.shipment, "R-1", series(first))
    load(world, made.shipment, "R-2", series(second))
    return made


def test_of_two_loggers_that_disagree_the_worse_counts_whoever_is_read_first(world: World) -> None:
    assert both(world, GOOD, WARM, 1).found() == FOUND
    assert both(world, WARM, GOOD, 2).found() == FOUND


def test_a_file_of_another_journey_reads_no_logger(world: World) -> None:
    """The wrong file, or the right one by the wrong clock: the receipt goes on waiting, and nothing is held by it."""
    made = travelled(world, "R-1")
    made.arrive()
    with pytest.raises(Refused, match=r"nothing in the file is of the time with the goods .*time zone"):
        load(world, made.shipment, "R-1", series(every(5, at("16:00"), at("20:00"), OFFICE)), now=at("21:00"))
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT state FROM shipment_logger")).scalar_one() == "required"
    assert made.found() == []
    with pytest.raises(Refused, match="R-1"):
        world.do(lambda u: shipments.accept(u, made.shipment), now=at("21:05"))
    assert load(world, made.shipment, "R-1", series(GOOD), now=at("21:10")).logger == "read"


def test_a_file_whose_clock_stepped_back_lands_whole_and_the_worse_of_two_values_counts(world: World) -> None:
    """Its battery was changed at 11:00 and it began again at 10:00: the hour is there twice, once too warm."""
    made = travelled(world, "R-1")
    made.arrive()
    first, second = every(5, at("08:02"), at("11:02"), 5.0), every(5, at("10:02"), at("11:57"), 5.0)
    again = [(when, 9.5 if when <= at("11:02") else value) for when, value in second]
    done = load(world, made.shipment, "R-1", series([*first, *first[-1:], *again]))
    assert (done.landed, done.duplicates, done.conflicts) == (len(first) + 11, 1, 13)
    assert [row for row in made.found() if row[0] == "high"] == [("high", at("10:02"), at("11:02"), "proven")]


def test_the_recorded_years_of_a_room_become_readings_and_gap_records(world: World) -> None:
    """The NAB file: hourly, so its room allows 90 minutes of silence."""
    if not NAB.exists():
        pytest.skip(f"{NAB} is not here")
    world.zone("room", points=(), gap=90 * MINUTE)
    column = Column("value", "s1/a/room/R-1/temperature", "[degF]", "Cel")
    table = read_csv(NAB, CsvMapping(values=(column,)), at("00:00"))
    values = [Value(reading.at, float(reading.value or 0), reading.quality) for reading in table.readings]
    order = ImportRequest("R-1", [Series("temperature", "Cel", values)], zone="s1/a/room")
    done = world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("00:00"))
    assert (done.landed, done.duplicates, done.conflicts, dict(done.refused)) == (7267, 0, 0, {})
    with world.engine.connect() as conn:
        gaps = conn.execute(text("SELECT start_at, stop_at FROM gap_standing ORDER BY start_at")).all()
    spoke = 90 * MINUTE
    assert [(start - spoke, stop) for start, stop in gaps] == [(gap.start, gap.stop) for gap in table.gaps]
    assert len(gaps) == 10
