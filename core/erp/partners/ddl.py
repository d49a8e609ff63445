"""How the rows of partners may change: what named a partner goes on naming the same one."""

from core.erp.kernel.guarded import Guarded
from core.erp.partners.model import Partner, PartnerContact, PartnerSite, SupplierCertificate

TABLES = (
    Guarded(Partner, kept=True, identity=("code",)),
    Guarded(PartnerSite, kept=True, identity=("partner_id", "code")),
    Guarded(PartnerContact, kept=True, identity=("partner_id",)),
    Guarded(SupplierCertificate, kept=True, identity=("partner_id", "kind", "number")),
)

_VERIFIED = """
CREATE TRIGGER supplier_certificate_verified BEFORE UPDATE ON supplier_certificate
FOR EACH ROW WHEN (OLD.state <> 'draft') EXECUTE FUNCTION lotwise_guard_only('state')
"""
"""What a second person has verified stays as it was then."""

DDL: tuple[str, ...] = (_VERIFIED,)
