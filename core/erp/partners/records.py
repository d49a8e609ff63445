"""The records of partners."""

from sqlalchemy import any_

from core.erp.kernel.records import Change, Column, Create, Entity, Files, Filter, Search, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.partners import rules, service
from core.erp.partners.model import Partner, PartnerContact, PartnerSite, SupplierCertificate
from core.erp.partners.scopes import CERTIFICATES, CONTACTS, PARTNER_SITES, PARTNERS
from core.erp.partners.shapes import (
    CertificateChange,
    CertificateIn,
    CertificateKind,
    Hours,
    PartnerChange,
    PartnerContactChange,
    PartnerContactIn,
    PartnerIn,
    PartnerRole,
    PartnerSiteChange,
    PartnerSiteIn,
    Purpose,
)
from core.erp.partners.workflow import (
    ACTIVE,
    BLOCKED,
    CERTIFICATE,
    DRAFT,
    PARTNER,
    PARTNER_CONTACT,
    PARTNER_SITE,
)

_p, _s, _c, _k = (table(model).c for model in (Partner, PartnerSite, PartnerContact, SupplierCertificate))

PARTNER_RECORDS = Entity(
    name="partner",
    path="partners",
    table=Partner,
    read="partner.read",
    scope=PARTNERS,
    cycle=PARTNER,
    label="code",
    columns=(
        Column("code", filter="eq", sort=True, search=True),
        Column("name", sort=True),
        Column("state", filter="in"),
        Column("country", filter="in"),
        Column("gln", filter="eq"),
        Column("roles", kind=list[PartnerRole]),
    ),
    filters=(Filter("role", PartnerRole, lambda role: role == any_(_p.roles)),),
    search=(Search(_p.name, within=True),),
    create=Create("partner.manage", PartnerIn, undo="withdraw"),
    change=Change("partner.manage", PartnerChange, states=frozenset({ACTIVE, BLOCKED})),
    guard=service.check_fields,
    verbs=(Verb("block"), Verb("unblock"), Verb("withdraw")),
    files=Files("partner.manage"),
)

PARTNER_SITE_RECORDS = Entity(
    name="partner_site",
    path="partner-sites",
    table=PartnerSite,
    read="partner.read",
    scope=PARTNER_SITES,
    cycle=PARTNER_SITE,
    label="code",
    columns=(
        Column("partner_id", filter="eq", link="partner"),
        Column("code", filter="eq"),
        Column("country", filter="in"),
        Column("state", filter="in"),
    ),
    search=(Search(_s.name, within=True),),
    create=Create("partner.manage", PartnerSiteIn, undo="withdraw"),
    change=Change("partner.manage", PartnerSiteChange, states=frozenset({ACTIVE})),
    guard=service.check_fields,
    verbs=(Verb("withdraw"),),
)

CONTACT_RECORDS = Entity(
    name="partner_contact",
    path="partner-contacts",
    table=PartnerContact,
    read="partner.read",
    scope=CONTACTS,
    cycle=PARTNER_CONTACT,
    label="name",
    columns=(
        Column("partner_id", filter="eq", link="partner"),
        Column("partner_site_id", filter="eq", link="partner_site"),
        Column("state", filter="in"),
        Column("purposes", kind=list[Purpose]),
        Column("hours", kind=list[Hours]),
    ),
    filters=(Filter("purpose", Purpose, lambda purpose: purpose == any_(_c.purposes)),),
    search=(Search(_c.name, within=True),),
    create=Create("partner.manage", PartnerContactIn, undo="withdraw"),
    change=Change("partner.manage", PartnerContactChange, states=frozenset({ACTIVE})),
    guard=service.check_contact,
    verbs=(Verb("withdraw"),),
    sections=(Section("reached_now", lambda u, row: rules.reached(row.hours, row.timezone, u.now), bool),),
)

CERTIFICATE_RECORDS = Entity(
    name="supplier_certificate",
    path="supplier-certificates",
    table=SupplierCertificate,
    read="partner.read",
    scope=CERTIFICATES,
    cycle=CERTIFICATE,
    label="number",
    columns=(
        Column("partner_id", filter="eq", link="partner"),
        Column("kind", filter="in", kind=CertificateKind),
        Column("number", search=True),
        Column("state", filter="in"),
        Column("valid_until", filter="range", sort=True),
    ),
    filters=(Filter("item_id", int, lambda item: item == any_(_k.item_ids)),),
    create=Create("certificate.manage", CertificateIn, undo="withdraw"),
    change=Change("certificate.manage", CertificateChange, states=frozenset({DRAFT})),
    guard=service.check_certificate,
    verbs=(
        Verb("verify", act=service.verify_certificate),
        Verb("withdraw", ReasonIn, service.withdraw_certificate),
    ),
    files=Files("certificate.manage", states=frozenset({DRAFT})),
)

ENTITIES = (PARTNER_RECORDS, PARTNER_SITE_RECORDS, CONTACT_RECORDS, CERTIFICATE_RECORDS)
