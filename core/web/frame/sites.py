"""The sites there are and their zones, as pages show times and headers: kept for a few seconds."""

import time
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select

from core.erp.catalog.model import Site
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

KEPT = 10.0
"""Seconds: a new site, or another zone of one, is on the pages so soon."""


@dataclass(frozen=True, slots=True)
class KnownSite:
    """A site as a page's header has it."""

    id: int
    code: str
    name: str
    zone: ZoneInfo


class Sites:
    """All sites of one core, read again when what is known is old."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._read_at, self._known = engine, 0.0, dict[int, KnownSite]()

    def all(self) -> dict[int, KnownSite]:
        """Every site by its id."""
        if time.monotonic() - self._read_at > KEPT:
            c = table(Site).c
            with self._engine.connect() as conn:
                rows = conn.execute(select(c.id, c.code, c.name, c.timezone).order_by(c.id)).all()
            self._known = {row.id: KnownSite(row.id, row.code, row.name, ZoneInfo(row.timezone)) for row in rows}
            self._read_at = time.monotonic()
        return self._known

    def of(self, actor: Actor) -> list[KnownSite]:
        """The sites that somebody belongs to: all of them, for who is of none in particular."""
        known = self.all()
        return [site for site in known.values() if actor.sites is None or site.id in actor.sites]

    def zone_of(self, actor: Actor) -> ZoneInfo:
        """The zone that somebody's pages show times in: that of their first site, UTC where there is none yet."""
        found = self.of(actor)
        return found[0].zone if found else ZoneInfo("UTC")
