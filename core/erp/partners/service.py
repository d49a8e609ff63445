"""The acts of partners: what a record must fit, verifying and expiring certificates, and what others ask of them."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import select

from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.errors import Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.time_zones import zone_named
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.partners import rules
from core.erp.partners.deadlines import CERTIFICATE_EXPIRY
from core.erp.partners.model import Partner, PartnerSite, SupplierCertificate
from core.erp.partners.workflow import ACTIVE, CERTIFICATE, VALID

_CHECKS = {"country": rules.check_country, "gln": rules.check_gln, "timezone": zone_named}
"""What a field must fit, wherever it is met."""


def check_fields(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Invalid where a country, location number or time zone is none."""
    del u
    for name, check in _CHECKS.items():
        if fields.get(name) is not None:
            check(fields[name])


def check_contact(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Invalid: hours, time zone, a place of another partner, neither phone nor mail."""
    check_fields(u, fields)
    rules.check_hours(fields["hours"])
    _check_places(u, fields["partner_id"], [fields["partner_site_id"]] if fields["partner_site_id"] is not None else [])
    if not (fields["email"] or fields["phone"]):
        raise Invalid("partners.not_reached")


def check_certificate(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Invalid: it would end before it begins, or is for places of another partner."""
    if fields["valid_until"] < fields["valid_from"]:
        raise Invalid("partners.ends_before_it_begins", since=fields["valid_from"], until=fields["valid_until"])
    _check_places(u, fields["partner_id"], fields["partner_site_ids"])


def _check_places(u: Unit, partner_id: int, site_ids: list[int]) -> None:
    s = table(PartnerSite).c
    found = set(u.conn.scalars(select(s.id).where(s.partner_id == partner_id, s.id.in_(site_ids))))
    if foreign := sorted(set(site_ids) - found):
        raise Invalid("partners.place_of_another", numbers=[str(one) for one in foreign])


def verify_certificate(u: Unit, certificate_id: int) -> SupplierCertificate:
    """A second person has laid the certificate beside its file: it counts from now on, until its last day is over.

    Raises Refused: no file, over already, a partner that is withdrawn.
    """
    found = u.get_one(SupplierCertificate, certificate_id, lock=True)
    found.verified_by, found.verified_at = u.actor.login, u.now
    CERTIFICATE.apply(u, found, "verify")
    partner = u.get_one(Partner, found.partner_id)
    about = Message("partners.certificate_of", number=found.number, partner=partner.name)
    ends = rules.ends(found.valid_until, "UTC")
    deadlines.begin(u, CERTIFICATE_EXPIRY, "supplier_certificate", certificate_id, about, due_at=ends)
    return found


def withdraw_certificate(u: Unit, certificate_id: int, *, reason: str) -> SupplierCertificate:
    """It counts no more, and nobody is warned of its end."""
    found = u.get_one(SupplierCertificate, certificate_id, lock=True)
    CERTIFICATE.apply(u, found, "withdraw", reason=reason)
    deadlines.cancel(u, CERTIFICATE_EXPIRY, "supplier_certificate", certificate_id)
    return found


def require_partner(u: Unit, partner_id: int, role: str | None) -> Partner:
    """The partner, if something new may name it in that role (None: in any). Raises NotFound, Refused."""
    found = u.get(Partner, partner_id)
    if found is None:
        raise absent("partner", partner_id)
    if found.state != ACTIVE:
        raise Refused("partners.not_active", partner=found.code, state=Message(f"state.partner.{found.state}"))
    if role is not None and role not in found.roles:
        raise Refused("partners.not_in_role", partner=found.code, role=rules.ROLES[role])
    return found


def certified(
    u: Unit, partner_id: int, kind: str, on: date, *, item_id: int | None = None, partner_site_id: int | None = None
) -> bool:
    """Whether a verified certificate of that kind covers an item and a place of the partner's on that day."""
    c = table(SupplierCertificate)
    rows = u.conn.execute(select(c).where(c.c.partner_id == partner_id, c.c.kind == kind, c.c.state == VALID)).all()
    return any(rules.covers(row, on, item_id=item_id, partner_site_id=partner_site_id) for row in rows)
