"""What the kernel keeps for a while only: answers to postings by their key, and tries to sign in."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, text

KEYS = timedelta(days=7)
"""How long a posting may be repeated under its Idempotency-Key and posts once: long after whoever sent it gave up."""
TRIES = timedelta(days=90)
"""How long it can be seen who tried to sign in; the rate limit itself looks back minutes."""
AT_ONCE = 10_000

_OLD = {
    "idempotency_key": (
        "DELETE FROM idempotency_key k USING (SELECT key, actor FROM idempotency_key WHERE at < :before LIMIT :n) o"
        " WHERE k.key = o.key AND k.actor = o.actor"
    ),
    "login_attempt": (
        "DELETE FROM login_attempt WHERE id IN (SELECT id FROM login_attempt WHERE at < :before LIMIT :n)"
    ),
}


def forget(engine: Engine, now: datetime) -> dict[str, int]:
    """Removes what is older than that, AT_ONCE rows a transaction; gives how many rows of each table went."""
    before = {"idempotency_key": now - KEYS, "login_attempt": now - TRIES}
    gone = dict.fromkeys(_OLD, 0)
    for name, statement in _OLD.items():
        while True:
            with engine.begin() as conn:
                count = conn.execute(text(statement), {"before": before[name], "n": AT_ONCE}).rowcount
            gone[name] += count
            if count < AT_ONCE:
                break
    return gone
