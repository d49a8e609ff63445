"""The wire shapes of deadlines."""

from typing import Literal

from pydantic import AwareDatetime, Field

from core.erp.kernel.shapes import Answer, Duration, Sentence


class StepOut(Answer):
    """A step: a warning, what happens when it is due, an escalation. `late`: how long behind its time it was done."""

    kind: Literal["warn", "due", "escalate"]
    at: AwareDatetime
    permit: str | None
    done_at: AwareDatetime | None
    outcome: Literal["done", "refused", "void"] | None
    note: str | None
    note_message: Sentence
    late: Duration | None


class DeadlineOut(Answer):
    """By when something is to be done with a record."""

    id: int
    term: str = Field(examples=["certificate_expiry"])
    entity: str = Field(examples=["supplier_certificate"])
    entity_id: int
    about: str
    about_message: Sentence
    site_id: int | None
    permit: str = Field(examples=["certificate.manage"])
    assignee: str | None = Field(description="whose it is, where it is not for whoever holds the permit")
    begun_at: AwareDatetime
    begun_by: str
    counted: str | None = Field(description="how it was counted from begun_at", examples=["15 working_days"])
    due_at: AwareDatetime
    next_at: AwareDatetime | None = Field(description="when its next step is done")
    state: Literal["open", "met", "passed", "cancelled"]
    closed_at: AwareDatetime | None
    closed_by: str | None
