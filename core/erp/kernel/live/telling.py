"""Telling open pages: one pass takes what the queue has and notifies every process once.

Only the process that leads the background work does it. Whoever posts, judges or ingests notifies nobody: transactions
that notify queue up at their commit.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import Engine, text

from core.erp.kernel.live.topics import collapsed, topics_of

CHANNEL = "lotwise_live"
MOST_ROWS = 5_000
"""Rows of the queue that one pass takes."""
MOST_BYTES = 7_800
"""Of one notification: PostgreSQL takes less than 8000."""

_TAKE = text("""
    WITH taken AS (
        DELETE FROM live_change WHERE id IN (SELECT id FROM live_change ORDER BY id LIMIT :most)
        RETURNING outbox_id, topic)
    SELECT t.topic AS changed, o.topic, o.key, o.payload FROM taken t LEFT JOIN outbox o ON o.id = t.outbox_id
""")
_TELL = text("SELECT pg_notify(:channel, :payload)")


def tell(engine: Engine) -> int:
    """One pass; gives how many rows of the queue it took. What it tells is told once, or after a failure again."""
    with engine.begin() as conn:
        rows = conn.execute(_TAKE, {"most": MOST_ROWS}).all()
        if rows:
            for payload in payloads(collapsed(_topics(rows))):
                conn.execute(_TELL, {"channel": CHANNEL, "payload": payload})
    return len(rows)


def _topics(rows: Iterable[tuple[str | None, str, str, dict[str, object]]]) -> Iterator[str]:
    for changed, topic, key, payload in rows:
        if changed is not None:
            yield changed
        elif topic is not None:
            yield from topics_of(topic, key, payload)


def payloads(topics: Iterable[str]) -> Iterator[str]:
    """Topics with spaces between, in pieces that a notification can carry."""
    piece = ""
    for topic in topics:
        if piece and len(piece) + len(topic) >= MOST_BYTES:
            yield piece
            piece = ""
        piece = f"{piece} {topic}" if piece else topic
    if piece:
        yield piece
