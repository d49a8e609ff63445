"""What charts show, from readings, custody, limits and holds: data, before anything is drawn."""

from datetime import datetime, timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.model import ProfileLimit
from core.erp.catalog.service import create_item
from core.erp.exposure import service as exposures
from core.erp.kernel.errors import Invalid, NotFound
from core.erp.kernel.unit import Actor
from core.erp.kernel.words import CHINESE, ENGLISH
from core.series.memory import MemoryStore
from core.series.port import SeriesStore, StoreUnavailable
from core.series.postgres import PostgresStore
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from core.web.charts.axis import Asked, offsets
from core.web.charts.document import ChartDoc, Curve, Interval
from core.web.charts.excursion import excursion_chart
from core.web.charts.lot_life import lot_life_chart, thinned
from core.web.charts.plan import Plan, unknown, value_at
from core.web.charts.zone import zone_chart
from core.web.frame.templating import Words
from tests.world import DAY, HOUR, MINUTE, World, at, every, judging_events

SHANGHAI = Words(ENGLISH, ZoneInfo("Asia/Shanghai"))
OVER_8_IN_ALL = ProfileLimit(key="high", op=">", threshold=8.0, kind="cumulative", delay=3 * HOUR)
UNDER_2_IN_ONE_RUN = ProfileLimit(key="low", op="<", threshold=2.0, kind="consecutive", delay=2 * HOUR)
HOT = ProfileLimit(key="hot", op=">", threshold=25.0, kind="instant")
OWN = Asked()
MINUTES_OF_90_DAYS = 90 * 24 * 60


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def drawn(world: World, plan: Plan, store: SeriesStore | None = None) -> ChartDoc:
    return plan.drawn(store or PostgresStore(world.engine))


def zone_doc(world: World, zone: int, asked: Asked = OWN, words: Words = SHANGHAI) -> ChartDoc:
    return drawn(world, world.do(lambda u: zone_chart(u, words, zone, asked)))


def excursion_doc(world: World, excursion: int, asked: Asked = OWN, words: Words = SHANGHAI) -> ChartDoc:
    return drawn(world, world.do(lambda u: excursion_chart(u, words, excursion, asked)))


def lot_doc(world: World, sublot: int, asked: Asked = OWN, words: Words = SHANGHAI) -> ChartDoc:
    return drawn(world, world.do(lambda u: lot_life_chart(u, words, sublot, asked)))


def row(doc: ChartDoc, label: str) -> list[Interval]:
    return next(one.spans for one in doc.rows if one.label == label)


class Plant(World):
    """A room that grew too warm for a sublot that had come by truck: readings surely over 8 °C from 12:00 to 13:30 and
    from 15:30 to 16:30, doubtful ones from 13:30 to 14:20, and none until 15:30.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, judging_events())
        self.truck = self.zone("truck", points=(), worst_temperature=7.0)
        self.room = self.zone("room", points=("p1", "~p2"), band_low=2.0, band_high=8.0)
        self.sublot_id = self.sublot(self.item(OVER_8_IN_ALL, UNDER_2_IN_ONE_RUN, HOT), self.truck, at("01:00"))
        self.put(self.sublot_id, self.room, at("03:00"))
        self.warm("02:00", "11:50", 5.0)
        self.warm("12:00", "13:20", 9.0)
        self.warm("13:30", "14:20", 9.0, quality=Quality.UNCERTAIN)
        self.warm("15:30", "16:20", 10.0)
        self.warm("16:30", "18:00", 5.0)

    def warm(self, start: str, stop: str, value: float, quality: Quality = Quality.GOOD) -> None:
        values = every(10, at(start), at(stop), value)
        self.feed("room", [(when, number - 0.5) for when, number in values], point="p2", quality=quality)
        self.feed("room", values, quality=quality, upto=at(stop))

    def excursion(self) -> int:
        with self.engine.connect() as conn:
            return int(conn.scalar(text("SELECT id FROM excursion WHERE limit_key = 'high'")) or 0)


@pytest.fixture(scope="module")
def plant(module_engine: Engine) -> Plant:
    return Plant(module_engine)


def test_an_excursion_shows_the_hours_around_its_break_first(plant: Plant) -> None:
    doc = excursion_doc(plant, plant.excursion())
    assert doc.axis.focus == (ms(at("12:00")), ms(at("16:30")))
    assert (doc.axis.start, doc.axis.stop) == (ms(at("10:12")), ms(at("17:10:30")))
    assert (doc.axis.first, doc.axis.last) == (ms(at("01:00")), ms(at("18:00")) + 1)
    assert doc.axis.place == "Shanghai, UTC+8"
    assert doc.unit == "°C"


def test_what_counts_is_what_the_judge_counts(plant: Plant) -> None:
    doc = excursion_doc(plant, plant.excursion())
    judged = plant.do(lambda u: exposures.exposure(u.conn, plant.sublot_id, u.now))
    assert judged is not None
    high = next(limit for limit in judged.limits if limit.key == "high")
    lengths = {
        kind: timedelta(milliseconds=sum(one.stop - one.start for one in doc.shades if one.kind == kind))
        for kind in ("proven", "uncertain", "unproven")
    }
    assert lengths["proven"] == high.proven == timedelta(hours=2, minutes=30)
    assert lengths["proven"] + lengths["uncertain"] == high.uncertain
    assert sum(lengths.values(), timedelta()) == high.worst
    assert [(one.label, one.total) for one in doc.rows if one.total] == [
        ("Out, proven", "2 h\u00a030 min"),
        ("+ uncertain", "+ 1 h\u00a020 min"),
        ("+ gap (worst case)", "+ 40 min"),
    ]
    assert [(one.start, one.stop) for one in row(doc, "Out, proven")] == [
        (ms(at("12:00")), ms(at("13:30"))),
        (ms(at("15:30")), ms(at("16:30"))),
    ]


def test_curves_follow_the_goods_and_say_what_is_not_known(plant: Plant) -> None:
    doc = excursion_doc(plant, plant.excursion())
    assert [(one.label, one.kind, one.step) for one in doc.curves] == [
        ("p1", "required", None),
        ("p2 (spare)", "spare", None),
    ]
    first = doc.curves[0]
    assert first.at[0] == ms(at("10:12")), "what was read before still speaks at the beginning"
    assert first.low[0] == 5.0
    assert first.at[1:3] == [ms(at("10:20")), ms(at("10:30"))]
    assert first.gaps == [(ms(at("14:50")), ms(at("15:30")))]
    assert first.uncertain == [(ms(at("13:30")), ms(at("14:50")))]
    assert max(first.low) == 10.0


def test_every_limit_is_a_line_and_the_broken_one_says_so(plant: Plant) -> None:
    doc = excursion_doc(plant, plant.excursion())
    assert [(one.value, one.high, one.broken, one.label) for one in doc.bounds] == [
        (8.0, True, True, "Product limit: 8\u202f°C for 3 h in all"),
        (2.0, False, False, "Product limit: 2\u202f°C for 2 h in one run"),
        (25.0, True, False, "Product limit: 25\u202f°C at any time"),
    ]
    broke = next(mark for mark in doc.instants if mark.kind == "broke")
    assert (broke.value, broke.label) == (10.0, "Broke 23:40"), "by the clocks of Shanghai"
    assert "Broke 23:40" in doc.description
    assert "highest 10\u202f°C" in doc.description


def test_places_and_holds_stand_beneath(plant: Plant) -> None:
    whole = excursion_doc(plant, plant.excursion(), Asked(at("00:00"), at("18:00")))
    assert [one.label for one in whole.rows if not one.total] == ["Where it was", "truck", "room", "Holds", ""]
    assert [(one.start, one.stop, one.kind) for one in row(whole, "truck")] == [
        (ms(at("01:00")), ms(at("03:00")), "was")
    ]
    assert [(one.start, one.kind, one.label) for one in row(whole, "room")] == [
        (ms(at("03:00")), "here", "since 2 Mar 11:00")
    ]
    assert {one.kind for one in row(whole, "Holds")} == {"held"}
    declared = next(one for one in whole.curves if one.kind == "declared")
    assert (declared.start, declared.stop, declared.low) == (ms(at("01:00")), ms(at("03:00")), [7.0, 7.0])
    assert "truck" not in [one.label for one in excursion_doc(plant, plant.excursion()).rows], "out of the window"


def test_a_life_has_its_budget_and_its_excursions(plant: Plant) -> None:
    doc = lot_doc(plant, plant.sublot_id)
    assert doc.steps is not None
    judged = plant.do(lambda u: exposures.exposure(u.conn, plant.sublot_id, u.now))
    assert judged is not None
    budget = next(limit.budget for limit in judged.limits if limit.key == "high")
    assert budget is not None
    assert doc.steps.allowed == 3.0
    assert doc.steps.left[-1] == round(budget / HOUR, 3) == 0.0
    assert doc.steps.left == sorted(doc.steps.left, reverse=True)
    assert [note.label for note in doc.steps.notes] == ["spent"]
    assert [mark.kind for mark in doc.instants] == ["excursion", "excursion"]
    assert [(one.start, one.stop, one.label) for one in doc.shades] == [
        (ms(at("14:50")), ms(at("15:30")), "gap 40 min")
    ], "the required point is silent, and so is the one that stands in"


def test_a_zone_shows_its_band_beside_what_its_goods_tolerate(plant: Plant) -> None:
    doc = zone_doc(plant, plant.room)
    assert [(one.kind, one.value, one.label) for one in doc.bounds] == [
        ("limit", 8.0, "Product limit: 8\u202f°C for 3 h in all · Zone's band: 8\u202f°C"),
        ("limit", 2.0, "Product limit: 2\u202f°C for 2 h in one run · Zone's band: 2\u202f°C"),
        ("limit", 25.0, "Product limit: 25\u202f°C at any time"),
    ]
    assert {one.label for one in row(doc, "Alarms")} >= {"High"}
    assert {mark.label for mark in doc.instants} >= {f"Excursion {plant.excursion()}"}
    assert (doc.axis.first, doc.axis.last) == (ms(at("02:00")), ms(at("18:00")) + 1)
    assert doc.axis.focus is None


def test_a_zone_that_nobody_measures_shows_what_it_declares(plant: Plant) -> None:
    doc = zone_doc(plant, plant.truck)
    (curve,) = doc.curves
    assert (curve.kind, curve.label, curve.low) == ("declared", "declared worst, truck", [7.0, 7.0])
    assert curve.uncertain == [(curve.start, curve.stop)]


def test_in_chinese_by_the_clocks_of_the_reader(plant: Plant) -> None:
    doc = excursion_doc(plant, plant.excursion(), words=Words(CHINESE, ZoneInfo("Europe/Berlin")))
    assert (doc.language, doc.axis.place) == ("zh", "Berlin, UTC+1")
    assert next(one.label for one in doc.bounds if one.broken) == "产品限值：8\u202f°C，累计 3 小时"
    assert next(mark.label for mark in doc.instants if mark.kind == "broke") == "超限 16:40"
    assert not [word for word in doc.words.values() if word.startswith("web.")]


def test_a_window_is_what_lies_within_the_chart(plant: Plant) -> None:
    narrow = zone_doc(plant, plant.room, Asked(at("12:00"), at("13:00")))
    assert (narrow.axis.start, narrow.axis.stop) == (ms(at("12:00")), ms(at("13:00")))
    assert narrow.curves[0].at == [ms(at("12:00") + n * 10 * MINUTE) for n in range(6)]
    wide = zone_doc(plant, plant.room, Asked(at("00:00", -900), at("00:00", 900)))
    assert (wide.axis.start, wide.axis.stop) == (wide.axis.first, wide.axis.last)
    for start, stop in ((at("00:00", -9), at("00:00", -8)), (at("00:00", 8), at("00:00", 9))):
        beyond = zone_doc(plant, plant.room, Asked(start, stop))
        assert beyond.axis.first <= beyond.axis.start < beyond.axis.stop <= beyond.axis.last
    with pytest.raises(Invalid):
        zone_doc(plant, plant.room, Asked(at("13:00"), at("12:00")))


def test_who_may_not_see_a_record_gets_no_chart_of_it(plant: Plant) -> None:
    foreign = Actor("berlin", frozenset({"qa"}), 7, sites=frozenset({plant.site + 1}))
    for chart, record in (
        (zone_chart, plant.room),
        (excursion_chart, plant.excursion()),
        (lot_life_chart, plant.sublot_id),
    ):
        for number in (record, 999_999):
            with pytest.raises(NotFound):
                plant.do(lambda u, chart=chart, number=number: chart(u, SHANGHAI, number, Asked()), actor=foreign)  # type: ignore[misc]  # each is a chart's plan


def test_marks_of_other_modules_are_for_who_may_read_them(plant: Plant) -> None:
    reader = Actor("meter", user_id=7, permits=frozenset({"exposure.read"}))
    zone = plant.do(lambda u: zone_chart(u, SHANGHAI, plant.room, Asked()), actor=reader).doc
    assert (zone.instants, zone.rows) == ([], [])
    life = plant.do(lambda u: lot_life_chart(u, SHANGHAI, plant.sublot_id, Asked()), actor=reader).doc
    assert (life.instants, life.rows) == ([], [])


def test_a_store_that_is_away_is_said(plant: Plant) -> None:
    class Away(MemoryStore):
        def downsample(self, *_: object) -> NoReturn:
            raise StoreUnavailable("InfluxDB: no answer")

    plan = plant.do(lambda u: zone_chart(u, SHANGHAI, plant.room, Asked()))
    with pytest.raises(StoreUnavailable):
        plan.drawn(Away())


# --- long times


def months(spike: int, silent: range = range(0)) -> MemoryStore:
    """90 days of one point at one reading a minute: 5 °C, but for one minute, and silent for some."""
    store = MemoryStore()
    point = "s1/a/room/p1/temperature"
    store._points[point] = [
        Reading(point, DAY + n * MINUTE, 9.5 if n == spike else 5.0, "Cel", DAY)
        for n in range(MINUTES_OF_90_DAYS)
        if n not in silent
    ]
    return store


@pytest.fixture
def long_ago(engine: Engine) -> World:
    """A room of which the first reading and a watermark 90 days later are known."""
    world = World(engine, judging_events())
    world.zone("room")
    world.feed("room", [(DAY, 5.0)], now=DAY)
    world.feed("room", [], upto=DAY + MINUTES_OF_90_DAYS * MINUTE)
    return world


def test_nothing_of_ninety_days_is_averaged_away(long_ago: World) -> None:
    with long_ago.engine.connect() as conn:
        room = int(conn.scalar(text("SELECT id FROM zone")) or 0)
    own = long_ago.do(lambda u: zone_chart(u, SHANGHAI, room, OWN))
    assert own.window.stop - own.window.start == timedelta(days=7), "a week is shown first"
    whole = long_ago.do(lambda u: zone_chart(u, SHANGHAI, room, Asked(DAY, u.now, 1200)))
    spike, silent = 70_001, range(40_000, 40_041)
    curve = whole.drawn(months(spike, silent)).curves[0]
    assert curve.step is not None
    assert curve.high is not None
    assert len(curve.at) <= 1200
    column = curve.high.index(9.5)
    assert curve.at[column] <= ms(DAY + spike * MINUTE) < curve.at[column] + curve.step
    assert (curve.low[column], max(curve.low)) == (5.0, 5.0)
    assert curve.step > len(silent) * 60_000, "the gap is narrower than a column, and told all the same"
    assert curve.gaps == [(ms(DAY + (39_999 + 30) * MINUTE), ms(DAY + 40_041 * MINUTE))]


# --- pieces


def test_clocks_change_where_they_change() -> None:
    berlin = offsets(ZoneInfo("Europe/Berlin"), datetime(2026, 3, 1, tzinfo=DAY.tzinfo), at("00:00", 300))
    assert [(one.since, one.minutes) for one in berlin] == [
        (ms(datetime(2026, 3, 1, tzinfo=DAY.tzinfo)), 60),
        (ms(datetime(2026, 3, 29, 1, tzinfo=DAY.tzinfo)), 120),
        (ms(datetime(2026, 10, 25, 1, tzinfo=DAY.tzinfo)), 60),
    ]


def line(kind: str, gaps: list[tuple[int, int]]) -> Curve:
    return Curve(
        point="p",
        label="p",
        kind=kind,
        start=0,
        stop=100,
        step=None,
        at=[0, 50],
        low=[1.0, 3.0],
        high=None,
        uncertain=[],
        gaps=gaps,
    )


def test_a_spare_that_speaks_makes_silence_known() -> None:
    silent = [line("required", [(60, 80)]), line("spare", [(70, 80)])]
    assert [(one.start, one.stop) for one in unknown(SHANGHAI, silent)] == [(60, 80)]
    assert unknown(SHANGHAI, [line("required", [(60, 80)]), line("spare", [(10, 20)])]) == []
    assert unknown(SHANGHAI, [line("declared", [(60, 80)])]) == []


def test_a_mark_stands_on_what_was_measured() -> None:
    curves = [line("required", [(60, 80)]), line("spare", [])]
    assert [value_at(curves, instant, high=True) for instant in (0, 49, 50, 59, 60, 99, 100)] == [
        1.0,
        1.0,
        3.0,
        3.0,
        None,
        3.0,
        None,
    ]


def test_long_budgets_are_thinned_but_never_at_their_ends() -> None:
    points = [(n, 10_000 - n) for n in range(10_001)]
    few = thinned(points)
    assert (few[0], few[-1]) == (points[0], points[-1])
    assert len(few) <= 2001
    assert thinned(points[:5]) == points[:5]


def test_goods_without_a_profile_have_a_life_too(plant: Plant) -> None:
    item = plant.do(lambda u: create_item(u, "PLAIN", "Plain goods").id)
    sublot = plant.sublot(item, plant.room, at("18:00"))
    doc = lot_doc(plant, sublot)
    assert (doc.steps, doc.curves, doc.bounds) == (None, [], [])
    assert [one.label for one in doc.rows] == ["room"]
