"""Which worker folds which partitions: shares of all, by leases in PostgreSQL and its clock.

A worker that joins makes the others' shares smaller: they put down what is beyond them, then give it back. One that
dies stops renewing, and its partitions are free when the lease runs out. The lease is checked again inside every fold's
transaction, under the partition's lock, so that a worker that was asleep cannot fold beside its successor.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine, text

from core.telemetry.address import PARTITIONS

TTL = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Renewed:
    """The partitions of a worker: its share, and what is beyond it, which is still its own until it gives it back."""

    share: frozenset[int]
    surplus: frozenset[int] = frozenset()


def renew(engine: Engine, worker: str, ttl: timedelta = TTL) -> Renewed:
    """Says that the worker lives, and takes what is free up to its share."""
    with engine.begin() as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(1281852234)"))
        share = _share(conn, worker, ttl)
        mine = _held(conn, worker, ttl)
        if len(mine) < share:
            mine = [*mine, *_take(conn, worker, share - len(mine), ttl)]
        return Renewed(frozenset(mine[:share]), frozenset(mine[share:]))


def release(engine: Engine, worker: str, partitions: Collection[int]) -> None:
    """Frees partitions for the others: to be called once nothing of them waits in the worker's hands any more."""
    with engine.begin() as conn:
        conn.execute(
            text("DELETE FROM ingest_lease WHERE worker = :w AND partition = ANY(:p)"),
            {"w": worker, "p": sorted(partitions)},
        )


def release_all(engine: Engine, worker: str) -> None:
    """Gives everything back."""
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM ingest_lease WHERE worker = :w"), {"w": worker})
        conn.execute(text("DELETE FROM ingest_worker WHERE name = :w"), {"w": worker})


def _share(conn: Connection, worker: str, ttl: timedelta) -> int:
    conn.execute(
        text(
            "INSERT INTO ingest_worker (name, until) VALUES (:w, now() + :ttl) "
            "ON CONFLICT (name) DO UPDATE SET until = excluded.until"
        ),
        {"w": worker, "ttl": ttl},
    )
    conn.execute(text("DELETE FROM ingest_worker WHERE until < now()"))
    alive: int = conn.execute(text("SELECT count(*) FROM ingest_worker")).scalar_one()
    return -(-PARTITIONS // alive)


def _held(conn: Connection, worker: str, ttl: timedelta) -> list[int]:
    rows = conn.execute(
        text("UPDATE ingest_lease SET until = now() + :ttl WHERE worker = :w RETURNING partition"),
        {"w": worker, "ttl": ttl},
    )
    return sorted(rows.scalars())


def _take(conn: Connection, worker: str, count: int, ttl: timedelta) -> list[int]:
    rows = conn.execute(
        text(
            "INSERT INTO ingest_lease (partition, worker, until) "
            "SELECT n, :w, now() + :ttl FROM generate_series(0, :last) n "
            "WHERE NOT EXISTS (SELECT FROM ingest_lease l WHERE l.partition = n AND l.until >= now()) "
            "ORDER BY n LIMIT :count "
            "ON CONFLICT (partition) DO UPDATE SET worker = excluded.worker, until = excluded.until "
            "RETURNING partition"
        ),
        {"w": worker, "ttl": ttl, "last": PARTITIONS - 1, "count": count},
    )
    return list(rows.scalars())
