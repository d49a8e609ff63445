"""Users: made, changed, placed, and the second person whom a signer needs.

Whoever is given a role that signs, manages or approves users, by somebody through a door, has it *proposed*; it counts
once a second person has approved it (`guards`). The command line and the system grant at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from core.erp.kernel import passwords
from core.erp.kernel.access.guards import authors_of, require_independent, require_within
from core.erp.kernel.access.queries import Grant, Holder, grants, lock_access, managers
from core.erp.kernel.errors import Conflict, Forbidden, Invalid, Refused, absent
from core.erp.kernel.events import UserPlaced
from core.erp.kernel.model import User
from core.erp.kernel.permits import Role, conflicting
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

ONE_TIME_PASSWORD_LIFETIME = timedelta(hours=72)
"""How long a password that somebody else gave opens the choice of one's own."""
SIGNER_TOPIC = "user.signer"
"""The outbox topic that tells who was given the means to sign or to manage users, or waits for them, by whom."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user belongs: to these sites (none: to all of them), or outside to a partner; and the language chosen."""

    site_ids: tuple[int, ...] = ()
    partner_id: int | None = None
    language: str = ""


def create_user(
    u: Unit,
    login: str,
    name: str,
    password: str,
    roles: Iterable[str],
    *,
    one_time: bool = False,
    place: Place | None = None,
) -> User:
    """A new user. Raises Invalid (unfit password, unknown role, empty name, no partner), Conflict, Refused (permits
    that exclude each other), Forbidden (a place beyond the actor's own sites).

    With `one_time` the password opens nothing but the choice of another. Who may sign records is told by the outbox.
    Permits are the door's business: the first administrator is made by the command line.
    """
    if not login.strip() or not name.strip():
        raise Invalid("access.user_unnamed")
    passwords.check_rules(password, login, name)
    hashed = passwords.hash_of(password)
    lock_access(u)
    wanted = _known(u, roles)
    if not wanted:
        raise Invalid("access.role_missing")
    users = table(User)
    if u.conn.execute(select(users.c.id).where(users.c.login == login)).first() is not None:
        raise Conflict("access.user_exists", login=login)
    user = User(
        login=login,
        name=name,
        password_hash=hashed,
        roles=[],
        created_at=u.now,
        one_time_until=u.now + ONE_TIME_PASSWORD_LIFETIME if one_time else None,
    )
    _give(u, user, wanted)
    _put(u, user, place or Place())
    _require_fit(user, wanted)
    u.session.add(user)
    u.session.flush()
    u.emit(UserPlaced(user.id, tuple(user.site_ids), user.partner_id))
    u.audit("user.create", "user", user.id, after={"login": login, "name": name} | _standing(user))
    _notify_signer(u, user, wanted, "made")
    return user


def change_user(
    u: Unit,
    user_id: int,
    *,
    roles: Iterable[str] | None = None,
    active: bool | None = None,
    password: str | None = None,
    place: Place | None = None,
) -> User:
    """Changes a user's roles, place, password, or whether they may sign in. Raises NotFound, Invalid, Refused (last
    admin, permits that exclude each other), Forbidden (a user or a place beyond the actor's own sites).

    A password given so is a one-time one: it signs nothing, and its owner chooses another at the first sign-in. Whoever
    gives it, or lets somebody in again, could be them: what takes a second person waits for one anew.
    """
    hashed = passwords.hash_of(password) if password is not None else None
    managing = lock_access(u)
    user = _within(u, user_id)
    wanted = _known(u, (*user.roles, *user.proposed_roles) if roles is None else roles, had=user.roles)
    before, could = _standing(user), _guarded(grants(u, user.roles)) if user.active else frozenset()
    back = active is True and not user.active
    _give(u, user, wanted, anew=back or password is not None)
    if place is not None:
        _put(u, user, place)
    _require_fit(user, wanted)
    if active is not None:
        user.token_epoch += user.active and not active  # who may come back later begins with a new session
        user.active = active
        if not active:
            sessions.end_all_of(u, user_id, "inactive")
    if password is not None and hashed is not None:
        passwords.check_rules(password, user.login, user.name)
        user.password_hash, user.one_time_until = hashed, u.now + ONE_TIME_PASSWORD_LIFETIME
        user.token_epoch += 1  # whoever had the old one is out, everywhere
        sessions.end_all_of(u, user_id, "password")
    u.session.add(user)
    require_manager(u, managing)
    if place is not None:
        u.emit(UserPlaced(user.id, tuple(user.site_ids), user.partner_id))
    reset = {"password": "reset" if password is not None else "as before"}
    u.audit("user.change", "user", user_id, before=before, after=_standing(user) | reset)
    if password is not None:
        _notify_signer(u, user, wanted, "reset")
    elif before != _standing(user):
        _notify_signer(u, user, wanted, "changed", could=could)
    return user


def approve_user(u: Unit, user_id: int) -> None:
    """A second person lets the proposed roles count. Raises NotFound, Forbidden (who made the user or proposed the
    roles, the user, whoever is not independent of them, a user beyond the actor's own sites), Refused (nothing is
    proposed, permits that exclude each other).
    """
    lock_access(u)
    user = _proposed(u, user_id)
    authors = authors_of(u, "user", user_id) | {user.proposed_by or ""}
    if u.actor.login in authors | {user.login}:
        raise Forbidden("access.second_person", login=u.actor.login, user=user.login)
    require_independent(u, authors)
    before = _standing(user)
    wanted = _known(u, (*user.roles, *user.proposed_roles))
    _require_fit(user, wanted)
    user.roles, user.proposed_roles, user.proposed_by = sorted(wanted), [], None
    u.session.add(user)
    u.session.flush()
    u.audit("user.approve", "user", user_id, before=before, after=_standing(user))
    _notify_signer(u, user, wanted, "approved")


def refuse_user(u: Unit, user_id: int, *, reason: str) -> None:
    """The proposed roles are not given. Raises NotFound, Forbidden (a user beyond the actor's own sites), Refused
    (nothing is proposed).
    """
    lock_access(u)
    user = _proposed(u, user_id)
    before = _standing(user)
    user.proposed_roles, user.proposed_by = [], None
    u.session.add(user)
    u.audit("user.refuse", "user", user_id, before=before, after=_standing(user), reason=reason)


def choose_language(u: Unit, language: str) -> None:
    """The actor's own choice of a language; empty: the browser's."""
    user = u.get_one(User, u.actor.user_id, lock=True)
    before, user.language = user.language, language
    u.session.add(user)
    u.audit("user.language", "user", user.id, before={"language": before}, after={"language": language})


def require_manager(u: Unit, before: set[int]) -> None:
    """Raises Refused where nobody manages users any more of those who did `before`."""
    u.session.flush()
    if before and not managers(u):
        raise Refused("access.last_administrator")


def _within(u: Unit, user_id: int) -> User:
    user = u.get(User, user_id, lock=True)
    if user is None:
        raise absent("user", user_id)
    require_within(u, user)
    return user


def _proposed(u: Unit, user_id: int) -> User:
    user = _within(u, user_id)
    if not user.proposed_roles:
        raise Refused("access.nothing_proposed", login=user.login)
    return user


def _known(u: Unit, roles: Iterable[str], *, had: Iterable[str] = ()) -> dict[str, Grant]:
    """The roles by code, in order. Raises Invalid for one that there is not; one withdrawn meanwhile may be kept."""
    wanted = sorted(set(roles))
    found = grants(u, wanted)
    if unknown := [code for code in wanted if code not in found and code not in set(had)]:
        raise Invalid("access.role_unknown", roles=unknown)
    return {code: found.get(code) or Grant(code, frozenset(), outside=False) for code in wanted}


def _give(u: Unit, user: User, wanted: Mapping[str, Grant], *, anew: bool = False) -> None:
    """Counts what may count at once; what takes a second person, and is new or given `anew`, is proposed."""
    asks = not u.actor.system
    kept = set() if anew else set(user.roles)
    proposed = sorted(code for code, one in wanted.items() if asks and one.guarded and code not in kept)
    user.roles = sorted(set(wanted) - set(proposed))
    if set(proposed) - set(user.proposed_roles) or anew:
        user.proposed_by = u.actor.login
    user.proposed_roles = proposed
    user.proposed_by = user.proposed_by if proposed else None


def _put(u: Unit, user: User, place: Place) -> None:
    """Where the user belongs. Raises Forbidden: whoever is of some sites places nobody beyond them."""
    sites = set(place.site_ids)
    if u.actor.sites is not None and not (sites and sites <= u.actor.sites):
        raise Forbidden("access.beyond_own_sites", login=u.actor.login)
    user.site_ids, user.partner_id, user.language = sorted(sites), place.partner_id, place.language


def _require_fit(user: User, wanted: Mapping[str, Grant]) -> None:
    """Raises Refused for permits that exclude each other; Invalid: outside roles need a partner, inside roles have
    none, and nobody has both.
    """
    held = frozenset[str]().union(*(one.permits for one in wanted.values()))
    if against := conflicting(held):
        raise Refused("access.permits_conflict", permits=[Message(f"permit.{permit}") for permit in against])
    outside = [code for code, one in wanted.items() if one.outside]
    if outside and len(outside) < len(wanted):
        raise Invalid("access.roles_of_two_kinds")
    if outside and user.partner_id is None:
        raise Invalid("access.role_needs_partner", roles=[named(code) for code in outside])
    if user.partner_id is not None and not outside:
        raise Invalid("access.partner_of_insider", extra={"partner_id": user.partner_id})


def named(code: str) -> Message | str:
    """A role as people say it: a default one by its word, a composed one by its code."""
    return Message(f"role.{code}") if code in set(Role) else code


def _standing(user: User) -> dict[str, Any]:
    """What the audit trail keeps of a user."""
    return {
        "roles": user.roles,
        "proposed_roles": user.proposed_roles,
        "active": user.active,
        "site_ids": user.site_ids,
        "partner_id": user.partner_id,
        "language": user.language,
    }


def _guarded(wanted: Mapping[str, Grant]) -> frozenset[str]:
    """The permits that nobody gives alone."""
    return frozenset[str]().union(*(one.guarded for one in wanted.values()))


def _notify_signer(
    u: Unit, user: User, wanted: Mapping[str, Grant], act: str, *, could: frozenset[str] = frozenset()
) -> None:
    """Somebody was given the means to sign records or to manage users, or waits for them: whoever watches over that is
    told, not only the audit trail.
    """
    if user.active and _guarded(wanted) - could:
        notify_signer(u, act, user)


def notify_signer(u: Unit, act: str, user: User | Holder) -> None:
    """By the outbox: somebody can sign or manage users from now on, or could once a second person has approved."""
    payload = {
        "act": act,
        "login": user.login,
        "name": user.name,
        "roles": user.roles,
        "proposed_roles": user.proposed_roles,
        "by": u.actor.login,
    }
    u.outbox(SIGNER_TOPIC, user.id, payload)
