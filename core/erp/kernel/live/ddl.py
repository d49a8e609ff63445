"""What puts changes into the queue: every outbox row, and what becomes of users and their sessions."""

from core.erp.kernel.guarded import Guarded
from core.erp.kernel.live.model import LiveChange

TABLES = (Guarded(LiveChange, removable=True, why="a queue: what was told to open pages is gone"),)

_FROM_OUTBOX = """
CREATE OR REPLACE FUNCTION lotwise_live_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_change (outbox_id) SELECT id FROM fresh;
    RETURN NULL;
END $$
"""
_ON_OUTBOX = """
CREATE TRIGGER live_outbox AFTER INSERT ON outbox REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION lotwise_live_outbox()
"""

_ROW = """
CREATE OR REPLACE FUNCTION lotwise_live_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_change (topic) VALUES (TG_ARGV[0] || ':' || NEW.id);
    RETURN NULL;
END $$
"""
_ON_USER = "CREATE TRIGGER live_user AFTER UPDATE ON app_user FOR EACH ROW EXECUTE FUNCTION lotwise_live_row('user')"
_ON_SESSION = """
CREATE TRIGGER live_session AFTER UPDATE OF ended_at ON browser_session
FOR EACH ROW EXECUTE FUNCTION lotwise_live_row('session')
"""

DDL = (_FROM_OUTBOX, _ON_OUTBOX, _ROW, _ON_USER, _ON_SESSION)
