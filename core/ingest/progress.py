"""How far each (gateway, epoch, partition) is confirmed, and which watermarks may count by now.

A watermark counts once all lower numbers of its epoch, and all earlier epochs of its gateway in its partition, are
confirmed or closed. Earlier epochs are found by the chain: each epoch's number 1 names the one before and its last
numbers. An epoch that names none while others of its gateway are open (a spool was lost) waits for them to be closed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, text

from core.erp.kernel.unit import Unit
from core.ingest.chain import Key, Run, load_chain
from core.telemetry.address import partitions_named
from core.telemetry.batch import PreviousEpoch, Watermark

_CHUNK = 1000
_encode = msgspec.msgpack.encode
_decode_marks = msgspec.msgpack.Decoder(tuple[Watermark, ...]).decode


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A batch confirmed in this transaction, as far as progress is concerned."""

    key: Key
    number: int
    watermarks: tuple[Watermark, ...]
    previous: PreviousEpoch | None


def advance(u: Unit, batches: Sequence[Confirmed]) -> list[tuple[str, Watermark]]:
    """Moves progress over the batches just confirmed and gives the watermarks that count by now, with their gateways,
    in order of their numbers; the others are kept until they do.
    """
    if not batches:
        return []
    runs = _runs(u.conn, {batch.key for batch in batches})
    _record_epochs(u, batches, runs)
    _advance_runs(u.conn, runs, batches)
    waiting = _waiting(u.conn, {(key.gateway, key.partition) for key in runs})
    _join_runs(u.conn, runs, waiting)
    fresh = {(batch.key, batch.number): batch.watermarks for batch in batches if batch.watermarks}
    counting: dict[tuple[Key, int], tuple[Watermark, ...]] = {}
    kept: dict[tuple[Key, int], tuple[Watermark, ...]] = {}
    for (key, number), marks in {**waiting, **fresh}.items():
        run = runs.get(key)
        ready = run is not None and run.follows and number <= run.through
        (counting if ready else kept)[key, number] = marks
    _insert_pending(u.conn, {slot: marks for slot, marks in kept.items() if slot not in waiting})
    _delete_pending(u.conn, [slot for slot in counting if slot in waiting])
    return _latest(counting)


def recount(u: Unit, gateway: str) -> list[tuple[str, Watermark]]:
    """The kept watermarks of a gateway that count by now, as after an epoch was closed."""
    rows = u.conn.execute(
        text("SELECT DISTINCT partition FROM pending_watermark WHERE gateway = :gateway"), {"gateway": gateway}
    )
    waiting = _waiting(u.conn, {(gateway, partition) for (partition,) in rows})
    runs = _runs(u.conn, {key for key, _ in waiting})
    _join_runs(u.conn, runs, waiting)
    counting = {
        (key, number): marks
        for (key, number), marks in waiting.items()
        if runs[key].follows and number <= runs[key].through
    }
    _delete_pending(u.conn, list(counting))
    return _latest(counting)


def _runs(conn: Connection, keys: Iterable[Key]) -> dict[Key, Run]:
    wanted = sorted(keys)
    runs = {key: Run() for key in wanted}
    rows = conn.execute(
        text(
            "SELECT p.gateway, p.epoch, p.partition, p.through, p.follows FROM batch_progress p JOIN "
            "unnest(cast(:g AS text[]), cast(:e AS text[]), cast(:p AS int[])) k(g, e, p) "
            "ON p.gateway = k.g AND p.epoch = k.e AND p.partition = k.p"
        ),
        _columns(wanted),
    )
    for gateway, epoch, partition, through, follows in rows:
        runs[Key(gateway, epoch, partition)] = Run(through, follows, is_new=False)
    return runs


def _columns(keys: Sequence[Key]) -> dict[str, list[str] | list[int]]:
    return {"g": [k.gateway for k in keys], "e": [k.epoch for k in keys], "p": [k.partition for k in keys]}


def _record_epochs(u: Unit, batches: Sequence[Confirmed], runs: dict[Key, Run]) -> None:
    new_epochs = {(key.gateway, key.epoch) for key, run in runs.items() if run.is_new}
    for gateway, epoch in sorted(new_epochs):
        u.conn.execute(
            text(
                "INSERT INTO gateway_epoch (gateway, epoch, announced, last_numbers, first_seen_at) "
                "VALUES (:g, :e, false, '{}', :now) ON CONFLICT (gateway, epoch) DO NOTHING"
            ),
            {"g": gateway, "e": epoch, "now": u.now},
        )
    firsts = {(b.key.gateway, b.key.epoch): b.previous for b in batches if b.number == 1}
    for (gateway, epoch), previous in sorted(firsts.items(), key=lambda item: item[0]):
        u.conn.execute(
            text(
                "UPDATE gateway_epoch SET announced = true, previous = :previous, last_numbers = cast(:last AS jsonb) "
                "WHERE gateway = :g AND epoch = :e AND NOT announced"
            ),
            {
                "g": gateway,
                "e": epoch,
                "previous": previous.epoch if previous else None,
                "last": msgspec.json.encode(previous.last_numbers if previous else {}).decode(),
            },
        )


def _advance_runs(conn: Connection, runs: dict[Key, Run], batches: Sequence[Confirmed]) -> None:
    numbers: defaultdict[Key, set[int]] = defaultdict(set)
    for batch in batches:
        numbers[batch.key].add(batch.number)
    behind = {key: runs[key].through for key in numbers}
    for key, fresh in numbers.items():
        while runs[key].through + 1 in fresh:
            runs[key].through += 1
    for key in _joining(conn, {key: runs[key].through for key in numbers}):
        runs[key].through = _join(conn, key, runs[key].through)
    moved = [key for key in sorted(numbers) if runs[key].through > behind[key] or runs[key].is_new]
    if moved:
        conn.execute(
            text(
                "INSERT INTO batch_progress (gateway, epoch, partition, through, follows) "
                "SELECT g, e, p, t, false FROM unnest(cast(:g AS text[]), cast(:e AS text[]), cast(:p AS int[]), "
                "cast(:t AS bigint[])) k(g, e, p, t) ORDER BY g, e, p "
                "ON CONFLICT (gateway, epoch, partition) DO UPDATE SET through = excluded.through"
            ),
            {**_columns(moved), "t": [runs[key].through for key in moved]},
        )


def _joining(conn: Connection, through: dict[Key, int]) -> list[Key]:
    """The runs whose next number is there already: it came before this one did."""
    keys = sorted(through)
    rows = conn.execute(
        text(
            "SELECT k.g, k.e, k.p FROM unnest(cast(:g AS text[]), cast(:e AS text[]), cast(:p AS int[]), "
            "cast(:t AS bigint[])) k(g, e, p, t) WHERE EXISTS (SELECT FROM batch b WHERE b.gateway = k.g "
            "AND b.epoch = k.e AND b.partition = k.p AND b.number = k.t + 1)"
        ),
        {**_columns(keys), "t": [through[key] for key in keys]},
    )
    return [Key(*row) for row in rows]


def _join(conn: Connection, key: Key, through: int) -> int:
    while True:
        rows = conn.execute(
            text(
                "SELECT number FROM batch WHERE gateway = :g AND epoch = :e AND partition = :p AND number > :n "
                "ORDER BY number LIMIT :limit"
            ),
            {"g": key.gateway, "e": key.epoch, "p": key.partition, "n": through, "limit": _CHUNK},
        ).all()
        for (number,) in rows:
            if number != through + 1:
                return through
            through = number
        if len(rows) < _CHUNK:
            return through


def _waiting(conn: Connection, lanes: set[tuple[str, int]]) -> dict[tuple[Key, int], tuple[Watermark, ...]]:
    """The watermarks that wait in these (gateway, partition), under whatever names these had."""
    ordered = sorted({(gateway, named) for gateway, partition in lanes for named in partitions_named(partition)})
    rows = conn.execute(
        text(
            "SELECT w.gateway, w.epoch, w.partition, w.number, w.data FROM pending_watermark w JOIN "
            "unnest(cast(:g AS text[]), cast(:p AS int[])) k(g, p) ON w.gateway = k.g AND w.partition = k.p"
        ),
        {"g": [gateway for gateway, _ in ordered], "p": [partition for _, partition in ordered]},
    )
    return {(Key(g, e, p), n): _decode_marks(data) for g, e, p, n, data in rows}


def _join_runs(conn: Connection, runs: dict[Key, Run], waiting: dict[tuple[Key, int], tuple[Watermark, ...]]) -> None:
    """Finds out which runs' earlier epochs are complete, and remembers it: it stays so."""
    unknown = {key for key, _ in waiting} - runs.keys()
    if unknown:
        runs.update(_runs(conn, unknown))
    asking = [key for key in sorted(runs) if not runs[key].follows]
    if not asking:
        return
    chain = load_chain(conn, {key.gateway for key in asking}, {key.partition for key in asking}, runs)
    found = [key for key in asking if chain.earlier_complete(key)]
    for key in found:
        runs[key].follows = True
    if found:
        conn.execute(
            text(
                "UPDATE batch_progress b SET follows = true FROM unnest(cast(:g AS text[]), cast(:e AS text[]), "
                "cast(:p AS int[])) k(g, e, p) WHERE b.gateway = k.g AND b.epoch = k.e AND b.partition = k.p"
            ),
            _columns(found),
        )


def _insert_pending(conn: Connection, kept: dict[tuple[Key, int], tuple[Watermark, ...]]) -> None:
    if kept:
        conn.execute(
            text(
                "INSERT INTO pending_watermark (gateway, epoch, partition, number, data) "
                "VALUES (:g, :e, :p, :n, :data) ON CONFLICT DO NOTHING"
            ),
            [
                {"g": key.gateway, "e": key.epoch, "p": key.partition, "n": number, "data": _encode(marks)}
                for (key, number), marks in sorted(kept.items(), key=lambda item: item[0])
            ],
        )


def _delete_pending(conn: Connection, slots: Sequence[tuple[Key, int]]) -> None:
    if slots:
        conn.execute(
            text("DELETE FROM pending_watermark WHERE gateway = :g AND epoch = :e AND partition = :p AND number = :n"),
            [{"g": key.gateway, "e": key.epoch, "p": key.partition, "n": number} for key, number in sorted(slots)],
        )


def _latest(counting: dict[tuple[Key, int], tuple[Watermark, ...]]) -> list[tuple[str, Watermark]]:
    """The furthest of each gateway, source and set of zones: what a later one says includes the earlier."""
    best: dict[tuple[str, str, tuple[str, ...]], Watermark] = {}
    for (key, _), marks in sorted(counting.items(), key=lambda item: item[0]):
        for mark in marks:
            slot = (key.gateway, mark.source, mark.zones)
            if slot not in best or best[slot].upto < mark.upto:
                best[slot] = mark
    return [(gateway, mark) for (gateway, _, _), mark in best.items()]
