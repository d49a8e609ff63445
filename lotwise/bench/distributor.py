"""A distributor's books for `bench api`: lots with goods that may be taken, shipments, holds, reservations, people."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text

from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import system, transact
from core.wiring import build_events
from lotwise.bench.plant import build, unguarded

PASSWORD = "four words of a bench"  # noqa: S105 - of users in the benchmark's own database
SITES, ZONES, PROFILES = 2, 40, 5
MADE_OVER = timedelta(days=365)
STOCK = 1_000_000
"""On hand of the sublot that everybody reserves of."""

_FRESH = text("INSERT INTO zone_judged (zone_id, last_good_at, version) SELECT id, now(), 0 FROM zone")
_HELD = text("""
    INSERT INTO hold (sublot_id, kind, reason, since_at, placed_at, placed_by, lift_permit)
    SELECT id, 'manual', 'bench', now(), now(), 'bench', 'hold.lift' FROM sublot WHERE id % 100 = 0
""")
_SHIPMENTS = text("""
    WITH made AS (
        INSERT INTO shipment (code, kind, consignee, market, state, created_at)
        SELECT 'BS' || n, 'sale', 'Consignee ' || n % 200, '', CASE WHEN n % 4 = 0 THEN 'planned' ELSE 'picked' END,
            now() - (:count - n) * CAST(:step AS interval)
        FROM generate_series(1, :count) n RETURNING id
    ), numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM made), legs AS (
        INSERT INTO shipment_leg (shipment_id, number, origin, destination, carrier)
        SELECT id, 1, 'here', 'there', 'Carrier ' || n % 20 FROM numbered
    )
    INSERT INTO shipment_line (shipment_id, sublot_id, amount, state)
    SELECT numbered.id, stock.id, 1, 'planned' FROM numbered CROSS JOIN generate_series(0, 2) line
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM sublot) stock
        ON stock.n = (numbered.n * 3 + line) % :goods + 1
""")
_STOCKED = text("""
    INSERT INTO stock_move (sublot_id, source, target, amount, at, posted_at, actor, purpose, reference, fact)
    VALUES (:sublot, 'supplier', 'stock', :amount, now(), now(), 'bench', 'receipt', '', false)
""")
_HERE = "SELECT {} FROM sublot s WHERE s.site_id = (SELECT min(id) FROM site) {}"
_SHIPPED = "SELECT DISTINCT shipment_id FROM shipment_line WHERE sublot_id IN ({})"
_RESERVED = text("""
    INSERT INTO reservation (sublot_id, amount, purpose, reference, state, created_at)
    SELECT s.id, 0.001, 'sale', 'bench:' || n, 'active', now()
    FROM generate_series(0, :count - 1) n JOIN unnest(CAST(:goods AS bigint[])) WITH ORDINALITY s(id, place)
        ON s.place = n % :size + 1
    RETURNING id
""")


@dataclass(frozen=True, slots=True)
class Books:
    """Ids of what may be asked for. `free` are sublots that may be taken, `most_wanted` one with much on hand."""

    lots: tuple[int, ...]
    sublots: tuple[int, ...]
    shipments: tuple[int, ...]
    free: tuple[int, ...]
    most_wanted: int
    zones: tuple[int, ...]
    reservations: tuple[int, ...]


def fill(engine: Engine, lots: int, shipments: int, reservations: int, *, zones: int = ZONES) -> Books:
    """Writes the books: a sublot to a lot, three lines to a shipment, one sublot of a hundred held.

    `reservations` are made of the sublots at the first site, where `people` belong, many to each.
    """
    build(
        engine,
        datetime.now(UTC) - timedelta(hours=1),
        zones=zones,
        profiles=PROFILES,
        sublots=lots,
        sites=SITES,
        made_over=MADE_OVER,
    )
    with engine.begin() as conn:
        conn.execute(_FRESH)
        conn.execute(_HELD)
        with unguarded(conn):
            conn.execute(_SHIPMENTS, {"count": shipments, "step": MADE_OVER / shipments, "goods": lots})
        most_wanted, *free = _ids(conn, _HERE.format("s.id", "AND s.id % 100 <> 0 ORDER BY id"))
        conn.execute(_STOCKED, {"sublot": most_wanted, "amount": STOCK})
        made = conn.scalars(_RESERVED, {"count": reservations, "goods": list(free), "size": len(free)}).all()
        books = Books(
            _ids(conn, _HERE.format("s.lot_id", "")),
            _ids(conn, _HERE.format("s.id", "")),
            _ids(conn, _SHIPPED.format(_HERE.format("s.id", ""))),
            tuple(free),
            most_wanted,
            _ids(conn, "SELECT id FROM zone WHERE site_id = (SELECT min(id) FROM site)"),
            tuple(made),
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
    return books


def _ids(conn: Connection, statement: str) -> tuple[int, ...]:
    return tuple(conn.scalars(text(statement)))


def people(engine: Engine, count: int) -> list[str]:
    """Logins of warehouse people, who belong to the first site only: what they read goes by their scope."""
    logins, events = [f"warehouse-{number}" for number in range(count)], build_events()
    with engine.connect() as conn:
        place = Place(_ids(conn, "SELECT min(id) FROM site"))
    for login in logins:
        transact(
            engine,
            system("bench"),
            events,
            lambda u, login=login: create_user(u, login, login, PASSWORD, [Role.WAREHOUSE], place=place),  # type: ignore[misc]  # mypy cannot infer such a lambda
        )
    return logins
