"""What the pages ask of the core: each question one transaction, in the name of who signed in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from nicegui import run
from sqlalchemy import Connection, Engine, text

from core.erp.exposure.service import ZoneStatus, zones
from core.erp.kernel.auth import actor_of, check_password, issue_token, now_utc
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Actor, Unit, transact
from core.series.port import Bucket
from core.series.postgres import PostgresStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The core, as a page sees it."""

    engine: Engine
    events: Events
    key: str
    minutes: int

    async def sign_in(self, login: str, password: str, address: str) -> str:
        """A token for the session. Raises Unauthenticated, TooManyAttempts."""

        def work() -> str:
            now = now_utc()
            user = check_password(self.engine, login, password, address, now)
            return issue_token(user, self.key, now, self.minutes)[0]

        return await _aside(work)

    async def actor(self, token: str) -> Actor:
        """Who the token speaks for. Raises Unauthenticated."""
        return await _aside(lambda: actor_of(self.engine, token, self.key))

    async def do(self, token: str, work: Callable[[Unit], T], permit: str = "read") -> T:
        """Runs `work` in one transaction in the name of who signed in. Raises what the core raises."""

        def inside(u: Unit) -> T:
            u.need(permit)
            return work(u)

        def outside() -> T:
            return transact(self.engine, actor_of(self.engine, token, self.key), self.events, inside, now_utc())

        return await _aside(outside)


async def _aside(work: Callable[[], T]) -> T:
    done = await run.io_bound(work)
    return done  # type: ignore[return-value] # None only while the server shuts down


def overview(u: Unit) -> list[ZoneStatus]:
    """Every zone as it stands."""
    return zones(u.conn)


_EXCURSIONS = text("""
    SELECT e.id, s.code AS sublot, l.number AS lot, i.code AS item, z.address AS zone, e.limit_key, e.kind,
           e.certainty, e.state, e.started_at, e.broke_at, e.ended_at, e.known_at, e."out" AS out_for,
           e.lowest, e.highest, e.sublot_id, e.zone_id, e.incident_id
    FROM excursion e JOIN sublot s ON s.id = e.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
    LEFT JOIN zone z ON z.id = e.zone_id
    WHERE (e.state IN ('open', 'ended', 'assessed') OR CAST(:every AS boolean))
      AND (CAST(:id AS bigint) IS NULL OR e.id = :id)
    ORDER BY e.known_at DESC, e.id DESC LIMIT 500
""")
_HOLDS = text("""
    SELECT h.id, coalesce(s.code, 'shipment ' || h.shipment_id, 'lot ' || h.lot_id) AS target, l.number AS lot,
           h.kind, h.certainty, h.reason, h.since_at, h.placed_at, h.excursion_id
    FROM hold h LEFT JOIN sublot s ON s.id = h.sublot_id LEFT JOIN lot l ON l.id = coalesce(s.lot_id, h.lot_id)
    WHERE h.lifted_at IS NULL ORDER BY h.placed_at DESC, h.id DESC LIMIT 500
""")


def excursions(u: Unit, *, every: bool = False, excursion_id: int | None = None) -> list[dict[str, Any]]:
    """Excursions that wait for somebody (or `every`), newest first."""
    rows = u.conn.execute(_EXCURSIONS, {"every": every or excursion_id is not None, "id": excursion_id}).mappings()
    return [dict(row) for row in rows]


def holds(u: Unit) -> list[dict[str, Any]]:
    """Holds that stand, newest first."""
    return [dict(row) for row in u.conn.execute(_HOLDS).mappings()]


def evidence(u: Unit, zone_id: int, start: datetime, stop: datetime) -> dict[str, list[Bucket]]:
    """Charts of the zone's temperature points over [start, stop), by address, 600 columns each."""
    store = PostgresStore(u.conn)
    return {point: store.downsample(point, start, stop, 600) for point in points_of(u.conn, zone_id)}


def points_of(conn: Connection, zone_id: int) -> list[str]:
    """Addresses of the zone's temperature points."""
    rows = conn.execute(
        text("SELECT address FROM point WHERE zone_id = :z AND quantity = 'temperature' ORDER BY address"),
        {"z": zone_id},
    )
    return [row.address for row in rows]


def span_around(started: datetime, ended: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """What to show of an excursion: itself and as much again before, at least a minute on both sides."""
    stop = min(ended, now) if ended is not None else now
    room = max(stop - started, timedelta(minutes=1))
    return started - room, min(stop + room, now)
