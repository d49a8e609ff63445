"""What the ingest's tables need beyond their columns."""

from core.erp.kernel.ddl import append_only, no_removal, only

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

_BATCH = ("status", "shipped_at", "landed_count", "duplicate_count", "conflict_count")

DDL: tuple[str, ...] = (
    *append_only("epoch_closed"),
    *no_removal("dead_letter"),
    *no_removal("ingest_alarm"),
    only("batch", *_BATCH),
    _DROP_WEEK,
    "REVOKE ALL ON FUNCTION series_drop_week(text, interval) FROM PUBLIC",
)
