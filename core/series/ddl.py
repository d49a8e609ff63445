"""What the landing tables need beyond their columns: append-only guards. Executed after the tables are made.

A row trigger on the partitioned table is cloned into every partition; the statement trigger against TRUNCATE is
not, so `series_make_week` puts it on each. Dropping a whole shipped partition is the one way out.
"""

_MAKE_WEEK = r"""
    CREATE OR REPLACE FUNCTION series_make_week(name text, start timestamptz, stop timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    BEGIN
        -- a week's name and bounds, and no others: whoever may call this can make nothing else
        IF name <> 'reading_' || to_char(start AT TIME ZONE 'UTC', 'YYYYMMDD') OR stop <> start + interval '7 days'
                OR extract(isodow FROM start AT TIME ZONE 'UTC') <> 1 THEN
            RAISE EXCEPTION 'a partition of readings is one week from Monday 00\:00 UTC, not % to %', start, stop
                USING ERRCODE = 'LW005';
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE reading INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE reading ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, start, stop);
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION '
            'series_append_only()', name || '_no_truncate', name);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lotwise_app') THEN
            EXECUTE format('GRANT SELECT ON %I TO lotwise_app', name);
        END IF;
    END $$
    """
"""Partitions are made at run time, by a role that owns nothing: the owner's function makes them for it."""

DDL: tuple[str, ...] = (
    """
    CREATE OR REPLACE FUNCTION series_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'LW005';
    END $$
    """,
    *(
        statement
        for table in ("reading", "reading_conflict", "series_point")
        for statement in (
            f"""CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION series_append_only()""",
            f"""CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION series_append_only()""",
        )
    ),
    _MAKE_WEEK,
    "REVOKE ALL ON FUNCTION series_make_week(text, timestamptz, timestamptz) FROM PUBLIC",
)
