"""Wire shapes of alerting."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from core.erp.kernel.records.links import Link
from core.erp.kernel.shapes import Answer, Body, Login, Moment, Ref, Sentence, Text
from core.erp.kernel.strict import Day

Event = Literal[
    "excursion",
    "hold",
    "zone_high",
    "zone_low",
    "zone_stale",
    "silent_gateway",
    "ingest_stopped",
    "ingest_trouble",
    "unreachable",
    "readings_refused",
    "two_gateways",
    "heartbeat_missing",
    "clock_wrong",
    "disk_filling",
    "backup_failed",
    "audit_finding",
    "certificate_ending",
    "import_refused",
    "deadline",
    "sensor",
    "drill",
]
Severity = Literal["harm", "alarm", "notice"]
WayKind = Literal["mail", "sms", "voice", "chat", "webhook", "mqtt"]
Channel = Literal["page", "mail", "sms", "voice", "chat", "webhook", "mqtt"]
Language = Literal["en", "zh"]
MessageKind = Literal["told", "repeated", "all_clear", "summary"]
Hours = Literal["always", "working", "off"]
Active = Literal["active", "withdrawn"]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:00"])]


class StepIn(Body):
    """After so many minutes one of these is told, unless somebody has taken it: who is on call, a person, everybody
    of a role, or a place (a way that is nobody's).
    """

    after_minutes: Annotated[int, Field(ge=0, le=10_080)]
    rota_id: Annotated[Ref | None, Link("on_call_rota")] = None
    login: Login | None = None
    role: Annotated[str, Field(max_length=64)] = ""
    way_id: Annotated[Ref | None, Link("contact_way")] = None


class RouteIn(Body):
    """Which events (none: every one) of which site, zone, item and hours are told to whom, in which order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Cold rooms at night",
                    "site_id": 1,
                    "events": ["zone_high", "zone_low", "excursion"],
                    "hours": "off",
                    "steps": [{"after_minutes": 0, "rota_id": 1}, {"after_minutes": 10, "role": "qa"}],
                    "repeat_minutes": 30,
                }
            ]
        }
    )
    name: Name
    site_id: Ref | None = None
    zone_id: Ref | None = None
    item_id: Ref | None = None
    events: Annotated[list[Event], Field(max_length=40)] = Field(default_factory=list)
    hours: Hours = "always"
    steps: Annotated[list[StepIn], Field(min_length=1, max_length=20)]
    repeat_minutes: Annotated[int, Field(ge=0, le=1440)] = 0


class RouteChange(Body):
    """What changes of a route: for what is raised from then on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"repeat_minutes": 15}]})
    name: Name | None = None
    site_id: Ref | None = None
    zone_id: Ref | None = None
    item_id: Ref | None = None
    events: Annotated[list[Event], Field(max_length=40)] | None = None
    hours: Hours | None = None
    steps: Annotated[list[StepIn], Field(min_length=1, max_length=20)] | None = None
    repeat_minutes: Annotated[int, Field(ge=0, le=1440)] | None = None


class StepOut(Answer):
    """A step of a route."""

    after_minutes: int
    rota_id: int | None = None
    login: str | None = None
    role: str = ""
    way_id: int | None = None


class RouteOut(Answer):
    """A route."""

    id: int
    name: str
    site_id: int | None
    zone_id: int | None
    item_id: int | None
    events: list[Event]
    hours: Hours
    steps: list[StepOut]
    repeat_minutes: int
    state: Active


class RotaIn(Body):
    """People in turn, so many days each, from the site's handover time of the first day on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Cold chain", "site_id": 1, "first_day": "2026-01-05", "logins": ["wes", "lou"]}]
        }
    )
    name: Name
    site_id: Ref
    first_day: Day
    handover: Clock = "08:00"
    days: Annotated[int, Field(ge=1, le=366)] = 7
    logins: Annotated[list[Login], Field(min_length=1, max_length=100)]


class RotaChange(Body):
    """What changes of a rota, from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"logins": ["lou", "wes"]}]})
    name: Name | None = None
    first_day: Day | None = None
    handover: Clock | None = None
    days: Annotated[int, Field(ge=1, le=366)] | None = None
    logins: Annotated[list[Login], Field(min_length=1, max_length=100)] | None = None


class SwapIn(Body):
    """From–until somebody else is on call: a swap, or a stand-in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rota_id": 1,
                    "from_at": "2026-03-02T07:00:00Z",
                    "to_at": "2026-03-03T07:00:00Z",
                    "login": "lou",
                    "note": "swapped with wes",
                }
            ]
        }
    )
    rota_id: Ref
    from_at: Moment
    to_at: Moment
    login: Login
    note: Annotated[str, Field(max_length=200)] = ""


class AbsenceIn(Body):
    """Somebody is away from–until, and a deputy is told in their place."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "login": "wes",
                    "from_at": "2026-03-02T07:00:00Z",
                    "to_at": "2026-03-09T07:00:00Z",
                    "deputy": "lou",
                }
            ]
        }
    )
    login: Login
    from_at: Moment
    to_at: Moment
    deputy: Login


class WayIn(Body):
    """How somebody is reached, or (without a person) a place: an address, a number, a topic, a group's name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "wes, mail", "login": "wes", "kind": "mail", "address": "wes@example.com"}]
        }
    )
    name: Name
    login: Login | None = None
    site_id: Ref | None = None
    kind: WayKind
    address: Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]
    quiet: Annotated[str, Field(max_length=11, examples=["22:00-06:00"])] = ""
    language: Language = "en"


class WayChange(Body):
    """What changes of a way."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"quiet": "22:00-06:00"}]})
    name: Name | None = None
    address: Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")] | None = None
    quiet: Annotated[str, Field(max_length=11)] | None = None
    language: Language | None = None


class AlertOut(Answer):
    """Something that people are told of."""

    id: int
    title: str
    title_message: Sentence
    state: Literal["standing", "taken", "over"]
    severity: Severity
    event: Event
    site_id: int | None
    zone_id: int | None
    entity: str | None
    entity_id: int | None
    began_at: AwareDatetime
    raised_at: AwareDatetime
    taken_by: str | None
    taken_at: AwareDatetime | None
    comment: str | None
    over_at: AwareDatetime | None
    silenced_until: AwareDatetime | None
    drill: bool


class AlertStepOut(Answer):
    """Who is told, and when."""

    at: AwareDatetime
    target: Literal["person", "rota", "role", "permit", "way"]
    value: str
    done_at: AwareDatetime | None
    outcome: Literal["told", "nobody", "void"] | None
    people: list[str]


class PartOut(Answer):
    """A record that belongs to an alert."""

    entity: str
    entity_id: int
    at: AwareDatetime


class TellingOut(Answer):
    """Who was told, by which channel, when, and what came of it."""

    id: int
    called: str
    channel: Channel
    kind: MessageKind
    created_at: AwareDatetime
    state: Literal["queued", "sent", "failed"]
    sent_at: AwareDatetime | None
    seen_at: AwareDatetime | None
    failure: str | None


class MessageOut(Answer):
    """A message as it was worded."""

    id: int
    subject: str
    state: Literal["queued", "sent", "failed"]
    kind: MessageKind
    severity: Severity
    called: str
    login: str | None
    channel: Channel
    site_id: int | None
    alert_ids: list[int]
    language: str
    body: str
    short: str
    created_at: AwareDatetime
    not_before: AwareDatetime | None
    sent_at: AwareDatetime | None
    seen_at: AwareDatetime | None
    failure: str | None
    drill: bool


class DeliveryOut(Answer):
    """One attempt to hand it to its channel."""

    attempt: int
    began_at: AwareDatetime
    ended_at: AwareDatetime | None
    outcome: Literal["sent", "later", "refused", "unknown"] | None
    detail: str


class TakeIn(Body):
    """What is done about it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "door was open, closed it; watching"}]})
    reason: Text


class RotaOut(Answer):
    """A rota; `now` is whose turn it is."""

    id: int
    name: str
    site_id: int
    first_day: date
    handover: str
    days: int
    logins: list[str]
    state: Active
