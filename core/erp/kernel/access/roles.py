"""Roles that a site composes: drafted by one, approved by another, replaced by a next edition, withdrawn."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from core.erp.kernel.access.guards import authors_of, require_all_sites, require_independent
from core.erp.kernel.access.model import APPROVED, DRAFT, ComposedRole
from core.erp.kernel.access.queries import Holder, holders, lock_access, newest
from core.erp.kernel.access.users import notify_signer, require_manager
from core.erp.kernel.access.workflow import ROLE
from core.erp.kernel.errors import Conflict, Forbidden, Invalid, Refused, absent
from core.erp.kernel.permits import Role, conflicting, declared, guarded
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message


def compose_role(u: Unit, *, code: str, name: str, permits: Sequence[str], outside: bool = False) -> ComposedRole:
    """A draft: a new role, or the next edition of one.

    Raises Forbidden (an actor of some sites only: roles count everywhere), Conflict (a default role, a draft there is),
    Invalid (unknown permits, none, not for outside people), Refused (permits that nobody may hold together).
    """
    require_all_sites(u)
    lock_access(u)
    if code in set(Role):
        raise Conflict("access.default_role", role=Message(f"role.{code}"), extra={"code": code})
    before = newest(u, code)
    if before is not None and before.state == DRAFT:
        raise Conflict("access.draft_there", code=code)
    role = ComposedRole(
        code=code,
        edition=before.edition + 1 if before is not None else 1,
        name=name,
        permits=_fit(permits, outside=outside),
        outside=outside,
        created_at=u.now,
    )
    u.session.add(role)
    u.session.flush()
    after = {"code": code, "edition": role.edition} | _content(role)
    u.audit("role.create", "role", role.id, after=after)
    u.outbox("role.create", role.id, after)
    return role


def change_role(u: Unit, role_id: int, **fields: Any) -> None:
    """Changes name, permits or outside of a draft. Raises as `compose_role`."""
    require_all_sites(u)
    role = u.get_one(ComposedRole, role_id, lock=True)
    before = _content(role)
    for field, value in fields.items():
        setattr(role, field, value)
    role.permits = _fit(role.permits, outside=role.outside)
    u.session.add(role)
    u.session.flush()
    if _content(role) != before:
        u.audit("role.change", "role", role_id, before=before, after=_content(role))


def approve_role(u: Unit, role_id: int) -> None:
    """A second person approves a draft: from now on it counts for everybody who has it, and replaces the edition
    before.

    Raises Forbidden (whoever composed it or is not independent of them, whoever has it, an actor of some sites only),
    Refused (somebody would hold permits that exclude each other, or nobody could manage users any more).
    """
    require_all_sites(u)
    managing = lock_access(u)
    role = _locked(u, role_id)
    concerned = holders(u, role.code)
    if u.actor.user_id in {one.id for one in concerned}:
        raise Forbidden("access.approves_own_role", login=u.actor.login, code=role.code)
    require_independent(u, authors_of(u, "role", role_id) - {u.actor.login})
    r = table(ComposedRole).c
    standing = u.conn.scalar(select(r.id).where(r.code == role.code, r.state == APPROVED))
    if standing is not None:
        ROLE.apply(u, _locked(u, standing), "replace")
    ROLE.apply(u, role, "approve", also={"permits": role.permits, "holders": [one.login for one in concerned]})
    after = holders(u, role.code)
    _require_apart(after, role)
    require_manager(u, managing)
    _notify_signers(u, concerned, after)


def withdraw_role(u: Unit, role_id: int, *, reason: str) -> None:
    """The role counts for nobody any more, from each one's next request; what is under way is refused.

    Raises Forbidden for an actor of some sites only, Refused where nobody could manage users any more.
    """
    require_all_sites(u)
    managing = lock_access(u)
    role = _locked(u, role_id)
    ROLE.apply(u, role, "withdraw", reason=reason, also={"holders": [one.login for one in holders(u, role.code)]})
    require_manager(u, managing)


def holders_of(u: Unit, row: Any) -> list[str]:
    """The logins of those who have the role, counted or proposed."""
    return [one.login for one in holders(u, row.code)]


def _locked(u: Unit, role_id: int) -> ComposedRole:
    role = u.get(ComposedRole, role_id, lock=True)
    if role is None:
        raise absent("role", role_id)
    return role


def _content(role: ComposedRole) -> dict[str, Any]:
    return {"name": role.name, "permits": role.permits, "outside": role.outside}


def _fit(permits: Iterable[str], *, outside: bool) -> list[str]:
    """The permits in order. Raises Invalid, Refused."""
    wanted, known = sorted(set(permits)), declared()
    if not wanted:
        raise Invalid("access.role_empty")
    if unknown := [permit for permit in wanted if permit not in known]:
        raise Invalid("access.permit_unknown", permits=unknown)
    if outside and (kept := [permit for permit in wanted if not known[permit].outside]):
        raise Invalid("access.permit_inside_only", permits=[Message(f"permit.{permit}") for permit in kept])
    if against := conflicting(wanted):
        raise Refused("access.permits_conflict", permits=[Message(f"permit.{permit}") for permit in against])
    return wanted


def _require_apart(concerned: Sequence[Holder], role: ComposedRole) -> None:
    """Raises Refused where somebody would manage users and sign, or be inside and outside at once."""
    for one in concerned:
        if against := conflicting(one.permits | frozenset(role.permits)):
            words = [Message(f"permit.{permit}") for permit in against]
            raise Refused("access.holder_conflicts", login=one.login, permits=words)
    mixed = [one.login for one in concerned if role.outside != one.outside]
    if mixed:
        raise Refused("access.holder_of_other_kind", code=role.code, logins=mixed)


def _notify_signers(u: Unit, before: Sequence[Holder], after: Sequence[Holder]) -> None:
    """Whoever can sign or manage users from now on: told as if they had been given such a role."""
    could = {one.id: one.permits for one in before}
    for one in after:
        if one.active and one.permits & guarded() - could.get(one.id, frozenset()):
            notify_signer(u, "role", one)
