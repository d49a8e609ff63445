"""Tables of partners: firms and their roles, their places, contacts with hours, and suppliers' certificates."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref
from core.erp.kernel.search_indexes import beginnings, bigrams


def texts() -> Any:
    """A column for several short texts, none for none."""
    return Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))


def refs() -> Any:
    """A column for the ids of other records, none for none."""
    return Field(default_factory=list, sa_column=Column(ARRAY(BigInteger), nullable=False, server_default="{}"))


class Partner(SQLModel, table=True):
    """Another firm, once, in whatever roles: supplier, maker, customer, carrier, contract_warehouse, service_firm.

    States: active, blocked (named by nothing new), withdrawn. `gln` is its GS1 Global Location Number.
    """

    __tablename__ = "partner"
    __table_args__ = (
        CheckConstraint("cardinality(roles) > 0"),
        CheckConstraint("state IN ('active', 'blocked', 'withdrawn')"),
        Index("partner_gln", "gln", unique=True, postgresql_where="gln <> ''"),
        beginnings("partner", "code"),
        bigrams("partner", "name"),
    )

    id: int = identity()
    code: str = Field(unique=True)
    name: str = Field(index=True)
    roles: list[str] = texts()
    country: str
    gln: str = ""
    registration: str = ""
    """The number of its trade or tax register."""
    note: str = ""
    state: str = "active"


class PartnerSite(SQLModel, table=True):
    """A place of a partner: where goods are made, sent from or delivered to. States: active, withdrawn."""

    __tablename__ = "partner_site"
    __table_args__ = (
        UniqueConstraint("partner_id", "code"),
        CheckConstraint("state IN ('active', 'withdrawn')"),
        bigrams("partner_site", "name"),
    )

    id: int = identity()
    partner_id: int = ref(index=True)
    code: str
    name: str
    street: str = ""
    postal_code: str = ""
    city: str = ""
    region: str = ""
    country: str
    timezone: str = "UTC"
    gln: str = ""
    state: str = "active"


class PartnerContact(SQLModel, table=True):
    """Somebody at a partner's, for what, and when they can be reached. States: active, withdrawn.

    `hours` are rows of weekdays (1 Monday … 7), opens and closes (HH:MM, 24:00 for the day's end) in `timezone`; none:
    always.
    """

    __tablename__ = "partner_contact"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'withdrawn')"),
        CheckConstraint("email <> '' OR phone <> ''"),
        bigrams("partner_contact", "name"),
    )

    id: int = identity()
    partner_id: int = ref(index=True)
    partner_site_id: int | None = ref(nullable=True)
    """The partner's place where they are, if it matters."""
    name: str
    purposes: list[str] = texts()
    email: str = ""
    phone: str = ""
    timezone: str = "UTC"
    hours: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    note: str = ""
    state: str = "active"


class SupplierCertificate(SQLModel, table=True):
    """A partner's certificate, for these items and places (none: for all), valid from and through days.

    States: draft, valid (a second person has verified it), expired, withdrawn. `verified_by` is who.
    """

    __tablename__ = "supplier_certificate"
    __table_args__ = (
        UniqueConstraint("partner_id", "kind", "number"),
        CheckConstraint("state IN ('draft', 'valid', 'expired', 'withdrawn')"),
        CheckConstraint("valid_from <= valid_until"),
        CheckConstraint("num_nonnulls(verified_by, verified_at) IN (0, 2)"),
        Index("supplier_certificate_until", "valid_until", "id"),
        beginnings("supplier_certificate", "number"),
    )

    id: int = identity()
    partner_id: int = ref(index=True)
    kind: str
    number: str
    issuer: str
    valid_from: date
    valid_until: date
    item_ids: list[int] = refs()
    partner_site_ids: list[int] = refs()
    note: str = ""
    state: str = "draft"
    verified_by: str | None = None
    verified_at: datetime | None = moment(nullable=True)
