"""How often a password may be tried.

To sign in: by login and address, with a delay that grows from wrong to wrong and ends with the right one; so nobody is
kept out by what somebody else does from elsewhere. All addresses from which a login has never signed in share a second,
milder delay, so that who has many addresses has few tries all the same (NIST SP 800-63B, 3.2.2).

To sign a record: by the session alone. What happens at the sign-in page never keeps a signed-in person from signing;
too many wrong passwords in a row end the session.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, text

from core.erp.kernel.errors import TooManyAttempts
from core.erp.kernel.model import LoginAttempt
from core.erp.kernel.tables import table

FREE_ATTEMPTS, MAX_DELAY = 5, timedelta(minutes=5)
"""Wrong tries of one login from one address before there is a delay, and the most that it grows to."""
FREE_ATTEMPTS_UNKNOWN_ADDRESSES, MAX_DELAY_UNKNOWN_ADDRESSES = 30, timedelta(minutes=1)
"""The same for all addresses together from which the login has never signed in."""
LOOK_BACK = timedelta(hours=24)
MAX_SIGNING_FAILURES = 5
"""Wrong passwords in a row, when signing records, that end a session."""
LOGIN_STORED_LENGTH = 200
"""Characters of a login, as it was typed, that are kept of a try."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext(:kind), hashtext(:who))")
_FAILURES_FROM_ADDRESS = text("""
    SELECT count(*) FILTER (WHERE NOT ok), max(at) FILTER (WHERE NOT ok) FROM login_attempt
    WHERE login = :login AND address = :address AND session IS NULL AND at > :since AND id > coalesce((
        SELECT max(id) FROM login_attempt
        WHERE login = :login AND address = :address AND session IS NULL AND ok AND at > :since), 0)
""")
_ADDRESS_KNOWN = text("""
    SELECT EXISTS (SELECT FROM login_attempt WHERE login = :login AND address = :address AND session IS NULL AND ok)
""")
_FAILURES_FROM_UNKNOWN = text("""
    SELECT count(*), max(at) FROM login_attempt t
    WHERE login = :login AND session IS NULL AND NOT ok AND at > :since AND NOT EXISTS (
        SELECT FROM login_attempt k
        WHERE k.login = :login AND k.address = t.address AND k.session IS NULL AND k.ok)
""")
_FAILURES_IN_SESSION = text("""
    SELECT count(*) FROM login_attempt WHERE session = :session AND NOT ok AND id > coalesce((
        SELECT max(id) FROM login_attempt WHERE session = :session AND ok), 0)
""")


def lock_attempts(conn: Connection, kind: str, key: str) -> None:
    """Until the transaction ends, nobody else tries this login, or within this session; on whatever instance."""
    conn.execute(_LOCK, {"kind": f"lotwise.{kind}", "who": key})


def delay(failed: int, free: int, longest: timedelta) -> timedelta:
    """How long the next try waits after so many wrong ones: 1 s, 2 s, 4 s, … after the free ones."""
    return timedelta(0) if failed < free else min(longest, timedelta(seconds=2 ** min(failed - free, 30)))


def require_sign_in_allowed(conn: Connection, login: str, address: str, now: datetime) -> None:
    """Raises TooManyAttempts, with `retry_after` in seconds, while the delay lasts. Nothing is checked then."""
    who = {"login": login[:LOGIN_STORED_LENGTH], "address": address, "since": now - LOOK_BACK}
    failed, last = conn.execute(_FAILURES_FROM_ADDRESS, who).one()
    until = last + delay(failed, FREE_ATTEMPTS, MAX_DELAY) if last is not None else now
    if not conn.scalar(_ADDRESS_KNOWN, who):
        failed, last = conn.execute(_FAILURES_FROM_UNKNOWN, who).one()
        if last is not None:
            until = max(until, last + delay(failed, FREE_ATTEMPTS_UNKNOWN_ADDRESSES, MAX_DELAY_UNKNOWN_ADDRESSES))
    if until > now:
        wait = int((until - now).total_seconds()) + 1
        raise TooManyAttempts("kernel.too_many_wrong_passwords", retry_after=wait)


def signing_failures(conn: Connection, session: str) -> int:
    """Wrong passwords in a row when signing records in this session."""
    return int(conn.execute(_FAILURES_IN_SESSION, {"session": session}).scalar_one())


def record_attempt(
    conn: Connection, login: str, now: datetime, *, ok: bool, address: str = "", session: str | None = None
) -> None:
    """Keeps a try. `session` for one to sign a record, `address` for one to sign in."""
    row = {"login": login[:LOGIN_STORED_LENGTH], "address": address, "at": now, "ok": ok, "session": session}
    conn.execute(insert(table(LoginAttempt)), row)
