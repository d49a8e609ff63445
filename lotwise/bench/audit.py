"""How fast a long audit trail is verified, and whether every kind of tampering planted in it is found."""

import json
import logging
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from sqlalchemy import Connection, Engine, text

from core.erp.kernel.audit import Sealer
from core.erp.kernel.audit_keys import message, open_engine
from core.erp.kernel.audit_verification import Finding, verify
from core.erp.kernel.schema import create_schema
from core.erp.kernel.witness import Witness
from core.series.landing import driver
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS
from lotwise.embedded.postgres import EmbeddedPostgres

log = logging.getLogger("lotwise.bench")

STEP = timedelta(milliseconds=100)
"""Between two rows: the sealer looks back ten minutes each time, as it does beside a running core."""
PER_SEAL = 500
"""Rows a seal: half a second of a busy core."""
ANALYSED = 20
"""Seals after which the growing tables are analysed for the first time, as autovacuum does."""
PLANTED = 50
"""Of each kind."""
SMALL = 20_000
"""Rows of the second trail, that is cut again and again."""

Plant = tuple[str, ...]
"""What of it may be told by a finding: one of these stands in its detail."""

_COPY = "COPY audit (at, actor, action, entity, entity_id, before, after, reason, nonce, key_id, hash) FROM STDIN"
_COLUMNS = "at, actor, action, entity, entity_id, before, after, reason, nonce, key_id"


def _rows(count: int, start: datetime) -> Iterator[tuple[Any, ...]]:
    """Rows like those of stock moves, signed as the core signs them."""
    for number in range(count):
        row: dict[str, Any] = {
            "at": start + number * STEP,
            "actor": f"storekeeper{number % 7}",
            "action": "stock.move",
            "entity": "sublot",
            "entity_id": str(number % 9973),
            "before": None,
            "reason": None,
            "after": {
                "move_id": number,
                "source": "stock",
                "target": "production",
                "amount": "12.5",
                "at": (start + number * STEP).isoformat(),
                "purpose": "use",
                "reference": f"work_order:{number % 311}",
            },
            "nonce": secrets.randbits(63),
        }
        yield (
            row["at"],
            row["actor"],
            row["action"],
            row["entity"],
            row["entity_id"],
            None,
            json.dumps(row["after"]),
            None,
            row["nonce"],
            BENCH_KEYS.current,
            BENCH_KEYS.sign(message(row)),
        )


def fill(engine: Engine, witness: Witness, count: int) -> None:
    """A trail of so many rows, sealed and witnessed as a running core does."""
    sealer, start = Sealer(engine, witness), datetime.now(UTC) - count * STEP
    rows = _rows(count, start)
    sealer.seal(start)
    for done in range(0, count, PER_SEAL):
        with engine.begin() as conn, driver(conn).cursor().copy(_COPY) as copy:
            for _ in range(min(PER_SEAL, count - done)):
                copy.write_row(next(rows))
        sealer.seal(start + (done + PER_SEAL) * STEP)
        if done == ANALYSED * PER_SEAL:
            _analyse(engine)


def _ids(conn: Connection, dice: np.random.Generator, count: int) -> list[int]:
    last = conn.scalar(text("SELECT max(id) FROM audit"))
    return [int(one) + 1 for one in dice.choice(last, count, replace=False)]


def _seal(conn: Connection, row_id: int) -> str:
    number = conn.scalar(text("SELECT seal FROM audit_sealed WHERE audit_id = :i"), {"i": row_id})
    return f"seal {number}"


def _edits(conn: Connection, dice: np.random.Generator) -> list[Plant]:
    changes = (
        "reason = 'because'",
        "actor = 'nobody'",
        'after = after || \'{"amount": "13"}\'',
        "at = at + interval '1 us'",
        "entity_id = entity_id || '1'",
    )
    ids = _ids(conn, dice, PLANTED)
    for index, row_id in enumerate(ids):
        conn.execute(text(f"UPDATE audit SET {changes[index % 5]} WHERE id = :i"), {"i": row_id})  # noqa: S608 - ours
    return [(f"audit row {row_id}",) for row_id in ids]


def _deletions(conn: Connection, dice: np.random.Generator) -> list[Plant]:
    ids = _ids(conn, dice, PLANTED)
    planted: list[Plant] = [(_seal(conn, row_id), str(row_id)) for row_id in ids]
    for index, row_id in enumerate(ids):
        conn.execute(text("DELETE FROM audit WHERE id = :i"), {"i": row_id})
        if index % 2:  # with all that speaks of it
            conn.execute(text("DELETE FROM audit_sealed WHERE audit_id = :i"), {"i": row_id})
            conn.execute(
                text("UPDATE audit_seal SET row_ids = array_remove(row_ids, :i) WHERE :i = ANY(row_ids)"), {"i": row_id}
            )
    return planted


def _swaps(conn: Connection, dice: np.random.Generator) -> list[Plant]:
    """Two rows change places, each with its own HMAC."""
    ids = _ids(conn, dice, 2 * PLANTED)
    planted: list[Plant] = []
    for one, other in zip(ids[::2], ids[1::2], strict=True):
        planted.append((_seal(conn, one), _seal(conn, other)))
        for source, target in ((one, -1), (other, one), (-1, other)):
            conn.execute(text("UPDATE audit SET id = :t WHERE id = :s"), {"s": source, "t": target})
    return planted


def _forgeries(conn: Connection, dice: np.random.Generator) -> list[Plant]:
    """New rows with a plain hash of the right content, and true rows put in a second time."""
    made = text(
        f"INSERT INTO audit ({_COLUMNS}, hash) SELECT at, 'nobody', action, entity, entity_id, before, after, reason,"  # noqa: S608 - ours
        " nonce + 1, key_id, sha256(convert_to(after::text, 'UTF8')) FROM audit WHERE id = :i RETURNING id"
    )
    copied = text(f"INSERT INTO audit ({_COLUMNS}, hash) SELECT {_COLUMNS}, hash FROM audit WHERE id = :i RETURNING id")  # noqa: S608 - ours
    ids = _ids(conn, dice, PLANTED)
    return [
        (f"audit row {new}", f", {new}]")
        for index, row_id in enumerate(ids)
        for new in conn.execute(copied if index % 2 else made, {"i": row_id}).scalars()
    ]


KINDS: dict[str, Callable[[Connection, np.random.Generator], list[Plant]]] = {
    "edits": _edits,
    "deletions": _deletions,
    "swaps": _swaps,
    "forged inserts": _forgeries,
}


def _found(planted: Sequence[Plant], findings: Sequence[Finding]) -> int:
    details = "\n".join(finding.detail for finding in findings)
    return sum(any(re.search(rf"{re.escape(word)}(?!\d)", details) for word in plant) for plant in planted)


def _planted(engine: Engine, witness: Witness, kind: str, dice: np.random.Generator) -> tuple[int, int]:
    """(planted, found) of one kind: as somebody does who owns the database, undone afterwards."""
    with engine.connect() as conn, conn.begin() as undone:
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        planted = KINDS[kind](conn, dice)
        found = _found(planted, verify(conn, None, Witness(witness.path)))
        undone.rollback()
    return len(planted), found


def _truncated(engine: Engine, witness: Witness, dice: np.random.Generator) -> tuple[int, int]:
    """The newest seals cut off, with their rows and notes."""
    found = 0
    for _ in range(PLANTED):
        with engine.connect() as conn, conn.begin() as undone:
            conn.execute(text("SET LOCAL session_replication_role = replica"))
            last = conn.execute(text("SELECT max(number) FROM audit_seal")).scalar_one()
            kept = {"n": int(dice.integers(0, last))}
            conn.execute(
                text("DELETE FROM audit WHERE id IN (SELECT audit_id FROM audit_sealed WHERE seal > :n)"), kept
            )
            conn.execute(text("DELETE FROM audit_sealed WHERE seal > :n"), kept)
            conn.execute(text("DELETE FROM audit_seal WHERE number > :n"), kept)
            found += bool(verify(conn, None, Witness(witness.path)))
            undone.rollback()
    return PLANTED, found


def _shortened(engine: Engine, witness: Witness, dice: np.random.Generator) -> tuple[int, int]:
    """The witness's last lines cut off (two at least: one less is what a crash leaves), or some of its middle."""
    whole = witness.path.read_text().splitlines(keepends=True)
    found = 0
    for index in range(PLANTED):
        at = int(dice.integers(1, len(whole) - 2))
        kept = whole[:at] if index % 2 else whole[:at] + whole[at + 1 :]
        other = witness.path.with_name("cut.jsonl")
        other.write_text("".join(kept))
        with engine.connect() as conn:
            found += bool(verify(conn, None, Witness(other)))
    return PLANTED, found


def run(rows: int) -> None:
    """Prints rows_per_s of the whole verification and found_pct of what was planted."""
    dice = np.random.default_rng(8)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
        postgres.start()
        try:
            long, short = (
                _trail(postgres, Path(folder), name, count)
                for name, count in (("long", rows), ("short", min(rows, SMALL)))
            )
            _speed(*long, rows)
            counts = {kind: _planted(*long, kind, dice) for kind in KINDS}
            counts |= {"truncations": _truncated(*short, dice), "shortened witnesses": _shortened(*short, dice)}
            for engine, _ in (long, short):
                engine.dispose()
        finally:
            postgres.stop()
    planted, found = (sum(count[index] for count in counts.values()) for index in (0, 1))
    method = ", ".join(f"{kind} {done} of {made}" for kind, (made, done) in counts.items())
    figure("audit", "found_pct", 100 * found / planted, "%", planted, method)


def _trail(postgres: EmbeddedPostgres, folder: Path, name: str, count: int) -> tuple[Engine, Witness]:
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    engine, witness = open_engine(postgres.url(name), BENCH_KEYS), Witness(folder / f"{name}.jsonl")
    create_schema(engine)
    fill(engine, witness, count)
    _analyse(engine)  # as autovacuum leaves a trail that has grown over months
    return engine, witness


def _analyse(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))


def _speed(engine: Engine, witness: Witness, rows: int) -> None:
    begun, cpu = time.perf_counter(), time.process_time()
    with engine.connect() as conn:
        findings = verify(conn, None, Witness(witness.path))
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if findings:
        raise SystemExit(f"a trail that nobody touched: {findings[:3]}")
    method = f"every row, seal and witnessed head; {rows // PER_SEAL} seals; {cpu:.1f} s of this process's CPU"
    figure("audit", "rows_per_s", rows / took, "rows/s", rows, method)
