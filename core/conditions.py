"""What `/healthz` tells whoever asks is told to people too: conditions of the system become alerts while they last.

That the whole of it is gone, or its database, is told by `lotwise watch`, which runs elsewhere.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import INTERVAL

from core.erp.alerting.service.conditions import Condition, follow
from core.erp.kernel.events import Events
from core.erp.kernel.unit import system, transact
from core.erp.kernel.words import Message
from core.foreseen import ENDS_WITHIN, FillingDisk, certificate_end
from core.heartbeats import Signs, read_signs
from core.log_archive import log_archive

LOOKED_AT = timedelta(minutes=3)
BESIDE = timedelta(seconds=20)
"""So long two epochs of a gateway must have been cut beside each other; a clock that is set back a little is none."""
_TWICE = text("""
    SELECT g.gateway FROM (SELECT DISTINCT gateway FROM source_watermark WHERE retired_at IS NULL) g
    CROSS JOIN LATERAL (
        SELECT array_agg(s.first ORDER BY s.first DESC) AS begun, array_agg(s.last ORDER BY s.last DESC) AS ended
        FROM (
            SELECT min(b.cut_at) AS first, max(b.cut_at) AS last FROM batch b
            WHERE b.gateway = g.gateway AND b.cut_at > now() - :span GROUP BY b.epoch
        ) s
    ) e
    WHERE cardinality(e.begun) > 1 AND e.ended[2] - e.begun[1] > :beside ORDER BY g.gateway
""").bindparams(bindparam("span", type_=INTERVAL), bindparam("beside", type_=INTERVAL))


class Conditions:
    """They are looked at by whoever leads. `certificate` is the server's own, None where a proxy ends TLS."""

    def __init__(self, engine: Engine, events: Events, folder: Path, certificate: Path | None) -> None:
        self._engine, self._events = engine, events
        self._disk, self._certificate = FillingDisk(folder), certificate

    def look(self, now: datetime) -> None:
        """Alerts follow what is so now."""
        with self._engine.connect() as conn:
            found = self._of_database(conn)
        found += [*disk(self._disk), *certificate(self._certificate, now)]
        transact(self._engine, system("conditions"), self._events, lambda u: follow(u, found), now)

    def _of_database(self, conn: Connection) -> list[Condition]:
        found = of_signs(read_signs(conn))
        found += [
            Condition("two_gateways", name, Message("alert_title.two_gateways", gateway=name))
            for name in two_of_one_name(conn)
        ]
        trouble = log_archive(conn).trouble
        return found if trouble is None else [*found, Condition("backup_failed", "log archive", trouble)]


def two_of_one_name(conn: Connection) -> list[str]:
    """Gateways that cut batches under two epochs at the same time. One that was started again has ended the epoch
    before; what it still sends of that was cut before. So a second one is running under its name, on a copied folder.
    """
    return list(conn.scalars(_TWICE, {"span": LOOKED_AT, "beside": BESIDE}))


def of_signs(signs: Signs) -> list[Condition]:
    """Parts that give no sign of life, and clocks that differ."""
    found = []
    if signs.overdue:
        title = Message("alert_title.heartbeat_missing", parts=signs.overdue)
        found.append(Condition("heartbeat_missing", "background", title))
    if signs.ingest_trouble is not None:
        found.append(Condition("heartbeat_missing", "ingest", Message("alert_title.no_worker")))
    if signs.clock_trouble is not None:
        side = "clock_ahead" if signs.clock_ahead > 0 else "clock_behind"
        title = Message(f"alert_title.{side}", seconds=round(abs(signs.clock_ahead)))
        found.append(Condition("clock_wrong", "database", title))
    return found


def disk(filling: FillingDisk) -> list[Condition]:
    """A data folder whose disk has little room, or soon will have none."""
    trouble = filling.trouble()
    if trouble is None:
        return []
    free, full_in = trouble
    said = {"mib": round(free / 2**20)}
    title = (
        Message("alert_title.disk_low", **said)
        if full_in is None
        else Message("alert_title.disk_filling", hours=round(full_in.total_seconds() / 3600, 1), **said)
    )
    return [Condition("disk_filling", "data folder", title)]


def certificate(file: Path | None, now: datetime) -> list[Condition]:
    """A certificate that ends soon; one that cannot be read is told of by `/healthz`."""
    ends = certificate_end(file)
    if ends is None or ends - now >= ENDS_WITHIN:
        return []
    day = ends.astimezone(UTC).date()
    said = "certificate_ending" if ends > now else "certificate_ended"
    return [Condition("certificate_ending", str(file), Message(f"alert_title.{said}", ends=day))]
