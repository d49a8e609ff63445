"""Life cycles of partners, their places and contacts, and of suppliers' certificates."""

from typing import Any

from core.erp.kernel.attachments import service as attachments
from core.erp.kernel.errors import Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Move, Workflow

ACTIVE, BLOCKED, WITHDRAWN = "active", "blocked", "withdrawn"
DRAFT, VALID, EXPIRED = "draft", "valid", "expired"

PARTNER = Workflow(
    "partner",
    (
        Move("block", frozenset({ACTIVE}), BLOCKED, permit="partner.block", reasoned=True),
        Move("unblock", frozenset({BLOCKED}), ACTIVE, permit="partner.block", reasoned=True, second_person=True),
        Move("withdraw", frozenset({ACTIVE, BLOCKED}), WITHDRAWN, permit="partner.manage", reasoned=True),
    ),
    begins=(ACTIVE,),
)

PARTNER_SITE = Workflow(
    "partner_site",
    (Move("withdraw", frozenset({ACTIVE}), WITHDRAWN, permit="partner.manage", reasoned=True),),
    begins=(ACTIVE,),
)

PARTNER_CONTACT = Workflow(
    "partner_contact",
    (Move("withdraw", frozenset({ACTIVE}), WITHDRAWN, permit="partner.manage", reasoned=True),),
    begins=(ACTIVE,),
)


def ready_to_verify(u: Unit, certificate: Any) -> None:
    """Refused: there is no file to lay beside it, or it is over already."""
    if not attachments.fingerprint(u, "supplier_certificate", certificate.id):
        raise Refused("partners.certificate_without_file", number=certificate.number)
    if certificate.valid_until < u.now.date():
        raise Refused("partners.certificate_over", number=certificate.number, until=certificate.valid_until)


CERTIFICATE = Workflow(
    "supplier_certificate",
    (
        Move(
            "verify", frozenset({DRAFT}), VALID, permit="certificate.verify", guard=ready_to_verify, second_person=True
        ),
        Move("expire", frozenset({VALID}), EXPIRED, system=True),
        Move("withdraw", frozenset({DRAFT, VALID}), WITHDRAWN, permit="certificate.manage", reasoned=True),
    ),
    begins=(DRAFT,),
)
