"""What partners do on others' events: they know which firms people can belong to."""

from core.erp.kernel.errors import Invalid
from core.erp.kernel.events import Events, UserPlaced
from core.erp.kernel.unit import Unit
from core.erp.partners.model import Partner
from core.erp.partners.workflow import WITHDRAWN


def known_partner(u: Unit, event: UserPlaced) -> None:
    """Raises Invalid where a user would belong to a partner that there is not, or no more."""
    if event.partner_id is None:
        return
    found = u.get(Partner, event.partner_id)
    if found is None or found.state == WITHDRAWN:
        raise Invalid("partners.unknown_partner", partner_id=event.partner_id)


def register(events: Events) -> None:
    """Tells the app what partners listen to."""
    events.on(UserPlaced, "partners.known_partner", known_partner)
