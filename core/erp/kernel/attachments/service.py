"""Attaching files to records, and what hangs on one. Whoever calls has asked for the record's permit and scope."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text

from core.erp.kernel.attachments.files import StoredFile
from core.erp.kernel.attachments.model import Attachment, AttachmentVersion
from core.erp.kernel.attachments.workflow import ATTACHMENT, CURRENT
from core.erp.kernel.errors import Busy, Conflict, NotFound, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_LOCK = text("SELECT pg_advisory_xact_lock_shared(hashtext('lotwise.attachment'), hashtext(:sha256))")
"""Against the sweeper (`sweeping`), which holds it alone while it removes a file that hangs on nothing."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A document with its versions, the newest last."""

    document: Attachment
    versions: tuple[AttachmentVersion, ...]

    @property
    def newest(self) -> AttachmentVersion:
        """The version that counts."""
        return self.versions[-1]


def of(u: Unit, entity: str, entity_id: int) -> list[Attached]:
    """What hangs on a record, oldest first, withdrawn documents too; two queries whatever there is."""
    a, v = table(Attachment), table(AttachmentVersion)
    documents = u.session.scalars(
        select(Attachment).where(a.c.entity == entity, a.c.entity_id == entity_id).order_by(a.c.id)
    ).all()
    ids = [document.id for document in documents]
    versions = u.session.scalars(
        select(AttachmentVersion).where(v.c.attachment_id.in_(ids)).order_by(v.c.attachment_id, v.c.number)
    ).all()
    return [
        Attached(document, tuple(one for one in versions if one.attachment_id == document.id)) for document in documents
    ]


def fingerprint(u: Unit, entity: str, entity_id: int) -> list[str]:
    """The hashes of a record's current documents, sorted: for a record's signed form, which dies if one changes."""
    return sorted(
        one.newest.sha256 for one in of(u, entity, entity_id) if one.document.state == CURRENT and one.versions
    )


def one(u: Unit, entity: str, entity_id: int, attachment_id: int, *, lock: bool = False) -> Attachment:
    """The document, if it hangs on that very record. Raises NotFound."""
    found = u.get(Attachment, attachment_id, lock=lock)
    if found is None or (found.entity, found.entity_id) != (entity, entity_id):
        raise absent("attachment", attachment_id)
    return found


def version(u: Unit, attachment_id: int, number: int | None = None) -> AttachmentVersion:
    """That version of a document, or its newest. Raises NotFound."""
    v = table(AttachmentVersion)
    wanted = select(AttachmentVersion).where(v.c.attachment_id == attachment_id).order_by(v.c.number.desc()).limit(1)
    if number is not None:
        wanted = wanted.where(v.c.number == number)
    found = u.session.scalars(wanted).first()
    if found is None:
        raise NotFound("attachments.no_version", attachment_id=attachment_id, version=number or 1)
    return found


def attach(
    u: Unit, entity: str, entity_id: int, file: StoredFile, *, title: str = "", kind: str = "document", note: str = ""
) -> Attached:
    """Hangs a file on a record. Raises Conflict where it hangs there already, Busy where it was swept meanwhile."""
    _still_there(u, file)
    for there in of(u, entity, entity_id):
        if there.document.state == CURRENT and there.newest.sha256 == file.sha256:
            raise Conflict(
                "attachments.there_already", name=there.newest.name, extra={"attachment_id": there.document.id}
            )
    document = Attachment(
        entity=entity,
        entity_id=entity_id,
        kind=kind,
        title=title or file.name,
        created_at=u.now,
        created_by=u.actor.login,
    )
    u.session.add(document)
    u.session.flush()
    return Attached(document, (_add(u, document, 1, file, note),))


def replace(u: Unit, entity: str, entity_id: int, attachment_id: int, file: StoredFile, *, note: str = "") -> Attached:
    """The next version of a document; those before stay. Raises NotFound, Refused (withdrawn), Conflict, Busy."""
    document = one(u, entity, entity_id, attachment_id, lock=True)
    if document.state != CURRENT:
        raise Refused("attachments.withdrawn", document=document.title, extra={"attachment_id": attachment_id})
    _still_there(u, file)
    before = version(u, attachment_id)
    if before.sha256 == file.sha256:
        raise Conflict("attachments.same_version", version=before.number, extra={"attachment_id": attachment_id})
    _add(u, document, before.number + 1, file, note)
    return _attached(u, document)


def withdraw(u: Unit, entity: str, entity_id: int, attachment_id: int, reason: str) -> Attached:
    """The document counts no more, and stays to be read. Raises NotFound, IllegalMove, Invalid (no reason)."""
    document = one(u, entity, entity_id, attachment_id, lock=True)
    document.withdrawn_reason = reason
    ATTACHMENT.apply(u, document, "withdraw", reason=reason)
    facts = {"attachment_id": document.id, "title": document.title}
    u.audit("attachment.withdraw", entity, entity_id, before=facts, reason=reason)
    return _attached(u, document)


def _attached(u: Unit, document: Attachment) -> Attached:
    v = table(AttachmentVersion)
    rows: Sequence[AttachmentVersion] = u.session.scalars(
        select(AttachmentVersion).where(v.c.attachment_id == document.id).order_by(v.c.number)
    ).all()
    return Attached(document, tuple(rows))


def _still_there(u: Unit, file: StoredFile) -> None:
    u.conn.execute(_LOCK, {"sha256": file.sha256})
    if not file.path.is_file():
        raise Busy("attachments.swept", extra={"retry_after": 1})


def _add(u: Unit, document: Attachment, number: int, file: StoredFile, note: str) -> AttachmentVersion:
    row = AttachmentVersion(
        attachment_id=document.id,
        number=number,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        note=note or None,
        added_at=u.now,
        added_by=u.actor.login,
    )
    u.session.add(row)
    u.session.flush()
    after = {
        "attachment_id": document.id,
        "title": document.title,
        "version": number,
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
    }
    # under the record: it is the record's history that tells what hung on it, and when
    u.audit("attachment.add", document.entity, document.entity_id, after=after, reason=note or None)
    u.outbox("attachment.added", document.id, {**after, "entity": document.entity, "entity_id": document.entity_id})
    return row
