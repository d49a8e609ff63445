"""Confirmations: a gateway asks how far it is confirmed, PostgreSQL answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from sqlalchemy import Connection, Engine, text

from core.telemetry.batch import MISSING_MAX, ConfirmAsk, Confirmed, ConfirmReply


@dataclass(frozen=True, slots=True)
class Standing:
    """The stream's incarnation and its consumers' floors, as read together; read before the database is asked, so that
    what a floor has passed is either confirmed or was passed over.
    """

    stream: str = ""
    floors: Mapping[int, int] = field(default_factory=dict)


def answer(engine: Engine, ask: ConfirmAsk, standing: Standing) -> ConfirmReply:
    """What is confirmed of all that is asked, from one snapshot of committed batches."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        through = _through(conn, ask)
        since = (*ask.since, *repeat(0, len(ask.upto) - len(ask.since)))
        confirmed = tuple(
            _confirmed(conn, ask.gateway, asked, through.get(asked[:2], 0), gone)
            for asked, gone in zip(ask.upto, since, strict=False)
        )
        closed = conn.execute(
            text("SELECT epoch FROM epoch_closed WHERE gateway = :g ORDER BY epoch"), {"g": ask.gateway}
        ).scalars()
        return ConfirmReply(confirmed, standing.stream, dict(standing.floors), tuple(closed))


def _through(conn: Connection, ask: ConfirmAsk) -> dict[tuple[str, int], int]:
    rows = conn.execute(
        text("SELECT epoch, partition, through FROM batch_progress WHERE gateway = :g AND epoch = ANY(:e)"),
        {"g": ask.gateway, "e": sorted({epoch for epoch, _, _ in ask.upto})},
    )
    return {(epoch, partition): through for epoch, partition, through in rows}


def _confirmed(conn: Connection, gateway: str, asked: tuple[str, int, int], through: int, since: int) -> Confirmed:
    """`since` is the last number that the gateway no longer has: what is missing up to there it cannot send again."""
    epoch, partition, upto = asked
    if through >= upto:
        return Confirmed(epoch, partition, through, ())
    missing: Sequence[int] = (
        conn.execute(
            text(
                "SELECT n FROM generate_series(cast(:t AS bigint) + 1, cast(:u AS bigint)) n WHERE NOT EXISTS "
                "(SELECT FROM batch b WHERE b.gateway = :g AND b.epoch = :e AND b.partition = :p AND b.number = n) "
                "ORDER BY n LIMIT :limit"
            ),
            {"t": max(through, since), "u": upto, "g": gateway, "e": epoch, "p": partition, "limit": MISSING_MAX},
        )
        .scalars()
        .all()
    )
    cut = missing[-1] if len(missing) == MISSING_MAX else None
    return Confirmed(epoch, partition, through, tuple(missing), cut)
