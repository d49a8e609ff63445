"""Wire shapes of custody facts."""

from pydantic import AwareDatetime

from core.erp.kernel.shapes import Answer, Sentence


class FactOut(Answer):
    """One custody fact: `at` is when it was so, `known_at` when we learned it."""

    id: int
    sublot_id: int
    zone_id: int | None
    at: AwareDatetime
    known_at: AwareDatetime
    actor: str
    reason: str
    reason_message: Sentence
    retracts_id: int | None
    copy_of_id: int | None
