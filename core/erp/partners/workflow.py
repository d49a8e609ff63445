"""Life cycles of partners, their places and contacts, and of suppliers' certificates."""

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

CERTIFICATE = Workflow(
    "supplier_certificate",
    (
        Move("verify", frozenset({DRAFT}), VALID, permit="certificate.verify", second_person=True),
        Move("expire", frozenset({VALID}), EXPIRED, system=True),
        Move("withdraw", frozenset({DRAFT, VALID}), WITHDRAWN, permit="certificate.manage", reasoned=True),
    ),
    begins=(DRAFT,),
)
