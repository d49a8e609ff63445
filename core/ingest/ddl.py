"""What the ingest's tables need beyond their columns."""

from core.erp.kernel.guarded import EVERY, Guarded
from core.erp.kernel.triggers import only
from core.ingest.model import (
    BatchFold,
    BatchProgress,
    BatchRow,
    ConfirmationLost,
    DeadLetter,
    EpochClosed,
    GatewayEpoch,
    IngestAlarm,
    IngestLease,
    IngestWorker,
    PendingWatermark,
)
from core.series.model import (
    ReadingConflict,
    ReadingRestored,
    ReadingRow,
    ReadingShipped,
    SeriesDropped,
    SeriesPoint,
)

_COUNTS = ("status", "shipped_at", "landed_count", "duplicate_count", "conflict_count")
_GUARDS_ITSELF = "append-only by triggers of its own (core.series.ddl)"

TABLES = (
    Guarded(
        BatchRow,
        changes=_COUNTS,
        removable=True,
        why="shipped, counted; its header folds into batch_fold by the hour (batch_only)",
    ),
    Guarded(
        BatchFold,
        changes=EVERY,
        removable=True,
        why="headers add up in it for a year; lotwise prove lays them beside the gateway's",
    ),
    Guarded(BatchProgress, changes=("through", "follows"), why="how far batches are confirmed"),
    Guarded(ConfirmationLost, append_only=True),
    Guarded(
        GatewayEpoch,
        changes=("config", "sources", "announced", "previous", "last_numbers"),
        why="a gateway's start, as it says",
    ),
    Guarded(EpochClosed, append_only=True),
    Guarded(PendingWatermark, changes=EVERY, removable=True, why="waits for lower numbers, then goes"),
    Guarded(DeadLetter, kept=True, changes=("replayed_at", "replayed_by", "outcome")),
    Guarded(IngestAlarm, kept=True, changes=("cleared_at",)),
    Guarded(IngestWorker, changes=EVERY, removable=True, why="who works just now"),
    Guarded(IngestLease, changes=EVERY, removable=True, why="who works on what just now"),
    # the series are below the kernel and know no declaration of its kind: who lands the readings speaks for them
    Guarded(ReadingRow, why=_GUARDS_ITSELF),
    Guarded(ReadingConflict, why=_GUARDS_ITSELF),
    Guarded(SeriesPoint, why=_GUARDS_ITSELF),
    Guarded(ReadingShipped, changes=EVERY, why="what has been shipped, added up, for lotwise prove"),
    Guarded(
        ReadingRestored,
        changes=EVERY,
        removable=True,
        why="days put back from the store behind, until they are dropped again",
    ),
    Guarded(SeriesDropped, changes=("dropped_at",), why="weeks that were dropped once shipped"),
)

_DROP_WEEK = """
CREATE OR REPLACE FUNCTION series_drop_week(name text, hot interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    week timestamptz;
    strays boolean;
BEGIN
    IF name !~ '^reading_[0-9]{8}$' THEN
        RAISE EXCEPTION '% is no partition of readings', name USING ERRCODE = 'LW005';
    END IF;
    week := to_timestamp(substr(name, 9), 'YYYYMMDD') AT TIME ZONE current_setting('TimeZone') AT TIME ZONE 'UTC';
    IF hot < interval '24 hours' OR week + interval '7 days' > clock_timestamp() - hot THEN
        RAISE EXCEPTION '% is in the hot window', name USING ERRCODE = 'LW005';
    END IF;
    -- the whole table first, as everybody who lands does; and nobody lands between the look and the drop
    LOCK TABLE ONLY reading IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE batch_id IS NULL)', name) INTO strays;
    IF strays
        OR EXISTS (SELECT FROM batch WHERE status = 'landed' AND landed_count > 0
            AND first_at < week + interval '7 days' AND last_at >= week)
        -- what the store behind will not take stands nowhere else
        OR EXISTS (SELECT FROM dead_letter WHERE kind = 'unstored' AND replayed_at IS NULL
            AND reading_at BETWEEN week AND week + interval '7 days') THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
    RETURN true;
END $$
"""
"""A week of readings goes only when it is shipped and cold, whoever asks."""

DDL: tuple[str, ...] = (
    only("batch", *_COUNTS),
    _DROP_WEEK,
    "REVOKE ALL ON FUNCTION series_drop_week(text, interval) FROM PUBLIC",
)
