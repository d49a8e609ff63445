"""Weeks that were shipped and dropped: late data, late calibrations and charts read them from the store behind."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from core.erp.catalog import calibrations
from core.erp.exposure import service as exposure
from core.ingest.shipping import RESTORED_FOR, prune
from core.series.landing import land
from core.series.memory import MemoryStore
from core.series.port import StoreUnavailable
from core.series.postgres import PostgresStore
from core.series.restoring import attach, restore_range, series_of
from core.series.tiered import TieredStore
from core.telemetry.reading import Reading
from core.wiring import build_events
from tests.world import DAY, HOUR, MINUTE, OVER_8_FOR_60, World, at, every

ROOM = "s1/a/room/p1/temperature"


class Behind(MemoryStore):
    """Counts what it is asked, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[datetime, datetime]] = []
        self.down = False

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        if self.down:
            raise StoreUnavailable("it is away")
        self.asked.append((start, stop))
        return super().read(point, start, stop)


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


@pytest.fixture
def behind(engine: Engine) -> Behind:
    store = Behind()
    attach(engine, store)
    return store


def count(world: World) -> int:
    with world.engine.connect() as conn:
        return int(conn.execute(text("SELECT count(*) FROM reading WHERE at < :d"), {"d": at("00:00", 7)}).scalar_one())


def drop(world: World, behind: Behind) -> None:
    """Two weeks later all of the first week is behind, and dropped here."""
    world.feed("room", every(30, at("00:00", 13), at("12:00", 13), 5.0), upto=at("12:00", 13))
    behind.write(PostgresStore(world.engine).read(ROOM, at("00:00"), at("00:00", 7)))
    assert prune(world.engine, at("12:00", 13)) == ["reading_20260302"]
    assert count(world) == 0


def stood_through(world: World, *after: tuple[datetime, float]) -> int:
    """Goods that stood for a day in a room at 5 °C that said nothing from 02:00 to 03:00."""
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    values = dict([*every(5, at("01:00"), at("02:00"), 5.0), *every(5, at("03:00"), at("05:00"), 5.0), *after])
    world.feed("room", sorted(values.items()), upto=at("05:00"))
    world.feed("room", every(10, at("05:10"), at("00:00", 1), 5.0), upto=at("00:00", 1))
    world.put(sublot, None, at("00:00", 1))
    return sublot


def test_late_readings_of_a_dropped_week_are_judged_with_their_neighbours(world: World, behind: Behind) -> None:
    sublot = stood_through(world)
    drop(world, behind)
    # 55 minutes: the reading of 03:00, which only the store behind has, ends them
    world.feed("room", every(5, at("02:05"), at("02:55"), 9.0), now=at("13:00", 13))
    assert world.excursions(sublot) == []
    assert behind.asked
    assert count(world) > 100


def test_late_readings_of_a_dropped_week_hold_what_they_must(world: World, behind: Behind) -> None:
    sublot = stood_through(world, *every(5, at("03:00"), at("03:15"), 9.0))
    drop(world, behind)
    assert world.excursions(sublot) == []
    world.feed("room", every(5, at("02:05"), at("02:55"), 9.0), now=at("13:00", 13))
    assert world.excursions(sublot) == [(sublot, "high", at("02:05"), at("03:05"), "proven")]


def test_what_is_heard_again_of_a_dropped_week_is_no_news(world: World, behind: Behind) -> None:
    stood_through(world)
    drop(world, behind)
    same = Reading(ROOM, at("01:30"), 5.0, "Cel", at("01:30"))
    other = Reading(ROOM, at("01:35"), 7.0, "Cel", at("01:35"))
    fresh = Reading(ROOM, at("02:30"), 5.0, "Cel", at("02:30"))
    landed = world.do(lambda u: land(u.conn, [same, other, fresh], [9] * 3, u.now), now=at("13:00", 13))
    assert (landed.new, landed.duplicates) == ((2,), (0,))
    assert [(first.value, second.value) for _, first, second in landed.conflicts] == [(5.0, 7.0)]


def test_a_failed_as_found_check_reaches_into_dropped_weeks(world: World, behind: Behind) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=300), due=DAY + timedelta(days=65))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed(
        "room", [*every(5, at("01:00"), at("03:00"), 7.5), *every(5, at("03:05"), at("05:00"), 5.0)], upto=at("05:00")
    )
    world.feed("room", every(10, at("05:10"), at("00:00", 1), 5.0), upto=at("00:00", 1))
    drop(world, behind)
    before = set(world.excursions(sublot))
    year = timedelta(days=365)
    world.do(
        lambda u: calibrations.record_calibration(
            u, sensor, at("12:00", 13), DAY + year, as_found_ok=False, as_found_error=1.0
        ),
        now=at("13:00", 13),
    )
    assert (sublot, "high", at("01:00"), at("02:00"), "uncertain") in set(world.excursions(sublot)) - before


def test_while_the_store_behind_is_away_nothing_is_lost_and_nothing_is_guessed(world: World, behind: Behind) -> None:
    sublot = stood_through(world, *every(5, at("03:00"), at("03:15"), 9.0))
    drop(world, behind)
    behind.down = True
    late = every(5, at("02:05"), at("02:55"), 9.0)
    with pytest.raises(StoreUnavailable):
        world.feed("room", late, now=at("13:00", 13))
    assert count(world) == 0
    # what is hot is judged on, whoever is away
    world.feed("room", every(10, at("12:10", 13), at("13:00", 13), 5.0), upto=at("13:00", 13))
    behind.down = False
    world.feed("room", late, now=at("13:05", 13))
    assert world.excursions(sublot) == [(sublot, "high", at("02:05"), at("03:05"), "proven")]


def test_dropped_weeks_without_a_store_are_an_error_and_not_silence(world: World, behind: Behind) -> None:
    stood_through(world)
    drop(world, behind)
    world.engine.update_execution_options(lotwise_store_behind=None)
    with pytest.raises(StoreUnavailable, match="LOTWISE_INFLUX_URL"):
        world.feed("room", [(at("02:30"), 9.0)], now=at("13:00", 13))


def test_what_was_put_back_goes_again_and_comes_again(world: World, behind: Behind) -> None:
    sublot = stood_through(world)
    drop(world, behind)
    now = at("13:00", 13)
    first = world.do(lambda u: exposure.exposure(u.conn, sublot, u.now, at("01:10"), at("01:50")), now=now)
    assert first is not None
    assert (first.lowest, first.highest, first.covered) == (5.0, 5.0, 1.0)
    there = count(world)
    assert there > 0
    assert prune(world.engine, now + HOUR) == []  # whoever needed it needs it again soon
    assert prune(world.engine, now + RESTORED_FOR + HOUR) == ["reading_20260302"]
    assert count(world) == 0
    again = world.do(lambda u: exposure.exposure(u.conn, sublot, u.now, at("01:10"), at("01:50")), now=now + 30 * HOUR)
    assert again == first
    assert count(world) == there


def test_hot_ranges_never_ask_the_store_behind(world: World, behind: Behind) -> None:
    stood_through(world)
    drop(world, behind)
    world.feed("room", [(at("12:10", 13), 5.0)], now=at("12:11", 13))
    world.feed("room", [(at("12:05", 13), 5.5)], now=at("12:12", 13))  # late, within the hot days
    assert len(series_of(world.engine).read(ROOM, at("00:00", 13), at("00:00", 14))) == 27
    assert behind.asked == []


def test_charts_show_dropped_and_hot_as_one(world: World, behind: Behind) -> None:
    stood_through(world)
    drop(world, behind)
    everything = MemoryStore()
    everything.write(behind.read(ROOM, at("00:00"), at("00:00", 7)))
    everything.write(PostgresStore(world.engine).read(ROOM, at("00:00", 7), at("00:00", 20)))
    tiered = series_of(world.engine)
    span = (at("00:30"), at("13:00", 13))
    assert tiered.read(ROOM, *span) == everything.read(ROOM, *span)
    for pixels in (1, 7, 100, 800):
        assert tiered.downsample(ROOM, *span, pixels) == everything.downsample(ROOM, *span, pixels)
    assert tiered.before(ROOM, at("00:00", 10)) == everything.before(ROOM, at("00:00", 10))
    # inside a transaction the range is put back first
    chart = world.do(
        lambda u: PostgresStore(u.conn).downsample(ROOM, at("01:00"), at("02:00"), 12), now=at("13:00", 13)
    )
    assert chart == everything.downsample(ROOM, at("01:00"), at("02:00"), 12)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, 399), max_size=60), st.lists(st.integers(0, 400), min_size=4, max_size=4), st.integers(1, 50)
)
def test_a_tiered_chart_equals_one_store_with_everything(minutes: set[int], cuts: list[int], pixels: int) -> None:
    one, hot, cold = MemoryStore(), MemoryStore(), MemoryStore()
    a, b, c, d = sorted(cuts)
    spans = [(DAY + x * MINUTE, DAY + y * MINUTE) for x, y in ((a, b), (c, d)) if x < y]
    for minute in minutes:
        each = Reading(ROOM, DAY + minute * MINUTE, float(minute), "Cel", DAY)
        one.write([each])
        cold.write([each])
        if not any(start <= each.at < stop for start, stop in spans):
            hot.write([each])

    def dropped(start: datetime, stop: datetime) -> list[tuple[datetime, datetime]]:
        return [(max(x, start), min(y, stop)) for x, y in spans if x < stop and start < y]

    tiered = TieredStore(hot, cold, dropped)
    span = (DAY + 10 * MINUTE, DAY + 380 * MINUTE)
    assert tiered.read(ROOM, *span) == one.read(ROOM, *span)
    assert tiered.downsample(ROOM, *span, pixels) == one.downsample(ROOM, *span, pixels)
    assert tiered.before(ROOM, span[1]) == one.before(ROOM, span[1])


def test_a_week_in_use_is_dropped_another_time(world: World, behind: Behind) -> None:
    stood_through(world)
    with world.engine.begin() as conn:
        conn.execute(text("SELECT count(*) FROM reading"))
        assert prune(world.engine, at("12:00", 13)) == []
    assert prune(world.engine, at("12:00", 13)) == ["reading_20260302"]
    assert behind.asked == []


def test_two_who_put_back_at_once_put_back_once(world: World, behind: Behind) -> None:
    from core.series.dropped_ranges import DroppedRangeNeeded

    stood_through(world)
    drop(world, behind)
    need = DroppedRangeNeeded([ROOM], at("00:00"), at("06:00"))
    assert restore_range(world.engine, need, at("13:00", 13)) > 0
    there = count(world)
    assert restore_range(world.engine, need, at("13:00", 13)) == 0
    assert count(world) == there
