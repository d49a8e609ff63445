"""The records of the ingest: dead letters, which are tried again once their reason is mended."""

from sqlalchemy import case, literal, select

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.instance import instance_of
from core.erp.kernel.records import Column, Entity, Hidden, Section, Verb
from core.erp.kernel.tables import select_for, table
from core.erp.kernel.unit import Unit
from core.ingest.model import DeadLetter
from core.ingest.replaying import Filter, Replayed, replay_in
from core.ingest.scopes import DEAD_LETTERS
from core.ingest.shapes import DeadLetterOut, ReplayOut

_l = table(DeadLetter).c
_OPEN = _l.replayed_at.is_(None)
_STATE = case((_OPEN, literal("open")), else_=literal("replayed")).label("state")


def replay_here(u: Unit, only: Filter) -> Replayed:
    """Tries the open ones again, as this instance judges: a live one takes no simulated reading."""
    return replay_in(u, Judge(), only, live=instance_of(u.conn).live)


def _replay(u: Unit, letter_id: int) -> Replayed:
    """Tries it again: its point has been made, its source mended. What lands is judged; what is refused stays."""
    return replay_here(u, Filter(ids=[letter_id]))


def _raw(u: Unit, letter_id: int) -> str:
    """As it came, in hex."""
    return bytes(u.conn.execute(select(_l.raw).where(_l.id == letter_id)).scalar_one()).hex()


DEAD_LETTER_RECORDS = Entity(
    name="dead_letter",
    path="dead-letters",
    table=DeadLetter,
    read="ingest.read",
    scope=DEAD_LETTERS,
    statement=select_for(DeadLetterOut, DeadLetter, _STATE),
    answer=DeadLetterOut,
    columns=(
        Column("state", filter="eq"),
        Column("kind", filter="in"),
        Column("reason", filter="eq"),
        Column("gateway", filter="eq"),
        Column("point", filter="eq"),
    ),
    hidden=Hidden(_OPEN, unless="state"),
    verbs=(Verb("replay", act=_replay, permit="ingest.manage", states=frozenset({"open"}), answer=ReplayOut),),
    sections=(Section("raw", lambda u, row: _raw(u, row.id), str),),
)

ENTITIES = (DEAD_LETTER_RECORDS,)
