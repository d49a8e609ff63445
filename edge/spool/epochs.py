"""Every start of a gateway begins an epoch of its own, which names the one before and finishes it first.

Functions over the spool's rows, inside a transaction.
"""

import uuid
from datetime import datetime

import msgspec

from core.telemetry.batch import Announced, PreviousEpoch
from edge.spool.records import SpoolMismatch, micros
from edge.spool.store import Rows


def begin_epoch(rows: Rows, now: datetime, announced: Announced | None = None) -> None:
    """Opens this start's epoch, which says which sources it has. Rows kept but not cut when the last process ended are
    cut first, as the last batches of the epoch they were kept in, so that the numbers this epoch names as that one's
    last are final.

    An epoch that never cut a batch was never heard of outside and is forgotten rather than named. Raises
    SpoolMismatch.
    """
    _check_owner(rows)
    _delete_empty_epochs(rows)
    last = rows.db.execute("SELECT id FROM epoch ORDER BY id DESC LIMIT 1").fetchone()
    previous = None
    if last is not None:
        rows.load(last[0], now)
        rows.cut({}, now)
        previous = msgspec.msgpack.encode(PreviousEpoch(rows.epoch, dict(rows.numbers)))
    row = rows.db.execute(
        "INSERT INTO epoch (epoch, site, previous, started_at) VALUES (?, ?, ?, ?)",
        (uuid.uuid4().hex, rows.site, previous, micros(now)),
    )
    assert row.lastrowid is not None
    # after the cut above: what is left of the epoch before still speaks of its own sources
    rows.db.execute("DELETE FROM meta WHERE key = 'announced'")
    if announced is not None:
        encoded = msgspec.json.encode(announced).decode()
        rows.db.execute("INSERT INTO meta VALUES ('announced', ?)", (encoded,))
    rows.load(row.lastrowid, now)


def _check_owner(rows: Rows) -> None:
    row = rows.db.execute("SELECT value FROM meta WHERE key = 'gateway'").fetchone()
    if row is None:
        rows.db.execute("INSERT INTO meta VALUES ('gateway', ?)", (rows.gateway,))
    elif row[0] != rows.gateway:
        raise SpoolMismatch(f"this spool belongs to gateway {row[0]!r}, not {rows.gateway!r}")


def _delete_empty_epochs(rows: Rows) -> None:
    waiting = rows.db.execute("SELECT 1 FROM raw LIMIT 1").fetchone()
    if waiting is None:
        rows.db.execute(
            "DELETE FROM epoch WHERE id = (SELECT max(id) FROM epoch)"
            " AND NOT EXISTS (SELECT 1 FROM counter WHERE counter.epoch = epoch.id)"
        )
