"""What one record of a kind is called: found by its whole label, and by how it begins, for who may know of it."""

from dataclasses import dataclass

from sqlalchemy import select

from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.search import found
from core.erp.kernel.scope import scoped
from core.erp.kernel.shapes import id_in
from core.erp.kernel.unit import Unit

OFFERED = 12
"""Records that a picker offers."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One record that a picker offers: what it is called, and what it is beside that."""

    id: int
    called: str
    beside: str = ""


def find(u: Unit, entity: Entity, text: str) -> list[int]:
    """The ids of the records that are called exactly so; by number where a record has no other name."""
    label, c = entity.column(entity.label), entity.rows.c
    if entity.label == "id":
        number = id_in(text)
        if number is None:
            return []
        wanted = select(c.id).where(c.id == number)
    else:
        wanted = select(c.id).where(label == text)
    return list(u.conn.scalars(scoped(wanted.limit(2), entity.scope, u.actor)))


def offers(u: Unit, entity: Entity, text: str) -> list[Offer]:
    """The first records whose label begins so; any, where nothing is written yet. None that lists hide."""
    label, c = entity.column(entity.label), entity.rows.c
    wanted = select(c.id, label.label("called")).limit(OFFERED).order_by(label, c.id)
    if text and entity.searches:
        wanted = wanted.where(c.id.in_(found(entity.rows, entity.searches, text)))
    elif text and entity.label != "id":
        wanted = wanted.where(label.startswith(text, autoescape=True))
    if entity.hidden is not None:
        wanted = wanted.where(entity.hidden.where)
    rows = u.conn.execute(scoped(wanted, entity.scope, u.actor))
    return [Offer(row.id, str(row.called)) for row in rows]
