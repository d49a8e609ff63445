"""The landing: exact whatever is landed at once, and safe when several land in a week that is not there yet."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from core.series.landing import land, partition_name, same_value, week_of
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading, Value

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
S = timedelta(seconds=1)


def reading(point: str, second: int, value: Value, quality: Quality = Quality.GOOD) -> Reading:
    reason = "" if quality is Quality.GOOD else "device_reported"
    return Reading(point=point, at=AT + second * S, value=value, unit="Cel", edge_at=AT, quality=quality, reason=reason)


def test_each_reading_is_new_duplicate_or_conflict(engine: Engine) -> None:
    number = iter(range(10**6))

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(
            st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1.0, 2.0, 1, True, "x"])), max_size=8),
            min_size=1,
            max_size=4,
        )
    )
    def check(calls: list[list[tuple[int, Value]]]) -> None:
        point = f"north/cold/room-1/p{next(number)}/temperature"
        standing: dict[datetime, Reading] = {}
        for call in calls:
            readings = [reading(point, second, value) for second, value in call]
            batch = next(number)
            with engine.begin() as conn:
                landed = land(conn, readings, [batch] * len(readings), AT)
            wanted: Counter[str] = Counter()
            for each in readings:
                first = standing.setdefault(each.at, each)
                wanted["new" if first is each else "duplicate" if same_value(first, each) else "conflict"] += 1
            assert (len(landed.new), len(landed.duplicates), len(landed.conflicts)) == (
                wanted["new"],
                wanted["duplicate"],
                wanted["conflict"],
            )
            assert all(first == standing[second.at] for _, first, second in landed.conflicts)
            places = [*landed.new, *landed.duplicates, *[seq for seq, _, _ in landed.conflicts]]
            assert sorted(places) == list(range(len(readings)))

    check()


def test_a_value_heard_again_by_history_is_a_duplicate() -> None:
    live = reading("north/cold/room-1/p/temperature", 0, 4.0)
    again = Reading(point=live.point, at=live.at, value=4.0, unit="Cel", edge_at=AT + 900 * S, source_at=live.at)
    assert same_value(live, again)
    assert not same_value(live, reading(live.point, 0, 4.0, Quality.UNCERTAIN))
    assert not same_value(reading(live.point, 0, 1), reading(live.point, 0, True))


def test_many_may_land_in_weeks_that_are_not_there_yet(engine: Engine) -> None:
    weeks = [AT + timedelta(days=7 * n) for n in range(6)]
    failures: list[BaseException] = []
    start = threading.Barrier(6)

    def work(number: int) -> None:
        readings = [
            Reading(point=f"north/cold/room-1/p{number}/temperature", at=at, value=1.0, unit="Cel", edge_at=at)
            for at in (weeks if number % 2 else reversed(weeks))
        ]
        start.wait()
        try:
            for each in readings:
                with engine.begin() as conn:
                    land(conn, [each], [number], AT)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM reading")).scalar_one() == 36
        made = conn.execute(text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'reading'::regclass"))
        assert made.scalar_one() == 6


def test_a_lost_connection_is_told_as_by_every_other_statement(engine: Engine) -> None:
    with engine.connect() as conn:
        mine = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
        with pytest.raises(OperationalError):
            land(conn, [reading("north/cold/room-1/p/temperature", 0, 4.0)], [1], AT)


def test_weeks_begin_on_monday_utc() -> None:
    assert week_of(datetime(2026, 3, 8, 23, 59, 59, 999999, UTC)) == datetime(2026, 3, 2, tzinfo=UTC)
    assert week_of(datetime(2026, 3, 9, tzinfo=UTC)) == datetime(2026, 3, 9, tzinfo=UTC)
    assert week_of(datetime(1970, 1, 1, tzinfo=UTC)) == datetime(1969, 12, 29, tzinfo=UTC)
    assert partition_name(week_of(AT)) == "reading_20260302"
