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

FREE, LONGEST_WAIT = 5, timedelta(minutes=5)
"""Wrong tries of one login from one address before there is a delay, and the most that it grows to."""
FREE_STRANGERS, LONGEST_WAIT_STRANGERS = 30, timedelta(minutes=1)
"""The same for all addresses together from which the login has never signed in."""
LOOK_BACK = timedelta(hours=24)
WRONG_SIGNATURES = 5
"""Wrong passwords in a row, when signing records, that end a session."""
LONGEST_KEPT = 200
"""Characters of a login, as it was typed, that are kept of a try."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext(:kind), hashtext(:who))")
_FROM_HERE = text("""
    SELECT count(*) FILTER (WHERE NOT ok), max(at) FILTER (WHERE NOT ok) FROM login_attempt
    WHERE login = :login AND address = :address AND session IS NULL AND at > :since AND id > coalesce((
        SELECT max(id) FROM login_attempt
        WHERE login = :login AND address = :address AND session IS NULL AND ok AND at > :since), 0)
""")
_KNOWN = text("""
    SELECT EXISTS (SELECT FROM login_attempt WHERE login = :login AND address = :address AND session IS NULL AND ok)
""")
_STRANGERS = text("""
    SELECT count(*), max(at) FROM login_attempt t
    WHERE login = :login AND session IS NULL AND NOT ok AND at > :since AND NOT EXISTS (
        SELECT FROM login_attempt k
        WHERE k.login = :login AND k.address = t.address AND k.session IS NULL AND k.ok)
""")
_IN_SESSION = text("""
    SELECT count(*) FROM login_attempt WHERE session = :session AND NOT ok AND id > coalesce((
        SELECT max(id) FROM login_attempt WHERE session = :session AND ok), 0)
""")


def one_after_another(conn: Connection, kind: str, who: str) -> None:
    """Until the transaction ends, nobody else tries this login, or within this session; on whatever instance."""
    conn.execute(_LOCK, {"kind": f"lotwise.{kind}", "who": who})


def delay(failed: int, free: int, longest: timedelta) -> timedelta:
    """How long the next try waits after so many wrong ones: 1 s, 2 s, 4 s, … after the free ones."""
    return timedelta(0) if failed < free else min(longest, timedelta(seconds=2 ** min(failed - free, 30)))


def may_sign_in(conn: Connection, login: str, address: str, now: datetime) -> None:
    """Raises TooManyAttempts, with `retry_after` in seconds, while the delay lasts. Nothing is checked then."""
    who = {"login": login[:LONGEST_KEPT], "address": address, "since": now - LOOK_BACK}
    failed, last = conn.execute(_FROM_HERE, who).one()
    until = last + delay(failed, FREE, LONGEST_WAIT) if last is not None else now
    if not conn.scalar(_KNOWN, who):
        failed, last = conn.execute(_STRANGERS, who).one()
        if last is not None:
            until = max(until, last + delay(failed, FREE_STRANGERS, LONGEST_WAIT_STRANGERS))
    if until > now:
        wait = int((until - now).total_seconds()) + 1
        raise TooManyAttempts("kernel.too_many_wrong_passwords", retry_after=wait)


def wrong_in_session(conn: Connection, session: str) -> int:
    """Wrong passwords in a row when signing records in this session."""
    return int(conn.execute(_IN_SESSION, {"session": session}).scalar_one())


def remember(
    conn: Connection, login: str, now: datetime, *, ok: bool, address: str = "", session: str | None = None
) -> None:
    """Keeps a try. `session` for one to sign a record, `address` for one to sign in."""
    row = {"login": login[:LONGEST_KEPT], "address": address, "at": now, "ok": ok, "session": session}
    conn.execute(insert(table(LoginAttempt)), row)
