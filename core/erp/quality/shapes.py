"""Wire shapes of quality."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, PlainSerializer

from core.erp.kernel.http import Amount, Answer, Body, Figure, Moment, Ref, Sentence, SignIn, Text
from core.erp.kernel.problems import message_fields
from core.erp.quality.rules import ReleaseObstacle

Seconds = Annotated[timedelta, PlainSerializer(timedelta.total_seconds, return_type=float)]
"""A length of time, in seconds on the wire."""
Certainty = Literal["proven", "uncertain", "unproven"]
AlarmKind = Literal[
    "high", "low", "stale", "silent_gateway", "sensor_stuck", "sensor_jumps", "sensor_drifts", "sensor_no_defrost"
]
IncidentKind = Literal["limit", "gap", "silent_gateway"]
Decision = Literal["accept", "restrict", "reject", "rework", "return", "destroy"]


class RestrictionSpecIn(Body):
    """A condition on use."""

    kind: Literal["purpose", "market", "customer", "use_by", "remaining_life"]
    value: dict[str, Any]


class AssessIn(Body):
    """What QA makes of an excursion."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"assessment": "31 min at 9 °C; stability covers 24 h"}]})
    assessment: Text


class DispositionIn(SignIn):
    """A signed decision."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"decision": "accept", "reason": "within stability data", "password": "••••••••••", "login": "quinn"},
                {
                    "decision": "restrict",
                    "reason": "shortened life",
                    "password": "••••••••••",
                    "restrictions": [{"kind": "use_by", "value": {"date": "2026-09-30"}}],
                },
            ]
        }
    )
    decision: Decision
    reason: Text
    restrictions: list[RestrictionSpecIn] = Field(default_factory=list)


class BatchDispositionIn(DispositionIn):
    """The same signed decision on several excursions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "excursion_ids": [7, 8, 9],
                    "decision": "accept",
                    "reason": "within stability data",
                    "password": "••••••••••",
                    "login": "quinn",
                }
            ]
        }
    )

    excursion_ids: Annotated[list[Ref], Field(min_length=1, max_length=500)]


class ReleaseIn(SignIn):
    """Batch release by signature."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"login": "rory", "password": "••••••••••", "reason": "exposure and audit trail reviewed"}]
        }
    )
    reason: Text = "exposure and trail reviewed"


class SublotReleaseIn(ReleaseIn):
    """Batch release of one sublot, or of a part of it."""

    amount: Amount | None = Field(None, description="a part that is split off and released; left out: all of it")


class BatchReleaseIn(ReleaseIn):
    """Batch release of several sublots."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sublot_ids": [7, 8], "login": "rory", "password": "••••••••••", "reason": "reviewed"}]
        }
    )

    sublot_ids: Annotated[list[Ref], Field(min_length=1, max_length=100)]


class ConclusionIn(Body):
    """How something ended."""

    conclusion: Text


class HoldOut(Answer):
    """A hold that an excursion placed."""

    id: int
    kind: str
    certainty: str | None
    reason: str
    reason_message: Sentence
    since_at: AwareDatetime
    placed_at: AwareDatetime
    lifted_at: AwareDatetime | None
    lifted_by: str | None
    lift_reason: str | None


class ExcursionOut(Answer):
    """One limit of a profile broken by what one sublot went through."""

    id: int
    incident_id: int
    sublot_id: int
    sublot: str
    lot_id: int
    lot: str
    item: str
    zone_id: int | None
    zone: str | None
    version_id: int
    limit_key: str
    kind: str
    state: str
    certainty: Certainty
    started_at: AwareDatetime
    broke_at: AwareDatetime
    ended_at: AwareDatetime | None
    known_at: AwareDatetime
    out: Seconds = Field(description="seconds out of the limit")
    lowest: Figure | None
    highest: Figure | None
    accepted_before: Seconds
    accepted: Seconds | None
    replaces_id: int | None
    assessed_by: str | None
    assessment: str | None


class DispositionOut(Answer):
    """A signed decision, with what was signed and the holds it lifted."""

    id: int
    excursion_id: int
    decision: str
    reason: str
    signature_id: int
    accepted: Seconds
    at: AwareDatetime
    record: dict[str, Any]
    hold_ids: list[int]


class IncidentOut(Answer):
    """One cause and what it made."""

    id: int
    zone_id: int | None
    zone: str | None
    gateway: str | None
    kind: IncidentKind
    title: str
    title_message: Sentence
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    known_at: AwareDatetime
    excursions: int
    undecided: int


class ReleaseObstacleOut(Answer):
    """One reason against a release: `detail` in the language asked for, and the same as a message."""

    kind: str
    detail: str
    id: str
    params: dict[str, Any]

    @classmethod
    def of(cls, obstacle: ReleaseObstacle, language: str) -> "ReleaseObstacleOut":
        """As the reader sees it."""
        return cls(kind=obstacle.kind, **message_fields(obstacle.message, language))


class ReleaseReviewOut(Answer):
    """What a release would sign, and what stands against it."""

    record: dict[str, Any]
    against: list[ReleaseObstacleOut]
    against_automatic: list[ReleaseObstacleOut]


class ReleaseOut(Answer):
    """A release, with the record it covers."""

    id: int
    sublot_id: int
    signature_id: int | None
    automatic: bool
    at: AwareDatetime
    record: dict[str, Any]


class DeviationOut(Answer):
    """A fact that broke a rule."""

    id: int
    sublot_id: int | None
    shipment_id: int | None
    title: str
    title_message: Sentence
    detail: str
    detail_message: Sentence
    happened_at: AwareDatetime
    known_at: AwareDatetime
    state: str
    conclusion: str | None
    closed_by: str | None
    closed_at: AwareDatetime | None


class Queue(Answer):
    """What waits for QA."""

    to_assess: int
    to_decide: int
    still_out: int
    orphan_holds: int = Field(description="holds whose excursion later data refuted: they stand until QA lifts them")
    open_holds: int
    open_deviations: int
    in_quarantine: int
    excursions: list[ExcursionOut]


class AlarmOut(Answer):
    """A zone alarm with its ISA-18.2 state."""

    id: int
    zone_id: int
    zone: str
    kind: AlarmKind
    state: str
    started_at: AwareDatetime
    raised_at: AwareDatetime
    returned_at: AwareDatetime | None
    acknowledged_at: AwareDatetime | None
    acknowledged_by: str | None
    comment: str | None
    shelved_until: AwareDatetime | None
    shelve_reason: str | None
    suppressed: bool
    out_of_service: bool
    value: Figure | None
    point_id: int | None
    point: str | None
    detail: str | None
    detail_message: Sentence


class ShelveIn(Body):
    """How long an alarm is off the list, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"until": "2026-03-02T12:00:00Z", "reason": "defrosting, watched by hand"}]}
    )
    until: Moment
    reason: Text


class ModeIn(Body):
    """Suppress by design, or take out of service: on or off, and why."""

    on: bool
    reason: Text


class ModeOut(Answer):
    """How alarms of one kind in one zone are shown."""

    zone_id: int
    kind: str
    shelved_until: AwareDatetime | None
    suppressed: bool
    out_of_service: bool
    reason: str
    by: str
    at: AwareDatetime
