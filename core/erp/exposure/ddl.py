"""What tells a live fold that something it keeps in memory has changed: its zone's row is written by another."""

from core.erp.exposure.model import GapRecord, PointHour, SourceWatermark, ZoneProfile, ZoneSummary
from core.erp.kernel.guarded import EVERY, Guarded

TABLES = (
    Guarded(GapRecord, append_only=True),
    Guarded(ZoneSummary, changes=EVERY, why="closed hours: made again from readings (design, rule 8)"),
    Guarded(ZoneProfile, changes=("from_at",), why="since when closed hours exist: made again from readings"),
    Guarded(
        PointHour,
        changes=("low", "high", "median", "readings", "rises"),
        removable=True,
        why="made again from readings that came late; kept 400 days",
    ),
    Guarded(
        SourceWatermark,
        changes=EVERY,
        removable=True,
        why="the newest word of each source: each overwrites the one before",
    ),
)

DDL: tuple[str, ...] = (
    """
    CREATE OR REPLACE VIEW gap_standing AS
    SELECT g.* FROM gap_record g
    WHERE (g.stop_at IS NULL OR g.stop_at > g.start_at)
      AND NOT EXISTS (SELECT FROM gap_record n WHERE n.replaces_id = g.id)
    """,
    """
    CREATE OR REPLACE FUNCTION lotwise_bump_zone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_TABLE_NAME = 'item_profile' THEN
            UPDATE zone_judged j SET version = version + 1 WHERE j.zone_id IN (
                SELECT s.zone_id FROM sublot s JOIN lot l ON l.id = s.lot_id WHERE l.item_id = NEW.item_id);
        ELSIF TG_TABLE_NAME = 'zone' THEN
            UPDATE zone_judged SET version = version + 1 WHERE zone_id = NEW.id;
        ELSIF TG_TABLE_NAME = 'point' THEN
            UPDATE zone_judged SET version = version + 1 WHERE zone_id = NEW.zone_id;
        ELSIF TG_TABLE_NAME = 'zone_nesting' THEN
            UPDATE zone_judged SET version = version + 1 WHERE zone_id IN (NEW.zone_id, NEW.parent_id);
        ELSIF TG_TABLE_NAME = 'installation' THEN
            UPDATE zone_judged SET version = version + 1 WHERE zone_id IN (
                SELECT zone_id FROM point WHERE id = NEW.point_id);
        ELSE
            UPDATE zone_judged SET version = version + 1 WHERE zone_id IN (
                SELECT p.zone_id FROM installation i JOIN point p ON p.id = i.point_id
                WHERE i.sensor_id = NEW.sensor_id);
        END IF;
        RETURN NULL;
    END $$
    """,
    *(
        f"""
        CREATE OR REPLACE TRIGGER {table}_bumps_zone AFTER {when} ON {table}
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
        """
        for table, when in (
            ("item_profile", "INSERT"),
            ("zone", "UPDATE"),
            ("point", "INSERT OR UPDATE"),
            ("zone_nesting", "INSERT OR UPDATE"),
            ("installation", "INSERT OR UPDATE"),
            ("calibration", "INSERT"),
            ("calibration_review", "INSERT"),
        )
    ),
)
