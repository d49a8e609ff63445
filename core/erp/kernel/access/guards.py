"""Whom somebody may act upon, and who is a second person: nobody is one to those whom they have made.

Whoever makes a user, or gives a password, knows it and could sign in as that user; so the two count as one person. What
binds two people is read from the audit trail, and ends for a user whom the command line approves.
"""

from collections.abc import Collection

from sqlalchemy import text

from core.erp.kernel.errors import Forbidden
from core.erp.kernel.model import User
from core.erp.kernel.unit import Unit


def require_all_sites(u: Unit) -> None:
    """Roles count at every site. Raises Forbidden for whoever belongs to some sites only."""
    if not u.actor.system and u.actor.sites is not None:
        raise Forbidden("access.roles_of_all_sites", login=u.actor.login)


def require_within(u: Unit, user: User) -> None:
    """Raises Forbidden: whoever belongs to some sites acts upon nobody who belongs to others, or to all."""
    if u.actor.system or u.actor.sites is None:
        return
    if not user.site_ids or not set(user.site_ids) <= u.actor.sites:
        raise Forbidden("access.user_beyond_own_sites", login=u.actor.login, user=user.login)


def authors_of(u: Unit, entity: str, record_id: int) -> set[str]:
    """The users who have made the record, or have changed it since a second person last looked at it, by login."""
    asked = {
        "entity": entity,
        "id": str(record_id),
        "made": [f"{entity}.create"],
        "changed": [f"{entity}.change"],
        "looked": [f"{entity}.approve", f"{entity}.refuse"],
    }
    return set(u.conn.scalars(_AUTHORS, asked))


def require_independent(u: Unit, authors: Collection[str]) -> None:
    """Raises Forbidden where the actor was made, given a password or approved by one of the authors, or has made one of
    them or given one a password. Of the command line's own acts nobody is dependent.
    """
    if u.actor.system:
        return
    asked = {"actor": u.actor.login, "authors": sorted(authors)}
    if (other := u.conn.scalar(_BOUND, asked)) is not None:
        raise Forbidden("access.not_independent", login=u.actor.login, other=other)


_AUTHORS = text("""
    SELECT DISTINCT actor FROM audit
    WHERE entity = :entity AND entity_id = :id AND actor IN (SELECT login FROM app_user) AND (
        action = ANY (:made) OR action = ANY (:changed) AND id > COALESCE(
        (SELECT max(id) FROM audit WHERE entity = :entity AND entity_id = :id AND action = ANY (:looked)), 0))
""")

# an actor who is no user is the system: what it approved, whoever sat at the machine answers for
_BOUND = text("""
    WITH act AS (
        SELECT a.id, a.actor AS by, u.login AS whom,
            a.action = 'user.create' OR a.action = 'user.change' AND a.after ->> 'password' = 'reset' AS knows,
            a.action = 'user.approve' AS approved,
            max(a.id) FILTER (WHERE a.action = 'user.approve' AND a.actor NOT IN (SELECT login FROM app_user))
                OVER (PARTITION BY u.id) AS cleared
        FROM app_user u JOIN audit a ON a.entity = 'user' AND a.entity_id = u.id::text
        WHERE u.login = :actor OR u.login = ANY (:authors)
    )
    SELECT CASE WHEN whom = :actor THEN by ELSE whom END FROM act
    WHERE id > COALESCE(cleared, 0) AND (
        whom = :actor AND by = ANY (:authors) AND (knows OR approved)
        OR by = :actor AND whom = ANY (:authors) AND knows)
    ORDER BY id LIMIT 1
""")
