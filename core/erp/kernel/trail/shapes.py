"""Wire shapes of the trail."""

from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from core.erp.kernel.shapes import Answer, Sentence, SignIn, Text, Who


class AuditOut(Answer):
    """Who did what to which record, when and why."""

    id: int
    at: AwareDatetime
    actor: Who
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    reason_message: Sentence


class SignatureOut(Answer):
    """Name, time and meaning of a signature, and of which record it is (21 CFR 11.50)."""

    id: int
    at: AwareDatetime
    user_id: int
    name: str
    meaning: str = Field(description="as its signer saw it, in the signer's language")
    meaning_message: Sentence
    reason: str | None
    entity: str
    entity_id: str


class RestorationOut(Answer):
    """The database was found behind its witness. Until that is signed, what a hold would stop is refused."""

    id: int
    found_at: AwareDatetime
    database_seal: int
    witnessed_seal: int
    state: Literal["found", "signed"]
    signature_id: int | None
    signed_at: AwareDatetime | None


class RestorationIn(SignIn):
    """QA signs what is missing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"login": "quinn", "password": "••••••••••", "reason": "hold 7 placed, scrap posted again"}]
        }
    )
    reason: Text


class ReviewIn(SignIn):
    """A period of the trail, what was seen in it, and when it is to be done again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "login": "quinn",
                    "password": "••••••••••",
                    "start": "2026-01-01T00:00:00Z",
                    "stop": "2026-04-01T00:00:00Z",
                    "next_due": "2026-07-15",
                    "reason": "nothing unexpected",
                }
            ]
        }
    )
    start: AwareDatetime
    stop: AwareDatetime
    next_due: date
    reason: Text


class ReviewOut(Answer):
    """A period of the trail that somebody has reviewed and signed; `rows` and `findings` as they were then."""

    start: AwareDatetime
    stop: AwareDatetime
    at: AwareDatetime
    by: Who
    name: str
    remark: str
    rows: int
    findings: int
    next_due: date
    signature_id: int


class ReviewSignedOut(Answer):
    """The signature of a review."""

    signature_id: int


class VerificationOut(Answer):
    """What was read of the trail, and how many things were found wrong: none, and it is whole."""

    at: AwareDatetime
    rows: int
    seals: int
    findings: int
