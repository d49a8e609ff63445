"""Life cycles of alerting."""

from typing import Any

from core.erp.kernel.errors import Forbidden
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Guard, Move, Workflow

ACTIVE, WITHDRAWN = "active", "withdrawn"
STANDING, TAKEN, OVER = "standing", "taken", "over"
QUEUED, SENT, FAILED = "queued", "sent", "failed"


def require_own(u: Unit, record: Any) -> None:
    """Raises Forbidden for what is another's, to whoever does not manage alerting."""
    if record.login != u.actor.login and not u.actor.may("alerting.manage"):
        raise Forbidden("alerting.not_yours")


def require_all_sites(u: Unit, site_id: int | None) -> None:
    """Raises Forbidden for what is of every site (None), to whoever belongs to some sites only."""
    if site_id is None and not u.actor.system and u.actor.sites is not None:
        raise Forbidden("alerting.of_all_sites")


def _master(noun: str, permit: str, guard: Guard | None = None) -> Workflow:
    return Workflow(
        noun,
        (
            Move("withdraw", frozenset({ACTIVE}), WITHDRAWN, permit=permit, reasoned=True, guard=guard),
            Move("reinstate", frozenset({WITHDRAWN}), ACTIVE, permit=permit, guard=guard),
        ),
        begins=(ACTIVE,),
    )


ALERT_ROUTE = _master("alert_route", "alerting.manage", lambda u, route: require_all_sites(u, route.site_id))
ON_CALL_ROTA = _master("on_call_rota", "alerting.manage")
ON_CALL_SWAP = _master("on_call_swap", "alerting.manage")
ABSENCE = _master("absence", "contact_way.keep", require_own)
CONTACT_WAY = _master("contact_way", "contact_way.keep", require_own)

ALERT = Workflow(
    "alert",
    (
        # whoever takes it says what is done: by every door
        Move("take", frozenset({STANDING}), TAKEN, permit="alert.take", reasoned=True),
        Move("end", frozenset({STANDING, TAKEN}), OVER, system=True),
    ),
    begins=(STANDING,),
)

ALERT_MESSAGE = Workflow(
    "alert_message",
    (
        Move("send", frozenset({QUEUED}), SENT, system=True),
        Move("fail", frozenset({QUEUED}), FAILED, system=True),
    ),
    begins=(QUEUED, SENT),  # on the page it is at once
)
