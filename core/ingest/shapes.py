"""Wire shapes of dead letters."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from core.erp.kernel.records import Link
from core.erp.kernel.shapes import Answer, Body, Ref, Sentence

DeadLetterReason = Literal[
    "absurd_time",
    "absurd_value",
    "after_fold",
    "after_tombstone",
    "batch_mismatch",
    "series_store",
    "simulated",
    "undecodable",
    "unknown_point",
    "unstorable_text",
    "wrong_partition",
    "wrong_subject",
    "wrong_unit",
]
"""Why something is put aside: what dead letters are counted by."""


class DeadLetterOut(Answer):
    """What could not be decoded, validated or stored, and why."""

    id: int
    at: AwareDatetime
    kind: Literal["message", "part", "reading", "unstored"]
    reason: DeadLetterReason
    detail: str
    detail_message: Sentence
    gateway: str | None
    partition: int | None
    point: str | None
    reading_at: AwareDatetime | None
    state: Literal["open", "replayed"]
    replayed_at: AwareDatetime | None
    replayed_by: str | None
    outcome: str | None


class ReplayIn(Body):
    """Which dead letters to try again; empty fields do not narrow."""

    reason: str | None = Field(default=None, examples=["unknown_point"])
    gateway: str | None = None
    point: str | None = None
    ids: Annotated[list[Ref] | None, Link("dead_letter")] = None


class ReplayOut(Answer):
    """What came of it; `still` counts by reason those that stay as they were."""

    landed: int
    duplicates: int
    conflicts: int
    batches: int
    remaining: dict[str, int]
