"""What the catalog does on others' events: it knows which sites there are."""

from sqlalchemy import select

from core.erp.catalog.model import Site
from core.erp.kernel.errors import Invalid
from core.erp.kernel.events import Events, UserPlaced
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit


def known_sites(u: Unit, event: UserPlaced) -> None:
    """Raises Invalid where a user would belong to a site that there is not."""
    site = table(Site)
    known = set(u.conn.scalars(select(site.c.id).where(site.c.id.in_(event.site_ids))))
    unknown = sorted(set(event.site_ids) - known)
    if unknown:
        raise Invalid("catalog.no_site", numbers=unknown, extra={"site_ids": unknown})


def register(events: Events) -> None:
    """Tells the app what the catalog listens to."""
    events.on(UserPlaced, "catalog.known_sites", known_sites)
