"""Confirmations: a gateway asks how far it is confirmed, PostgreSQL answers."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from sqlalchemy import Connection, Engine, func, text
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel.tables import table
from core.ingest.model import ConfirmationLost
from core.telemetry.batch import MISSING_MAX, POINTS_MAX, BadBatch, Confirmed, ConfirmReply, ConfirmRequest
from core.telemetry.reading import INT_MAX

log = logging.getLogger(__name__)

MISSING_LISTED_MAX = 65_536
"""Missing numbers that an answer lists in all: with 9 bytes each it stays within a stream's usual message size."""
NUMBERS_MAX = 100_000
"""Numbers of a run that one answer speaks of at most: days of batches."""
RUNS_MAX = 4_096
"""Runs that one question may be about."""


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """The stream's incarnation and its consumers' floors, as read together; read before the database is asked, so that
    what a floor has passed is either confirmed or was passed over.
    """

    stream: str = ""
    floors: Mapping[int, int] = field(default_factory=dict)


def answer(engine: Engine, ask: ConfirmRequest, standing: ConsumerState) -> ConfirmReply:
    """What is confirmed of all that is asked, from one snapshot of committed batches.

    Of a run that misses very much it speaks as far as it has room; the rest is told when it is asked for again. What
    had been confirmed and is not there is written down before it is told. Raises BadBatch for a question about more
    than any gateway has.
    """
    if len(ask.upto) > RUNS_MAX:
        raise BadBatch(f"a question about {len(ask.upto)} runs, at most {RUNS_MAX}")
    if len(ask.points) > POINTS_MAX or any("\0" in point for point in ask.points):
        raise BadBatch(f"a question about {len(ask.points)} points, at most {POINTS_MAX}, or one that cannot be")
    room = min(MISSING_MAX, MISSING_LISTED_MAX // max(len(ask.upto), 1))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        through = _through(conn, ask)
        since = (*ask.since, *repeat(0, len(ask.upto) - len(ask.since)))
        after = [min(max(*pair), INT_MAX - NUMBERS_MAX) for pair in zip(through, since, strict=False)]
        missing = _missing(conn, ask, after, room)
        confirmed = tuple(
            Confirmed(epoch, partition, done, tuple(gone), gone[-1] if len(gone) == room else _beyond(upto, start))
            for (epoch, partition, upto), done, start, gone in zip(ask.upto, through, after, missing, strict=True)
        )
        closed = conn.execute(
            text("SELECT epoch FROM epoch_closed WHERE gateway = :g ORDER BY epoch"), {"g": ask.gateway}
        ).scalars()
        reply = ConfirmReply(confirmed, standing.stream, dict(standing.floors), tuple(closed), _unknown(conn, ask))
    _note_lost(engine, ask, through)
    return reply


def _note_lost(engine: Engine, ask: ConfirmRequest, through: Sequence[int]) -> None:
    """Writes down, once, what the gateway had been told is confirmed and this database does not have."""
    since = (*ask.since, *repeat(0, len(ask.upto) - len(ask.since)))
    lost = [
        {"gateway": ask.gateway, "epoch": epoch, "partition": partition, "confirmed": done, "once_confirmed": once}
        | {"gone": min(gone, once), "at": func.now()}
        for (epoch, partition, _), once, done, gone in zip(ask.upto, ask.confirmed, through, since, strict=False)
        if once > done
    ]
    if not lost:
        return
    with engine.begin() as conn:
        new = upsert(ConfirmationLost).on_conflict_do_nothing().values(lost)
        made = conn.execute(new.returning(table(ConfirmationLost).c.partition)).all()
    if made:
        log.error(
            "gateway %s had been told that more is confirmed than this database has, in %d partitions: it was restored,"
            " and the gateway sends again",
            ask.gateway,
            len(made),
        )


def _unknown(conn: Connection, ask: ConfirmRequest) -> tuple[str, ...]:
    """Those of the points asked for that the catalog does not have."""
    if not ask.points:
        return ()
    rows = conn.execute(
        text(
            "SELECT a FROM unnest(CAST(:points AS text[])) a"
            " WHERE NOT EXISTS (SELECT FROM point WHERE address = a) ORDER BY a"
        ),
        {"points": list(ask.points)},
    )
    return tuple(rows.scalars())


def _beyond(upto: int, start: int) -> int | None:
    """The last number that the answer speaks of, where that is not as far as was asked."""
    return start + NUMBERS_MAX if upto > start + NUMBERS_MAX else None


def _through(conn: Connection, ask: ConfirmRequest) -> list[int]:
    """For each run asked for: through which number all is confirmed."""
    rows = conn.execute(
        text("SELECT epoch, partition, through FROM batch_progress WHERE gateway = :g AND epoch = ANY(:e)"),
        {"g": ask.gateway, "e": sorted({epoch for epoch, _, _ in ask.upto})},
    )
    known = {(epoch, partition): through for epoch, partition, through in rows}
    return [known.get((epoch, partition), 0) for epoch, partition, _ in ask.upto]


# the bounds of b.number are there for the index's sake; where all is confirmed there is no n
_MISSING = text(
    "SELECT k.i - 1, m.n FROM unnest(CAST(:e AS text[]), CAST(:p AS int[]), CAST(:t AS bigint[]), CAST(:u AS bigint[]))"
    " WITH ORDINALITY k(e, p, t, u, i) CROSS JOIN LATERAL ("
    " SELECT n FROM generate_series(k.t + 1, k.u) n WHERE NOT EXISTS (SELECT FROM batch b WHERE b.gateway = :g"
    " AND b.epoch = k.e AND b.partition = k.p AND b.number = n AND b.number > k.t AND b.number <= k.u)"
    " ORDER BY n LIMIT :limit) m ORDER BY k.i, m.n"
)


def _missing(conn: Connection, ask: ConfirmRequest, after: Sequence[int], room: int) -> list[list[int]]:
    """For each run asked for: the numbers that are not there, up to what is asked for and `room` of them.

    `after` is through which number nothing is missing, or the last that the gateway no longer has: what is missing up
    to there it cannot send again.
    """
    missing: list[list[int]] = [[] for _ in ask.upto]
    rows = conn.execute(
        _MISSING,
        {
            "g": ask.gateway,
            "limit": room,
            "t": list(after),
            "e": [epoch for epoch, _, _ in ask.upto],
            "p": [partition for _, partition, _ in ask.upto],
            "u": [min(upto, start + NUMBERS_MAX) for (_, _, upto), start in zip(ask.upto, after, strict=True)],
        },
    )
    for index, number in rows:
        missing[index].append(number)
    return missing
