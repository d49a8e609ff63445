"""What the kernel keeps for a while only: answers to postings by their key, attempts to sign in, browser sessions."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, text

IDEMPOTENCY_KEYS_KEPT = timedelta(days=7)
"""How long a posting may be repeated under its Idempotency-Key and posts once: long after whoever sent it gave up."""
LOGIN_ATTEMPTS_KEPT = timedelta(days=90)
"""How long it can be seen who tried to sign in; the rate limit itself looks back minutes."""
SESSIONS_KEPT = timedelta(days=90)
"""How long behind its last use it can be seen who was signed in with a browser: longer than any session lasts."""
BATCH_SIZE = 10_000

_OLD = {
    "idempotency_key": (
        "DELETE FROM idempotency_key k USING (SELECT key, actor FROM idempotency_key WHERE at < :before LIMIT :n) o"
        " WHERE k.key = o.key AND k.actor = o.actor"
    ),
    "login_attempt": (
        "DELETE FROM login_attempt WHERE id IN (SELECT id FROM login_attempt WHERE at < :before LIMIT :n)"
    ),
    "browser_session": (
        "DELETE FROM browser_session WHERE id IN (SELECT id FROM browser_session WHERE last_used_at < :before LIMIT :n)"
    ),
}


def delete_expired(engine: Engine, now: datetime) -> dict[str, int]:
    """Removes what is older than that, BATCH_SIZE rows a transaction; gives how many rows of each table went."""
    before = {
        "idempotency_key": now - IDEMPOTENCY_KEYS_KEPT,
        "login_attempt": now - LOGIN_ATTEMPTS_KEPT,
        "browser_session": now - SESSIONS_KEPT,
    }
    gone = dict.fromkeys(_OLD, 0)
    for name, statement in _OLD.items():
        while True:
            with engine.begin() as conn:
                count = conn.execute(text(statement), {"before": before[name], "n": BATCH_SIZE}).rowcount
            gone[name] += count
            if count < BATCH_SIZE:
                break
    return gone
