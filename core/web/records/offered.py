"""What may be chosen in a field today, where that is data: roles and sites of users, permits of roles."""

from collections.abc import Callable, Mapping

from sqlalchemy import select

from core.erp.kernel.access.model import APPROVED, ComposedRole
from core.erp.kernel.permits import Role, declared
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.web.frame.templating import Words
from core.web.records.inputs import Choices

MOST = 200
"""What can be ticked: more are written, one a line."""


def offered(u: Unit, entity: Entity, words: Words) -> Mapping[str, Choices]:
    """By field of the entity's forms, its choices."""
    found = {name: choices(u, words) for (owner, name), choices in _CHOICES.items() if owner == entity.name}
    return {name: few for name, few in found.items() if len(few) <= MOST}


def _roles(u: Unit, words: Words) -> Choices:
    c = table(ComposedRole).c
    composed = u.conn.execute(select(c.code, c.name).where(c.state == APPROVED).order_by(c.code)).all()
    own = ((role.value, words.label(f"role.{role.value}")) for role in Role)
    return (*own, *((row.code, row.name) for row in composed))


def _sites(u: Unit, _: Words) -> Choices:
    site = entities()["site"]
    c = site.rows.c
    own = scoped(select(c.code, c.name).where(c.state == "active"), site.scope, u.actor)
    return tuple((row.code, row.name) for row in u.conn.execute(own.order_by(c.name).limit(MOST + 1)))


def _permits(_: Unit, words: Words) -> Choices:
    said = ((name, words.label(f"permit.{name}")) for name in declared())
    return tuple(sorted(said, key=lambda pair: pair[1]))


_CHOICES: Mapping[tuple[str, str], Callable[[Unit, Words], Choices]] = {
    ("user", "roles"): _roles,
    ("user", "place.site_ids"): _sites,
    ("role", "permits"): _permits,
}
