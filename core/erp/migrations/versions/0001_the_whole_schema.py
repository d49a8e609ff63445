"""The whole schema: every module's tables, and the triggers, functions and views that guard them.

Written by `python -m core.erp.migrations.generate`.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BEFORE = (
    r'''
CREATE OR REPLACE FUNCTION lotwise_folded(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(normalize(words, NFKC) COLLATE "pg_c_utf8")
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_bigrams(words text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    letters text[] := string_to_array(lower(normalize(words, NFKC) COLLATE "pg_c_utf8"), NULL);
    found text[] := '{}';
BEGIN
    FOR place IN 1 .. coalesce(array_length(letters, 1), 0) LOOP
        IF place > 1 THEN
            found := found || (letters[place - 1] || letters[place]);
        END IF;
        IF ascii(letters[place]) >= 11904 THEN  -- U+2E80: one character is a word there
            found := found || letters[place];
        END IF;
    END LOOP;
    RETURN found;
END $$
    ''',
)

GUARDS = (
    r'''
CREATE OR REPLACE FUNCTION lotwise_message(id text, params jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_build_object('id', id, 'params', params)
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is forbidden: its rows are never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'LW005', DETAIL = lotwise_message('kernel.rows_never_change',
            jsonb_build_object('operation', TG_OP, 'table', TG_TABLE_NAME))::text;
END $$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV) THEN
        RAISE EXCEPTION 'of % only % may be written', TG_TABLE_NAME, array_to_string(TG_ARGV, ', ')
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('kernel.only_these_written',
                jsonb_build_object('table', TG_TABLE_NAME, 'columns', to_jsonb(TG_ARGV)))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_identity() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV LOOP
        IF to_jsonb(OLD) -> name IS DISTINCT FROM to_jsonb(NEW) -> name THEN
            RAISE EXCEPTION 'the % of a % never changes', name, TG_TABLE_NAME
                USING ERRCODE = 'LW005', DETAIL = lotwise_message('kernel.identity_never_changes',
                    jsonb_build_object('column', name, 'table', TG_TABLE_NAME))::text;
        END IF;
    END LOOP;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_cycle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- arguments: the noun, the states it may begin in, and each legal pair of states
    IF TG_OP = 'INSERT' THEN
        IF NOT NEW.state = ANY (string_to_array(TG_ARGV[1], ' ')) THEN
            RAISE EXCEPTION 'no % begins as %', replace(TG_ARGV[0], '_', ' '), NEW.state
                USING ERRCODE = 'LW003', DETAIL = lotwise_message('workflow.no_such_beginning', jsonb_build_object(
                    'record', lotwise_message('record.' || TG_ARGV[0]),
                    'state', lotwise_message('state.' || TG_ARGV[0] || '.' || NEW.state)))::text;
        END IF;
    ELSIF NEW.state <> OLD.state AND NOT OLD.state || '>' || NEW.state = ANY (TG_ARGV) THEN
        RAISE EXCEPTION 'a % % cannot become %', OLD.state, replace(TG_ARGV[0], '_', ' '), NEW.state
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('workflow.no_such_way', jsonb_build_object(
                'record', lotwise_message('record.' || TG_ARGV[0]),
                'before', lotwise_message('state.' || TG_ARGV[0] || '.' || OLD.state),
                'after', lotwise_message('state.' || TG_ARGV[0] || '.' || NEW.state)))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.signature_id IS NOT NULL AND NOT EXISTS (SELECT FROM signature s WHERE s.id = NEW.signature_id
            AND s.entity = TG_ARGV[0] AND s.entity_id = to_jsonb(NEW) ->> TG_ARGV[1]) THEN
        RAISE EXCEPTION 'signature % does not sign this %', NEW.signature_id, TG_ARGV[0]
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('kernel.signature_of_another',
                jsonb_build_object('signature_id', NEW.signature_id, 'record', TG_ARGV[0]))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER audit_seal_no_truncate BEFORE TRUNCATE ON audit_seal FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER audit_sealed_append_only BEFORE UPDATE OR DELETE ON audit_sealed FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER audit_sealed_no_truncate BEFORE TRUNCATE ON audit_sealed FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER outbox_append_only BEFORE UPDATE OR DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER signature_append_only BEFORE UPDATE OR DELETE ON signature FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER signature_no_truncate BEFORE TRUNCATE ON signature FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER app_user_no_delete BEFORE DELETE ON app_user FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER app_user_no_truncate BEFORE TRUNCATE ON app_user FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER app_user_identity BEFORE UPDATE ON app_user FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'login')
    ''',
    r'''
CREATE TRIGGER restoration_no_delete BEFORE DELETE ON restoration FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER restoration_no_truncate BEFORE TRUNCATE ON restoration FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER role_no_delete BEFORE DELETE ON role FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER role_no_truncate BEFORE TRUNCATE ON role FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER role_identity BEFORE UPDATE ON role FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'code', 'edition', 'created_at')
    ''',
    r'''
CREATE TRIGGER browser_session_identity BEFORE UPDATE ON browser_session FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'secret_hash', 'user_id', 'token_epoch', 'began_at', 'address')
    ''',
    r'''
CREATE TRIGGER work_calendar_no_delete BEFORE DELETE ON work_calendar FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_calendar_no_truncate BEFORE TRUNCATE ON work_calendar FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_calendar_identity BEFORE UPDATE ON work_calendar FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'site_id', 'timezone')
    ''',
    r'''
CREATE TRIGGER number_counter_no_delete BEFORE DELETE ON number_counter FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER number_counter_no_truncate BEFORE TRUNCATE ON number_counter FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER attachment_no_delete BEFORE DELETE ON attachment FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER attachment_no_truncate BEFORE TRUNCATE ON attachment FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER attachment_identity BEFORE UPDATE ON attachment FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'entity', 'entity_id', 'kind', 'title', 'created_at', 'created_by')
    ''',
    r'''
CREATE TRIGGER attachment_version_append_only BEFORE UPDATE OR DELETE ON attachment_version FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER attachment_version_no_truncate BEFORE TRUNCATE ON attachment_version FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER task_no_delete BEFORE DELETE ON task FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER task_no_truncate BEFORE TRUNCATE ON task FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER task_identity BEFORE UPDATE ON task FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'kind', 'entity', 'entity_id', 'site_id', 'permit', 'created_at', 'created_by')
    ''',
    r'''
CREATE TRIGGER deadline_no_delete BEFORE DELETE ON deadline FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER deadline_no_truncate BEFORE TRUNCATE ON deadline FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER deadline_identity BEFORE UPDATE ON deadline FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'term', 'entity', 'entity_id', 'site_id', 'permit', 'assignee', 'begun_at', 'begun_by')
    ''',
    r'''
CREATE TRIGGER deadline_step_no_delete BEFORE DELETE ON deadline_step FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER deadline_step_no_truncate BEFORE TRUNCATE ON deadline_step FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER deadline_step_identity BEFORE UPDATE ON deadline_step FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'deadline_id', 'kind', 'at', 'permit')
    ''',
    r'''
CREATE TRIGGER import_run_no_delete BEFORE DELETE ON import_run FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER import_run_no_truncate BEFORE TRUNCATE ON import_run FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER import_line_append_only BEFORE UPDATE OR DELETE ON import_line FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER import_line_no_truncate BEFORE TRUNCATE ON import_line FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER import_mapping_no_delete BEFORE DELETE ON import_mapping FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER import_mapping_no_truncate BEFORE TRUNCATE ON import_mapping FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER site_no_delete BEFORE DELETE ON site FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER site_no_truncate BEFORE TRUNCATE ON site FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER site_identity BEFORE UPDATE ON site FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'code')
    ''',
    r'''
CREATE TRIGGER zone_no_delete BEFORE DELETE ON zone FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER zone_no_truncate BEFORE TRUNCATE ON zone FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER zone_identity BEFORE UPDATE ON zone FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'address', 'site_id')
    ''',
    r'''
CREATE TRIGGER zone_nesting_no_delete BEFORE DELETE ON zone_nesting FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER zone_nesting_no_truncate BEFORE TRUNCATE ON zone_nesting FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER zone_nesting_only BEFORE UPDATE ON zone_nesting FOR EACH ROW EXECUTE FUNCTION lotwise_guard_only('to_at')
    ''',
    r'''
CREATE TRIGGER point_no_delete BEFORE DELETE ON point FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER point_no_truncate BEFORE TRUNCATE ON point FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER point_identity BEFORE UPDATE ON point FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'address', 'zone_id')
    ''',
    r'''
CREATE TRIGGER sensor_no_delete BEFORE DELETE ON sensor FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER sensor_no_truncate BEFORE TRUNCATE ON sensor FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER sensor_identity BEFORE UPDATE ON sensor FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'serial')
    ''',
    r'''
CREATE TRIGGER installation_no_delete BEFORE DELETE ON installation FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER installation_no_truncate BEFORE TRUNCATE ON installation FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER installation_only BEFORE UPDATE ON installation FOR EACH ROW EXECUTE FUNCTION lotwise_guard_only('to_at')
    ''',
    r'''
CREATE TRIGGER calibration_append_only BEFORE UPDATE OR DELETE ON calibration FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER calibration_no_truncate BEFORE TRUNCATE ON calibration FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER calibration_review_append_only BEFORE UPDATE OR DELETE ON calibration_review FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER calibration_review_no_truncate BEFORE TRUNCATE ON calibration_review FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER calibration_plan_no_delete BEFORE DELETE ON calibration_plan FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER calibration_plan_no_truncate BEFORE TRUNCATE ON calibration_plan FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER calibration_plan_identity BEFORE UPDATE ON calibration_plan FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'sensor_id')
    ''',
    r'''
CREATE TRIGGER storage_profile_no_delete BEFORE DELETE ON storage_profile FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER storage_profile_no_truncate BEFORE TRUNCATE ON storage_profile FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER profile_version_append_only BEFORE UPDATE OR DELETE ON profile_version FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER profile_version_no_truncate BEFORE TRUNCATE ON profile_version FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER profile_limit_append_only BEFORE UPDATE OR DELETE ON profile_limit FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER profile_limit_no_truncate BEFORE TRUNCATE ON profile_limit FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER item_no_delete BEFORE DELETE ON item FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER item_no_truncate BEFORE TRUNCATE ON item FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER item_identity BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'code')
    ''',
    r'''
CREATE TRIGGER item_profile_append_only BEFORE UPDATE OR DELETE ON item_profile FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER item_profile_no_truncate BEFORE TRUNCATE ON item_profile FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_no_delete BEFORE DELETE ON partner FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_no_truncate BEFORE TRUNCATE ON partner FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_identity BEFORE UPDATE ON partner FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'code')
    ''',
    r'''
CREATE TRIGGER partner_site_no_delete BEFORE DELETE ON partner_site FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_site_no_truncate BEFORE TRUNCATE ON partner_site FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_site_identity BEFORE UPDATE ON partner_site FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'partner_id', 'code')
    ''',
    r'''
CREATE TRIGGER partner_contact_no_delete BEFORE DELETE ON partner_contact FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_contact_no_truncate BEFORE TRUNCATE ON partner_contact FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER partner_contact_identity BEFORE UPDATE ON partner_contact FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'partner_id')
    ''',
    r'''
CREATE TRIGGER supplier_certificate_no_delete BEFORE DELETE ON supplier_certificate FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER supplier_certificate_no_truncate BEFORE TRUNCATE ON supplier_certificate FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER supplier_certificate_identity BEFORE UPDATE ON supplier_certificate FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'partner_id', 'kind', 'number')
    ''',
    r'''
CREATE TRIGGER lot_no_delete BEFORE DELETE ON lot FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER lot_no_truncate BEFORE TRUNCATE ON lot FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER lot_identity BEFORE UPDATE ON lot FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'item_id', 'number', 'maker', 'expiry')
    ''',
    r'''
CREATE TRIGGER sublot_no_delete BEFORE DELETE ON sublot FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER sublot_no_truncate BEFORE TRUNCATE ON sublot FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER sublot_identity BEFORE UPDATE ON sublot FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'lot_id', 'code', 'serial', 'created_at')
    ''',
    r'''
CREATE TRIGGER hold_no_delete BEFORE DELETE ON hold FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER hold_no_truncate BEFORE TRUNCATE ON hold FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER restriction_no_delete BEFORE DELETE ON restriction FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER restriction_no_truncate BEFORE TRUNCATE ON restriction FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER genealogy_append_only BEFORE UPDATE OR DELETE ON genealogy FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER genealogy_no_truncate BEFORE TRUNCATE ON genealogy FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER stock_move_append_only BEFORE UPDATE OR DELETE ON stock_move FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER stock_move_no_truncate BEFORE TRUNCATE ON stock_move FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER reservation_no_delete BEFORE DELETE ON reservation FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER reservation_no_truncate BEFORE TRUNCATE ON reservation FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER reservation_identity BEFORE UPDATE ON reservation FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'sublot_id', 'amount', 'purpose', 'reference')
    ''',
    r'''
CREATE TRIGGER stock_task_no_delete BEFORE DELETE ON stock_task FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER stock_task_no_truncate BEFORE TRUNCATE ON stock_task FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER custody_fact_append_only BEFORE UPDATE OR DELETE ON custody_fact FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER custody_fact_no_truncate BEFORE TRUNCATE ON custody_fact FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER handling_unit_no_delete BEFORE DELETE ON handling_unit FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER handling_unit_no_truncate BEFORE TRUNCATE ON handling_unit FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER handling_unit_content_no_delete BEFORE DELETE ON handling_unit_content FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER handling_unit_content_no_truncate BEFORE TRUNCATE ON handling_unit_content FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER handling_unit_content_only BEFORE UPDATE ON handling_unit_content FOR EACH ROW EXECUTE FUNCTION lotwise_guard_only('to_at')
    ''',
    r'''
CREATE TRIGGER gap_record_append_only BEFORE UPDATE OR DELETE ON gap_record FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER gap_record_no_truncate BEFORE TRUNCATE ON gap_record FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER incident_no_delete BEFORE DELETE ON incident FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER incident_no_truncate BEFORE TRUNCATE ON incident FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER excursion_no_delete BEFORE DELETE ON excursion FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER excursion_no_truncate BEFORE TRUNCATE ON excursion FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER disposition_append_only BEFORE UPDATE OR DELETE ON disposition FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER disposition_no_truncate BEFORE TRUNCATE ON disposition FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER batch_release_append_only BEFORE UPDATE OR DELETE ON batch_release FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER batch_release_no_truncate BEFORE TRUNCATE ON batch_release FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER deviation_no_delete BEFORE DELETE ON deviation FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER deviation_no_truncate BEFORE TRUNCATE ON deviation FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER zone_alarm_no_delete BEFORE DELETE ON zone_alarm FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER zone_alarm_no_truncate BEFORE TRUNCATE ON zone_alarm FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_centre_no_delete BEFORE DELETE ON work_centre FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_centre_no_truncate BEFORE TRUNCATE ON work_centre FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_centre_state_append_only BEFORE UPDATE OR DELETE ON work_centre_state FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_centre_state_no_truncate BEFORE TRUNCATE ON work_centre_state FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER bom_no_delete BEFORE DELETE ON bom FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER bom_no_truncate BEFORE TRUNCATE ON bom FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER bom_line_append_only BEFORE UPDATE OR DELETE ON bom_line FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER bom_line_no_truncate BEFORE TRUNCATE ON bom_line FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER routing_step_no_delete BEFORE DELETE ON routing_step FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER routing_step_no_truncate BEFORE TRUNCATE ON routing_step FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_no_delete BEFORE DELETE ON work_order FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_no_truncate BEFORE TRUNCATE ON work_order FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_identity BEFORE UPDATE ON work_order FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'code', 'item_id')
    ''',
    r'''
CREATE TRIGGER work_order_line_no_delete BEFORE DELETE ON work_order_line FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_line_no_truncate BEFORE TRUNCATE ON work_order_line FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_material_no_delete BEFORE DELETE ON work_order_material FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_material_no_truncate BEFORE TRUNCATE ON work_order_material FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_operation_no_delete BEFORE DELETE ON work_order_operation FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_operation_no_truncate BEFORE TRUNCATE ON work_order_operation FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_output_append_only BEFORE UPDATE OR DELETE ON work_order_output FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER work_order_output_no_truncate BEFORE TRUNCATE ON work_order_output FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_no_delete BEFORE DELETE ON shipment FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_no_truncate BEFORE TRUNCATE ON shipment FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_identity BEFORE UPDATE ON shipment FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'code', 'kind')
    ''',
    r'''
CREATE TRIGGER shipment_leg_no_delete BEFORE DELETE ON shipment_leg FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_leg_no_truncate BEFORE TRUNCATE ON shipment_leg FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_line_no_delete BEFORE DELETE ON shipment_line FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_line_no_truncate BEFORE TRUNCATE ON shipment_line FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_logger_no_delete BEFORE DELETE ON shipment_logger FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_logger_no_truncate BEFORE TRUNCATE ON shipment_logger FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_hand_over_append_only BEFORE UPDATE OR DELETE ON shipment_hand_over FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER shipment_hand_over_no_truncate BEFORE TRUNCATE ON shipment_hand_over FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER field_action_no_delete BEFORE DELETE ON field_action FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER field_action_no_truncate BEFORE TRUNCATE ON field_action FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER field_action_consignee_no_delete BEFORE DELETE ON field_action_consignee FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER field_action_consignee_no_truncate BEFORE TRUNCATE ON field_action_consignee FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_no_delete BEFORE DELETE ON capa FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_no_truncate BEFORE TRUNCATE ON capa FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_identity BEFORE UPDATE ON capa FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'number', 'site_id', 'kind', 'source', 'reference', 'deviation_id', 'incident_id', 'opened_at')
    ''',
    r'''
CREATE TRIGGER capa_action_no_delete BEFORE DELETE ON capa_action FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_action_no_truncate BEFORE TRUNCATE ON capa_action FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_action_identity BEFORE UPDATE ON capa_action FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'capa_id')
    ''',
    r'''
CREATE TRIGGER capa_plan_append_only BEFORE UPDATE OR DELETE ON capa_plan FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_plan_no_truncate BEFORE TRUNCATE ON capa_plan FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_check_append_only BEFORE UPDATE OR DELETE ON capa_check FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER capa_check_no_truncate BEFORE TRUNCATE ON capa_check FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_route_no_delete BEFORE DELETE ON alert_route FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_route_no_truncate BEFORE TRUNCATE ON alert_route FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER on_call_rota_no_delete BEFORE DELETE ON on_call_rota FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER on_call_rota_no_truncate BEFORE TRUNCATE ON on_call_rota FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER on_call_rota_identity BEFORE UPDATE ON on_call_rota FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'site_id')
    ''',
    r'''
CREATE TRIGGER on_call_swap_no_delete BEFORE DELETE ON on_call_swap FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER on_call_swap_no_truncate BEFORE TRUNCATE ON on_call_swap FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER on_call_swap_identity BEFORE UPDATE ON on_call_swap FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'rota_id')
    ''',
    r'''
CREATE TRIGGER absence_no_delete BEFORE DELETE ON absence FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER absence_no_truncate BEFORE TRUNCATE ON absence FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER absence_identity BEFORE UPDATE ON absence FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'login')
    ''',
    r'''
CREATE TRIGGER contact_way_no_delete BEFORE DELETE ON contact_way FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER contact_way_no_truncate BEFORE TRUNCATE ON contact_way FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER contact_way_identity BEFORE UPDATE ON contact_way FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'login', 'kind')
    ''',
    r'''
CREATE TRIGGER alert_no_delete BEFORE DELETE ON alert FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_no_truncate BEFORE TRUNCATE ON alert FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_identity BEFORE UPDATE ON alert FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'event', 'cause', 'raised_at', 'drill')
    ''',
    r'''
CREATE TRIGGER alert_part_append_only BEFORE UPDATE OR DELETE ON alert_part FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_part_no_truncate BEFORE TRUNCATE ON alert_part FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_step_no_delete BEFORE DELETE ON alert_step FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_step_no_truncate BEFORE TRUNCATE ON alert_step FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_message_no_delete BEFORE DELETE ON alert_message FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_message_no_truncate BEFORE TRUNCATE ON alert_message FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_delivery_no_delete BEFORE DELETE ON alert_delivery FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER alert_delivery_no_truncate BEFORE TRUNCATE ON alert_delivery FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER confirmation_lost_append_only BEFORE UPDATE OR DELETE ON confirmation_lost FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER confirmation_lost_no_truncate BEFORE TRUNCATE ON confirmation_lost FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER epoch_closed_append_only BEFORE UPDATE OR DELETE ON epoch_closed FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER epoch_closed_no_truncate BEFORE TRUNCATE ON epoch_closed FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER dead_letter_no_delete BEFORE DELETE ON dead_letter FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER dead_letter_no_truncate BEFORE TRUNCATE ON dead_letter FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER ingest_alarm_no_delete BEFORE DELETE ON ingest_alarm FOR EACH ROW EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER ingest_alarm_no_truncate BEFORE TRUNCATE ON ingest_alarm FOR EACH STATEMENT EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER saved_view_identity BEFORE UPDATE ON saved_view FOR EACH ROW EXECUTE FUNCTION lotwise_guard_identity('id', 'owner', 'entity', 'name')
    ''',
    r'''
CREATE TRIGGER role_cycle BEFORE INSERT OR UPDATE ON role FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('role', 'draft', 'approved>withdrawn', 'draft>approved', 'draft>withdrawn')
    ''',
    r'''
CREATE TRIGGER attachment_cycle BEFORE INSERT OR UPDATE ON attachment FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('attachment', 'current', 'current>withdrawn')
    ''',
    r'''
CREATE TRIGGER task_cycle BEFORE INSERT OR UPDATE ON task FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('task', 'open', 'open>done', 'open>taken', 'open>withdrawn', 'taken>done', 'taken>open', 'taken>taken', 'taken>withdrawn')
    ''',
    r'''
CREATE TRIGGER deadline_cycle BEFORE INSERT OR UPDATE ON deadline FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('deadline', 'open', 'open>cancelled', 'open>met', 'open>passed')
    ''',
    r'''
CREATE TRIGGER site_cycle BEFORE INSERT OR UPDATE ON site FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('site', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER zone_cycle BEFORE INSERT OR UPDATE ON zone FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('zone', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER item_cycle BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('item', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER point_cycle BEFORE INSERT OR UPDATE ON point FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('point', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER sensor_cycle BEFORE INSERT OR UPDATE ON sensor FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('sensor', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER storage_profile_cycle BEFORE INSERT OR UPDATE ON storage_profile FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('storage_profile', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER calibration_plan_cycle BEFORE INSERT OR UPDATE ON calibration_plan FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('calibration_plan', 'active', 'active>withdrawn')
    ''',
    r'''
CREATE TRIGGER partner_cycle BEFORE INSERT OR UPDATE ON partner FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('partner', 'active', 'active>blocked', 'active>withdrawn', 'blocked>active', 'blocked>withdrawn')
    ''',
    r'''
CREATE TRIGGER partner_site_cycle BEFORE INSERT OR UPDATE ON partner_site FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('partner_site', 'active', 'active>withdrawn')
    ''',
    r'''
CREATE TRIGGER partner_contact_cycle BEFORE INSERT OR UPDATE ON partner_contact FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('partner_contact', 'active', 'active>withdrawn')
    ''',
    r'''
CREATE TRIGGER supplier_certificate_cycle BEFORE INSERT OR UPDATE ON supplier_certificate FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('supplier_certificate', 'draft', 'draft>valid', 'draft>withdrawn', 'valid>expired', 'valid>withdrawn')
    ''',
    r'''
CREATE TRIGGER sublot_cycle BEFORE INSERT OR UPDATE ON sublot FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('sublot', 'expected quarantine released rejected reworked returned destroyed', 'expected>quarantine', 'quarantine>rejected', 'quarantine>released', 'rejected>destroyed', 'rejected>returned', 'rejected>reworked', 'released>quarantine', 'released>rejected')
    ''',
    r'''
CREATE TRIGGER reservation_cycle BEFORE INSERT OR UPDATE ON reservation FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('reservation', 'active', 'active>cancelled', 'active>consumed', 'active>picked', 'active>suspended', 'picked>cancelled', 'picked>consumed', 'picked>suspended', 'suspended>active', 'suspended>cancelled')
    ''',
    r'''
CREATE TRIGGER excursion_cycle BEFORE INSERT OR UPDATE ON excursion FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('excursion', 'open ended', 'assessed>dispositioned', 'assessed>open', 'assessed>superseded', 'dispositioned>closed', 'ended>assessed', 'ended>open', 'ended>superseded', 'open>assessed', 'open>ended', 'open>superseded')
    ''',
    r'''
CREATE TRIGGER deviation_cycle BEFORE INSERT OR UPDATE ON deviation FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('deviation', 'open', 'open>closed')
    ''',
    r'''
CREATE TRIGGER zone_alarm_cycle BEFORE INSERT OR UPDATE ON zone_alarm FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('alarm', 'unacknowledged', 'acknowledged>normal', 'returned_unacknowledged>normal', 'unacknowledged>acknowledged', 'unacknowledged>returned_unacknowledged')
    ''',
    r'''
CREATE TRIGGER work_centre_cycle BEFORE INSERT OR UPDATE ON work_centre FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('work_centre', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER work_order_operation_cycle BEFORE INSERT OR UPDATE ON work_order_operation FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('work_order_operation', 'waiting', 'running>done', 'running>waiting', 'waiting>running')
    ''',
    r'''
CREATE TRIGGER work_order_cycle BEFORE INSERT OR UPDATE ON work_order FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('work_order', 'planned', 'blocked>cancelled', 'blocked>material_ok', 'completed>reconciled', 'held>completed', 'held>running', 'material_ok>blocked', 'material_ok>cancelled', 'material_ok>released', 'planned>cancelled', 'planned>material_ok', 'reconciled>closed', 'released>blocked', 'released>cancelled', 'released>running', 'running>completed', 'running>held')
    ''',
    r'''
CREATE TRIGGER shipment_line_cycle BEFORE INSERT OR UPDATE ON shipment_line FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('shipment_line', 'planned', 'picked>put_back', 'picked>shipped', 'planned>picked', 'planned>put_back', 'planned>shipped')
    ''',
    r'''
CREATE TRIGGER shipment_logger_cycle BEFORE INSERT OR UPDATE ON shipment_logger FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('shipment_logger', 'required', 'required>read', 'required>waived')
    ''',
    r'''
CREATE TRIGGER field_action_cycle BEFORE INSERT OR UPDATE ON field_action FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('field_action', 'open', 'open>closed')
    ''',
    r'''
CREATE TRIGGER shipment_cycle BEFORE INSERT OR UPDATE ON shipment FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('shipment', 'planned', 'arrived>accepted', 'arrived>refused', 'dispatched>arrived', 'dispatched>in_transit', 'in_transit>arrived', 'picked>arrived', 'picked>cancelled', 'picked>dispatched', 'picked>in_transit', 'planned>arrived', 'planned>cancelled', 'planned>in_transit', 'planned>picked')
    ''',
    r'''
CREATE TRIGGER capa_cycle BEFORE INSERT OR UPDATE ON capa FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('capa', 'open', 'analysed>analysed', 'analysed>planned', 'analysed>withdrawn', 'done>analysed', 'done>closed', 'done>open', 'open>analysed', 'open>withdrawn', 'planned>analysed', 'planned>done')
    ''',
    r'''
CREATE TRIGGER capa_action_cycle BEFORE INSERT OR UPDATE ON capa_action FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('capa_action', 'open', 'done>open', 'done>verified', 'open>done', 'open>dropped')
    ''',
    r'''
CREATE TRIGGER alert_route_cycle BEFORE INSERT OR UPDATE ON alert_route FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('alert_route', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER on_call_rota_cycle BEFORE INSERT OR UPDATE ON on_call_rota FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('on_call_rota', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER on_call_swap_cycle BEFORE INSERT OR UPDATE ON on_call_swap FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('on_call_swap', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER absence_cycle BEFORE INSERT OR UPDATE ON absence FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('absence', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER contact_way_cycle BEFORE INSERT OR UPDATE ON contact_way FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('contact_way', 'active', 'active>withdrawn', 'withdrawn>active')
    ''',
    r'''
CREATE TRIGGER alert_cycle BEFORE INSERT OR UPDATE ON alert FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('alert', 'standing', 'standing>over', 'standing>taken', 'taken>over')
    ''',
    r'''
CREATE TRIGGER alert_message_cycle BEFORE INSERT OR UPDATE ON alert_message FOR EACH ROW EXECUTE FUNCTION lotwise_guard_cycle('alert_message', 'queued sent', 'queued>failed', 'queued>sent')
    ''',
    r'''
CREATE OR REPLACE FUNCTION series_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'LW005';
    END $$
    ''',
    r'''
CREATE OR REPLACE TRIGGER reading_append_only BEFORE UPDATE OR DELETE ON reading
            FOR EACH ROW EXECUTE FUNCTION series_append_only()
    ''',
    r'''
CREATE OR REPLACE TRIGGER reading_no_truncate BEFORE TRUNCATE ON reading
            FOR EACH STATEMENT EXECUTE FUNCTION series_append_only()
    ''',
    r'''
CREATE OR REPLACE TRIGGER reading_conflict_append_only BEFORE UPDATE OR DELETE ON reading_conflict
            FOR EACH ROW EXECUTE FUNCTION series_append_only()
    ''',
    r'''
CREATE OR REPLACE TRIGGER reading_conflict_no_truncate BEFORE TRUNCATE ON reading_conflict
            FOR EACH STATEMENT EXECUTE FUNCTION series_append_only()
    ''',
    r'''
CREATE OR REPLACE TRIGGER series_point_append_only BEFORE UPDATE OR DELETE ON series_point
            FOR EACH ROW EXECUTE FUNCTION series_append_only()
    ''',
    r'''
CREATE OR REPLACE TRIGGER series_point_no_truncate BEFORE TRUNCATE ON series_point
            FOR EACH STATEMENT EXECUTE FUNCTION series_append_only()
    ''',
    r'''
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
    ''',
    r'''
REVOKE ALL ON FUNCTION series_make_week(text, timestamptz, timestamptz) FROM PUBLIC
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_skip_ids() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    one regclass;
BEGIN
    FOR one IN
        SELECT d.objid FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            AND c.relnamespace = 'public'::regnamespace
    LOOP
        PERFORM setval(one, nextval(one) + 1000000);
    END LOOP;
END $$
    ''',
    r'''
REVOKE ALL ON FUNCTION lotwise_skip_ids() FROM PUBLIC
    ''',
    r'''
CREATE TRIGGER restoration_only BEFORE UPDATE ON restoration FOR EACH ROW EXECUTE FUNCTION lotwise_guard_only('signature_id', 'signed_at', 'record')
    ''',
    r'''
CREATE TRIGGER restoration_signed BEFORE INSERT OR UPDATE ON restoration FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('restoration', 'id')
    ''',
    r'''
CREATE TRIGGER restoration_once BEFORE UPDATE ON restoration
FOR EACH ROW WHEN (OLD.signature_id IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_outbox_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox_task (outbox_id, handler, attempts, next_at)
    SELECT n.id, s.handler, 0, n.at FROM fresh n JOIN outbox_subscription s ON n.topic LIKE s.pattern;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE TRIGGER outbox_tasks AFTER INSERT ON outbox REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION lotwise_outbox_tasks()
    ''',
    r'''
CREATE TRIGGER idempotency_key_once BEFORE UPDATE ON idempotency_key
FOR EACH ROW WHEN (OLD.status <> 0) EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (NEW.name, NEW.permits, NEW.outside) IS DISTINCT FROM
            (OLD.name, OLD.permits, OLD.outside) THEN
        RAISE EXCEPTION 'role % is % and stays as it is: compose a new edition', OLD.code, OLD.state
            USING ERRCODE = 'LW005',
                DETAIL = lotwise_message('access.role_stays', jsonb_build_object('code', OLD.code))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER role_guard BEFORE UPDATE ON role FOR EACH ROW EXECUTE FUNCTION lotwise_guard_role()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM app_user u WHERE u.id = NEW.user_id AND (u.roles && ARRAY['admin'] OR EXISTS (
            SELECT FROM role r WHERE r.state = 'approved' AND r.code = ANY (u.roles)
            AND 'user.manage' = ANY (r.permits)))) THEN
        RAISE EXCEPTION 'administrators sign no quality decision'
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('kernel.administrators_sign_nothing')::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER signature_guard BEFORE INSERT ON signature FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signature()
    ''',
    r'''
CREATE TRIGGER browser_session_once BEFORE UPDATE ON browser_session
FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_live_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_change (outbox_id) SELECT id FROM fresh;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE TRIGGER live_outbox AFTER INSERT ON outbox REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION lotwise_live_outbox()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_live_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_change (topic) VALUES (TG_ARGV[0] || ':' || NEW.id);
    RETURN NULL;
END $$
    ''',
    r'''
CREATE TRIGGER live_user AFTER UPDATE ON app_user FOR EACH ROW EXECUTE FUNCTION lotwise_live_row('user')
    ''',
    r'''
CREATE TRIGGER live_session AFTER UPDATE OF ended_at ON browser_session
FOR EACH ROW EXECUTE FUNCTION lotwise_live_row('session')
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_counter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.last <> 1 THEN
        RAISE EXCEPTION 'a series of numbers begins with 1'
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('numbering.begins_with_one')::text;
    ELSIF TG_OP = 'UPDATE' AND (NEW.last <> OLD.last + 1
            OR (NEW.series, NEW.site, NEW.year) IS DISTINCT FROM (OLD.series, OLD.site, OLD.year)) THEN
        RAISE EXCEPTION 'a series of numbers goes on by one'
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('numbering.goes_on_by_one')::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER number_counter_guard BEFORE INSERT OR UPDATE ON number_counter FOR EACH ROW EXECUTE FUNCTION lotwise_guard_counter()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_attachment_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT state FROM attachment WHERE id = NEW.attachment_id) IS DISTINCT FROM 'current' THEN
        RAISE EXCEPTION 'attachment % is not there or withdrawn', NEW.attachment_id
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('attachments.not_current',
                jsonb_build_object('attachment_id', NEW.attachment_id))::text;
    END IF;
    IF NEW.number <> 1 + COALESCE((SELECT max(number) FROM attachment_version
            WHERE attachment_id = NEW.attachment_id), 0) THEN
        RAISE EXCEPTION 'versions of attachment % follow one another', NEW.attachment_id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('attachments.versions_follow',
                jsonb_build_object('attachment_id', NEW.attachment_id))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER attachment_version_guard BEFORE INSERT ON attachment_version FOR EACH ROW EXECUTE FUNCTION lotwise_guard_attachment_version()
    ''',
    r'''
CREATE TRIGGER deadline_step_once BEFORE UPDATE ON deadline_step
FOR EACH ROW WHEN (OLD.done_at IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER import_run_undone_once BEFORE UPDATE ON import_run
FOR EACH ROW WHEN (OLD.undone_at IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
    ''',
    r'''
CREATE TRIGGER supplier_certificate_verified BEFORE UPDATE ON supplier_certificate
FOR EACH ROW WHEN (OLD.state <> 'draft') EXECUTE FUNCTION lotwise_guard_only('state')
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_judging_zone(zone bigint, at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up(id, depth) AS (
        SELECT zone, 0
        UNION ALL
        SELECT n.parent_id, up.depth + 1 FROM up JOIN zone_nesting n
            ON n.zone_id = up.id AND n.from_at <= at AND (n.to_at IS NULL OR n.to_at > at)
        WHERE up.depth < 16
    )
    SELECT up.id FROM up JOIN zone z ON z.id = up.id
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM point p WHERE p.zone_id = up.id AND p.role = 'required') AS monitored
    ) m
    WHERE m.monitored OR z.worst_temperature IS NOT NULL
    -- the innermost monitored one judges; where there is none, the innermost that declares its worst temperature
    ORDER BY NOT m.monitored, up.depth LIMIT 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_local_date(zone bigint, at timestamptz) RETURNS date
LANGUAGE sql STABLE AS $$
    SELECT (at AT TIME ZONE COALESCE(
        (SELECT s.timezone FROM zone z JOIN site s ON s.id = z.site_id WHERE z.id = zone), 'UTC'))::date
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_zone_at(wanted bigint, at timestamptz, otherwise bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    -- where it stood then, as known now; a fact without a zone (not with us) is an answer too
    SELECT CASE WHEN f.id IS NULL THEN otherwise ELSE f.zone_id END
    FROM (SELECT 1) one LEFT JOIN LATERAL (
        SELECT c.id, c.zone_id FROM custody_fact c
        WHERE c.sublot_id = wanted AND c.at <= lotwise_zone_at.at AND c.retracts_id IS NULL
            AND NOT EXISTS (SELECT FROM custody_fact r WHERE r.sublot_id = wanted AND r.retracts_id = c.id)
        ORDER BY c.at DESC, c.known_at DESC, c.id DESC LIMIT 1
    ) f ON true
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_obstacles(ids bigint[], wanted text, at timestamptz)
RETURNS TABLE (sublot_id bigint, kind text, message jsonb, hold_id bigint)
LANGUAGE sql STABLE SET plan_cache_mode = force_generic_plan AS $$
    WITH policy(purpose, states, held, expired, unjudged, restricted) AS (VALUES
        ('sale', ARRAY['released'], true, true, true, true),
        ('use', ARRAY['released'], true, true, true, true),
        ('sampling', ARRAY['quarantine', 'rejected', 'released'], false, false, false, false),
        ('rescue', ARRAY['quarantine', 'rejected', 'released'], false, false, false, false),
        ('quarantine_transfer', ARRAY['quarantine', 'rejected', 'released'], false, false, false, false),
        ('supplier_return', ARRAY['rejected', 'returned'], true, false, false, true),
        ('destruction', ARRAY['destroyed', 'rejected'], true, false, false, false)
    ), s AS (
        SELECT b.id, b.state, z.zone_id, b.lot_id, l.expiry, l.item_id, p.*, lotwise_local_date(z.zone_id, at) AS today
        FROM sublot b JOIN lot l ON l.id = b.lot_id JOIN policy p ON p.purpose = wanted
        CROSS JOIN LATERAL (SELECT lotwise_zone_at(b.id, at, b.zone_id) AS zone_id) z
        WHERE b.id = ANY (ids)
    )
    SELECT s.id, 'held', lotwise_message('lots.held_since', jsonb_build_object('since', h.since_at,
        'reason', COALESCE(h.reason_message, to_jsonb(h.reason)))), h.id
    FROM s JOIN hold h ON h.lifted_at IS NULL AND h.sublot_id = s.id WHERE s.held
    UNION ALL
    SELECT s.id, 'held', lotwise_message('lots.lot_held_since', jsonb_build_object('since', h.since_at,
        'reason', COALESCE(h.reason_message, to_jsonb(h.reason)))), h.id
    FROM s JOIN hold h ON h.lifted_at IS NULL AND h.lot_id = s.lot_id WHERE s.held
    UNION ALL
    SELECT s.id, 'restored', lotwise_message('lots.database_restored',
        jsonb_build_object('at', r.at, 'restoration_id', r.id)), NULL::bigint
    FROM s JOIN (
        SELECT r.id, COALESCE((SELECT k.at FROM audit_seal k WHERE k.number = r.database_seal), r.found_at) AS at
        FROM restoration r WHERE r.signature_id IS NULL ORDER BY r.id LIMIT 1
    ) r ON s.held
    UNION ALL
    SELECT s.id, 'expired', lotwise_message('lots.expired', jsonb_build_object('day', s.expiry)), NULL::bigint
    FROM s WHERE s.expired AND s.expiry IS NOT NULL AND s.today > s.expiry
    UNION ALL
    SELECT s.id, 'unreleased', lotwise_message('lots.unreleased', jsonb_build_object(
        'state', lotwise_message('state.sublot.' || s.state),
        'states', (SELECT jsonb_agg(lotwise_message('state.sublot.' || one)) FROM unnest(s.states) one))), NULL::bigint
    FROM s WHERE NOT s.state = ANY (s.states)
    UNION ALL
    SELECT s.id, 'restricted', CASE r.kind
        WHEN 'purpose' THEN lotwise_message('lots.not_for_purpose',
            jsonb_build_object('purpose', lotwise_message('purpose.' || wanted)))
        WHEN 'use_by' THEN lotwise_message('lots.to_be_used_by', jsonb_build_object('day', r.value -> 'date'))
        ELSE lotwise_message('lots.remaining_life_missing', jsonb_build_object('days', r.value -> 'days'))
        END, NULL::bigint
    FROM s JOIN restriction r ON r.sublot_id = s.id AND r.lifted_at IS NULL
    WHERE s.restricted AND CASE r.kind
        WHEN 'purpose' THEN COALESCE(NOT r.value -> 'only' ? wanted, r.value -> 'except' ? wanted)
        WHEN 'use_by' THEN s.today > (r.value ->> 'date')::date
        WHEN 'remaining_life' THEN s.expiry IS NULL OR s.expiry - s.today < (r.value ->> 'days')::int
        ELSE false END
    UNION ALL
    SELECT s.id, 'unjudged', CASE
        WHEN j.zone IS NULL THEN lotwise_message('lots.zone_not_measured')
        WHEN past.id IS NOT NULL THEN lotwise_message('lots.no_good_reading_between',
            jsonb_build_object('start', past.start_at, 'stop', past.stop_at))
        WHEN zj.last_good_at IS NULL THEN lotwise_message('lots.no_good_reading')
        ELSE lotwise_message('lots.no_good_reading_since', jsonb_build_object('since', zj.last_good_at))
        END, NULL::bigint
    FROM s
    JOIN LATERAL (
        SELECT v.allowed_gap FROM item_profile ip JOIN profile_version v ON v.id = ip.version_id
        WHERE ip.item_id = s.item_id AND ip.from_at <= at ORDER BY ip.from_at DESC, ip.id DESC LIMIT 1
    ) gap ON true
    CROSS JOIN LATERAL (SELECT lotwise_judging_zone(s.zone_id, at) AS zone) j
    LEFT JOIN zone_judged zj ON zj.zone_id = j.zone
    -- a fact learned late: the zone has spoken since, yet it may have been silent then
    LEFT JOIN LATERAL (
        SELECT g.id, g.start_at, g.stop_at FROM gap_record g JOIN point p ON p.id = g.point_id AND p.role = 'required'
        WHERE zj.last_good_at > at AND p.zone_id = j.zone AND g.start_at < at AND g.stop_at > at
            AND NOT EXISTS (SELECT FROM gap_record n WHERE n.replaces_id = g.id)
        ORDER BY g.start_at LIMIT 1
    ) past ON true
    WHERE s.unjudged AND (
        j.zone IS NULL
        OR past.id IS NOT NULL
        OR (EXISTS (SELECT FROM point p WHERE p.zone_id = j.zone AND p.role = 'required')
            AND (zj.last_good_at IS NULL OR at > zj.last_good_at + gap.allowed_gap))
    )
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_on_hand(wanted bigint) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT COALESCE(sum(CASE WHEN target = 'stock' THEN amount WHEN source = 'stock' THEN -amount END), 0)
    FROM stock_move WHERE sublot_id = wanted
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_free(wanted bigint, but bigint) RETURNS numeric LANGUAGE sql STABLE AS $$
    -- on hand and kept for nobody else than the reservation `but`
    SELECT lotwise_on_hand(wanted) - COALESCE((SELECT sum(r.amount) FROM reservation r
        WHERE r.sublot_id = wanted AND r.state IN ('active', 'picked') AND r.id IS DISTINCT FROM but), 0)
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    left_over numeric;
    against jsonb;
BEGIN
    PERFORM FROM sublot WHERE id = NEW.sublot_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'sublot % does not exist', NEW.sublot_id
            USING ERRCODE = 'LW004', DETAIL = lotwise_message('kernel.no_record',
                jsonb_build_object('record', lotwise_message('record.sublot'), 'number', NEW.sublot_id))::text;
    END IF;
    IF 'stock' NOT IN (NEW.source, NEW.target) THEN
        RAISE EXCEPTION 'a move goes into stock or out of it'
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.move_beside_stock')::text;
    END IF;
    IF NEW.source <> 'stock' THEN
        RETURN NEW;
    END IF;
    IF NEW.purpose = 'reversal' THEN
        IF NEW.reverses_id IS NULL OR NOT EXISTS (SELECT FROM stock_move m WHERE m.id = NEW.reverses_id
                AND m.sublot_id = NEW.sublot_id AND m.target = 'stock' AND m.source = NEW.target
                AND m.amount = NEW.amount) THEN
            RAISE EXCEPTION 'a reversal names the move it undoes, and undoes all of it'
                USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.reversal_of_part')::text;
        END IF;
    ELSIF NOT EXISTS (SELECT FROM (VALUES ('sale', 'customer'), ('use', 'production'), ('sampling', 'sample'), ('supplier_return', 'supplier'), ('destruction', 'scrap'), ('split', 'split'), ('merge', 'split'), ('adjustment', 'adjustment')) AS t(purpose, target)
            WHERE t.purpose = NEW.purpose AND t.target = NEW.target) THEN
        RAISE EXCEPTION 'stock does not go to % for %', NEW.target, NEW.purpose
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.target_forbidden',
                jsonb_build_object('target', lotwise_message('account.' || NEW.target),
                    'purpose', lotwise_message('purpose.' || NEW.purpose)))::text;
    END IF;
    left_over := lotwise_on_hand(NEW.sublot_id) - NEW.amount;
    IF left_over < 0 THEN
        RAISE EXCEPTION 'sublot % would have % on hand', NEW.sublot_id, left_over
            USING ERRCODE = 'LW002', DETAIL = lotwise_message('lots.below_nothing',
                jsonb_build_object('sublot_id', NEW.sublot_id, 'left', left_over::text))::text;
    END IF;
    IF NOT NEW.fact THEN
        SELECT jsonb_agg(lotwise_message('lots.obstacle',
            jsonb_build_object('kind', lotwise_message('obstacle.' || o.kind), 'why', o.message))) INTO against
        FROM lotwise_obstacles(ARRAY[NEW.sublot_id], NEW.purpose, NEW.posted_at) o;
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'sublot % may not be taken for %', NEW.sublot_id, NEW.purpose
                USING ERRCODE = 'LW001', DETAIL = lotwise_message('lots.not_movable', jsonb_build_object(
                    'code', (SELECT code FROM sublot WHERE id = NEW.sublot_id),
                    'purpose', lotwise_message('purpose.' || NEW.purpose), 'against', against))::text;
        END IF;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER stock_move_guard BEFORE INSERT ON stock_move FOR EACH ROW EXECUTE FUNCTION lotwise_guard_move()
    ''',
    r'''
ALTER TABLE stock_move ADD CONSTRAINT stock_move_purpose CHECK (purpose IN ('sale', 'use', 'sampling', 'rescue', 'quarantine_transfer', 'supplier_return', 'destruction', 'receipt', 'split', 'merge', 'adjustment', 'reversal'))
    ''',
    r'''
ALTER TABLE stock_move ADD CONSTRAINT stock_move_source CHECK (source IN ('stock', 'supplier', 'production', 'customer', 'scrap', 'sample', 'split', 'adjustment'))
    ''',
    r'''
ALTER TABLE stock_move ADD CONSTRAINT stock_move_target CHECK (target IN ('stock', 'supplier', 'production', 'customer', 'scrap', 'sample', 'split', 'adjustment'))
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_split() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(CASE WHEN m.target = 'split' THEN m.amount ELSE -m.amount END) FROM stock_move m
            WHERE m.reference = NEW.reference AND m.purpose IN ('split', 'merge')) <> 0 THEN
        RAISE EXCEPTION '%: what goes into a split comes out of it', NEW.reference
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.split_unbalanced',
                jsonb_build_object('reference', NEW.reference))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER stock_move_split AFTER INSERT ON stock_move DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN ('split' IN (NEW.source, NEW.target)) EXECUTE FUNCTION lotwise_guard_split()
    ''',
    r'''
ALTER TABLE reservation ADD CONSTRAINT reservation_purpose CHECK (purpose IN ('sale', 'use', 'sampling', 'rescue', 'quarantine_transfer', 'supplier_return', 'destruction'))
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    begins boolean := TG_OP = 'INSERT' OR OLD.state = 'suspended';
    free numeric;
    against jsonb;
BEGIN
    IF NEW.state NOT IN ('active', 'picked') OR (TG_OP = 'UPDATE' AND NEW.state = OLD.state) THEN
        RETURN NEW;
    END IF;
    PERFORM FROM sublot WHERE id = NEW.sublot_id FOR UPDATE;
    -- what depends on the time of day is asked when it is made and when it is posted: here only the former is known
    SELECT jsonb_agg(lotwise_message('lots.obstacle',
            jsonb_build_object('kind', lotwise_message('obstacle.' || o.kind), 'why', o.message))) INTO against
    FROM lotwise_obstacles(ARRAY[NEW.sublot_id], NEW.purpose, NEW.created_at) o
    WHERE TG_OP = 'INSERT' OR o.kind IN ('held', 'unreleased');
    IF against IS NOT NULL THEN
        RAISE EXCEPTION 'sublot % may not be taken for %', NEW.sublot_id, NEW.purpose
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('lots.not_movable', jsonb_build_object(
                    'code', (SELECT code FROM sublot WHERE id = NEW.sublot_id),
                    'purpose', lotwise_message('purpose.' || NEW.purpose), 'against', against))::text;
    END IF;
    free := lotwise_free(NEW.sublot_id, NEW.id);
    IF begins AND free < NEW.amount THEN
        RAISE EXCEPTION 'sublot % has % free', NEW.sublot_id, free
            USING ERRCODE = 'LW002', DETAIL = lotwise_message('lots.sublot_has_free',
                jsonb_build_object('sublot_id', NEW.sublot_id, 'free', free::text))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER reservation_guard BEFORE INSERT OR UPDATE OF state ON reservation
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_reservation()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before hold := OLD;
    rank text[] := ARRAY['unproven', 'uncertain', 'proven'];
BEGIN
    IF OLD.lifted_at IS NOT NULL THEN
        RAISE EXCEPTION 'hold % is lifted and stays as it is', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.hold_lifted_stays',
                jsonb_build_object('hold_id', OLD.id))::text;
    END IF;
    IF NEW.certainty IS DISTINCT FROM OLD.certainty AND
            COALESCE(array_position(rank, NEW.certainty), 0) < COALESCE(array_position(rank, OLD.certainty), 0) THEN
        RAISE EXCEPTION 'the certainty of hold % only grows', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.certainty_only_grows',
                jsonb_build_object('hold_id', OLD.id))::text;
    END IF;
    before.lifted_at := NEW.lifted_at;
    before.lifted_by := NEW.lifted_by;
    before.lift_reason := NEW.lift_reason;
    before.certainty := NEW.certainty;
    IF before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'of hold % only its lifting may be written', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.hold_only_lifted',
                jsonb_build_object('hold_id', OLD.id))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER hold_guard BEFORE UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION lotwise_guard_hold()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_sublot_site() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.site_id := (SELECT z.site_id FROM zone z WHERE z.id = NEW.zone_id);
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER sublot_site BEFORE INSERT OR UPDATE OF zone_id ON sublot
FOR EACH ROW WHEN (NEW.zone_id IS NOT NULL) EXECUTE FUNCTION lotwise_sublot_site()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_restriction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before restriction := OLD;
BEGIN
    before.lifted_at := NEW.lifted_at;
    before.lifted_by := NEW.lifted_by;
    IF OLD.lifted_at IS NOT NULL OR before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'of restriction % only its lifting may be written', OLD.id
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('lots.restriction_only_lifted',
                jsonb_build_object('restriction_id', OLD.id))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER restriction_guard BEFORE UPDATE ON restriction
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_restriction()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_genealogy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM sublot WHERE id IN (NEW.parent_id, NEW.child_id) ORDER BY id FOR UPDATE;
    IF (NEW.transformation LIKE 'split:%' OR NEW.transformation LIKE 'merge:%') AND NOT EXISTS (
            SELECT FROM sublot p JOIN sublot c ON (c.lot_id, c.state) = (p.lot_id, p.state)
            WHERE p.id = NEW.parent_id AND c.id = NEW.child_id) THEN
        RAISE EXCEPTION 'sublots of one lot and one state are split and merged, not % and %', NEW.parent_id,
            NEW.child_id USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.split_across',
                jsonb_build_object('parent_id', NEW.parent_id, 'child_id', NEW.child_id))::text;
    END IF;
    -- Two edges that share no sublot can close a circle together: only one transaction links at a time.
    PERFORM pg_advisory_xact_lock(hashtext('lotwise.genealogy'));
    IF EXISTS (
        WITH RECURSIVE down(id) AS (
            SELECT NEW.child_id
            UNION
            SELECT g.child_id FROM genealogy g JOIN down ON g.parent_id = down.id
        ) SELECT FROM down WHERE id = NEW.parent_id
    ) THEN
        RAISE EXCEPTION 'sublot % is made from sublot % already', NEW.parent_id, NEW.child_id
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.genealogy_circle',
                jsonb_build_object('parent_id', NEW.parent_id, 'child_id', NEW.child_id))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER genealogy_guard BEFORE INSERT ON genealogy FOR EACH ROW EXECUTE FUNCTION lotwise_guard_genealogy()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_born_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM hold WHERE sublot_id = NEW.parent_id AND lifted_at IS NULL)
            AND NOT EXISTS (SELECT FROM hold h WHERE h.sublot_id = NEW.child_id) THEN
        RAISE EXCEPTION 'sublot % comes from held sublot % and must be held', NEW.child_id, NEW.parent_id
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('lots.born_unheld',
                jsonb_build_object('child_id', NEW.child_id, 'parent_id', NEW.parent_id))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER genealogy_born_held AFTER INSERT ON genealogy DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION lotwise_born_held()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_born_as() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM genealogy g WHERE g.child_id = NEW.id
            AND (g.transformation LIKE 'split:%' OR g.transformation LIKE 'merge:%')) THEN
        RAISE EXCEPTION 'sublot % begins in quarantine: only a split and a merger begin as %', NEW.code, NEW.state
            USING ERRCODE = 'LW003', DETAIL = lotwise_message('lots.born_otherwise',
                jsonb_build_object('code', NEW.code, 'state', lotwise_message('state.sublot.' || NEW.state)))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER sublot_born_as AFTER INSERT ON sublot DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state NOT IN ('expected', 'quarantine')) EXECUTE FUNCTION lotwise_born_as()
    ''',
    r'''
CREATE OR REPLACE VIEW gap_standing AS
    SELECT g.* FROM gap_record g
    WHERE (g.stop_at IS NULL OR g.stop_at > g.start_at)
      AND NOT EXISTS (SELECT FROM gap_record n WHERE n.replaces_id = g.id)
    ''',
    r'''
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
    ''',
    r'''
CREATE OR REPLACE TRIGGER item_profile_bumps_zone AFTER INSERT ON item_profile
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE TRIGGER zone_bumps_zone AFTER UPDATE ON zone
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE TRIGGER point_bumps_zone AFTER INSERT OR UPDATE ON point
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE TRIGGER zone_nesting_bumps_zone AFTER INSERT OR UPDATE ON zone_nesting
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE TRIGGER installation_bumps_zone AFTER INSERT OR UPDATE ON installation
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE TRIGGER calibration_bumps_zone AFTER INSERT ON calibration
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE TRIGGER calibration_review_bumps_zone AFTER INSERT ON calibration_review
        FOR EACH ROW EXECUTE FUNCTION lotwise_bump_zone()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM disposition d WHERE d.excursion_id = NEW.id) THEN
        RAISE EXCEPTION 'excursion % is disposed of by a signed disposition only', NEW.id
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.disposed_of_unsigned',
                jsonb_build_object('excursion_id', NEW.id))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER excursion_decided AFTER UPDATE OF state ON excursion DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state = 'dispositioned') EXECUTE FUNCTION lotwise_guard_decided()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_keep_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM excursion e WHERE e.id = NEW.excursion_id
            AND e.state IN ('assessed', 'ended', 'open')) THEN
        RAISE EXCEPTION 'hold % is lifted by disposing of excursion %', NEW.id, NEW.excursion_id
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.hold_of_excursion',
                jsonb_build_object('hold_id', NEW.id, 'excursion_id', NEW.excursion_id))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER hold_kept AFTER UPDATE OF lifted_at ON hold DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.lifted_at IS NOT NULL AND NEW.excursion_id IS NOT NULL) EXECUTE FUNCTION lotwise_keep_hold()
    ''',
    r'''
CREATE TRIGGER disposition_signed BEFORE INSERT OR UPDATE ON disposition FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('excursion', 'excursion_id')
    ''',
    r'''
CREATE TRIGGER batch_release_signed BEFORE INSERT OR UPDATE ON batch_release FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('sublot', 'sublot_id')
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_release() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against jsonb;
BEGIN
    SELECT jsonb_agg(f.what) INTO against FROM (
        SELECT lotwise_message('quality.held',
            jsonb_build_object('reason', COALESCE(h.reason_message, to_jsonb(h.reason)))) FROM hold h
        WHERE h.lifted_at IS NULL AND (h.sublot_id = NEW.id OR h.lot_id = NEW.lot_id)
        UNION ALL
        SELECT lotwise_message('quality.excursion_undecided', jsonb_build_object('excursion_id', e.id,
            'state', lotwise_message('state.excursion.' || e.state))) FROM excursion e
        WHERE e.sublot_id = NEW.id AND e.state IN ('assessed', 'ended', 'open')
    ) AS f(what);
    IF against IS NOT NULL THEN
        RAISE EXCEPTION 'sublot % may not be released', NEW.code
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.may_not_be_released',
                jsonb_build_object('code', NEW.code, 'against', against))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER sublot_release BEFORE UPDATE OF state ON sublot
FOR EACH ROW WHEN (NEW.state = 'released' AND OLD.state <> 'released') EXECUTE FUNCTION lotwise_guard_release()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- this very release: one of the past stands for the goods as they were then
    IF NOT EXISTS (SELECT FROM batch_release b WHERE b.sublot_id = NEW.id
            AND b.transaction = pg_current_xact_id()::text::bigint) THEN
        RAISE EXCEPTION 'sublot % is released by a batch release only', NEW.code
            USING ERRCODE = 'LW001', DETAIL = lotwise_message('quality.released_otherwise',
                jsonb_build_object('code', NEW.code))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER sublot_released AFTER UPDATE OF state ON sublot DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state = 'released' AND OLD.state <> 'released') EXECUTE FUNCTION lotwise_guard_released()
    ''',
    r'''
CREATE TRIGGER deviation_only BEFORE UPDATE ON deviation FOR EACH ROW EXECUTE FUNCTION lotwise_guard_only('state', 'conclusion', 'closed_by', 'closed_at')
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_excursion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before excursion := OLD;
BEGIN
    before.state := NEW.state;
    IF OLD.state = 'dispositioned' AND OLD.accepted IS NULL THEN
        before.accepted := NEW.accepted;
    END IF;
    IF OLD.state IN ('dispositioned', 'closed', 'superseded') AND before IS DISTINCT FROM NEW THEN
        RAISE EXCEPTION 'excursion % is % and stays as it is', OLD.id, OLD.state
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('quality.excursion_stays', jsonb_build_object(
                'excursion_id', OLD.id, 'state', lotwise_message('state.excursion.' || OLD.state)))::text;
    END IF;
    IF (NEW.id, NEW.sublot_id, NEW.version_id, NEW.limit_key, NEW.started_at, NEW.accepted_before) IS DISTINCT FROM
            (OLD.id, OLD.sublot_id, OLD.version_id, OLD.limit_key, OLD.started_at, OLD.accepted_before) THEN
        RAISE EXCEPTION 'an excursion keeps its identity'
            USING ERRCODE = 'LW005', DETAIL = lotwise_message('quality.excursion_keeps_identity')::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER excursion_guard BEFORE UPDATE ON excursion FOR EACH ROW EXECUTE FUNCTION lotwise_guard_excursion()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_work_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against jsonb;
BEGIN
    IF NEW.state <> OLD.state AND NEW.state IN ('material_ok', 'released', 'running') THEN
        PERFORM FROM sublot WHERE id IN (SELECT sublot_id FROM work_order_material WHERE order_id = NEW.id)
            ORDER BY id FOR SHARE;
        SELECT jsonb_agg(DISTINCT COALESCE(h.reason_message, to_jsonb(h.reason))) INTO against
        FROM work_order_material m LEFT JOIN reservation r ON r.id = m.reservation_id
        JOIN sublot s ON s.id = m.sublot_id
        JOIN hold h ON h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)
        WHERE m.order_id = NEW.id AND (r.state IS NULL OR r.state <> 'cancelled');
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'the material of work order % is held', NEW.code
                USING ERRCODE = 'LW001', DETAIL = lotwise_message('production.material_of_order_held',
                    jsonb_build_object('code', NEW.code, 'reasons', against))::text;
        END IF;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER work_order_guard BEFORE UPDATE ON work_order
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_work_order()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_shipment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    against jsonb;
BEGIN
    IF NEW.state <> OLD.state AND NEW.state IN ('dispatched', 'accepted') THEN
        SELECT jsonb_agg(COALESCE(h.reason_message, to_jsonb(h.reason))) INTO against FROM hold h
        WHERE h.lifted_at IS NULL AND (h.shipment_id = NEW.id OR EXISTS (
            SELECT FROM shipment_line l JOIN sublot s ON s.id = l.sublot_id
            WHERE l.shipment_id = NEW.id AND l.state <> 'put_back' AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)));
        IF against IS NOT NULL THEN
            RAISE EXCEPTION 'shipment % is held', NEW.code
                USING ERRCODE = 'LW001', DETAIL = lotwise_message('shipments.held',
                    jsonb_build_object('code', NEW.code, 'reasons', against))::text;
        END IF;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER shipment_guard BEFORE UPDATE ON shipment FOR EACH ROW EXECUTE FUNCTION lotwise_guard_shipment()
    ''',
    r'''
CREATE TRIGGER shipment_logger_signed BEFORE INSERT OR UPDATE ON shipment_logger FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('shipment_logger', 'id')
    ''',
    r'''
CREATE TRIGGER shipment_hand_over_signed BEFORE INSERT OR UPDATE ON shipment_hand_over FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('shipment', 'shipment_id')
    ''',
    r'''
CREATE TRIGGER capa_signed BEFORE UPDATE ON capa
FOR EACH ROW WHEN (OLD.state NOT IN ('open', 'analysed')) EXECUTE FUNCTION lotwise_guard_only('state')
    ''',
    r'''
CREATE TRIGGER capa_action_done BEFORE UPDATE ON capa_action
FOR EACH ROW WHEN (OLD.state <> 'open')
EXECUTE FUNCTION lotwise_guard_only('state', 'result', 'done_by', 'done_at')
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_capa() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest capa_plan;
    lacking text;
BEGIN
    SELECT * INTO newest FROM capa_plan p WHERE p.capa_id = NEW.id ORDER BY p.id DESC LIMIT 1;
    -- this very plan: one of the past stands for what was meant then
    IF NEW.state = 'planned' AND newest.transaction IS DISTINCT FROM pg_current_xact_id()::text::bigint THEN
        lacking := 'capa.planned_unsigned';
    ELSIF (NEW.state = 'closed' OR OLD.state = 'done' AND NEW.state = 'open') AND NOT EXISTS (SELECT FROM capa_check c
            WHERE c.plan_id = newest.id AND c.effective = (NEW.state = 'closed')) THEN
        lacking := 'capa.unchecked';
    ELSIF NEW.state = 'withdrawn' AND newest.id IS NOT NULL THEN
        lacking := 'capa.planned_already';
    END IF;
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'CAPA % does not become %: no plan or check is signed for it', NEW.number, NEW.state
            USING ERRCODE = 'LW001',
            DETAIL = lotwise_message(lacking, jsonb_build_object('number', NEW.number))::text;
    END IF;
    RETURN NULL;
END $$
    ''',
    r'''
CREATE CONSTRAINT TRIGGER capa_moved AFTER UPDATE OF state ON capa DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION lotwise_guard_capa()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_capa_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    plan record;
    checker bigint := (SELECT s.user_id FROM signature s WHERE s.id = NEW.signature_id);
BEGIN
    SELECT c.number, p.check_from, s.user_id INTO plan FROM capa c
        LEFT JOIN capa_plan p ON p.id = NEW.plan_id AND p.capa_id = c.id
        LEFT JOIN signature s ON s.id = p.signature_id WHERE c.id = NEW.capa_id;
    IF plan.check_from IS NULL THEN
        RAISE EXCEPTION 'CAPA % has no such plan', plan.number USING ERRCODE = 'LW001',
            DETAIL = lotwise_message('capa.planned_unsigned', jsonb_build_object('number', plan.number))::text;
    ELSIF NEW.signed_at < plan.check_from THEN
        RAISE EXCEPTION 'CAPA % is checked too early', plan.number USING ERRCODE = 'LW001',
            DETAIL = lotwise_message('capa.checked_too_early',
                jsonb_build_object('number', plan.number, 'since', plan.check_from))::text;
    ELSIF checker = plan.user_id THEN
        RAISE EXCEPTION 'CAPA % is checked by who has planned it', plan.number USING ERRCODE = 'LW001',
            DETAIL = lotwise_message('capa.checked_by_planner',
                jsonb_build_object('number', plan.number, 'login', NEW.signed_by))::text;
    END IF;
    RETURN NEW;
END $$
    ''',
    r'''
CREATE TRIGGER capa_check_guard BEFORE INSERT ON capa_check
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_capa_check()
    ''',
    r'''
CREATE OR REPLACE FUNCTION lotwise_guard_capa_action() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    its capa;
BEGIN
    SELECT * INTO its FROM capa c WHERE c.id = NEW.capa_id;
    IF its.state IN ('open', 'analysed')
            OR TG_OP = 'UPDATE' AND (NEW.what, NEW.owner, NEW.due_on) = (OLD.what, OLD.owner, OLD.due_on) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the plan of CAPA % is signed', its.number USING ERRCODE = 'LW001',
        DETAIL = lotwise_message('capa.plan_is_signed', jsonb_build_object('number', its.number,
            'state', lotwise_message('state.capa.' || its.state)))::text;
END $$
    ''',
    r'''
CREATE TRIGGER capa_action_guard BEFORE INSERT OR UPDATE ON capa_action
FOR EACH ROW EXECUTE FUNCTION lotwise_guard_capa_action()
    ''',
    r'''
CREATE TRIGGER capa_plan_signed BEFORE INSERT OR UPDATE ON capa_plan FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('capa', 'capa_id')
    ''',
    r'''
CREATE TRIGGER capa_check_signed BEFORE INSERT OR UPDATE ON capa_check FOR EACH ROW EXECUTE FUNCTION lotwise_guard_signed('capa', 'capa_id')
    ''',
    r'''
CREATE TRIGGER batch_only BEFORE UPDATE ON batch FOR EACH ROW EXECUTE FUNCTION lotwise_guard_only('status', 'shipped_at', 'landed_count', 'duplicate_count', 'conflict_count')
    ''',
    r'''
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
    ''',
    r'''
REVOKE ALL ON FUNCTION series_drop_week(text, interval) FROM PUBLIC
    ''',
    r'''
CREATE OR REPLACE VIEW v_zone_status AS
SELECT z.id AS zone_id, split_part(z.address, '/', 1) AS site, split_part(z.address, '/', 2) AS area, z.address AS zone,
    z.name, z.kind, z.band_low, z.band_high, j.last_value, j.last_good_at, j.judged_to,
    j.watermark, j.silent_since, z.accepts_held, z.simulated,
    (SELECT count(*) FROM sublot s WHERE s.zone_id = z.id) AS sublots,
    (SELECT count(*) FROM zone_alarm a WHERE a.zone_id = z.id AND a.state <> 'normal') AS alarms,
    CASE
        WHEN j.silent_since IS NOT NULL THEN 'silent'
        WHEN j.last_value IS NULL THEN 'unknown'
        WHEN j.last_value > z.band_high THEN 'high'
        WHEN j.last_value < z.band_low THEN 'low'
        ELSE 'in range'
    END AS status
FROM zone z LEFT JOIN zone_judged j ON j.zone_id = z.id WHERE z.state = 'active'
    ''',
    r'''
CREATE OR REPLACE VIEW v_excursions_timeline AS
SELECT e.id, e.incident_id, e.sublot_id, z.address AS zone, i.code AS item, l.number AS lot, s.code AS sublot,
    e.limit_key, e.kind, e.certainty, e.state, e.started_at, e.broke_at, e.ended_at, e.known_at,
    extract(epoch FROM e.out) / 60 AS minutes_out, e.lowest, e.highest
FROM excursion e
JOIN sublot s ON s.id = e.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
LEFT JOIN zone z ON z.id = e.zone_id
WHERE e.state <> 'superseded'
    ''',
    r'''
CREATE OR REPLACE VIEW v_open_excursions AS
SELECT * FROM v_excursions_timeline WHERE state IN ('open', 'ended', 'assessed')
    ''',
    r'''
CREATE OR REPLACE VIEW v_holds AS
SELECT h.id, h.sublot_id, h.shipment_id, h.kind, h.certainty, h.reason, coalesce(l.number, sl.number) AS lot,
    s.code AS sublot,
    sh.code AS shipment, z.address AS zone, h.excursion_id, h.since_at, h.placed_at, h.placed_by, h.lift_permit,
    h.lifted_at, h.lifted_by
FROM hold h
LEFT JOIN lot l ON l.id = h.lot_id
LEFT JOIN sublot s ON s.id = h.sublot_id LEFT JOIN lot sl ON sl.id = s.lot_id LEFT JOIN zone z ON z.id = s.zone_id
LEFT JOIN shipment sh ON sh.id = h.shipment_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_zone_alarms AS
SELECT a.id, z.address AS zone, a.kind, a.state, a.value, a.started_at, a.raised_at, a.returned_at,
    a.acknowledged_at, a.acknowledged_by, a.shelved_until
FROM zone_alarm a JOIN zone z ON z.id = a.zone_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_gaps AS
SELECT min(g.id) AS id, z.address AS zone, p.address AS point, min(g.start_at) AS start_at,
    nullif(max(g.stops_at), 'infinity') AS stop_at, g.reason, min(g.known_at) AS known_at,
    extract(epoch FROM nullif(max(g.stops_at), 'infinity') - min(g.start_at)) / 60 AS minutes, count(*) AS silences
FROM (
    SELECT f.*, sum(f.fresh) OVER (PARTITION BY f.in_zone, f.point_id, f.reason ORDER BY f.start_at, f.id) AS run
    FROM (
        SELECT s.*, coalesce(s.zone_id, p.zone_id) AS in_zone, coalesce(s.stop_at, 'infinity') AS stops_at,
            CASE WHEN s.start_at <= z.allowed_gap + max(coalesce(s.stop_at, 'infinity')) OVER (
                PARTITION BY coalesce(s.zone_id, p.zone_id), s.point_id, s.reason ORDER BY s.start_at, s.id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) THEN 0 ELSE 1 END AS fresh
        FROM gap_standing s LEFT JOIN point p ON p.id = s.point_id
        LEFT JOIN zone z ON z.id = coalesce(s.zone_id, p.zone_id)
    ) f
) g LEFT JOIN point p ON p.id = g.point_id LEFT JOIN zone z ON z.id = g.in_zone
GROUP BY g.in_zone, g.point_id, g.reason, g.run, z.address, p.address
    ''',
    r'''
CREATE OR REPLACE VIEW v_gateway_batches AS
SELECT b.gateway, b.site, b.epoch, b.partition, b.number, b.kind, b.count AS readings, b.landed_count AS landed,
    b.duplicate_count AS duplicates, b.conflict_count AS conflicts, b.dead_count AS dead, b.cut_at, b.received_at,
    extract(epoch FROM b.received_at - b.cut_at)::float8 AS seconds_on_the_way, b.shipped_at
FROM batch b WHERE b.kind <> 'core'
UNION ALL
SELECT f.gateway, f.site, f.epoch, f.partition, f.last_number, 'hour', f.count, f.landed_count, f.duplicate_count,
    f.conflict_count, 0, f.last_cut_at, f.last_received_at, f.slowest::float8, NULL
FROM batch_fold f WHERE f.gone > 0
    ''',
    r'''
CREATE OR REPLACE VIEW v_gateway_status AS
SELECT b.gateway, max(b.site) AS site, count(DISTINCT b.epoch) AS epochs, sum(b.batches)::bigint AS batches,
    sum(b.count)::bigint AS readings, sum(b.landed_count)::bigint AS landed,
    sum(b.duplicate_count)::bigint AS duplicates, sum(b.conflict_count)::bigint AS conflicts,
    sum(b.dead_count)::bigint AS dead, max(b.cut_at) AS last_cut_at, max(b.received_at) AS last_received_at,
    (SELECT min(w.upto) FROM source_watermark w WHERE w.gateway = b.gateway AND w.retired_at IS NULL) AS watermark,
    (SELECT max(w.received_at) FROM source_watermark w WHERE w.gateway = b.gateway) AS last_watermark_at,
    extract(epoch FROM now() - max(b.received_at)) AS seconds_since
FROM (
    SELECT gateway, site, epoch, 1 AS batches, count, landed_count, duplicate_count, conflict_count, dead_count, cut_at,
        received_at FROM batch WHERE kind <> 'core'
    UNION ALL
    SELECT gateway, site, epoch, gone, count, landed_count, duplicate_count, conflict_count, 0, last_cut_at,
        last_received_at FROM batch_fold
) b GROUP BY b.gateway
    ''',
    r'''
CREATE OR REPLACE VIEW v_watermarks AS
SELECT w.gateway, w.source, z.address AS zone, w.upto, w.received_at,
    extract(epoch FROM w.received_at - w.upto) AS seconds_behind
FROM source_watermark w JOIN zone z ON z.id = w.zone_id WHERE w.retired_at IS NULL
    ''',
    r'''
CREATE OR REPLACE VIEW v_ingest_alarms AS
SELECT id, at, kind, partition, gateway, detail, cleared_at FROM ingest_alarm
    ''',
    r'''
CREATE OR REPLACE VIEW v_dead_letters AS
SELECT id, at, gateway, partition, kind, reason, detail, point, reading_at, replayed_at, outcome FROM dead_letter
    ''',
    r'''
CREATE OR REPLACE VIEW v_gateways AS
SELECT w.gateway, count(DISTINCT w.source) AS sources, count(DISTINCT w.zone_id) AS zones,
    max(w.received_at) AS heard_at, min(w.upto) AS watermark,
    extract(epoch FROM now() - max(w.received_at))::float8 AS seconds_since
FROM source_watermark w WHERE w.retired_at IS NULL GROUP BY w.gateway
    ''',
    r'''
CREATE OR REPLACE VIEW v_zone_limits AS
SELECT z.address AS zone, 'room' AS profile, b.key AS limit_key, b.op, b.threshold, z.band_delay AS delay
FROM zone z CROSS JOIN LATERAL (VALUES ('high', '>', z.band_high), ('low', '<', z.band_low)) b(key, op, threshold)
WHERE b.threshold IS NOT NULL
UNION ALL
SELECT z.address, p.code || ' v' || v.version, l.key, l.op, l.threshold, l.delay
FROM (SELECT DISTINCT zone_id, version_id FROM zone_profile) u
JOIN zone z ON z.id = u.zone_id JOIN profile_version v ON v.id = u.version_id
JOIN storage_profile p ON p.id = v.profile_id JOIN profile_limit l ON l.version_id = v.id AND l.quantity = 'temperature'
    ''',
    r'''
CREATE OR REPLACE VIEW v_sensor_trust AS
SELECT p.id AS point_id, z.address AS zone, p.address AS point, p.role, s.id AS sensor_id, s.serial, s.model,
    c.done_at AS calibrated_at, c.due_at AS calibration_due_at,
    CASE
        WHEN s.id IS NULL THEN 'no sensor on record'
        WHEN c.due_at IS NULL THEN 'never calibrated'
        WHEN c.due_at <= now() THEN 'calibration overdue'
        WHEN NOT c.as_found_ok THEN 'found out of tolerance'
        WHEN a.kinds IS NOT NULL THEN a.kinds
        WHEN c.due_at <= now() + interval '30 days' THEN 'calibration due within 30 days'
        ELSE 'trusted'
    END AS trust
FROM point p JOIN zone z ON z.id = p.zone_id
LEFT JOIN installation i ON i.point_id = p.id AND i.from_at <= now() AND (i.to_at IS NULL OR i.to_at > now())
LEFT JOIN sensor s ON s.id = i.sensor_id
LEFT JOIN LATERAL (
    SELECT done_at, due_at, as_found_ok FROM calibration WHERE sensor_id = s.id ORDER BY done_at DESC, id DESC LIMIT 1
) c ON true
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT kind, ', ') AS kinds FROM zone_alarm
    WHERE point_id = p.id AND returned_at IS NULL AND state <> 'normal'
) a ON true
WHERE p.state = 'active' AND z.state = 'active' AND p.role IN ('required', 'spare')
    ''',
    r'''
CREATE OR REPLACE VIEW v_work_centres AS
SELECT w.id, w.code, w.name, z.address AS zone, CASE WHEN w.up THEN 'up' ELSE 'down' END AS status, w.state_since,
    w.state_reason
FROM work_centre w LEFT JOIN zone z ON z.id = w.zone_id WHERE w.state = 'active'
    ''',
    r'''
CREATE OR REPLACE VIEW v_work_centre_states AS
SELECT w.code, w.name, s.up, s.at, s.known_at, s.actor, s.reason
FROM work_centre_state s JOIN work_centre w ON w.id = s.work_centre_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_work_orders AS
SELECT o.id, o.code AS work_order, i.code AS item, l.number AS output_lot, o.amount, o.scrap, o.state, o.priority,
    o.stopped_reason, o.due_at, o.created_at, o.started_at, o.completed_at
FROM work_order o JOIN item i ON i.id = o.item_id LEFT JOIN lot l ON l.id = o.output_lot_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_operations AS
SELECT o.code AS work_order, w.code AS work_centre, p.number, p.name, p.state, p.started_at, p.done_at
FROM work_order_operation p JOIN work_order o ON o.id = p.order_id
JOIN work_centre w ON w.id = coalesce(p.done_on_id, p.work_centre_id)
    ''',
    r'''
CREATE OR REPLACE VIEW v_shipments AS
SELECT s.id, s.code AS shipment, s.kind, s.consignee, s.market, s.state, s.created_at, s.due_at, s.dispatched_at,
    s.departed_at, s.arrived_at, s.closed_at,
    (SELECT count(*) FROM hold h WHERE h.shipment_id = s.id AND h.lifted_at IS NULL) AS holds
FROM shipment s
    ''',
    r'''
CREATE OR REPLACE VIEW v_shipment_legs AS
SELECT s.id AS shipment_id, s.code AS shipment, s.state, l.number, l.origin, l.destination, l.carrier,
    z.address AS zone, l.departed_at, l.arrived_at
FROM shipment_leg l JOIN shipment s ON s.id = l.shipment_id LEFT JOIN zone z ON z.id = l.vehicle_zone_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_items AS SELECT id, code AS item, name, kind FROM item WHERE state = 'active'
    ''',
    r'''
CREATE OR REPLACE VIEW v_lots AS
SELECT l.id, l.number AS lot, i.code AS item, l.maker, l.expiry, l.created_at FROM lot l JOIN item i ON i.id = l.item_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_sublots AS
SELECT s.id, s.code AS sublot, l.number AS lot, i.code AS item, s.state, z.address AS zone, s.created_at, s.serial
FROM sublot s JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id LEFT JOIN zone z ON z.id = s.zone_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_releases AS
SELECT r.id, i.code AS item, l.number AS lot, s.code AS sublot, s.created_at, r.at AS released_at, r.automatic,
    extract(epoch FROM r.at - s.created_at)::float8 / 3600 AS hours
FROM batch_release r JOIN sublot s ON s.id = r.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_dispositions AS
SELECT d.id, d.at, d.decision, d.excursion_id, i.code AS item, l.number AS lot, s.code AS sublot,
    extract(epoch FROM d.at - e.known_at)::float8 / 3600 AS hours
FROM disposition d JOIN excursion e ON e.id = d.excursion_id JOIN sublot s ON s.id = e.sublot_id
JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
    ''',
    r'''
CREATE OR REPLACE VIEW v_outbox AS
SELECT t.handler, count(*) AS waiting, count(*) FILTER (WHERE t.attempts > 0) AS failing, min(o.at) AS oldest_at,
    extract(epoch FROM now() - min(o.at))::float8 AS seconds, max(t.attempts) AS attempts
FROM outbox_task t JOIN outbox o ON o.id = t.outbox_id WHERE t.done_at IS NULL GROUP BY t.handler
    ''',
    r'''
CREATE OR REPLACE VIEW v_heartbeats AS
SELECT part, at, extract(epoch FROM now() - at)::float8 AS seconds, now() > at + due_within AS overdue FROM heartbeat
UNION ALL
SELECT 'ingest', max(until), extract(epoch FROM now() - max(until))::float8, max(until) < now() FROM ingest_worker
HAVING max(until) IS NOT NULL
    ''',
    r'''
CREATE OR REPLACE VIEW v_database AS
SELECT pg_database_size(current_database()) AS bytes, d.numbackends AS connections, d.xact_commit AS commits,
    d.xact_rollback AS rollbacks, d.deadlocks, d.blks_hit::float8 / nullif(d.blks_hit + d.blks_read, 0) AS cache_hit,
    a.archived_count, a.last_archived_time AS archived_at, a.failed_count AS archive_failures, a.last_failed_time
FROM pg_stat_database d CROSS JOIN pg_stat_archiver a WHERE d.datname = current_database()
    ''',
    r'''
CREATE OR REPLACE VIEW v_alerts AS
SELECT a.id, a.event, a.severity, a.cause, z.address AS zone, a.title, a.raised_at, a.state, a.taken_by, a.taken_at,
    a.over_at, a.drill, m.told, m.failed, m.first_sent_at,
    extract(epoch FROM m.first_sent_at - a.raised_at)::float8 AS seconds_to_told
FROM alert a LEFT JOIN zone z ON z.id = a.zone_id
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE sent_at IS NOT NULL) AS told, count(*) FILTER (WHERE failure IS NOT NULL) AS failed,
        min(sent_at) AS first_sent_at FROM alert_message WHERE a.id = ANY(alert_ids)
) m ON true
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_band(
    zones text[], of_quantity text, start timestamptz, stop timestamptz, step_ms bigint, by_hours boolean
) RETURNS TABLE (at timestamptz, zone text, point text, low float8, high float8) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    WITH p AS (
        SELECT p.id, p.address, z.address AS zone, z.allowed_gap, s.id AS series,
            CASE WHEN p.quantity = 'temperature' THEN p.unit END AS unit,
            make_interval(secs => greatest(step_ms, 1000) / 1000.0 * ceil(count(*) OVER () / 10.0)) AS wide
        FROM point p JOIN zone z ON z.id = p.zone_id LEFT JOIN series_point s ON s.address = p.address
        WHERE z.address = ANY(zones) AND p.quantity = of_quantity
    )
    SELECT v.at, p.zone, p.address, CASE p.unit WHEN '[degF]' THEN (v.low - 32) / 1.8 WHEN 'K' THEN v.low - 273.15 ELSE v.low END, CASE p.unit WHEN '[degF]' THEN (v.high - 32) / 1.8 WHEN 'K' THEN v.high - 273.15 ELSE v.high END
    FROM p CROSS JOIN LATERAL (
        SELECT date_bin(p.wide, x.at, 'epoch') AS at, min(coalesce(x.num, x.whole)) AS low,
            max(coalesce(x.num, x.whole)) AS high, p.wide,
            lead(date_bin(p.wide, x.at, 'epoch')) OVER (ORDER BY date_bin(p.wide, x.at, 'epoch')) AS next_at
        FROM reading x WHERE x.point_id = p.series AND x.at >= start AND x.at <= stop AND x.kind IN (1, 2, 3)
            AND x.quality <> 2 AND NOT by_hours
        GROUP BY 1
        UNION ALL
        SELECT date_bin(h.wide, h.hour_at, 'epoch'), min(h.low), max(h.high), h.wide,
            lead(date_bin(h.wide, h.hour_at, 'epoch')) OVER (ORDER BY date_bin(h.wide, h.hour_at, 'epoch'))
        FROM (
            SELECT o.hour_at, o.low, o.high, greatest(p.wide, interval '1 hour') AS wide FROM point_hour o
            WHERE o.point_id = p.id AND o.hour_at >= start AND o.hour_at <= stop AND by_hours
        ) h GROUP BY 1, h.wide
    ) b CROSS JOIN LATERAL (
        SELECT b.at, b.low, b.high
        UNION ALL
        SELECT b.at + b.wide, NULL, NULL WHERE b.next_at - b.at > greatest(p.allowed_gap, b.wide) + b.wide
    ) v
    ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_last(
    zones text[], of_quantity text, start timestamptz, stop timestamptz, step_ms bigint
) RETURNS TABLE (at timestamptz, zone text, point text, device text, value float8) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT r.at, z.address, p.address, split_part(p.address, '/', 4), r.value
    FROM point p JOIN zone z ON z.id = p.zone_id JOIN series_point s ON s.address = p.address CROSS JOIN LATERAL (
        SELECT DISTINCT ON (date_bin(make_interval(secs => greatest(step_ms, 1000) / 1000.0), x.at, 'epoch'))
            greatest(x.at, start) AS at, CASE WHEN x.quality <> 2 THEN coalesce(x.num, x.whole) END AS value
        FROM reading x WHERE x.point_id = s.id AND x.at <= stop AND x.at >= coalesce((
            SELECT y.at FROM reading y WHERE y.point_id = s.id AND y.at < start ORDER BY y.at DESC LIMIT 1
        ), start)
        ORDER BY date_bin(make_interval(secs => greatest(step_ms, 1000) / 1000.0), x.at, 'epoch'), x.at DESC
    ) r
    WHERE z.address = ANY(zones) AND p.quantity = of_quantity ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_unsure(zones text[], stop timestamptz, step_ms bigint)
RETURNS TABLE (at timestamptz, zone text, uncertain bigint, bad bigint) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT date_bin(make_interval(secs => greatest(step_ms, 60000) / 1000.0), x.at, 'epoch'), z.address,
        count(*) FILTER (WHERE x.quality = 1), count(*) FILTER (WHERE x.quality = 2)
    FROM point p JOIN zone z ON z.id = p.zone_id JOIN series_point s ON s.address = p.address
    JOIN reading x ON x.point_id = s.id AND x.at > stop - interval '1 day' AND x.at <= stop
    WHERE z.address = ANY(zones) GROUP BY 1, 2 ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_batches(gateways text[], start timestamptz, stop timestamptz, step_ms bigint)
RETURNS TABLE (at timestamptz, gateway text, readings bigint, slowest float8, conflicts bigint, dead bigint)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT date_bin(make_interval(secs => greatest(step_ms, 1000) / 1000.0), b.cut_at, 'epoch'), b.gateway,
        sum(b.count)::bigint, max(extract(epoch FROM b.received_at - b.cut_at))::float8,
        sum(b.conflict_count)::bigint, sum(b.dead_count)::bigint
    FROM batch b
    WHERE b.gateway = ANY(gateways) AND b.cut_at >= start AND b.cut_at <= stop AND stop - start <= interval '2 days'
    GROUP BY 1, 2
    UNION ALL
    SELECT date_bin(greatest(make_interval(secs => step_ms / 1000.0), interval '1 hour'), f.hour, 'epoch'), f.gateway,
        NULL, max(f.slowest), sum(f.conflict_count)::bigint, NULL
    FROM batch_fold f
    WHERE f.gateway = ANY(gateways) AND f.hour >= start AND f.hour <= stop AND stop - start > interval '2 days'
    GROUP BY 1, 2
    ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_hours_read(start timestamptz, stop timestamptz, step_ms bigint)
RETURNS TABLE (at timestamptz, readings bigint) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT date_bin(greatest(make_interval(secs => step_ms / 1000.0), interval '1 hour'), h.hour_at, 'epoch'),
        sum(h.readings)::bigint
    FROM point_hour h WHERE h.hour_at >= start AND h.hour_at <= stop AND stop - start > interval '2 days' GROUP BY 1
    ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_zone_states(zones text[], start timestamptz, stop timestamptz)
RETURNS TABLE (at timestamptz, zone text, state int) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    WITH z AS (
        SELECT z.id, z.address, j.last_good_at IS NOT NULL AS measured FROM zone z
        LEFT JOIN zone_judged j ON j.zone_id = z.id WHERE z.address = ANY(zones) AND z.state = 'active'
    ), a AS (
        SELECT a.zone_id, greatest(a.started_at, start) AS since, coalesce(a.returned_at, 'infinity') AS until,
            CASE WHEN a.kind = 'high' THEN 4 WHEN a.kind = 'low' THEN 3
                WHEN a.kind IN ('stale', 'silent_gateway') THEN 2 ELSE 1 END AS worse
        FROM zone_alarm a JOIN z ON z.id = a.zone_id
        WHERE a.started_at < stop AND coalesce(a.returned_at, 'infinity') > start
    ), e AS (
        SELECT id AS zone_id, start AS at, 0 AS worse, 0 AS change FROM z
        UNION ALL SELECT zone_id, since, worse, 1 FROM a
        UNION ALL SELECT zone_id, until, worse, -1 FROM a WHERE until < stop
    ), n AS (
        SELECT DISTINCT zone_id, at, sum(change) FILTER (WHERE worse = 4) OVER w AS high,
            sum(change) FILTER (WHERE worse = 3) OVER w AS low, sum(change) FILTER (WHERE worse = 2) OVER w AS silent,
            sum(change) FILTER (WHERE worse = 1) OVER w AS sensor
        FROM e WINDOW w AS (PARTITION BY zone_id ORDER BY at)
    ), worst AS (SELECT zone_id, max(worse) AS worse FROM a GROUP BY zone_id)
    SELECT n.at, z.address, CASE WHEN n.high > 0 THEN 4 WHEN n.low > 0 THEN 3 WHEN n.silent > 0 THEN 2
        WHEN n.sensor > 0 THEN 1 WHEN z.measured THEN 0 ELSE -1 END
    FROM n JOIN z ON z.id = n.zone_id LEFT JOIN worst ON worst.zone_id = z.id
    ORDER BY n.at, coalesce(worst.worse, 0) DESC, z.address
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_minutes_out(zones text[], start timestamptz, stop timestamptz)
RETURNS TABLE (at timestamptz, zone text, minutes float8) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT d.at, z.address, coalesce(sum(extract(epoch FROM
            least(coalesce(a.returned_at, now()), d.at + interval '1 day') - greatest(a.started_at, d.at)
        ) / 60), 0)::float8
    FROM zone z CROSS JOIN generate_series(date_trunc('day', start, 'UTC'), stop, interval '1 day') d(at)
    LEFT JOIN zone_alarm a ON a.zone_id = z.id AND a.kind IN ('high', 'low')
        AND a.started_at < d.at + interval '1 day' AND coalesce(a.returned_at, now()) > d.at
    WHERE z.address = ANY(zones) GROUP BY 1, 2 ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_mkt_at_most(zones text[], start timestamptz, stop timestamptz)
RETURNS TABLE (at timestamptz, point text, celsius float8, hours bigint) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT h.at, p.address, 10000 / -ln(h.mean) - 273.15, h.hours
    FROM point p JOIN zone z ON z.id = p.zone_id CROSS JOIN LATERAL (
        SELECT date_bin('1 day', o.hour_at, 'epoch') AS at, avg(exp(-10000 / (o.high + 273.15))) AS mean,
            count(*) AS hours
        FROM point_hour o
        WHERE o.point_id = p.id AND o.hour_at >= start AND o.hour_at <= stop AND o.high > -15 GROUP BY 1
    ) h
    WHERE z.address = ANY(zones) AND p.quantity = 'temperature' ORDER BY 1
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_lot_stays(lot_number text, item_code text, start timestamptz, stop timestamptz)
RETURNS TABLE (zone text, from_at timestamptz, to_at timestamptz, sublots bigint) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    WITH f AS (
        SELECT c.sublot_id, c.zone_id, c.at, lead(c.at) OVER (PARTITION BY c.sublot_id ORDER BY c.at, c.id) AS until
        FROM lot l JOIN item i ON i.id = l.item_id JOIN sublot s ON s.lot_id = l.id
        JOIN custody_fact c ON c.sublot_id = s.id
        WHERE l.number = lot_number AND i.code = item_code AND c.retracts_id IS NULL
            AND NOT EXISTS (SELECT FROM custody_fact r WHERE r.retracts_id = c.id)
    ), spans AS (
        SELECT zone_id, unnest(range_agg(tstzrange(at, until))) AS span FROM f
        WHERE zone_id IS NOT NULL AND at <= stop AND coalesce(until, 'infinity') > start
            AND at < coalesce(until, 'infinity') GROUP BY zone_id
    )
    SELECT z.address, lower(x.span), upper(x.span),
        (SELECT count(DISTINCT f.sublot_id) FROM f WHERE f.zone_id = x.zone_id AND tstzrange(f.at, f.until) && x.span)
    FROM spans x JOIN zone z ON z.id = x.zone_id ORDER BY 2
$$
    ''',
    r'''
CREATE OR REPLACE FUNCTION board_lot_band(
    lot_number text, item_code text, start timestamptz, stop timestamptz, step_ms bigint
) RETURNS TABLE (at timestamptz, zone text, point text, low float8, high float8) LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    WITH y AS (SELECT * FROM board_lot_stays(lot_number, item_code, start, stop))
    SELECT b.at, b.zone, b.point, b.low, b.high
    FROM board_band(ARRAY(SELECT DISTINCT zone FROM y), 'temperature', start, stop, step_ms, stop - start > interval '7 days') b
    WHERE EXISTS (SELECT FROM y WHERE y.zone = b.zone AND b.at < coalesce(y.to_at, 'infinity')
        AND b.at + make_interval(secs => step_ms / 1000.0) > y.from_at)
    UNION ALL
    SELECT y.to_at, y.zone, p.address, NULL, NULL FROM y JOIN zone z ON z.address = y.zone
    JOIN point p ON p.zone_id = z.id AND p.quantity = 'temperature' WHERE y.to_at < stop
    ORDER BY 1
$$
    ''',
    r'''
DO $$
BEGIN
    -- asked first: an owner who may not make roles needs none made where one is there already
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lotwise_reader') THEN
        CREATE ROLE lotwise_reader NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$
    ''',
    r'''
GRANT USAGE ON SCHEMA public TO lotwise_reader
    ''',
    r'''
GRANT SELECT ON v_zone_status, v_excursions_timeline, v_open_excursions, v_holds, v_zone_alarms, v_gaps, v_gateway_batches, v_gateway_status, v_watermarks, v_ingest_alarms, v_dead_letters, v_gateways, v_zone_limits, v_sensor_trust, v_work_centres, v_work_centre_states, v_work_orders, v_operations, v_shipments, v_shipment_legs, v_items, v_lots, v_sublots, v_releases, v_dispositions, v_outbox, v_heartbeats, v_database, v_alerts TO lotwise_reader
    ''',
    r'''
REVOKE ALL ON FUNCTION board_band(text[], text, timestamptz, timestamptz, bigint, boolean), board_last(text[], text, timestamptz, timestamptz, bigint), board_unsure(text[], timestamptz, bigint), board_batches(text[], timestamptz, timestamptz, bigint), board_hours_read(timestamptz, timestamptz, bigint), board_zone_states(text[], timestamptz, timestamptz), board_minutes_out(text[], timestamptz, timestamptz), board_mkt_at_most(text[], timestamptz, timestamptz), board_lot_stays(text, text, timestamptz, timestamptz), board_lot_band(text, text, timestamptz, timestamptz, bigint) FROM PUBLIC
    ''',
    r'''
GRANT EXECUTE ON FUNCTION board_band(text[], text, timestamptz, timestamptz, bigint, boolean), board_last(text[], text, timestamptz, timestamptz, bigint), board_unsure(text[], timestamptz, bigint), board_batches(text[], timestamptz, timestamptz, bigint), board_hours_read(timestamptz, timestamptz, bigint), board_zone_states(text[], timestamptz, timestamptz), board_minutes_out(text[], timestamptz, timestamptz), board_mkt_at_most(text[], timestamptz, timestamptz), board_lot_stays(text, text, timestamptz, timestamptz), board_lot_band(text, text, timestamptz, timestamptz, bigint) TO lotwise_reader
    ''',
)


def upgrade() -> None:
    for statement in BEFORE:
        op.execute(sa.text(statement.replace(':', '\\:')))
    # ### commands auto generated by Alembic - please adjust! ###
    op.create_table('absence',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('login', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('to_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('deputy', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.CheckConstraint('from_at < to_at'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_absence_from_at'), 'absence', ['from_at'], unique=False)
    op.create_index(op.f('ix_absence_login'), 'absence', ['login'], unique=False)
    op.create_table('alert',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('event', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('severity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('entity_id', sa.BigInteger(), nullable=True),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('title', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title_message', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('began_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('raised_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('taken_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('taken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('comment', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('over_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('clear_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('silenced_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('repeat', sa.Interval(), nullable=True),
    sa.Column('repeated_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('drill', sa.Boolean(), nullable=False),
    sa.CheckConstraint("severity IN ('harm', 'alarm', 'notice')"),
    sa.CheckConstraint("state <> 'taken' OR taken_at IS NOT NULL"),
    sa.CheckConstraint("state IN ('standing', 'taken', 'over')"),
    sa.CheckConstraint('num_nonnulls(taken_at, taken_by, comment) IN (0, 3)'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('alert_cause', 'alert', ['cause'], unique=True, postgresql_where="state IN ('standing', 'taken')")
    op.create_index('alert_next', 'alert', ['next_at', 'id'], unique=False, postgresql_where='next_at IS NOT NULL')
    op.create_index('alert_open', 'alert', ['severity', 'id'], unique=False, postgresql_where="state IN ('standing', 'taken')")
    op.create_index('alert_raised', 'alert', ['raised_at', 'id'], unique=False)
    op.create_index('alert_source', 'alert', ['entity', 'entity_id'], unique=False)
    op.create_index(op.f('ix_alert_site_id'), 'alert', ['site_id'], unique=False)
    op.create_index(op.f('ix_alert_zone_id'), 'alert', ['zone_id'], unique=False)
    op.create_table('alert_delivery',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('message_id', sa.BigInteger(), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('began_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('detail', sa.Text(), server_default=sa.text("''"), nullable=False),
    sa.CheckConstraint("outcome IN ('sent', 'later', 'refused', 'unknown')"),
    sa.CheckConstraint('(ended_at IS NULL) = (outcome IS NULL)'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('message_id', 'attempt')
    )
    op.create_index('alert_delivery_recent', 'alert_delivery', ['channel', 'began_at'], unique=False)
    op.create_table('alert_message',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('alert_ids', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('severity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('login', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('called', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('channel', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('way_id', sa.BigInteger(), nullable=True),
    sa.Column('language', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('subject', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('body', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('short', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('drill', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('not_before', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failure', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("(channel = 'page') = (way_id IS NULL)"),
    sa.CheckConstraint("severity IN ('harm', 'alarm', 'notice')"),
    sa.CheckConstraint("state IN ('queued', 'sent', 'failed')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('alert_message_alerts', 'alert_message', ['alert_ids'], unique=False, postgresql_using='gin')
    op.create_index('alert_message_created', 'alert_message', ['created_at', 'id'], unique=False)
    op.create_index('alert_message_person', 'alert_message', ['login', 'created_at'], unique=False)
    op.create_index('alert_message_queued', 'alert_message', ['channel', 'id'], unique=False, postgresql_where="state = 'queued'")
    op.create_index('alert_message_siren', 'alert_message', ['way_id'], unique=False, postgresql_where="channel = 'mqtt'")
    op.create_index('alert_message_waits', 'alert_message', ['not_before', 'id'], unique=False, postgresql_where='not_before IS NOT NULL')
    op.create_index(op.f('ix_alert_message_site_id'), 'alert_message', ['site_id'], unique=False)
    op.create_table('alert_part',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('alert_id', sa.BigInteger(), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('alert_id', 'entity', 'entity_id')
    )
    op.create_index('alert_part_of', 'alert_part', ['entity', 'entity_id'], unique=False)
    op.create_table('alert_route',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('item_id', sa.BigInteger(), nullable=True),
    sa.Column('events', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('hours', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('steps', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('repeat_minutes', sa.Integer(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("hours IN ('always', 'working', 'off')"),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.CheckConstraint('repeat_minutes BETWEEN 0 AND 1440'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('alert_route_name', 'alert_route', ['name', 'id'], unique=False)
    op.create_index('alert_route_name_begins', 'alert_route', [sa.literal_column('lotwise_folded(name)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index(op.f('ix_alert_route_item_id'), 'alert_route', ['item_id'], unique=False)
    op.create_index(op.f('ix_alert_route_site_id'), 'alert_route', ['site_id'], unique=False)
    op.create_index(op.f('ix_alert_route_zone_id'), 'alert_route', ['zone_id'], unique=False)
    op.create_table('alert_step',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('alert_id', sa.BigInteger(), nullable=False),
    sa.Column('route_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('target', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('value', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('people', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.CheckConstraint("outcome IN ('told', 'nobody', 'void')"),
    sa.CheckConstraint('(done_at IS NULL) = (outcome IS NULL)'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('alert_step_open', 'alert_step', ['alert_id', 'at'], unique=False, postgresql_where='done_at IS NULL')
    op.create_index(op.f('ix_alert_step_alert_id'), 'alert_step', ['alert_id'], unique=False)
    op.create_table('app_user',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('login', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('password_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('roles', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('proposed_roles', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('proposed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('token_epoch', sa.Integer(), nullable=False),
    sa.Column('one_time_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('site_ids', postgresql.ARRAY(sa.BigInteger()), server_default='{}', nullable=False),
    sa.Column('partner_id', sa.BigInteger(), nullable=True),
    sa.Column('language', sa.Text(), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('login')
    )
    op.create_index('app_user_login_begins', 'app_user', [sa.literal_column('lotwise_folded(login)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_table('attachment',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('withdrawn_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('attachment_record', 'attachment', ['entity', 'entity_id'], unique=False)
    op.create_table('attachment_version',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('attachment_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('media_type', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('added_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('added_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'"),
    sa.CheckConstraint('number >= 1'),
    sa.CheckConstraint('size > 0'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('attachment_id', 'number')
    )
    op.create_index(op.f('ix_attachment_version_sha256'), 'attachment_version', ['sha256'], unique=False)
    op.create_table('audit',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('action', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('nonce', sa.BigInteger(), nullable=False),
    sa.Column('key_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('audit_at', 'audit', ['at'], unique=False)
    op.create_index('audit_entity', 'audit', ['entity', 'entity_id'], unique=False)
    op.create_table('audit_seal',
    sa.Column('number', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('row_ids', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('previous', sa.LargeBinary(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.Column('key_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('witness', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('witnessed', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('number')
    )
    op.create_table('audit_sealed',
    sa.Column('audit_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('seal', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('audit_id')
    )
    op.create_table('batch',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('site', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('partition', sa.Integer(), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sha256', sa.LargeBinary(), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('landed_count', sa.Integer(), nullable=False),
    sa.Column('duplicate_count', sa.Integer(), nullable=False),
    sa.Column('conflict_count', sa.Integer(), nullable=False),
    sa.Column('dead_count', sa.Integer(), nullable=False),
    sa.Column('first_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cut_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('status', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('shipped_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('gateway', 'epoch', 'partition', 'number')
    )
    op.create_index('batch_time', 'batch', ['gateway', 'cut_at'], unique=False)
    op.create_index('batch_unshipped', 'batch', ['id'], unique=False, postgresql_where=sa.text("status = 'landed' AND landed_count > 0"))
    op.create_table('batch_fold',
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('partition', sa.Integer(), nullable=False),
    sa.Column('first_number', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('last_number', sa.BigInteger(), nullable=False),
    sa.Column('site', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('hour', sa.DateTime(timezone=True), nullable=False),
    sa.Column('chain', sa.LargeBinary(), nullable=False),
    sa.Column('gone', sa.Integer(), nullable=False),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.Column('landed_count', sa.BigInteger(), nullable=False),
    sa.Column('duplicate_count', sa.BigInteger(), nullable=False),
    sa.Column('conflict_count', sa.BigInteger(), nullable=False),
    sa.Column('first_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('first_cut_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_cut_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('slowest', sa.Float(), nullable=False),
    sa.PrimaryKeyConstraint('gateway', 'epoch', 'partition', 'first_number')
    )
    op.create_index('batch_fold_time', 'batch_fold', ['gateway', 'hour'], unique=False, postgresql_include=['slowest', 'conflict_count'])
    op.create_table('batch_progress',
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('partition', sa.Integer(), nullable=False),
    sa.Column('through', sa.BigInteger(), nullable=False),
    sa.Column('follows', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('gateway', 'epoch', 'partition')
    )
    op.create_table('batch_release',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('automatic', sa.Boolean(), nullable=False),
    sa.Column('record', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('transaction', sa.BigInteger(), server_default=sa.text('pg_current_xact_id()::text::bigint'), nullable=False),
    sa.CheckConstraint('automatic = (signature_id IS NULL)'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('batch_release_signature', 'batch_release', ['signature_id'], unique=True)
    op.create_index(op.f('ix_batch_release_sublot_id'), 'batch_release', ['sublot_id'], unique=False)
    op.create_table('bom',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('output_amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('tolerance', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.CheckConstraint("output_amount > 0 AND output_amount <> 'NaN'"),
    sa.CheckConstraint('tolerance >= 0 AND tolerance < 1'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('item_id', 'version')
    )
    op.create_index(op.f('ix_bom_item_id'), 'bom', ['item_id'], unique=False)
    op.create_table('bom_line',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('bom_id', sa.BigInteger(), nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.CheckConstraint("amount > 0 AND amount <> 'NaN'"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('bom_id', 'item_id')
    )
    op.create_index(op.f('ix_bom_line_bom_id'), 'bom_line', ['bom_id'], unique=False)
    op.create_table('browser_session',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('secret_hash', sa.LargeBinary(), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('token_epoch', sa.Integer(), nullable=False),
    sa.Column('began_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_why', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("ended_why IN ('out', 'wrong', 'password', 'inactive', 'expired', 'administrator')"),
    sa.CheckConstraint('num_nonnulls(ended_at, ended_why) IN (0, 2)'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('secret_hash')
    )
    op.create_index('browser_session_began', 'browser_session', ['began_at', 'id'], unique=False)
    op.create_index('browser_session_standing', 'browser_session', ['user_id'], unique=False, postgresql_where='ended_at IS NULL')
    op.create_table('calibration',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sensor_id', sa.BigInteger(), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('as_found_ok', sa.Boolean(), nullable=False),
    sa.Column('as_found_error', sa.Float(), nullable=False),
    sa.Column('as_found_tolerance', sa.Float(), nullable=True),
    sa.Column('as_left_error', sa.Float(), nullable=True),
    sa.Column('as_left_ok', sa.Boolean(), nullable=False),
    sa.Column('uncertainty', sa.Float(), nullable=True),
    sa.Column('guarded', sa.Boolean(), nullable=False),
    sa.Column('certificate', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('to_sign', sa.Boolean(), nullable=False),
    sa.Column('recorded_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_calibration_sensor_id'), 'calibration', ['sensor_id'], unique=False)
    op.create_table('calibration_plan',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sensor_id', sa.BigInteger(), nullable=False),
    sa.Column('interval', sa.Interval(), nullable=False),
    sa.Column('tolerance', sa.Float(), nullable=False),
    sa.Column('guarded', sa.Boolean(), nullable=False),
    sa.Column('sign_off', sa.Boolean(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.CheckConstraint('tolerance > 0'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('calibration_plan_active', 'calibration_plan', ['sensor_id'], unique=True, postgresql_where="state = 'active'")
    op.create_index('calibration_plan_due', 'calibration_plan', ['due_at', 'id'], unique=False)
    op.create_index('calibration_plan_sensor', 'calibration_plan', ['sensor_id'], unique=False)
    op.create_table('calibration_review',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('calibration_id', sa.BigInteger(), nullable=False),
    sa.Column('sensor_id', sa.BigInteger(), nullable=False),
    sa.Column('accepted', sa.Boolean(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=True),
    sa.Column('reviewed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reviewed_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('calibration_id')
    )
    op.create_index(op.f('ix_calibration_review_sensor_id'), 'calibration_review', ['sensor_id'], unique=False)
    op.create_table('capa',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('number', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('site_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reference', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('deviation_id', sa.BigInteger(), nullable=True),
    sa.Column('incident_id', sa.BigInteger(), nullable=True),
    sa.Column('title', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('problem', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('cause_method', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('criterion', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('check_on', sa.Date(), nullable=True),
    sa.CheckConstraint("(source = 'deviation') = (deviation_id IS NOT NULL)"),
    sa.CheckConstraint("(source = 'incident') = (incident_id IS NOT NULL)"),
    sa.CheckConstraint("deviation_id IS NOT NULL OR incident_id IS NOT NULL OR reference <> ''"),
    sa.CheckConstraint("state IN ('open', 'analysed', 'planned', 'done', 'closed', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('number')
    )
    op.create_index('capa_number_begins', 'capa', [sa.literal_column('lotwise_folded(number)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('capa_opened', 'capa', ['opened_at', 'id'], unique=False)
    op.create_index('capa_state', 'capa', ['state'], unique=False)
    op.create_index('capa_title_within', 'capa', [sa.literal_column('lotwise_bigrams(title)')], unique=False, postgresql_using='gin')
    op.create_index(op.f('ix_capa_deviation_id'), 'capa', ['deviation_id'], unique=False)
    op.create_index(op.f('ix_capa_incident_id'), 'capa', ['incident_id'], unique=False)
    op.create_index(op.f('ix_capa_site_id'), 'capa', ['site_id'], unique=False)
    op.create_table('capa_action',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('capa_id', sa.BigInteger(), nullable=False),
    sa.Column('what', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('owner', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('result', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('done_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("num_nonnulls(result, done_by, done_at) = CASE WHEN state IN ('done', 'verified') THEN 3 ELSE 0 END"),
    sa.CheckConstraint("state IN ('open', 'done', 'verified', 'dropped')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('capa_action_due', 'capa_action', ['due_on', 'id'], unique=False)
    op.create_index('capa_action_owner', 'capa_action', ['owner'], unique=False)
    op.create_index(op.f('ix_capa_action_capa_id'), 'capa_action', ['capa_id'], unique=False)
    op.create_table('capa_check',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('capa_id', sa.BigInteger(), nullable=False),
    sa.Column('plan_id', sa.BigInteger(), nullable=False),
    sa.Column('effective', sa.Boolean(), nullable=False),
    sa.Column('finding', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=False),
    sa.Column('signed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('signed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('record', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('plan_id'),
    sa.UniqueConstraint('signature_id')
    )
    op.create_index(op.f('ix_capa_check_capa_id'), 'capa_check', ['capa_id'], unique=False)
    op.create_table('capa_plan',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('capa_id', sa.BigInteger(), nullable=False),
    sa.Column('check_from', sa.DateTime(timezone=True), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=False),
    sa.Column('signed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('signed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('record', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('transaction', sa.BigInteger(), server_default=sa.text('pg_current_xact_id()::text::bigint'), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('signature_id')
    )
    op.create_index(op.f('ix_capa_plan_capa_id'), 'capa_plan', ['capa_id'], unique=False)
    op.create_table('confirmation_lost',
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('partition', sa.Integer(), nullable=False),
    sa.Column('confirmed', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('once_confirmed', sa.BigInteger(), nullable=False),
    sa.Column('gone', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('gateway', 'epoch', 'partition', 'confirmed')
    )
    op.create_table('contact_way',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('login', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('quiet', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('language', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("kind IN ('mail', 'sms', 'voice', 'chat', 'webhook', 'mqtt')"),
    sa.CheckConstraint("language IN ('en', 'zh')"),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('contact_way_name_begins', 'contact_way', [sa.literal_column('lotwise_folded(name)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index(op.f('ix_contact_way_login'), 'contact_way', ['login'], unique=False)
    op.create_index(op.f('ix_contact_way_site_id'), 'contact_way', ['site_id'], unique=False)
    op.create_table('custody_fact',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('retracts_id', sa.BigInteger(), nullable=True),
    sa.Column('copy_of_id', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('custody_sublot', 'custody_fact', ['sublot_id', 'at'], unique=False)
    op.create_index('custody_zone', 'custody_fact', ['zone_id', 'at'], unique=False)
    op.create_table('dead_letter',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('batch_id', sa.BigInteger(), nullable=True),
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('partition', sa.Integer(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('detail', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('detail_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('point', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('reading_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('raw', sa.LargeBinary(), nullable=False),
    sa.Column('replayed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('replayed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('dead_letter_open', 'dead_letter', ['reason', 'id'], unique=False, postgresql_where=sa.text('replayed_at IS NULL'))
    op.create_table('deadline',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('term', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sa.BigInteger(), nullable=False),
    sa.Column('about', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('about_message', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('permit', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('assignee', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('begun_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('begun_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('counted', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('deadline_due', 'deadline', ['due_at', 'id'], unique=False)
    op.create_index('deadline_next', 'deadline', ['next_at', 'id'], unique=False, postgresql_where='next_at IS NOT NULL')
    op.create_index('deadline_open', 'deadline', ['term', 'entity', 'entity_id'], unique=True, postgresql_where="state = 'open'")
    op.create_index('deadline_record', 'deadline', ['entity', 'entity_id'], unique=False)
    op.create_index(op.f('ix_deadline_site_id'), 'deadline', ['site_id'], unique=False)
    op.create_table('deadline_step',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('deadline_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('permit', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('note_message', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.CheckConstraint("kind IN ('warn', 'due', 'escalate')"),
    sa.CheckConstraint("outcome IN ('done', 'refused', 'void')"),
    sa.CheckConstraint('(done_at IS NULL) = (outcome IS NULL)'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('deadline_step_order', 'deadline_step', ['deadline_id', 'at', 'id'], unique=False)
    op.create_table('deviation',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=True),
    sa.Column('shipment_id', sa.BigInteger(), nullable=True),
    sa.Column('title', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('detail', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('detail_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('happened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conclusion', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('closed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("num_nonnulls(conclusion, closed_by, closed_at) = CASE state WHEN 'closed' THEN 3 ELSE 0 END"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_deviation_sublot_id'), 'deviation', ['sublot_id'], unique=False)
    op.create_table('dispatch_entry',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('work_centre_id', sa.BigInteger(), nullable=False),
    sa.Column('rank', sa.Integer(), nullable=False),
    sa.Column('operation_id', sa.BigInteger(), nullable=False),
    sa.Column('order_id', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('work_centre_id', 'operation_id'),
    sa.UniqueConstraint('work_centre_id', 'rank')
    )
    op.create_index('dispatch_entry_order', 'dispatch_entry', ['order_id'], unique=False)
    op.create_table('dispatch_plan',
    sa.Column('work_centre_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('cause_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.PrimaryKeyConstraint('work_centre_id')
    )
    op.create_table('disposition',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('excursion_id', sa.BigInteger(), nullable=False),
    sa.Column('decision', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=False),
    sa.Column('accepted', sa.Interval(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('record', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('hold_ids', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.CheckConstraint("decision IN ('accept', 'restrict', 'reject', 'rework', 'return', 'destroy')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('disposition_signature', 'disposition', ['signature_id'], unique=True)
    op.create_index(op.f('ix_disposition_excursion_id'), 'disposition', ['excursion_id'], unique=False)
    op.create_table('epoch_closed',
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=True),
    sa.Column('missing', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('gateway', 'epoch')
    )
    op.create_table('excursion',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('incident_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('limit_key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('broke_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('certainty', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('out', sa.Interval(), nullable=False),
    sa.Column('lowest', sa.Float(), nullable=True),
    sa.Column('highest', sa.Float(), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('accepted_before', sa.Interval(), nullable=False),
    sa.Column('accepted', sa.Interval(), nullable=True),
    sa.Column('replaces_id', sa.BigInteger(), nullable=True),
    sa.Column('assessed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('assessment', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("certainty IN ('proven', 'uncertain', 'unproven')"),
    sa.CheckConstraint("state IN ('open', 'ended', 'assessed', 'dispositioned', 'closed', 'superseded')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('excursion_identity', 'excursion', ['sublot_id', 'version_id', 'limit_key', 'started_at', 'accepted_before'], unique=True, postgresql_where="state <> 'superseded'")
    op.create_index('excursion_state', 'excursion', ['state'], unique=False)
    op.create_index('excursion_sublot', 'excursion', ['sublot_id'], unique=False)
    op.create_index('excursion_zone', 'excursion', ['zone_id'], unique=False)
    op.create_index(op.f('ix_excursion_incident_id'), 'excursion', ['incident_id'], unique=False)
    op.create_index(op.f('ix_excursion_replaces_id'), 'excursion', ['replaces_id'], unique=False)
    op.create_table('field_action',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('excursion_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('happened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('deadline', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conclusion', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("state IN ('open', 'closed')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('excursion_id', 'sublot_id')
    )
    op.create_index(op.f('ix_field_action_excursion_id'), 'field_action', ['excursion_id'], unique=False)
    op.create_index(op.f('ix_field_action_sublot_id'), 'field_action', ['sublot_id'], unique=False)
    op.create_table('field_action_consignee',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('action_id', sa.BigInteger(), nullable=False),
    sa.Column('shipment_id', sa.BigInteger(), nullable=True),
    sa.Column('consignee', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('notified_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('notified_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('action_id', 'shipment_id')
    )
    op.create_index(op.f('ix_field_action_consignee_action_id'), 'field_action_consignee', ['action_id'], unique=False)
    op.create_table('gap_record',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('point_id', sa.BigInteger(), nullable=True),
    sa.Column('start_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('stop_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('replaces_id', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('gap_zone', 'gap_record', ['zone_id', 'start_at'], unique=False)
    op.create_index(op.f('ix_gap_record_replaces_id'), 'gap_record', ['replaces_id'], unique=False)
    op.create_table('gateway_epoch',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('announced', sa.Boolean(), nullable=False),
    sa.Column('previous', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('last_numbers', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('config', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('sources', postgresql.ARRAY(sa.Text()), nullable=True),
    sa.Column('first_seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('gateway', 'epoch')
    )
    op.create_table('genealogy',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('parent_id', sa.BigInteger(), nullable=False),
    sa.Column('child_id', sa.BigInteger(), nullable=False),
    sa.Column('transformation', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("amount > 0 AND amount <> 'NaN'"),
    sa.CheckConstraint('parent_id <> child_id'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('parent_id', 'child_id', 'transformation')
    )
    op.create_index('genealogy_child', 'genealogy', ['child_id'], unique=False)
    op.create_table('handling_unit',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sscc', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('sscc')
    )
    op.create_table('handling_unit_content',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('handling_unit_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('to_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_handling_unit_content_handling_unit_id'), 'handling_unit_content', ['handling_unit_id'], unique=False)
    op.create_index(op.f('ix_handling_unit_content_sublot_id'), 'handling_unit_content', ['sublot_id'], unique=False)
    op.create_table('heartbeat',
    sa.Column('part', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_within', sa.Interval(), nullable=False),
    sa.PrimaryKeyConstraint('part')
    )
    op.create_table('hold',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('lot_id', sa.BigInteger(), nullable=True),
    sa.Column('sublot_id', sa.BigInteger(), nullable=True),
    sa.Column('shipment_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('certainty', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('excursion_id', sa.BigInteger(), nullable=True),
    sa.Column('origin_hold_id', sa.BigInteger(), nullable=True),
    sa.Column('since_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('placed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lift_permit', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lifted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lifted_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('lift_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("kind IN ('exposure', 'quality', 'deviation', 'logger', 'manual')"),
    sa.CheckConstraint('num_nonnulls(lifted_at, lifted_by, lift_reason) IN (0, 3)'),
    sa.CheckConstraint('num_nonnulls(lot_id, sublot_id, shipment_id) = 1'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('hold_excursion', 'hold', ['excursion_id'], unique=False)
    op.create_index('hold_lot_open', 'hold', ['lot_id'], unique=False, postgresql_where='lifted_at IS NULL')
    op.create_index('hold_origin', 'hold', ['origin_hold_id'], unique=False, postgresql_where='origin_hold_id IS NOT NULL')
    op.create_index('hold_shipment_open', 'hold', ['shipment_id'], unique=False, postgresql_where='lifted_at IS NULL')
    op.create_index('hold_sublot_open', 'hold', ['sublot_id'], unique=False, postgresql_where='lifted_at IS NULL')
    op.create_table('idempotency_key',
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('request_hash', sa.LargeBinary(), nullable=False),
    sa.Column('status', sa.Integer(), nullable=False),
    sa.Column('response', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key', 'actor')
    )
    op.create_table('import_line',
    sa.Column('run_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('line', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('record_id', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('run_id', 'line')
    )
    op.create_index('import_line_record', 'import_line', ['entity', 'record_id'], unique=False)
    op.create_table('import_mapping',
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('headings', sa.LargeBinary(), nullable=False),
    sa.Column('mapping', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('entity', 'headings')
    )
    op.create_table('import_run',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('file', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('sha256', sa.LargeBinary(), nullable=False),
    sa.Column('mapping', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('mode', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lines', sa.Integer(), nullable=False),
    sa.Column('made', sa.Integer(), nullable=False),
    sa.Column('bad', sa.Integer(), nullable=False),
    sa.Column('faults', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('undo_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("mode IN ('all', 'good')"),
    sa.CheckConstraint('num_nonnulls(undone_at, undone_by, undo_reason) IN (0, 3)'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('import_run_entity', 'import_run', ['entity', 'id'], unique=False)
    op.create_index('import_run_once', 'import_run', ['entity', 'sha256', 'digest'], unique=True, postgresql_where=sa.text('undone_at IS NULL'))
    op.create_table('incident',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('title', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('zone_id', 'kind', 'started_at')
    )
    op.create_index('incident_silent', 'incident', ['gateway'], unique=True, postgresql_where="kind = 'silent_gateway' AND ended_at IS NULL")
    op.create_index(op.f('ix_incident_zone_id'), 'incident', ['zone_id'], unique=False)
    op.create_table('ingest_alarm',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('partition', sa.Integer(), nullable=True),
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('detail', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('detail_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('cleared_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('ingest_alarm_open', 'ingest_alarm', ['kind', 'partition'], unique=False, postgresql_where=sa.text('cleared_at IS NULL'))
    op.create_table('ingest_lease',
    sa.Column('partition', sa.Integer(), nullable=False),
    sa.Column('worker', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('partition')
    )
    op.create_table('ingest_worker',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )
    op.create_table('installation',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sensor_id', sa.BigInteger(), nullable=False),
    sa.Column('point_id', sa.BigInteger(), nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('to_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_installation_point_id'), 'installation', ['point_id'], unique=False)
    op.create_index(op.f('ix_installation_sensor_id'), 'installation', ['sensor_id'], unique=False)
    op.create_table('item',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('uom', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('profile_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('gtin', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('shelf_life', sa.Interval(), nullable=True),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index('item_code_begins', 'item', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('item_name_within', 'item', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_index(op.f('ix_item_profile_id'), 'item', ['profile_id'], unique=False)
    op.create_table('item_profile',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('item_profile_item', 'item_profile', ['item_id', 'from_at'], unique=False)
    op.create_index(op.f('ix_item_profile_version_id'), 'item_profile', ['version_id'], unique=False)
    op.create_table('live_change',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('outbox_id', sa.BigInteger(), nullable=True),
    sa.Column('topic', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    prefixes=['UNLOGGED']
    )
    op.create_table('login_attempt',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('login', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ok', sa.Boolean(), nullable=False),
    sa.Column('session', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('login_attempt_login', 'login_attempt', ['login', 'at'], unique=False)
    op.create_index('login_attempt_session', 'login_attempt', ['session'], unique=False, postgresql_where='session IS NOT NULL')
    op.create_table('lot',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('maker', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('maker_id', sa.BigInteger(), nullable=True),
    sa.Column('expiry', sa.Date(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('item_id', 'maker', 'number')
    )
    op.create_index(op.f('ix_lot_item_id'), 'lot', ['item_id'], unique=False)
    op.create_index(op.f('ix_lot_maker_id'), 'lot', ['maker_id'], unique=False)
    op.create_index('lot_number', 'lot', ['number', 'id'], unique=False)
    op.create_index('lot_number_begins', 'lot', [sa.literal_column('lotwise_folded(number)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_table('number_counter',
    sa.Column('series', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('site', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('year', sa.Integer(), nullable=False),
    sa.Column('last', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('last >= 1'),
    sa.PrimaryKeyConstraint('series', 'site', 'year')
    )
    op.create_table('on_call_rota',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('site_id', sa.BigInteger(), nullable=False),
    sa.Column('first_day', sa.Date(), nullable=False),
    sa.Column('handover', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('days', sa.Integer(), nullable=False),
    sa.Column('logins', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.CheckConstraint('days BETWEEN 1 AND 366'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_on_call_rota_site_id'), 'on_call_rota', ['site_id'], unique=False)
    op.create_index('on_call_rota_name', 'on_call_rota', ['name', 'id'], unique=False)
    op.create_index('on_call_rota_name_begins', 'on_call_rota', [sa.literal_column('lotwise_folded(name)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_table('on_call_swap',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('rota_id', sa.BigInteger(), nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('to_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('login', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.CheckConstraint('from_at < to_at'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_on_call_swap_from_at'), 'on_call_swap', ['from_at'], unique=False)
    op.create_index(op.f('ix_on_call_swap_rota_id'), 'on_call_swap', ['rota_id'], unique=False)
    op.create_table('outbox',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('topic', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('payload', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('outbox_topic', 'outbox', ['topic'], unique=False)
    op.create_table('outbox_subscription',
    sa.Column('handler', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('pattern', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('external', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('handler')
    )
    op.create_table('outbox_task',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('outbox_id', sa.BigInteger(), nullable=False),
    sa.Column('handler', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('outbox_id', 'handler')
    )
    op.create_index('outbox_task_open', 'outbox_task', ['handler', 'next_at'], unique=False, postgresql_where='done_at IS NULL')
    op.create_table('partner',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('roles', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('country', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('gln', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('registration', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("state IN ('active', 'blocked', 'withdrawn')"),
    sa.CheckConstraint('cardinality(roles) > 0'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index(op.f('ix_partner_name'), 'partner', ['name'], unique=False)
    op.create_index('partner_code_begins', 'partner', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('partner_gln', 'partner', ['gln'], unique=True, postgresql_where="gln <> ''")
    op.create_index('partner_name_within', 'partner', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_table('partner_contact',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('partner_id', sa.BigInteger(), nullable=False),
    sa.Column('partner_site_id', sa.BigInteger(), nullable=True),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('purposes', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('email', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('phone', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('timezone', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('hours', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("email <> '' OR phone <> ''"),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_partner_contact_partner_id'), 'partner_contact', ['partner_id'], unique=False)
    op.create_index('partner_contact_name_within', 'partner_contact', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_table('partner_site',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('partner_id', sa.BigInteger(), nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('street', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('postal_code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('city', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('region', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('country', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('timezone', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('gln', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('partner_id', 'code')
    )
    op.create_index(op.f('ix_partner_site_partner_id'), 'partner_site', ['partner_id'], unique=False)
    op.create_index('partner_site_name_within', 'partner_site', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_table('pending_watermark',
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('epoch', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('partition', sa.Integer(), nullable=False),
    sa.Column('number', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('gateway', 'epoch', 'partition', 'number')
    )
    op.create_table('point',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('quantity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('unit', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('role', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('plausible_low', sa.Float(), nullable=True),
    sa.Column('plausible_high', sa.Float(), nullable=True),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("role IN ('required', 'spare', 'machine')"),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('address')
    )
    op.create_index(op.f('ix_point_zone_id'), 'point', ['zone_id'], unique=False)
    op.create_index('point_address_begins', 'point', [sa.literal_column('lotwise_folded(address)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_table('point_hour',
    sa.Column('point_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('hour_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('low', sa.Float(), nullable=False),
    sa.Column('high', sa.Float(), nullable=False),
    sa.Column('median', sa.Float(), nullable=False),
    sa.Column('readings', sa.Integer(), nullable=False),
    sa.Column('rises', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('point_id', 'hour_at', postgresql_include=['low', 'high'])
    )
    op.create_table('profile_limit',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('version_id', sa.BigInteger(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('quantity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('unit', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('op', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('threshold', sa.Float(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('delay', sa.Interval(), nullable=False),
    sa.Column('hysteresis', sa.Float(), nullable=False),
    sa.Column('allowance', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("kind IN ('instant', 'consecutive', 'cumulative')"),
    sa.CheckConstraint("op IN ('>', '>=', '<', '<=')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('version_id', 'key')
    )
    op.create_index(op.f('ix_profile_limit_version_id'), 'profile_limit', ['version_id'], unique=False)
    op.create_table('profile_version',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('profile_id', sa.BigInteger(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('allowed_gap', sa.Interval(), nullable=False),
    sa.Column('shortest_event', sa.Interval(), nullable=False),
    sa.Column('probe_kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('mkt_limit', sa.Float(), nullable=True),
    sa.Column('mkt_window', sa.Interval(), nullable=True),
    sa.Column('activation_energy', sa.Float(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('profile_id', 'version')
    )
    op.create_index(op.f('ix_profile_version_profile_id'), 'profile_version', ['profile_id'], unique=False)
    op.create_table('reading',
    sa.Column('point_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('edge_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('batch_id', sa.BigInteger(), nullable=True),
    sa.Column('num', sa.Float(), nullable=True),
    sa.Column('whole', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.SmallInteger(), nullable=False),
    sa.Column('quality', sa.SmallInteger(), nullable=False),
    sa.Column('simulated', sa.Boolean(), nullable=False),
    sa.Column('unit', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('txt', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('point_id', 'at', postgresql_include=['num', 'whole', 'kind', 'quality']),
    postgresql_partition_by='RANGE (at)'
    )
    op.create_index('reading_batch', 'reading', ['batch_id'], unique=False, postgresql_using='brin', postgresql_with={'pages_per_range': 16, 'autosummarize': 'on'})
    op.create_table('reading_conflict',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('point_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('edge_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('source_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('batch_id', sa.BigInteger(), nullable=True),
    sa.Column('num', sa.Float(), nullable=True),
    sa.Column('whole', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.SmallInteger(), nullable=False),
    sa.Column('quality', sa.SmallInteger(), nullable=False),
    sa.Column('simulated', sa.Boolean(), nullable=False),
    sa.Column('unit', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('txt', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('reading_conflict_point', 'reading_conflict', ['point_id', 'at'], unique=False)
    op.create_table('reading_restored',
    sa.Column('point_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('day', sa.DateTime(timezone=True), nullable=False),
    sa.Column('restored_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('point_id', 'day')
    )
    op.create_table('reading_shipped',
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('point_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('day', sa.DateTime(timezone=True), nullable=False),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.Numeric(precision=40, scale=0), nullable=False),
    sa.PrimaryKeyConstraint('gateway', 'point_id', 'day')
    )
    op.create_table('reservation',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('purpose', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reference', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("amount > 0 AND amount <> 'NaN'"),
    sa.CheckConstraint("state IN ('active', 'picked', 'suspended', 'consumed', 'cancelled')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('reservation_reference', 'reservation', ['reference'], unique=False)
    op.create_index('reservation_sublot', 'reservation', ['sublot_id'], unique=False)
    op.create_table('restoration',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('database_seal', sa.BigInteger(), nullable=False),
    sa.Column('witnessed_seal', sa.BigInteger(), nullable=False),
    sa.Column('receivers', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=True),
    sa.Column('signed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('record', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('database_seal', 'witnessed_seal'),
    sa.UniqueConstraint('signature_id')
    )
    op.create_table('restriction',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('value', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('placed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lifted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lifted_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_restriction_sublot_id'), 'restriction', ['sublot_id'], unique=False)
    op.create_table('revoked_token',
    sa.Column('jti', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('why', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('jti')
    )
    op.create_index(op.f('ix_revoked_token_until'), 'revoked_token', ['until'], unique=False)
    op.create_table('role',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('edition', sa.Integer(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('permits', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('outside', sa.Boolean(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('draft', 'approved', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code', 'edition')
    )
    op.create_index('role_approved', 'role', ['code'], unique=True, postgresql_where="state = 'approved'")
    op.create_index('role_code_begins', 'role', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('role_draft', 'role', ['code'], unique=True, postgresql_where="state = 'draft'")
    op.create_table('routing_step',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('bom_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('work_centre_id', sa.BigInteger(), nullable=False),
    sa.Column('alternatives', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('duration', sa.Interval(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('bom_id', 'number')
    )
    op.create_index(op.f('ix_routing_step_bom_id'), 'routing_step', ['bom_id'], unique=False)
    op.create_table('saved_view',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('owner', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('role', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('query', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("length(query) <= 4000 AND query !~ '(^|&)cursor='"),
    sa.CheckConstraint('length(name) BETWEEN 1 AND 60'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('owner', 'entity', 'name')
    )
    op.create_index('saved_view_of_role', 'saved_view', ['entity', 'role'], unique=False)
    op.create_table('sensor',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('serial', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('model', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('serial')
    )
    op.create_index('sensor_serial_begins', 'sensor', [sa.literal_column('lotwise_folded(serial)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_table('series_dropped',
    sa.Column('week', sa.DateTime(timezone=True), nullable=False),
    sa.Column('dropped_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('week')
    )
    op.create_table('series_point',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('address')
    )
    op.create_table('shipment',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('consignee', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('consignee_id', sa.BigInteger(), nullable=True),
    sa.Column('market', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('receiving_zone_id', sa.BigInteger(), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('picked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('dispatched_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('departed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('arrived_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("kind IN ('sale', 'transfer', 'inbound')"),
    sa.CheckConstraint("state IN ('planned', 'picked', 'dispatched', 'in_transit', 'arrived', 'accepted', 'refused', 'cancelled')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index(op.f('ix_shipment_consignee_id'), 'shipment', ['consignee_id'], unique=False)
    op.create_index('shipment_code_begins', 'shipment', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('shipment_created', 'shipment', ['created_at', 'id'], unique=False)
    op.create_index('shipment_due', 'shipment', ['state', 'due_at', 'id'], unique=False)
    op.create_table('shipment_hand_over',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('shipment_id', sa.BigInteger(), nullable=False),
    sa.Column('taker', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('taken_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('vehicle', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('temperature', sa.Float(), nullable=True),
    sa.Column('remark', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('signature_id', sa.BigInteger(), nullable=False),
    sa.CheckConstraint("taker IN ('carrier', 'consignee')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_shipment_hand_over_shipment_id'), 'shipment_hand_over', ['shipment_id'], unique=False)
    op.create_index('shipment_hand_over_signature', 'shipment_hand_over', ['signature_id'], unique=True)
    op.create_table('shipment_leg',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('shipment_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('origin', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('destination', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('carrier', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('vehicle_zone_id', sa.BigInteger(), nullable=True),
    sa.Column('to_zone_id', sa.BigInteger(), nullable=True),
    sa.Column('departed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('arrived_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('shipment_id', 'number')
    )
    op.create_index(op.f('ix_shipment_leg_shipment_id'), 'shipment_leg', ['shipment_id'], unique=False)
    op.create_index(op.f('ix_shipment_leg_vehicle_zone_id'), 'shipment_leg', ['vehicle_zone_id'], unique=False)
    op.create_table('shipment_line',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('shipment_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('handling_unit_id', sa.BigInteger(), nullable=True),
    sa.Column('reservation_id', sa.BigInteger(), nullable=True),
    sa.Column('from_zone_id', sa.BigInteger(), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.CheckConstraint("amount > 0 AND amount <> 'NaN'"),
    sa.CheckConstraint("state IN ('planned', 'picked', 'shipped', 'put_back')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_shipment_line_shipment_id'), 'shipment_line', ['shipment_id'], unique=False)
    op.create_index('shipment_line_sublot', 'shipment_line', ['sublot_id'], unique=False)
    op.create_table('shipment_logger',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('shipment_id', sa.BigInteger(), nullable=False),
    sa.Column('serial', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('signature_id', sa.BigInteger(), nullable=True),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("(state = 'waived') = (signature_id IS NOT NULL)"),
    sa.CheckConstraint("state IN ('required', 'read', 'waived')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('shipment_id', 'serial')
    )
    op.create_index(op.f('ix_shipment_logger_shipment_id'), 'shipment_logger', ['shipment_id'], unique=False)
    op.create_index('shipment_logger_signature', 'shipment_logger', ['signature_id'], unique=True)
    op.create_table('signature',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('meaning', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('meaning_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('record_hash', sa.LargeBinary(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('session', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index('signature_at', 'signature', ['at', 'id'], unique=False)
    op.create_index('signature_entity', 'signature', ['entity', 'entity_id'], unique=False)
    op.create_index('signature_session', 'signature', ['session'], unique=False, postgresql_where='session IS NOT NULL')
    op.create_table('site',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('timezone', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index('site_code_begins', 'site', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('site_name_within', 'site', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_table('source_watermark',
    sa.Column('zone_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('gateway', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('redundancy_group', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('upto', sa.DateTime(timezone=True), nullable=False),
    sa.Column('behind', sa.Interval(), server_default=sa.text("'0'"), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('advanced_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('zone_id', 'gateway', 'source')
    )
    op.create_table('stock_move',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('target', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('posted_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('purpose', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reference', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('reason_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('reverses_id', sa.BigInteger(), nullable=True),
    sa.Column('fact', sa.Boolean(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("amount > 0 AND amount <> 'NaN'"),
    sa.CheckConstraint('source <> target'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('key')
    )
    op.create_index('stock_move_split_of', 'stock_move', ['reference'], unique=False, postgresql_where="purpose IN ('split', 'merge')")
    op.create_index('stock_move_sublot', 'stock_move', ['sublot_id'], unique=False)
    op.create_table('stock_task',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reservation_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('reference', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("kind IN ('put_back', 'reallocate')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_stock_task_reservation_id'), 'stock_task', ['reservation_id'], unique=False)
    op.create_index('stock_task_open', 'stock_task', ['kind'], unique=False, postgresql_where='done_at IS NULL')
    op.create_table('storage_profile',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index('storage_profile_code_begins', 'storage_profile', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('storage_profile_name_within', 'storage_profile', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_table('sublot',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lot_id', sa.BigInteger(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('handling_unit', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('serial', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('expected', 'quarantine', 'released', 'rejected', 'reworked', 'returned', 'destroyed')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index(op.f('ix_sublot_lot_id'), 'sublot', ['lot_id'], unique=False)
    op.create_index('sublot_code_begins', 'sublot', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('sublot_created', 'sublot', ['created_at', 'id'], unique=False)
    op.create_index('sublot_quarantine', 'sublot', ['created_at', 'id'], unique=False, postgresql_where="state = 'quarantine'")
    op.create_index('sublot_site', 'sublot', ['site_id', 'id'], unique=False)
    op.create_index('sublot_site_code', 'sublot', ['site_id', 'code', 'id'], unique=False)
    op.create_index('sublot_site_created', 'sublot', ['site_id', 'created_at', 'id'], unique=False)
    op.create_index('sublot_zone', 'sublot', ['zone_id', 'id'], unique=False)
    op.create_table('supplier_certificate',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('partner_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('number', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('issuer', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('valid_from', sa.Date(), nullable=False),
    sa.Column('valid_until', sa.Date(), nullable=False),
    sa.Column('item_ids', postgresql.ARRAY(sa.BigInteger()), server_default='{}', nullable=False),
    sa.Column('partner_site_ids', postgresql.ARRAY(sa.BigInteger()), server_default='{}', nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('verified_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('verified_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('draft', 'valid', 'expired', 'withdrawn')"),
    sa.CheckConstraint('num_nonnulls(verified_by, verified_at) IN (0, 2)'),
    sa.CheckConstraint('valid_from <= valid_until'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('partner_id', 'kind', 'number')
    )
    op.create_index(op.f('ix_supplier_certificate_partner_id'), 'supplier_certificate', ['partner_id'], unique=False)
    op.create_index('supplier_certificate_number_begins', 'supplier_certificate', [sa.literal_column('lotwise_folded(number)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('supplier_certificate_until', 'supplier_certificate', ['valid_until', 'id'], unique=False)
    op.create_table('task',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('title_message', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('entity_id', sa.BigInteger(), nullable=True),
    sa.Column('site_id', sa.BigInteger(), nullable=True),
    sa.Column('permit', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('assignee', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('remind_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('conclusion', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.CheckConstraint("num_nonnulls(closed_at, closed_by) = CASE WHEN state IN ('open', 'taken') THEN 0 ELSE 2 END"),
    sa.CheckConstraint("state <> 'taken' OR assignee IS NOT NULL"),
    sa.CheckConstraint('(entity IS NULL) = (entity_id IS NULL)'),
    sa.CheckConstraint('permit IS NOT NULL OR assignee IS NOT NULL'),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_task_site_id'), 'task', ['site_id'], unique=False)
    op.create_index('task_assignee', 'task', ['assignee'], unique=False, postgresql_where="state IN ('open', 'taken')")
    op.create_index('task_due', 'task', ['due_at', 'id'], unique=False)
    op.create_index('task_once', 'task', ['kind', 'entity', 'entity_id', 'permit'], unique=True, postgresql_nulls_not_distinct=True, postgresql_where="kind <> 'by_hand' AND state IN ('open', 'taken')")
    op.create_index('task_remind', 'task', ['remind_at'], unique=False, postgresql_where="remind_at IS NOT NULL AND state IN ('open', 'taken')")
    op.create_index('task_source', 'task', ['entity', 'entity_id'], unique=False)
    op.create_index('task_standing', 'task', ['due_at', 'id'], unique=False, postgresql_where="state IN ('open', 'taken')")
    op.create_table('work_calendar',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('site_id', sa.BigInteger(), nullable=False),
    sa.Column('timezone', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('week', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('days', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('site_id')
    )
    op.create_table('work_centre',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=True),
    sa.Column('up', sa.Boolean(), nullable=False),
    sa.Column('state_since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index('work_centre_code_begins', 'work_centre', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_table('work_centre_state',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('work_centre_id', sa.BigInteger(), nullable=False),
    sa.Column('up', sa.Boolean(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('known_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_work_centre_state_work_centre_id'), 'work_centre_state', ['work_centre_id'], unique=False)
    op.create_table('work_order',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('bom_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('priority', sa.Integer(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('stopped_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('stopped_reason_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('output_lot_id', sa.BigInteger(), nullable=True),
    sa.Column('scrap', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("amount > 0 AND amount <> 'NaN'"),
    sa.CheckConstraint("state IN ('planned', 'material_ok', 'released', 'running', 'held', 'blocked', 'completed', 'reconciled', 'closed', 'cancelled')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('code')
    )
    op.create_index(op.f('ix_work_order_item_id'), 'work_order', ['item_id'], unique=False)
    op.create_index('work_order_code_begins', 'work_order', [sa.literal_column('lotwise_folded(code)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('work_order_due', 'work_order', ['due_at', 'id'], unique=False)
    op.create_index('work_order_state', 'work_order', ['state'], unique=False)
    op.create_table('work_order_line',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('order_id', sa.BigInteger(), nullable=False),
    sa.Column('item_id', sa.BigInteger(), nullable=False),
    sa.Column('needed', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.CheckConstraint("needed > 0 AND needed <> 'NaN'"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('order_id', 'item_id')
    )
    op.create_index(op.f('ix_work_order_line_order_id'), 'work_order_line', ['order_id'], unique=False)
    op.create_table('work_order_material',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('order_id', sa.BigInteger(), nullable=False),
    sa.Column('line_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('reservation_id', sa.BigInteger(), nullable=True),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('consumed', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('returned', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.CheckConstraint("consumed >= 0 AND consumed <> 'NaN' AND returned >= 0 AND returned <= consumed"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_work_order_material_order_id'), 'work_order_material', ['order_id'], unique=False)
    op.create_index('work_order_material_sublot', 'work_order_material', ['sublot_id'], unique=False)
    op.create_table('work_order_operation',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('order_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('work_centre_id', sa.BigInteger(), nullable=False),
    sa.Column('alternatives', postgresql.ARRAY(sa.BigInteger()), nullable=False),
    sa.Column('duration', sa.Interval(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_on_id', sa.BigInteger(), nullable=True),
    sa.CheckConstraint("state IN ('waiting', 'running', 'done')"),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('order_id', 'number')
    )
    op.create_index(op.f('ix_work_order_operation_order_id'), 'work_order_operation', ['order_id'], unique=False)
    op.create_index('work_order_operation_centre', 'work_order_operation', ['work_centre_id'], unique=False, postgresql_where="state <> 'done'")
    op.create_table('work_order_output',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('order_id', sa.BigInteger(), nullable=False),
    sa.Column('sublot_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_work_order_output_order_id'), 'work_order_output', ['order_id'], unique=False)
    op.create_index(op.f('ix_work_order_output_sublot_id'), 'work_order_output', ['sublot_id'], unique=False)
    op.create_table('zone',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('site_id', sa.BigInteger(), nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('accepts_held', sa.Boolean(), nullable=False),
    sa.Column('worst_temperature', sa.Float(), nullable=True),
    sa.Column('band_low', sa.Float(), nullable=True),
    sa.Column('band_high', sa.Float(), nullable=True),
    sa.Column('band_delay', sa.Interval(), nullable=False),
    sa.Column('band_hysteresis', sa.Float(), nullable=False),
    sa.Column('allowed_gap', sa.Interval(), nullable=False),
    sa.Column('simulated', sa.Boolean(), nullable=False),
    sa.Column('state', sa.Text(), server_default='active', nullable=False),
    sa.CheckConstraint("state IN ('active', 'withdrawn')"),
    sa.CheckConstraint('band_low IS NULL OR band_high IS NULL OR band_low < band_high'),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('address')
    )
    op.create_index('zone_address_begins', 'zone', [sa.literal_column('lotwise_folded(address)').label('folded')], unique=False, postgresql_ops={'folded': 'text_pattern_ops'})
    op.create_index('zone_name_within', 'zone', [sa.literal_column('lotwise_bigrams(name)')], unique=False, postgresql_using='gin')
    op.create_index('zone_site_address', 'zone', ['site_id', 'address', 'id'], unique=False)
    op.create_table('zone_alarm',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('raised_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('returned_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('acknowledged_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('acknowledged_by', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('comment', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('shelved_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('shelve_reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('suppressed', sa.Boolean(), nullable=False),
    sa.Column('out_of_service', sa.Boolean(), nullable=False),
    sa.Column('value', sa.Float(), nullable=True),
    sa.Column('point_id', sa.BigInteger(), nullable=True),
    sa.Column('detail', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('detail_message', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.CheckConstraint("state IN ('unacknowledged', 'acknowledged', 'returned_unacknowledged', 'normal')"),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_zone_alarm_zone_id'), 'zone_alarm', ['zone_id'], unique=False)
    op.create_index('zone_alarm_open', 'zone_alarm', ['zone_id', 'kind', sa.literal_column('coalesce(point_id, 0)')], unique=True, postgresql_where="state <> 'normal' AND returned_at IS NULL")
    op.create_table('zone_alarm_mode',
    sa.Column('zone_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('shelved_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('suppressed', sa.Boolean(), nullable=False),
    sa.Column('out_of_service', sa.Boolean(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('zone_id', 'kind')
    )
    op.create_table('zone_judged',
    sa.Column('zone_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('last_good_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('judged_to', sa.DateTime(timezone=True), nullable=True),
    sa.Column('watermark', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_value', sa.Float(), nullable=True),
    sa.Column('silent_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('zone_id')
    )
    op.create_table('zone_nesting',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('zone_id', sa.BigInteger(), nullable=False),
    sa.Column('parent_id', sa.BigInteger(), nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('to_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_zone_nesting_parent_id'), 'zone_nesting', ['parent_id'], unique=False)
    op.create_index(op.f('ix_zone_nesting_zone_id'), 'zone_nesting', ['zone_id'], unique=False)
    op.create_table('zone_profile',
    sa.Column('zone_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('version_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('from_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('zone_id', 'version_id')
    )
    op.create_table('zone_summary',
    sa.Column('zone_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('version_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('start_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('clean', sa.Boolean(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('zone_id', 'version_id', 'start_at')
    )
    op.create_index('zone_summary_unclean', 'zone_summary', ['zone_id', 'version_id', 'start_at'], unique=False, postgresql_where='NOT clean')
    # ### end Alembic commands ###
    for statement in GUARDS:
        op.execute(sa.text(statement.replace(':', '\\:')))


def downgrade() -> None:
    raise NotImplementedError("records are never unmade: restore a backup instead")
