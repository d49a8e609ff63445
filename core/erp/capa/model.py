"""Tables of CAPA: the records, their actions, signed plans, and signed checks of effectiveness."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref
from core.erp.kernel.search_indexes import beginnings, bigrams


class Capa(SQLModel, table=True):
    """Something went wrong, or could: its cause, and what is done so that it does not happen (again).

    States: open, analysed (its cause is known), planned (by signature), done, closed (it was effective), withdrawn.
    One that was not effective is open again. `check_on` is the day from which effectiveness is judged by `criterion`.
    """

    __tablename__ = "capa"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'analysed', 'planned', 'done', 'closed', 'withdrawn')"),
        CheckConstraint("(source = 'deviation') = (deviation_id IS NOT NULL)"),
        CheckConstraint("(source = 'incident') = (incident_id IS NOT NULL)"),
        CheckConstraint("deviation_id IS NOT NULL OR incident_id IS NOT NULL OR reference <> ''"),
        Index("capa_state", "state"),
        Index("capa_opened", "opened_at", "id"),
        beginnings("capa", "number"),
        bigrams("capa", "title"),
    )

    id: int = identity()
    number: str = Field(unique=True)
    site_id: int = ref(index=True)
    kind: str
    source: str
    reference: str = ""
    """What the source is called where it is no record here: a complaint's number, an audit's finding."""
    deviation_id: int | None = ref(nullable=True, index=True)
    incident_id: int | None = ref(nullable=True, index=True)
    title: str
    problem: str
    opened_at: datetime = moment()
    state: str = "open"
    cause_method: str | None = None
    cause: str | None = None
    criterion: str | None = None
    check_on: date | None = None


class CapaAction(SQLModel, table=True):
    """What one person is to do, by the end of a day. States: open, done, verified (by somebody else), dropped."""

    __tablename__ = "capa_action"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'done', 'verified', 'dropped')"),
        CheckConstraint(
            "num_nonnulls(result, done_by, done_at) = CASE WHEN state IN ('done', 'verified') THEN 3 ELSE 0 END"
        ),
        Index("capa_action_due", "due_on", "id"),
        Index("capa_action_owner", "owner"),
    )

    id: int = identity()
    capa_id: int = ref(index=True)
    what: str
    owner: str
    """A user's login."""
    due_on: date
    state: str = "open"
    result: str | None = None
    done_by: str | None = None
    done_at: datetime | None = moment(nullable=True)


class CapaPlan(SQLModel, table=True):
    """A plan as it was signed: cause, actions and criterion in `record`. Append-only; the newest is in force.

    `check_from` is when the day of its check begins at the site. `transaction` is the one that wrote it: the CAPA
    becomes planned in the same (a trigger asks).
    """

    __tablename__ = "capa_plan"
    __table_args__ = (UniqueConstraint("signature_id"),)

    id: int = identity()
    capa_id: int = ref(index=True)
    check_from: datetime = moment()
    signature_id: int = ref()
    signed_by: str
    signed_at: datetime = moment()
    record: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    transaction: int | None = Field(
        default=None,
        sa_column=Column(BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    )


class CapaCheck(SQLModel, table=True):
    """Whether a plan was effective, by its criterion and by signature. Append-only, one a plan."""

    __tablename__ = "capa_check"
    __table_args__ = (UniqueConstraint("signature_id"), UniqueConstraint("plan_id"))

    id: int = identity()
    capa_id: int = ref(index=True)
    plan_id: int = ref()
    effective: bool
    finding: str
    signature_id: int = ref()
    signed_by: str
    signed_at: datetime = moment()
    record: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
