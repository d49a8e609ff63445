"""Wire shapes of partners: what is given; answers are made from the tables."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from core.erp.kernel.records import Link
from core.erp.kernel.shapes import Body, Ref, Text
from core.erp.kernel.strict import Day
from core.erp.partners.rules import END_OF_DAY

PartnerRole = Literal["supplier", "maker", "customer", "carrier", "contract_warehouse", "service_firm"]
Purpose = Literal["quality", "orders", "logistics", "complaints", "recall", "emergency"]
CertificateKind = Literal["iso_13485", "iso_9001", "gmp", "gdp", "gsp", "mdr", "licence", "registration", "other"]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$", examples=["S-104"])]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["DE"])]
Gln = Annotated[str, Field(pattern="^([0-9]{13})?$", examples=["4012345000009"])]
Note = Annotated[str, Field(max_length=2000)]
Short = Annotated[str, Field(max_length=200)]
Zone = Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"])]
Roles = Annotated[list[PartnerRole], Field(min_length=1, max_length=6, examples=[["supplier", "maker"]])]


class PartnerIn(Body):
    """Another firm, in one role or several."""

    code: Code
    name: Text
    roles: Roles
    country: Country
    gln: Gln = ""
    registration: Short = ""
    note: Note = ""


class PartnerChange(Body):
    """What changes of a partner; its code stays."""

    name: Text | None = None
    roles: Roles | None = None
    country: Country | None = None
    gln: Gln | None = None
    registration: Short | None = None
    note: Note | None = None


class PartnerSiteIn(Body):
    """A place of a partner, with its address."""

    partner_id: Ref
    code: Code
    name: Text
    street: Short = ""
    postal_code: Short = ""
    city: Short = ""
    region: Short = ""
    country: Country
    timezone: Zone = "UTC"
    gln: Gln = ""


class PartnerSiteChange(Body):
    """What changes of a place; its code stays."""

    name: Text | None = None
    street: Short | None = None
    postal_code: Short | None = None
    city: Short | None = None
    region: Short | None = None
    country: Country | None = None
    timezone: Zone | None = None
    gln: Gln | None = None


class Hours(Body):
    """Weekdays (1 Monday … 7 Sunday) from opening until closing."""

    weekdays: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1, max_length=7)]
    opens: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["08:00"])]
    closes: Annotated[str, Field(pattern=rf"^([01][0-9]|2[0-3]):[0-5][0-9]$|^{END_OF_DAY}$", examples=["17:00"])]


Email = Annotated[str, Field(max_length=200, pattern=r"^$|^[^@\s]+@[^@\s]+$", examples=["qa@example.com"])]
Phone = Annotated[str, Field(max_length=40, pattern=r"^$|^\+[0-9 ()/-]{5,}$", examples=["+49 30 1234567"])]
Purposes = Annotated[list[Purpose], Field(max_length=6, examples=[["recall", "emergency"]])]
WeeklyHours = Annotated[list[Hours], Field(max_length=21)]


class PartnerContactIn(Body):
    """Somebody at a partner's to call or to write to. Without hours they can be reached always."""

    partner_id: Ref
    name: Text
    partner_site_id: Annotated[Ref, Link("partner_site")] | None = None
    purposes: Purposes = Field(default_factory=list)
    email: Email = ""
    phone: Phone = ""
    timezone: Zone = "UTC"
    hours: WeeklyHours = Field(default_factory=list)
    note: Note = ""


class PartnerContactChange(Body):
    """What changes of a contact."""

    name: Text | None = None
    partner_site_id: Annotated[Ref, Link("partner_site")] | None = None
    purposes: Purposes | None = None
    email: Email | None = None
    phone: Phone | None = None
    timezone: Zone | None = None
    hours: WeeklyHours | None = None
    note: Note | None = None


class CertificateIn(Body):
    """A partner's certificate, for these items and places (none: for all)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "partner_id": 7,
                    "kind": "iso_13485",
                    "number": "MD 700123",
                    "issuer": "notified body 0123",
                    "valid_from": "2026-01-01",
                    "valid_until": "2028-12-31",
                    "item_ids": [],
                    "partner_site_ids": [],
                }
            ]
        }
    )
    partner_id: Ref
    kind: CertificateKind
    number: Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
    issuer: Text
    valid_from: Day
    valid_until: Day
    item_ids: Annotated[list[Ref], Link("item"), Field(max_length=500)] = Field(default_factory=list)
    partner_site_ids: Annotated[list[Ref], Link("partner_site"), Field(max_length=100)] = Field(default_factory=list)
    note: Note = ""


class CertificateChange(Body):
    """What changes of a draft."""

    issuer: Text | None = None
    valid_from: Day | None = None
    valid_until: Day | None = None
    item_ids: Annotated[list[Ref], Link("item"), Field(max_length=500)] | None = None
    partner_site_ids: Annotated[list[Ref], Link("partner_site"), Field(max_length=100)] | None = None
    note: Note | None = None
