"""Where goods stood, and from when until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from core.erp.custody import service as custody
from core.erp.kernel.unit import Unit

_ZONES = text("SELECT id, COALESCE(name, address) AS name FROM zone WHERE id = ANY (CAST(:ids AS bigint[]))")


@dataclass(frozen=True, slots=True)
class Stay:
    """Goods stood in a zone (None: not with us) over [start, stop); until now where `stop` is None."""

    zone_id: int | None
    zone: str | None
    start: datetime
    stop: datetime | None

    def lasted(self, now: datetime) -> timedelta:
        """How long."""
        return (self.stop or now) - self.start


def stays_of(u: Unit, sublot_id: int) -> list[Stay]:
    """Every stay of a sublot as it is known now, in order of time."""
    spans = custody.intervals(u, [sublot_id])[sublot_id]
    ids = sorted({zone for zone, _, _ in spans if zone is not None})
    names = {row.id: row.name for row in u.conn.execute(_ZONES, {"ids": ids})}
    return [Stay(zone, names.get(zone) if zone is not None else None, start, stop) for zone, start, stop in spans]
