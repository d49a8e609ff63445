"""Tables of alerting: routes, rotas, ways to reach people, alerts with their steps and parts, messages, deliveries."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Interval, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import ACTIVE_OR_WITHDRAWN, active_or_withdrawn, identity, moment, ref
from core.erp.kernel.search_indexes import beginnings

OPEN = "state IN ('standing', 'taken')"
"""Of an alert that is not over: the condition of the indexes by which those are found."""


def _texts(*, nullable: bool = False) -> Any:
    return Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=nullable, server_default="{}"))


class AlertRoute(SQLModel, table=True):
    """Which events are told to whom, in which order. What is empty narrows nothing.

    `steps`: who is told how many minutes after the beginning, unless somebody has taken it by then. An alert keeps the
    steps that it was raised with, whatever the route says later.
    """

    __tablename__ = "alert_route"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        CheckConstraint("hours IN ('always', 'working', 'off')"),
        CheckConstraint("repeat_minutes BETWEEN 0 AND 1440"),
        Index("alert_route_name", "name", "id"),
        beginnings("alert_route", "name"),
    )

    id: int = identity()
    name: str
    site_id: int | None = ref(nullable=True, index=True)
    zone_id: int | None = ref(nullable=True, index=True)
    item_id: int | None = ref(nullable=True, index=True)
    events: list[str] = _texts()
    hours: str = "always"
    steps: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    repeat_minutes: int = 0
    """After the last step, as long as it lasts and nobody has taken it; 0: not again."""
    state: str = active_or_withdrawn()


class OnCallRota(SQLModel, table=True):
    """People who are on call in turn, `days` each, from the site's `handover` time of `first_day` on."""

    __tablename__ = "on_call_rota"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        CheckConstraint("days BETWEEN 1 AND 366"),
        Index("on_call_rota_name", "name", "id"),
        beginnings("on_call_rota", "name"),
    )

    id: int = identity()
    name: str
    site_id: int = ref(index=True)
    first_day: date
    handover: str = "08:00"
    days: int = 7
    logins: list[str] = _texts()
    """In the order of their turns."""
    state: str = active_or_withdrawn()


class OnCallSwap(SQLModel, table=True):
    """From–until somebody else is on call of a rota: a swap, or a stand-in. Of several the newest holds."""

    __tablename__ = "on_call_swap"
    __table_args__ = (CheckConstraint(ACTIVE_OR_WITHDRAWN), CheckConstraint("from_at < to_at"))

    id: int = identity()
    rota_id: int = ref(index=True)
    from_at: datetime = moment(index=True)
    to_at: datetime = moment()
    login: str
    note: str = ""
    state: str = active_or_withdrawn()


class Absence(SQLModel, table=True):
    """Somebody is away from–until, and their `deputy` is told in their place, wherever they would be."""

    __tablename__ = "absence"
    __table_args__ = (CheckConstraint(ACTIVE_OR_WITHDRAWN), CheckConstraint("from_at < to_at"))

    id: int = identity()
    login: str = Field(index=True)
    from_at: datetime = moment(index=True)
    to_at: datetime = moment()
    deputy: str
    state: str = active_or_withdrawn()


class ContactWay(SQLModel, table=True):
    """How somebody is reached, or (without a login) a place: a chat group, a siren. The address is personal.

    `quiet`: hours of the day at which it is not used, unless goods are harmed (`22:00-06:00`). `language` is that of a
    place; a person has one already.
    """

    __tablename__ = "contact_way"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        CheckConstraint("kind IN ('mail', 'sms', 'voice', 'chat', 'webhook', 'mqtt')"),
        CheckConstraint("language IN ('en', 'zh')"),
        beginnings("contact_way", "name"),
    )

    id: int = identity()
    name: str
    login: str | None = Field(default=None, index=True)
    site_id: int | None = ref(nullable=True, index=True)
    kind: str
    address: str
    quiet: str = ""
    language: str = "en"
    state: str = active_or_withdrawn()


class Alert(SQLModel, table=True):
    """Something that somebody has to be told of: one a cause, however much belongs to it (its parts).

    States: standing, taken (somebody does something about it), over. `over_at`: since when its condition is no more;
    it is over at `clear_at`, unless the condition comes back before. `next_at` is when there is something to do for it.
    """

    __tablename__ = "alert"
    __table_args__ = (
        CheckConstraint("state IN ('standing', 'taken', 'over')"),
        CheckConstraint("severity IN ('harm', 'alarm', 'notice')"),
        CheckConstraint("num_nonnulls(taken_at, taken_by, comment) IN (0, 3)"),
        CheckConstraint("state <> 'taken' OR taken_at IS NOT NULL"),
        Index("alert_cause", "cause", unique=True, postgresql_where=OPEN),
        Index("alert_next", "next_at", "id", postgresql_where="next_at IS NOT NULL"),
        Index("alert_raised", "raised_at", "id"),
        Index("alert_open", "severity", "id", postgresql_where=OPEN),
        Index("alert_source", "entity", "entity_id"),
    )

    id: int = identity()
    event: str
    severity: str
    cause: str
    entity: str | None = None
    entity_id: int | None = ref(nullable=True)
    site_id: int | None = ref(nullable=True, index=True)
    zone_id: int | None = ref(nullable=True, index=True)
    title: str
    title_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    began_at: datetime = moment()
    """Since when it is so."""
    raised_at: datetime = moment()
    """When this was learned."""
    state: str = "standing"
    taken_by: str | None = None
    taken_at: datetime | None = moment(nullable=True)
    comment: str | None = None
    over_at: datetime | None = moment(nullable=True)
    clear_at: datetime | None = moment(nullable=True)
    silenced_until: datetime | None = moment(nullable=True)
    repeat: timedelta | None = Field(default=None, sa_column=Column(Interval, nullable=True))
    repeated_at: datetime | None = moment(nullable=True)
    next_at: datetime | None = moment(nullable=True)
    failures: int = 0
    drill: bool = False


class AlertPart(SQLModel, table=True):
    """A record that belongs to an alert: an excursion of the incident, a hold. Told in its list."""

    __tablename__ = "alert_part"
    __table_args__ = (
        UniqueConstraint("alert_id", "entity", "entity_id"),
        Index("alert_part_of", "entity", "entity_id"),
    )

    id: int = identity()
    alert_id: int = ref()
    entity: str
    entity_id: int = ref()
    at: datetime = moment()


class AlertStep(SQLModel, table=True):
    """Who is to be told of an alert, and when; done once. `outcome`: told, nobody (there was none), void."""

    __tablename__ = "alert_step"
    __table_args__ = (
        CheckConstraint("(done_at IS NULL) = (outcome IS NULL)"),
        CheckConstraint("outcome IN ('told', 'nobody', 'void')"),
        Index("alert_step_open", "alert_id", "at", postgresql_where="done_at IS NULL"),
    )

    id: int = identity()
    alert_id: int = ref(index=True)
    route_id: int | None = ref(nullable=True)
    at: datetime = moment()
    target: str
    """person, rota, role, permit, way."""
    value: str
    done_at: datetime | None = moment(nullable=True)
    outcome: str | None = None
    people: list[str] = _texts()


class AlertMessage(SQLModel, table=True):
    """One text to one person, or place, by one way. `alert_ids`: of a summary several.

    States: queued, sent (a server has taken it), failed. `not_before` keeps it back for quiet hours. The address stands
    with the way: here is no personal data but who.
    """

    __tablename__ = "alert_message"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'sent', 'failed')"),
        CheckConstraint("(channel = 'page') = (way_id IS NULL)"),
        Index("alert_message_alerts", "alert_ids", postgresql_using="gin"),
        Index("alert_message_created", "created_at", "id"),
        CheckConstraint("severity IN ('harm', 'alarm', 'notice')"),
        Index("alert_message_person", "login", "created_at"),
        Index("alert_message_siren", "way_id", postgresql_where="channel = 'mqtt'"),
        Index("alert_message_waits", "not_before", "id", postgresql_where="not_before IS NOT NULL"),
        Index("alert_message_queued", "channel", "id", postgresql_where="state = 'queued'"),
    )

    id: int = identity()
    alert_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    site_id: int | None = ref(nullable=True, index=True)
    kind: str
    """told, repeated, all_clear, summary."""
    severity: str = "alarm"
    """The gravest of its alerts': what is harm to goods goes before all else."""
    login: str | None = None
    called: str
    """The person's name, or the place's."""
    channel: str
    way_id: int | None = ref(nullable=True)
    language: str
    subject: str
    body: str
    short: str
    drill: bool = False
    created_at: datetime = moment()
    not_before: datetime | None = moment(nullable=True)
    state: str = "queued"
    sent_at: datetime | None = moment(nullable=True)
    seen_at: datetime | None = moment(nullable=True)
    failure: str | None = None


class AlertDelivery(SQLModel, table=True):
    """One attempt to hand a message to its channel, written before it is made. `outcome`: sent, later (it is tried
    again), refused, unknown (whoever tried has died meanwhile).
    """

    __tablename__ = "alert_delivery"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)"),
        CheckConstraint("outcome IN ('sent', 'later', 'refused', 'unknown')"),
        UniqueConstraint("message_id", "attempt"),
        Index("alert_delivery_recent", "channel", "began_at"),
    )

    id: int = identity()
    message_id: int = ref()
    channel: str
    attempt: int
    began_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)
    outcome: str | None = None
    detail: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=text("''")))
