"""What somebody may now: the permits of their default roles, and those of composed roles that are approved."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, literal_column, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from core.erp.kernel.permits import declared, of_all_sites, permits_of

_COMPOSED = """(SELECT array_agg(DISTINCT permit) FROM role r, unnest(r.permits) AS permit
    WHERE r.state = 'approved' AND r.code = ANY (app_user.roles))"""

COMPOSED = literal_column(_COMPOSED, ARRAY(Text)).label("composed")
"""A column of a statement that reads `app_user`: what the user's composed roles permit, null without any."""

_NOW = text(f"SELECT roles, {_COMPOSED}, site_ids FROM app_user WHERE id = :id AND active AND one_time_until IS NULL")  # noqa: S608 - a constant


def permits(roles: Iterable[str], composed: Iterable[str] | None) -> frozenset[str]:
    """Of default roles, and what composed ones permit; what no module declares any more, nobody holds."""
    return permits_of(roles) | (frozenset(composed or ()) & frozenset(declared()))


def permits_at(sites: Collection[int], held: frozenset[str]) -> frozenset[str]:
    """Of what somebody's roles permit, what counts for whoever belongs to these sites (none: to all)."""
    return held - of_all_sites() if sites else held


def permits_now(conn: Connection, user_id: int) -> frozenset[str]:
    """As the database says it at this moment; none for whoever may not sign in."""
    row = conn.execute(_NOW, {"id": user_id}).one_or_none()
    return permits_at(row[2], permits(row[0], row[1])) if row is not None else frozenset()
