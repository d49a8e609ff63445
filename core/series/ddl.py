"""What the landing tables need beyond their columns: append-only guards. Executed after the tables are made.

A row trigger on the partitioned table is cloned into every partition; the statement trigger against TRUNCATE is
not, so `landing.ensure_weeks` puts it on each. Dropping a whole shipped partition is the one way out.
"""

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
)
