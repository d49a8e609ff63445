"""The store behind, as an engine knows it: what was dropped is put back from it, and charts read it.

A process names the store once, for its engine (`attach`). No lock is held while the store is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine, text

from core.series import dropped_ranges, landing
from core.series.dropped_ranges import DAY, DroppedRangeNeeded
from core.series.port import SeriesStore, StoreUnavailable
from core.series.postgres import PostgresStore
from core.series.tiered import TieredStore

_OPTION = "lotwise_store_behind"


def attach(engine: Engine, store: SeriesStore) -> None:
    """From now on the engine's dropped ranges are read from this store."""
    engine.update_execution_options(**{_OPTION: store})


@contextmanager
def influx_attached(engine: Engine, url: str | None, bucket: str, token: str, org: str) -> Iterator[SeriesStore | None]:
    """InfluxDB as the store behind for as long as the block lasts; None, and nothing attached, without a URL."""
    if url is None:
        yield None
        return
    from core.series.influx import InfluxSettings, InfluxStore  # its client is heavy: only where it is used

    store = InfluxStore(InfluxSettings(url, bucket, token, org))
    attach(engine, store)
    try:
        yield store
    finally:
        engine.update_execution_options(**{_OPTION: None})
        store.close()


def store_behind(engine: Engine) -> SeriesStore | None:
    """The store attached to the engine, if there is one."""
    found: SeriesStore | None = engine.get_execution_options().get(_OPTION)
    return found


def series_of(engine: Engine) -> SeriesStore:
    """All readings, wherever they are: what charts read. Not for use inside a transaction."""
    behind, hot = store_behind(engine), PostgresStore(engine)
    if behind is None:
        return hot

    def dropped(start: datetime, stop: datetime) -> list[tuple[datetime, datetime]]:
        with engine.connect() as conn:
            return dropped_ranges.dropped_spans(conn, start, stop)

    return TieredStore(hot, behind, dropped)


def restore_range(engine: Engine, need: DroppedRangeNeeded, now: datetime | None = None) -> int:
    """Puts the readings that somebody needs back into PostgreSQL, a point's day at a time; gives how many.

    Each is a transaction of its own; the store is read in none. Raises StoreUnavailable, also where weeks were
    dropped and no store is attached.
    """
    with engine.connect() as conn:
        lacking = dropped_ranges.missing(conn, need.points, need.start, need.stop)
    if not lacking:
        return 0
    store = store_behind(engine)
    if store is None:
        raise StoreUnavailable(f"{need}, and no series store is configured (LOTWISE_INFLUX_URL)")
    count = 0
    for point, day in lacking:
        readings = store.read(point, day, day + DAY)
        with engine.begin() as conn:
            landing.restore_readings(conn, readings)
            conn.execute(
                text(
                    "INSERT INTO reading_restored (point_id, day, restored_at)"
                    " SELECT id, :day, :now FROM series_point WHERE address = :point"
                    " ON CONFLICT (point_id, day) DO UPDATE SET restored_at = excluded.restored_at"
                ),
                {"point": point, "day": day, "now": now or datetime.now(UTC)},
            )
        count += len(readings)
    return count
