"""The series port's contract, held against every adapter."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from core.series.influx import InfluxSettings, InfluxStore
from core.series.memory import MemoryStore
from core.series.port import RefusedReading, SeriesStore, StoreRefused, StoreUnavailable
from core.series.postgres import PostgresStore
from core.series.tiered import TieredStore
from core.telemetry.quality import Quality
from core.telemetry.reading import INT_MAX, INT_MIN, BadReading, Reading, Value
from tests.contracts.series_influxd import Influx, influxdb
from tests.servers import free_port

AT = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
POINT = "north/cold/room-1/probe_1/temperature"
OTHER = "north/cold/room-1/probe_2/temperature"
S = timedelta(seconds=1)
US = timedelta(microseconds=1)


def reading(seconds: float, value: Value, point: str = POINT, quality: Quality = Quality.GOOD) -> Reading:
    at = AT + seconds * S
    reason = "" if quality is Quality.GOOD else "sentinel"
    return Reading(point=point, at=at, value=value, unit="Cel", edge_at=at + S, quality=quality, reason=reason)


_numbers = itertools.count(1)


class SeriesContract:
    """What every adapter promises."""

    store: SeriesStore

    def test_a_reading_comes_back_as_it_went_in(self) -> None:
        values: list[Value] = [4.1, -0.0, 1e-300, 12, INT_MAX, INT_MIN, True, False, "läuft, \"so\" 'la' \\ =\nx", ""]
        written = [reading(n, value) for n, value in enumerate(values)]
        written.append(reading(50, None, quality=Quality.BAD))
        written.append(
            Reading(
                point=POINT,
                at=AT + 60 * S + US,
                value=8.25,
                unit="[degF]",
                edge_at=AT,
                source_at=AT - 3 * S + US,
                quality=Quality.UNCERTAIN,
                reason="clock_out_of_tolerance",
                simulated=True,
            )
        )
        self.store.write(written)
        got = self.store.read(POINT, AT, AT + 100 * S)
        assert got == written
        assert [type(r.value) for r in got] == [type(r.value) for r in written]
        assert all(r.at.utcoffset() == timedelta(0) for r in got)

    def test_writing_twice_is_writing_once(self) -> None:
        written = [reading(n, float(n)) for n in range(50)]
        self.store.write(written)
        self.store.write(written[10:])
        self.store.write([*written, *written])
        assert self.store.read(POINT, AT, AT + 100 * S) == written

    def test_a_range_is_half_open_and_ordered(self) -> None:
        self.store.write([reading(n, float(n)) for n in (3, 1, 2, 0)])
        assert [r.value for r in self.store.read(POINT, AT + S, AT + 3 * S)] == [1.0, 2.0]
        assert [r.value for r in self.store.read(POINT, AT, AT + 3 * S + US)] == [0.0, 1.0, 2.0, 3.0]
        assert self.store.read(POINT, AT + 4 * S, AT + 9 * S) == []

    def test_any_text_comes_back_as_it_went_in(self) -> None:
        texts = [
            "a,b c=d",
            "\\",
            "ends in \\",
            '"',
            '\\"',
            "'; DROP",
            "a\tb",
            "a\rb\n",
            "grüße 温度 🌡",
            "true",
            "1i",
            "x" * 4096,
            " leads and trails ",
            "#no comment",
            "null",
        ]
        written = [reading(n, text) for n, text in enumerate(texts)]
        self.store.write(written)
        assert self.store.read(POINT, AT, AT + 100 * S) == written
        strange = [
            Reading(
                point=OTHER, at=AT + n * S, value=1.0, unit=unit, edge_at=AT, quality=Quality.BAD, reason=f"why {unit}"
            )
            for n, unit in enumerate(('"', "\\", "m/s2", "[degF]", "%", "µg", "a b,c=d"))
        ]
        self.store.write(strange)
        assert self.store.read(OTHER, AT, AT + 100 * S) == strange

    def test_what_is_no_number_is_no_reading(self) -> None:
        for value in (float("nan"), float("inf"), -float("inf"), 2**63, -(2**63) - 1):
            with pytest.raises(BadReading):
                reading(0, value)

    def test_whole_numbers_beyond_what_a_fraction_can_tell_apart(self) -> None:
        near = [2**53, 2**53 + 1, INT_MAX - 1, INT_MAX, INT_MIN, INT_MIN + 1, -(2**53) - 1]
        written = [reading(n, value) for n, value in enumerate(near)]
        self.store.write(written)
        assert [r.value for r in self.store.read(POINT, AT, AT + 100 * S)] == near
        assert self.store.last([POINT])[POINT].value == near[-1]
        (column,) = self.store.downsample(POINT, AT, AT + 100 * S, 1)
        assert (column.min, column.max, column.count) == (float(INT_MIN), float(INT_MAX), len(near))
        assert column.mean == pytest.approx(sum(near) / len(near), rel=1e-9, abs=1024)
        self.store.write([reading(200 + n, INT_MAX) for n in range(3)] + [reading(203, True), reading(204, 0.5)])
        (column,) = self.store.downsample(POINT, AT + 200 * S, AT + 300 * S, 1)
        assert column.count == 4
        assert column.mean == pytest.approx(INT_MAX * 3 / 4)

    def test_extreme_numbers(self) -> None:
        values: list[Value] = [5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, 1 / 3, 1e22, 123456789.123]
        written = [reading(n, value) for n, value in enumerate(values)]
        self.store.write(written)
        assert self.store.read(POINT, AT, AT + 100 * S) == written

    def test_a_point_may_change_its_kind_at_any_time(self) -> None:
        kinds: list[Value] = [4.0, 4, True, "on", 5.0, "off", False, 6]
        written = [reading(n, value) for n, value in enumerate(kinds)]
        for each in written:  # each by itself, as it comes
            self.store.write([each])
        assert self.store.read(POINT, AT, AT + 100 * S) == written
        assert [self.store.before(POINT, r.at + US) for r in written] == written
        (column,) = self.store.downsample(POINT, AT, AT + 100 * S, 1)
        assert (column.min, column.max, column.count) == (4.0, 6.0, 4)

    def test_readings_a_microsecond_apart_are_two(self) -> None:
        written = [
            Reading(point=POINT, at=AT + n * US, value=float(n), unit="Cel", edge_at=AT, source_at=AT - n * US)
            for n in range(20)
        ]
        self.store.write(written)
        assert self.store.read(POINT, AT, AT + S) == written
        assert self.store.read(POINT, AT + 3 * US, AT + 5 * US) == written[3:5]
        assert self.store.before(POINT, AT + 7 * US) == written[6]
        assert [(c.start, c.count) for c in self.store.downsample(POINT, AT, AT + 20 * US, 10)] == [
            (AT + 2 * n * US, 2) for n in range(10)
        ]
        # more columns than microseconds: each microsecond has its own
        assert len(self.store.downsample(POINT, AT, AT + 20 * US, 1000)) == 20

    def test_times_are_instants_whatever_zone_they_are_written_in(self) -> None:
        india = timezone(timedelta(hours=5, minutes=30))
        one = Reading(point=POINT, at=AT.astimezone(india), value=1.0, unit="Cel", edge_at=AT.astimezone(india))
        self.store.write([one])
        assert self.store.read(POINT, AT.astimezone(india), (AT + US).astimezone(india)) == [one]
        assert [c.start for c in self.store.downsample(POINT, AT.astimezone(india), AT + S, 1)] == [AT]

    def test_times_far_from_now(self) -> None:
        far = [datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)]
        written = [Reading(point=POINT, at=at, value=1.0, unit="Cel", edge_at=at) for at in far]
        self.store.write(written)
        assert self.store.read(POINT, far[0], AT) == written

    def test_nothing_asked_and_nothing_there(self) -> None:
        self.store.write([])
        assert self.store.read(POINT, AT, AT + S) == []
        assert self.store.last([POINT]) == {}
        assert self.store.before(POINT, AT) is None
        assert self.store.downsample(POINT, AT, AT + S, 10) == []
        self.store.write([reading(5, 1.0)])
        assert self.store.read(POINT, AT, AT) == []
        assert self.store.read(POINT, AT + 9 * S, AT) == []
        assert self.store.downsample(POINT, AT, AT + 5 * S, 10) == []  # half-open: it is at the stop
        assert [c.count for c in self.store.downsample(POINT, AT + 5 * S, AT + 6 * S, 10)] == [1]
        for start, stop, pixels in ((AT, AT, 1), (AT + S, AT, 1), (AT, AT + S, 0), (AT, AT + S, -3)):
            with pytest.raises(ValueError, match="shows nothing"):
                self.store.downsample(POINT, start, stop, pixels)

    def test_a_point_with_text_only_has_no_chart(self) -> None:
        self.store.write([reading(0, "on"), reading(1, True), reading(2, None, quality=Quality.BAD)])
        assert self.store.downsample(POINT, AT, AT + 10 * S, 5) == []
        assert self.store.last([POINT])[POINT].quality is Quality.BAD

    def test_last_of_many_points_of_many_quantities(self) -> None:
        points = [f"north/cold/room-1/p{n}/{quantity}" for n in range(150) for quantity in ("temperature", "humidity")]
        self.store.write([reading(n % 3, float(n), point) for n, point in enumerate(points)])
        self.store.write([reading(-60, -1.0, point) for point in points])
        assert {point: r.value for point, r in self.store.last(points).items()} == {
            point: float(n) for n, point in enumerate(points)
        }

    def test_points_do_not_mix(self) -> None:
        self.store.write([reading(0, 1.0), reading(0, 2.0, OTHER)])
        assert [r.value for r in self.store.read(OTHER, AT, AT + S)] == [2.0]

    def test_last_and_before(self) -> None:
        self.store.write([reading(0, 1.0), reading(1, 2), reading(0, "x", OTHER), reading(86400 * 30, 9.0)])
        last = self.store.last([POINT, OTHER, "north/cold/room-1/none/temperature", "north/cold/room-1/p/none"])
        assert {point: r.value for point, r in last.items()} == {POINT: 9.0, OTHER: "x"}
        assert self.store.last([]) == {}
        assert self.store.before(POINT, AT) is None
        assert self.store.before(POINT, AT + US) == reading(0, 1.0)
        assert self.store.before(POINT, AT + 5 * S) == reading(1, 2)
        assert self.store.before("north/cold/room-1/none/temperature", AT) is None

    def test_downsample_gives_columns_of_equal_width(self) -> None:
        self.store.write([reading(n, float(n)) for n in range(100)])
        self.store.write([reading(0.5, 200), reading(0.6, "text"), reading(0.7, True)])
        self.store.write([reading(0.8, 85.0, quality=Quality.BAD), reading(0.9, -50.0, quality=Quality.UNCERTAIN)])
        columns = self.store.downsample(POINT, AT, AT + 100 * S, 10)
        assert [c.start for c in columns] == [AT + 10 * n * S for n in range(10)]
        assert [c.count for c in columns] == [12] + [10] * 9
        assert (columns[0].min, columns[0].max) == (-50.0, 200.0)
        assert columns[0].mean == pytest.approx((45 + 200 - 50) / 12)
        assert (columns[9].min, columns[9].max) == (90.0, 99.0)
        assert columns[9].mean == pytest.approx(94.5)
        assert [c.uncertain for c in columns] == [1] + [0] * 9
        self.store.write([reading(95.5, 3, quality=Quality.UNCERTAIN), reading(96.5, 3, quality=Quality.UNCERTAIN)])
        (last,) = self.store.downsample(POINT, AT + 90 * S, AT + 100 * S, 1)
        assert (last.count, last.uncertain) == (12, 2)

    def test_downsample_leaves_empty_columns_out(self) -> None:
        self.store.write([reading(1, 1.0), reading(91, 2.0)])
        columns = self.store.downsample(POINT, AT, AT + 100 * S, 7)
        assert [(c.min, c.count) for c in columns] == [(1.0, 1), (2.0, 1)]
        with pytest.raises(ValueError, match="shows nothing"):
            self.store.downsample(POINT, AT, AT, 7)

    def test_downsample_counts_what_is_read(self) -> None:
        @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(
            st.lists(st.integers(0, 10**13), min_size=1, max_size=30, unique=True),
            st.integers(1, 300),
            st.integers(1, 10**13),
        )
        def check(offsets: list[int], pixels: int, span: int) -> None:
            point = f"north/cold/room-1/p{next(_numbers)}/temperature"
            self.store.write(
                [Reading(point=point, at=AT + n * US, value=float(n), unit="Cel", edge_at=AT) for n in offsets]
            )
            expected = MemoryStore()
            expected.write(self.store.read(point, AT, AT + span * US))
            got = self.store.downsample(point, AT, AT + span * US, pixels)
            want = expected.downsample(point, AT, AT + span * US, pixels)
            assert [(c.start, c.min, c.max, c.count) for c in got] == [(c.start, c.min, c.max, c.count) for c in want]
            assert [c.mean for c in got] == pytest.approx([c.mean for c in want])

        check()

    def test_silences_lie_between_readings_and_at_the_ends(self) -> None:
        self.store.write([reading(n, float(n)) for n in (10, 11, 12, 30, 31)] + [reading(40, 4), reading(70, 1.0)])
        assert self.store.silences(POINT, AT, AT + 100 * S, 9 * S) == [
            (AT, AT + 10 * S),
            (AT + 12 * S, AT + 30 * S),
            (AT + 40 * S, AT + 70 * S),
            (AT + 70 * S, AT + 100 * S),
        ]
        # as long as allowed is not longer, and a reading at an end leaves nothing there
        assert self.store.silences(POINT, AT + 10 * S, AT + 30 * S, 18 * S - US) == [(AT + 12 * S, AT + 30 * S)]
        assert self.store.silences(POINT, AT + 10 * S, AT + 30 * S, 18 * S) == []
        assert self.store.silences(POINT, AT + 13 * S, AT + 20 * S, S) == [(AT + 13 * S, AT + 20 * S)]
        assert self.store.silences(POINT, AT + 20 * S, AT + 20 * S, S) == []
        assert self.store.silences("north/cold/room-1/none/temperature", AT, AT + S, US) == [(AT, AT + S)]

    def test_only_a_number_that_is_not_bad_ends_a_silence(self) -> None:
        self.store.write(
            [reading(0, 1.0), reading(10, None, quality=Quality.BAD), reading(20, "on"), reading(30, True)]
        )
        self.store.write([reading(40, 9.0, quality=Quality.BAD), reading(50, 2.0, quality=Quality.UNCERTAIN)])
        assert self.store.silences(POINT, AT, AT + 60 * S, 10 * S) == [(AT, AT + 50 * S)]

    def test_silences_are_what_is_between_the_readings(self) -> None:
        @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(
            st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(Quality)), max_size=30, unique_by=lambda o: o[0]),
            st.integers(1, 10**6),
            st.integers(0, 10**5),
        )
        def check(offsets: list[tuple[int, Quality]], span: int, longest: int) -> None:
            point = f"north/cold/room-1/p{next(_numbers)}/temperature"
            reasons = {Quality.GOOD: "", Quality.UNCERTAIN: "drift", Quality.BAD: "sentinel"}
            written = [
                Reading(point, AT + n * US, n, "Cel", AT, quality=quality, reason=reasons[quality])
                for n, quality in offsets
            ]
            self.store.write(written)
            expected = MemoryStore()
            expected.write(written)
            asked = (point, AT, AT + span * US, longest * US)
            assert self.store.silences(*asked) == expected.silences(*asked)

        check()


class TestMemory(SeriesContract):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = MemoryStore()


class Halves(TieredStore):
    """A tiered store where a third was never shipped, and a third, but no point's latest, dropped when it was."""

    def write(self, readings: Sequence[Reading]) -> None:
        latest = {r.point: max(s.at for s in readings if s.point == r.point) for r in readings}
        self._hot.write([r for r in readings if r.at.second % 3 or r.at == latest[r.point]])
        self._cold.write([r for r in readings if r.at.second % 3 != 1])


class TestTiered(SeriesContract):
    @pytest.fixture(autouse=True)
    def _store(self) -> None:
        self.store = Halves(MemoryStore(), MemoryStore())


def test_the_latest_may_be_one_that_is_no_longer_hot() -> None:
    hot, cold = MemoryStore(), MemoryStore()
    day = timedelta(days=1)
    store = TieredStore(hot, cold, lambda a, b: [(AT, AT + day)] if a < AT + day and b > AT else [])
    cold.write([reading(0, 1.0), reading(100, 2.0), reading(0, 1.0, OTHER)])
    hot.write([reading(0, 1.0), reading(86400 * 2, 9.0, OTHER)])  # one was put back; the other goes on
    assert {point: each.value for point, each in store.last([POINT, OTHER]).items()} == {POINT: 2.0, OTHER: 9.0}
    assert store.last([]) == {}


class TestPostgres(SeriesContract):
    @pytest.fixture(autouse=True)
    def _store(self, engine: Engine) -> None:
        self.engine = engine
        self.store = PostgresStore(engine)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE reading SET num = 3",
            "DELETE FROM reading",
            "TRUNCATE reading",
            "TRUNCATE reading_20260302",
            "DELETE FROM reading_20260302",
            "UPDATE reading_20260302 SET quality = 0",
        ],
    )
    @pytest.mark.as_owner
    def test_readings_are_never_changed(self, statement: str) -> None:
        self.store.write([reading(0, 1.0)])
        with pytest.raises(DBAPIError, match="append-only"), self.engine.begin() as conn:
            conn.execute(text(statement))
        assert self.store.read(POINT, AT, AT + S) == [reading(0, 1.0)]

    def test_a_text_it_cannot_hold_is_refused_by_itself(self) -> None:
        with pytest.raises(StoreRefused) as refusal:
            self.store.write([reading(0, 1.0), reading(1, "a\0b"), reading(2, 3.0)])
        assert [r.reading.value for r in refusal.value.refused] == ["a\0b"]
        assert [r.value for r in self.store.read(POINT, AT, AT + 9 * S)] == [1.0, 3.0]


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influxdb(tmp_path_factory.mktemp("influx")) as made:
        yield made


class TestInflux(SeriesContract):
    @pytest.fixture(autouse=True)
    def _store(self, influx: Influx) -> Iterator[None]:
        influx.drop()
        influx.make()
        self.store: InfluxStore = InfluxStore(influx.settings)
        yield
        self.store.close()

    def test_one_refused_reading_costs_no_other(self, influx: Influx) -> None:
        # a foreign writer has made value_int a string there: our whole numbers are refused, the rest is not
        spoiled = f'temperature,area=cold,device=probe_1,point={POINT},site=north,zone=north/cold/room-1 value_int="x"'
        influx.write(f"{spoiled} {int(AT.timestamp() * 1_000_000)}")
        with pytest.raises(StoreRefused) as refusal:
            self.store.write([reading(n, n if n == 7 else float(n)) for n in range(1, 21)])
        assert [(r.reading.value, "value_int" in r.reason) for r in refusal.value.refused] == [(7, True)]
        assert len(self.store.read(POINT, AT + S, AT + 99 * S)) == 19
        assert isinstance(refusal.value.refused[0], RefusedReading)

    def test_a_missing_database_is_no_fault_of_the_data(self) -> None:
        store = InfluxStore(replace(self.store.settings, bucket="nowhere/autogen"))
        with pytest.raises(StoreUnavailable, match="404"):
            store.write([reading(0, 1.0)])
        store.close()

    def test_a_server_that_is_away(self) -> None:
        store = InfluxStore(InfluxSettings(url=f"http://127.0.0.1:{free_port()}", bucket="lotwise/autogen"))
        for act in (
            lambda: store.write([reading(0, 1.0)]),
            lambda: store.read(POINT, AT, AT + S),
            lambda: store.last([POINT]),
        ):
            with pytest.raises(StoreUnavailable):
                act()
        store.close()
