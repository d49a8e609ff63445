"""What the database guards of attachments: versions follow one another and stay; a withdrawn document gets no other."""

from core.erp.kernel.attachments.model import Attachment, AttachmentVersion
from core.erp.kernel.guarded import Guarded

TABLES = (
    Guarded(
        Attachment,
        kept=True,
        identity=("entity", "entity_id", "kind", "title", "created_at", "created_by"),
        changes=("state", "withdrawn_reason"),
    ),
    Guarded(AttachmentVersion, append_only=True),
)

_GUARD = """
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
"""

_GUARD_TRIGGER = (
    "CREATE TRIGGER attachment_version_guard BEFORE INSERT ON attachment_version"
    " FOR EACH ROW EXECUTE FUNCTION lotwise_guard_attachment_version()"
)

DDL: tuple[str, ...] = (_GUARD, _GUARD_TRIGGER)
