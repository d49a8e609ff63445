"""Deadlines of partners: a supplier's certificate is warned of before its validity ends, and then expires by itself."""

from core.erp.kernel.calendars.rules import days
from core.erp.kernel.deadlines.terms import Term, moves
from core.erp.partners.model import SupplierCertificate
from core.erp.partners.workflow import CERTIFICATE

CERTIFICATE_EXPIRY = Term(
    "certificate_expiry",
    "certificate.manage",
    warnings=(days(90), days(30)),
    effect=moves(CERTIFICATE, SupplierCertificate, "expire"),
)

TERMS = (CERTIFICATE_EXPIRY,)
