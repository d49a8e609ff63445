"""What waits for QA, by incident: what still goes on first, then what is known most surely, then what is oldest."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, case, func, select, text

from core.erp.catalog.model import Zone
from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.production.model import WorkOrder
from core.erp.quality.model import Excursion, Incident
from core.erp.quality.queries import UNDECIDED
from core.erp.quality.rules import CERTAINTY_RANK
from core.erp.quality.scopes import EXCURSIONS
from core.erp.quality.workflow import ASSESSED, ENDED, OPEN
from core.erp.shipments.model import Shipment
from core.web.desks.excursions.cases import titled
from core.web.frame.templating import Words

ROWS = 25
_e, _n, _z = table(Excursion), table(Incident), table(Zone)
_rank = case(CERTAINTY_RANK, value=_e.c.certainty)
_going_on = func.count().filter(_e.c.state == OPEN)
_surest = func.max(_rank)

_GOODS = text("""
    SELECT g.incident, i.code AS item, i.uom, count(*) AS sublots, sum(lotwise_on_hand(s.id)) AS amount,
        (array_agg(DISTINCT l.number))[1:3] AS lots, count(DISTINCT l.id) AS lot_count, min(s.id) AS sublot_id,
        min(s.code) AS sublot,
        count(*) FILTER (WHERE EXISTS (SELECT FROM hold h WHERE h.lifted_at IS NULL
            AND (h.sublot_id = s.id OR h.lot_id = s.lot_id))) AS held
    FROM unnest(CAST(:incidents AS bigint[]), CAST(:sublots AS bigint[])) AS g(incident, sublot)
    JOIN sublot s ON s.id = g.sublot JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
    GROUP BY g.incident, i.code, i.uom ORDER BY g.incident, count(*) DESC, i.code
""")
_STOPPED = text("""
    WITH RECURSIVE made(incident, id) AS (
        SELECT * FROM unnest(CAST(:incidents AS bigint[]), CAST(:sublots AS bigint[]))
        UNION
        SELECT m.incident, g.child_id FROM made m JOIN genealogy g ON g.parent_id = m.id
    )
    SELECT DISTINCT m.incident, 'shipment' AS kind, s.id FROM made m
    JOIN shipment_line n ON n.sublot_id = m.id AND n.state <> 'put_back'
    JOIN shipment s ON s.id = n.shipment_id AND s.state IN ('planned', 'picked', 'dispatched', 'in_transit', 'arrived')
    UNION
    SELECT DISTINCT m.incident, 'work_order', o.id FROM made m JOIN work_order_material w ON w.sublot_id = m.id
    JOIN work_order o ON o.id = w.order_id AND o.state IN ('held', 'blocked')
""")


@dataclass(frozen=True, slots=True)
class Stops:
    """A shipment or a work order that stands still because of goods."""

    kind: str
    id: int
    code: str
    due_at: datetime | None

    @property
    def address(self) -> str:
        """Its page."""
        return f"/{entities()[self.kind].path}/{self.id}"


@dataclass(slots=True)
class Waiting:
    """One incident of which something awaits a decision."""

    id: int
    title: str | Message
    zone: str | None
    count: int
    open: int
    ended: int
    assessed: int
    certainty: str
    since: datetime
    first: int
    """Of its excursions, the first by number."""
    out: timedelta
    """How long the goods that were out the longest were out of a limit."""
    lowest: float | None
    highest: float | None
    endless: bool = False
    """What goes on cannot end: nobody measures its goods."""
    goods: list[Row[Any]] = field(default_factory=list)
    stops: list[Stops] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The page on which it is decided."""
        return f"/excursions/{self.first}" if self.count == 1 else f"/incidents/{self.id}"

    @property
    def held(self) -> int:
        """Sublots that are held."""
        return sum(row.held for row in self.goods)

    def reached(self, words: Words) -> str:
        """How long the goods were out, and the least and the most that was measured meanwhile."""
        if self.lowest is None or self.highest is None:
            return words.t("web.was_out", span=words.lasting(self.out))
        span = f"{words.measured(self.lowest)} – {words.measured(self.highest, '°C')}"
        return words.t("web.was_out_reached", span=words.lasting(self.out), reached=span)

    def states(self, words: Words) -> list[str]:
        """How many of its excursions are in which state, those of none left out."""
        counts = (("web.some_open", self.open), ("web.some_ended", self.ended), ("web.some_assessed", self.assessed))
        return [words.t(what, count=count) for what, count in counts if count]

    @property
    def next(self) -> str:
        """The act that is next: assess, decide or look."""
        if self.ended or self.endless:
            return "assess"
        return "decide" if self.assessed else "look"


def inbox(u: Unit, after: int = 0, rows: int = ROWS) -> tuple[list[Waiting], int]:
    """(incidents, the worst first, beyond the first `after`; how many there are), as far as the reader sees."""
    waiting = u.conn.execute(_waiting(u).offset(after).limit(rows)).all()
    certainty = {rank: name for name, rank in CERTAINTY_RANK.items()}
    found = [
        Waiting(
            row.id,
            titled(row),
            row.zone,
            row.excursions,
            row.open,
            row.ended,
            row.assessed,
            certainty[row.surest],
            row.since,
            row.first,
            row.out,
            row.lowest,
            row.highest,
        )
        for row in waiting
    ]
    pairs = [(row.id, sublot) for row in waiting for sublot in row.sublots]
    _add_goods(u, found, pairs)
    going_on = {row.going_on: row.id for row in waiting if row.going_on is not None}
    unwatched = lots.unjudged(u, sorted(going_on)) if going_on else {}
    for one in found:
        one.endless = any(going_on[sublot] == one.id for sublot in unwatched)
    return found, waiting[0].total if waiting else 0


def _waiting(u: Unit) -> Select[Any]:
    part = (
        select(
            _e.c.incident_id,
            func.count().label("excursions"),
            _going_on.label("open"),
            func.count().filter(_e.c.state == ENDED).label("ended"),
            func.count().filter(_e.c.state == ASSESSED).label("assessed"),
            _surest.label("surest"),
            func.min(_e.c.started_at).label("since"),
            func.min(_e.c.id).label("first"),
            func.max(_e.c.out).label("out"),
            func.min(_e.c.lowest).label("lowest"),
            func.max(_e.c.highest).label("highest"),
            func.array_agg(_e.c.sublot_id.distinct()).label("sublots"),
            func.min(_e.c.sublot_id).filter(_e.c.state == OPEN).label("going_on"),
        )
        .where(_e.c.state.in_(UNDECIDED))
        .group_by(_e.c.incident_id)
    )
    p = scoped(part, EXCURSIONS, u.actor).subquery()
    return (
        select(
            _n.c.id,
            _n.c.title,
            _n.c.title_message,
            func.coalesce(_z.c.name, _z.c.address).label("zone"),
            p,
            func.count().over().label("total"),
        )
        .join_from(p, _n, _n.c.id == p.c.incident_id)
        .outerjoin(_z, _z.c.id == _n.c.zone_id)
        .order_by((p.c.open > 0).desc(), p.c.surest.desc(), p.c.since, _n.c.id)
    )


def _add_goods(u: Unit, found: Sequence[Waiting], pairs: Sequence[tuple[int, int]]) -> None:
    """What each incident's goods are, and what stands still because of them."""
    by_id = {one.id: one for one in found}
    asked = {"incidents": [one for one, _ in pairs], "sublots": [sublot for _, sublot in pairs]}
    for row in u.conn.execute(_GOODS, asked):
        by_id[row.incident].goods.append(row)
    stopped = u.conn.execute(_STOPPED, asked).all()
    for kind, model in (("shipment", Shipment), ("work_order", WorkOrder)):
        entity, t = entities()[kind], table(model)
        ids = sorted({row.id for row in stopped if row.kind == kind})
        if not ids or not any(map(u.actor.may, as_permits(entity.read))):
            continue
        wanted = select(t.c.id, t.c.code, t.c.due_at).where(t.c.id.in_(ids)).order_by(t.c.due_at, t.c.id)
        known = {row.id: row for row in u.conn.execute(scoped(wanted, entity.scope, u.actor))}
        for row in sorted((row for row in stopped if row.kind == kind and row.id in known), key=_due(known)):
            by_id[row.incident].stops.append(Stops(kind, row.id, known[row.id].code, known[row.id].due_at))


def _due(known: dict[int, Row[Any]]) -> Any:
    order = {number: place for place, number in enumerate(known)}
    return lambda row: order[row.id]


def next_after(u: Unit, excursion_ids: Sequence[int], incident_id: int) -> str | None:
    """The page of what is to be decided after these: of the same incident first, then of the worst of the others."""
    mine = select(func.min(_e.c.id)).where(
        _e.c.incident_id == incident_id, _e.c.state.in_(UNDECIDED), _e.c.id.not_in(excursion_ids)
    )
    same = u.conn.scalar(scoped(mine, EXCURSIONS, u.actor))
    if same is not None:
        return f"/excursions/{same}"
    row = u.conn.execute(_waiting(u).where(_n.c.id != incident_id).limit(1)).first()
    if row is None:
        return None
    return f"/excursions/{row.first}" if row.excursions == 1 else f"/incidents/{row.id}"
