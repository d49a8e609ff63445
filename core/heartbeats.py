"""Signs of life: when each part last did its work, and what of them is overdue.

The leader writes down when each of its loops last came round (`beat`); ingest workers renew their leases and gateways
send watermarks anyway. `/healthz` tells all of it (`SignsOfLife`), so that a watch elsewhere, or any monitor that can
ask an address, hears of a part that hangs or is gone while the others go on.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, text
from sqlalchemy.dialects.postgresql import INTERVAL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.erp.kernel.model import Heartbeat
from core.erp.kernel.tables import table
from core.ingest.leases import TTL

CORE = "core"
"""The part that stands for the process that leads."""
LOOP_PATIENCE = timedelta(seconds=60)
"""How long a loop may take for one turn, beside the time that it waits between two."""
INGEST_PATIENCE = timedelta(seconds=60)
"""A worker that dies is replaced within seconds; this long without any is told."""
GATEWAY_PATIENCE = timedelta(minutes=2)
"""Gateways send a watermark every 2 s."""
CLOCK_TOLERANCE = 5.0
"""Seconds that this machine's clock and the database's may differ."""

_BEAT = text("""
    INSERT INTO heartbeat (part, at, due_within) VALUES (:part, now() - make_interval(secs => :ago), :due_within)
    ON CONFLICT (part) DO UPDATE SET at = excluded.at, due_within = excluded.due_within
""").bindparams(bindparam("due_within", type_=INTERVAL))

_SIGNS = text("""
    WITH g AS (
        SELECT max(received_at) AS heard FROM source_watermark WHERE retired_at IS NULL GROUP BY gateway
    )
    SELECT clock_timestamp() AS now,
        (SELECT at FROM heartbeat WHERE part = :core) AS core_at,
        (SELECT min(at) FROM heartbeat WHERE part LIKE 'outbox%') AS outbox_at,
        (SELECT string_agg(part, ', ' ORDER BY part) FROM heartbeat WHERE at + due_within < now()) AS overdue,
        (SELECT max(until) FROM ingest_worker) AS ingest_until,
        (SELECT min(heard) FROM g) AS gateways_at,
        (SELECT count(*) FROM g) AS gateways,
        (SELECT count(*) FROM g WHERE heard < now() - :gateway_patience) AS silent
""").bindparams(bindparam("gateway_patience", GATEWAY_PATIENCE, type_=INTERVAL), core=CORE)


def beat(engine: Engine, turned: Mapping[str, tuple[float, timedelta]]) -> None:
    """Writes down for each part how many seconds ago it came round, and within what it should again.

    What is named no longer is forgotten: another version of the core had it.
    """
    rows = [{"part": part, "ago": ago, "due_within": due} for part, (ago, due) in sorted(turned.items())]
    h = table(Heartbeat)
    with engine.begin() as conn:
        conn.execute(delete(h).where(h.c.part.not_in(sorted(turned))))
        conn.execute(_BEAT, rows)


@dataclass(frozen=True, slots=True)
class Signs:
    """What was read at once. Times are the database's; None: it was never there."""

    database: datetime
    core: datetime | None
    """When the process that leads the background work was there."""
    outbox: datetime | None
    ingest: datetime | None
    """When the last worker renewed its lease."""
    gateways: datetime | None
    """When the gateway that has been silent longest was heard."""
    overdue: str | None
    """The loops that should have been round again."""
    gateway_count: int
    silent_gateways: int
    clock_ahead: float
    """Seconds that this machine's clock is ahead of the database's."""

    @property
    def background_trouble(self) -> str | None:
        """Loops that hang, or that nobody leads."""
        return f"no sign of life of {self.overdue}" if self.overdue else None

    @property
    def ingest_trouble(self) -> str | None:
        """Readings are sent, as gateways are known, and no worker takes them."""
        if not self.gateway_count:
            return None
        if self.ingest is None:
            return "no worker takes readings"
        if self.database - self.ingest > INGEST_PATIENCE:
            return f"no worker takes readings since {self.ingest:%Y-%m-%d %H:%M:%S}Z"
        return None

    @property
    def gateway_trouble(self) -> str | None:
        """How many gateways are silent; anybody may read it, so not which."""
        if not self.silent_gateways:
            return None
        longest = f"{self.gateways:%Y-%m-%d %H:%M:%S}Z"
        return f"{self.silent_gateways} of {self.gateway_count} silent, the longest since {longest}"

    @property
    def clock_trouble(self) -> str | None:
        """Whether the two clocks differ by more than they may."""
        if abs(self.clock_ahead) <= CLOCK_TOLERANCE:
            return None
        side = "ahead of" if self.clock_ahead > 0 else "behind"
        return f"{abs(self.clock_ahead):.0f} s {side} the database's"

    def times(self) -> dict[str, datetime]:
        """When each part that there is gave its last sign of life."""
        parts = {name: getattr(self, name) for name in ("database", "core", "outbox", "ingest", "gateways")}
        return {name: at for name, at in parts.items() if at is not None}


def read_signs(conn: Connection, clock: Callable[[], float] = time.time) -> Signs:
    """Reads them, by the database's clock."""
    before = clock()
    row: Any = conn.execute(_SIGNS).one()
    ahead = (before + clock()) / 2 - row.now.timestamp()
    return Signs(
        database=row.now,
        core=row.core_at,
        outbox=row.outbox_at,
        ingest=None if row.ingest_until is None else row.ingest_until - TTL,
        gateways=row.gateways_at,
        overdue=row.overdue,
        gateway_count=row.gateways,
        silent_gateways=row.silent,
        clock_ahead=ahead,
    )


class SignsOfLife:
    """The signs as `/healthz` looks at them: read once for all that is asked of them within a second."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]], fresh: float = 1.0) -> None:
        self._connect, self._fresh = connect, fresh
        self._read: tuple[float, Signs] | None = None
        self._lock = Lock()

    def probe(self, trouble: Callable[[Signs], str | None]) -> Callable[[], str | None]:
        """A probe of `/healthz` for one of the troubles; a database that is away is told of by its own probe."""

        def look() -> str | None:
            try:
                return trouble(self.read())
            except (DBAPIError, PoolTimeout):
                return None

        return look

    def read(self) -> Signs:
        """Raises what the database raises."""
        with self._lock:
            if self._read is None or time.monotonic() - self._read[0] > self._fresh:
                with self._connect() as conn:
                    self._read = time.monotonic(), read_signs(conn)
            return self._read[1]

    @property
    def times(self) -> dict[str, datetime]:
        """As read last, which may be long ago: what is away says nothing new."""
        return {} if self._read is None else self._read[1].times()
