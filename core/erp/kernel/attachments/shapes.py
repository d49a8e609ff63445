"""The wire shapes of attachments."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.erp.kernel.attachments.service import Attached
from core.erp.kernel.http import Answer, Body, Text


class VersionOut(Answer):
    """One version of a document."""

    number: int
    name: str = Field(examples=["certificate.pdf"])
    media_type: str = Field(examples=["application/pdf"])
    size: int = Field(description="bytes")
    sha256: str
    note: str | None
    added_at: AwareDatetime
    added_by: str


class AttachmentOut(Answer):
    """A document on a record, with its versions; the last one counts."""

    id: int
    kind: str = Field(examples=["certificate"])
    title: str
    state: str = Field(examples=["current"])
    created_at: AwareDatetime
    created_by: str
    withdrawn_reason: str | None
    versions: list[VersionOut]


def shown(attached: Attached) -> AttachmentOut:
    """A document as it is answered."""
    fields = {name: getattr(attached.document, name) for name in AttachmentOut.model_fields if name != "versions"}
    return AttachmentOut(**fields, versions=[VersionOut.model_validate(one) for one in attached.versions])


class AttachmentIn(Body):
    """The form's fields beside the file."""

    all_texts: ClassVar[bool] = True
    title: Annotated[str, Field(max_length=200, description="default: the file's name")] = ""
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["certificate"])] = "document"
    note: Annotated[str, Field(max_length=2000)] = ""


class VersionIn(Body):
    """The form's fields beside the file."""

    all_texts: ClassVar[bool] = True
    note: Annotated[str, Field(max_length=2000, description="what changed")] = ""


class WithdrawIn(Body):
    """Why the document counts no more."""

    reason: Text
