"""Which partners, places, contacts and certificates somebody sees: inside people all, outside people their firm's."""

from core.erp.kernel.scope import Visible, own_partner
from core.erp.kernel.tables import table
from core.erp.partners.model import Partner, PartnerContact, PartnerSite, SupplierCertificate

_partner, _site = table(Partner).c, table(PartnerSite).c
_contact, _certificate = table(PartnerContact).c, table(SupplierCertificate).c

PARTNERS = own_partner(_partner.id)
PARTNER_SITES = own_partner(_site.partner_id)
CONTACTS = own_partner(_contact.partner_id)
CERTIFICATES = own_partner(_certificate.partner_id)

VISIBLE = (
    Visible("partner", _partner.id, PARTNERS),
    Visible("partner_site", _site.id, PARTNER_SITES),
    Visible("partner_contact", _contact.id, CONTACTS),
    Visible("supplier_certificate", _certificate.id, CERTIFICATES),
)
