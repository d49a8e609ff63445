"""Where goods were, when, and when we learned it: append-only, bitemporal. Verbs take a Unit and never commit."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Connection, any_, insert, literal, select, text, update

from core.erp.catalog.model import Zone
from core.erp.catalog.service import active
from core.erp.custody.events import CustodyChanged
from core.erp.custody.model import CustodyFact
from core.erp.custody.rules import Fact, Interval, effective, intervals_of
from core.erp.kernel.errors import Conflict, Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept
from core.erp.lots import service as lots
from core.erp.lots.model import Sublot


def record_location(
    u: Unit, sublot_id: int, zone_id: int | None, at: datetime, reason: str | Message = ""
) -> CustodyFact:
    """A fact, never refused: from `at` on the sublot was in the zone (None: not with us). May be learned late.

    A fact from before a split holds for what was split off as well. The sublot's zone becomes that of its latest
    fact; CustodyChanged re-judges. Raises NotFound, Invalid for a time to come.
    """
    if at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    if zone_id is not None and u.session.get(Zone, zone_id) is None:
        raise absent("zone", zone_id)
    lock_zones(u, [sublot_id], () if zone_id is None else (zone_id,))
    lots.get_sublot(u, sublot_id, lock=True)
    fact = _append(u, sublot_id, zone_id, at, reason)
    for child_id in _split_off_after(u, sublot_id, at):
        lots.lock_sublots(u, [child_id])
        _append(u, child_id, zone_id, at, reason, copy_of_id=fact.id)
    return fact


_ENCLOSING_ZONES = text(
    "WITH RECURSIVE around(id) AS (SELECT z FROM unnest(CAST(:zones AS bigint[])) z "
    "UNION SELECT n.parent_id FROM zone_nesting n JOIN around a ON n.zone_id = a.id) SELECT id FROM around ORDER BY id"
)
_MAKE_ZONES = text(
    "INSERT INTO zone_judged (zone_id, version) SELECT z, 0 FROM unnest(CAST(:zones AS bigint[])) z "
    "ON CONFLICT DO NOTHING"
)
_LOCK_ZONES = text("SELECT FROM zone_judged WHERE zone_id = ANY (CAST(:zones AS bigint[])) ORDER BY zone_id FOR UPDATE")


def lock_zones(u: Unit, sublot_ids: Sequence[int], zone_ids: Sequence[int] = ()) -> None:
    """Locks, ascending, these zones, every zone the sublots have been in, and those around them, one of which judges:
    before any sublot is locked.
    """
    been = {zone for spans in intervals(u, sublot_ids).values() for zone, _, _ in spans if zone is not None}
    zones = list(u.conn.execute(_ENCLOSING_ZONES, {"zones": sorted(been | set(zone_ids))}).scalars())
    if zones:
        u.conn.execute(_MAKE_ZONES, {"zones": zones})
        u.lock(_LOCK_ZONES, {"zones": zones})


def _append(
    u: Unit,
    sublot_id: int,
    zone_id: int | None,
    at: datetime,
    reason: str | Message,
    *,
    copy_of_id: int | None = None,
    retracts_id: int | None = None,
) -> CustodyFact:
    words, message = kept(reason)
    before = intervals(u, [sublot_id])[sublot_id]
    fact = CustodyFact(
        sublot_id=sublot_id,
        zone_id=zone_id,
        at=at,
        known_at=u.now,
        actor=u.actor.login,
        reason=words,
        reason_message=message,
        copy_of_id=copy_of_id,
        retracts_id=retracts_id,
    )
    u.session.add(fact)
    u.session.flush()
    after = intervals(u, [sublot_id])[sublot_id]
    _update_sublot_zone(u, sublot_id, after)
    u.audit(
        "custody.retract" if retracts_id else "custody.put",
        "sublot",
        sublot_id,
        reason=words or None,
        after={"fact_id": fact.id, "zone_id": zone_id, "at": at, "retracts_id": retracts_id},
    )
    u.outbox("custody.changed", sublot_id, {"sublot_id": sublot_id, "zone_id": zone_id, "at": at, "known_at": u.now})
    changed = set(before) ^ set(after)
    zones = sorted({zone for zone, _, _ in changed if zone is not None})
    if changed:
        u.emit(CustodyChanged(sublot_id, tuple(zones), at))
    return fact


def _update_sublot_zone(u: Unit, sublot_id: int, spans: Sequence[Interval]) -> None:
    """Writes where the sublot is now: the zone of its latest fact."""
    sublots = table(Sublot)
    u.conn.execute(update(sublots).where(sublots.c.id == sublot_id).values(zone_id=spans[-1][0] if spans else None))
    u.session.get(Sublot, sublot_id, populate_existing=True)


_SPLIT_OFF = text("""
    WITH RECURSIVE off(id, at) AS (
        SELECT child_id, at FROM genealogy WHERE parent_id = :parent AND at > :at AND transformation LIKE 'split:%'
        UNION
        SELECT g.child_id, g.at FROM genealogy g JOIN off ON g.parent_id = off.id
        WHERE g.at > :at AND g.transformation LIKE 'split:%'
    ) SELECT DISTINCT id FROM off ORDER BY id
""")


def _split_off_after(u: Unit, sublot_id: int, at: datetime) -> list[int]:
    """Sublots split off later than `at`: they were in the parent then."""
    return list(u.conn.execute(_SPLIT_OFF, {"parent": sublot_id, "at": at}).scalars())


def retract(u: Unit, fact_id: int, reason: str) -> CustodyFact:
    """Says that a fact was wrong; it stays on record, as known until now. Copies made by splits go with it.

    Raises NotFound, Invalid (no reason), Conflict (retracted already, or itself a retraction).
    """
    if not reason.strip():
        raise Invalid("custody.retraction_without_reason")
    wrong = u.session.get(CustodyFact, fact_id)
    if wrong is None or wrong.sublot_id is None:
        raise absent("custody_fact", fact_id)
    if wrong.retracts_id is not None:
        raise Conflict("custody.retraction_of_retraction", fact_id=fact_id)
    lock_zones(u, [wrong.sublot_id])
    lots.get_sublot(u, wrong.sublot_id, lock=True)
    facts = table(CustodyFact)
    if u.conn.execute(select(facts.c.id).where(facts.c.retracts_id == fact_id)).first() is not None:
        raise Conflict("custody.retracted_already", fact_id=fact_id)
    done = _append(u, wrong.sublot_id, wrong.zone_id, wrong.at, reason, retracts_id=fact_id)
    copies = (
        select(facts.c.id)
        .where(
            facts.c.copy_of_id == fact_id,
            facts.c.retracts_id.is_(None),
            ~facts.c.id.in_(select(facts.c.retracts_id).where(facts.c.retracts_id.is_not(None))),
        )
        .order_by(facts.c.id)
    )
    for copy_id in u.conn.execute(copies).scalars().all():
        retract(u, copy_id, reason)
    return done


def inherit_history(u: Unit, parent_id: int, child_id: int) -> None:
    """A split copies the history: the parent's standing facts, with their own times. Judged again for the child."""
    facts = table(CustodyFact)
    rows = _facts(u.conn, [parent_id])[parent_id]
    keep = [fact for fact in effective(rows) if fact.at <= u.now]
    if not keep:
        return
    columns = [c for c in facts.c.keys() if c not in {"id", "sublot_id", "copy_of_id"}]  # noqa: SIM118 - a collection
    stored = {row.id: row for row in u.conn.execute(select(facts).where(facts.c.id.in_([f.id for f in keep])))}
    u.conn.execute(
        insert(CustodyFact),
        [
            {**{name: getattr(stored[fact.id], name) for name in columns}, "sublot_id": child_id, "copy_of_id": fact.id}
            for fact in keep
        ],
    )
    spans = intervals(u, [child_id])[child_id]
    _update_sublot_zone(u, child_id, spans)
    u.emit(CustodyChanged(child_id, tuple(sorted({z for z, _, _ in spans if z is not None})), keep[0].at))


def _facts(conn: Connection, sublot_ids: Sequence[int]) -> dict[int, list[Fact]]:
    f = table(CustodyFact)
    found: dict[int, list[Fact]] = {sublot_id: [] for sublot_id in sublot_ids}
    rows = conn.execute(
        select(f.c.sublot_id, f.c.id, f.c.zone_id, f.c.at, f.c.known_at, f.c.retracts_id).where(
            f.c.sublot_id == any_(literal(list(sublot_ids), ARRAY(BigInteger)))
        )
    )
    for sublot_id, *fact in rows.all():
        found[sublot_id].append(Fact(*fact))
    return found


def intervals(
    source: Unit | Connection, sublot_ids: Sequence[int], *, known_at: datetime | None = None
) -> dict[int, list[Interval]]:
    """Where each sublot was: (zone or None, from, to or None), half-open, in order; as known now or at `known_at`."""
    if isinstance(source, Unit):
        source.session.flush()
        source = source.conn
    return {
        sublot_id: intervals_of(effective(facts, known_at)) for sublot_id, facts in _facts(source, sublot_ids).items()
    }


def intervals_in_zone(
    conn: Connection, zone_id: int, start: datetime, stop: datetime | None
) -> list[tuple[int, datetime, datetime | None]]:
    """(sublot, from, to or None) of every stay in the zone that overlaps [start, stop), as known now; uncut."""
    f = table(CustodyFact)
    been = select(f.c.sublot_id).where(f.c.zone_id == zone_id).distinct()
    if stop is not None:
        been = been.where(f.c.at < stop)
    ids = list(conn.execute(been).scalars())
    found = [
        (sublot_id, since, until)
        for sublot_id, spans in (intervals(conn, ids) if ids else {}).items()
        for zone, since, until in spans
        if zone == zone_id and (stop is None or since < stop) and (until is None or until > start)
    ]
    return sorted(found, key=lambda stay: (stay[1], stay[0]))


_BAND = text("""
    SELECT l.op, l.threshold FROM sublot s JOIN lot b ON b.id = s.lot_id
    JOIN LATERAL (SELECT version_id FROM item_profile ip WHERE ip.item_id = b.item_id AND ip.from_at <= :now
                  ORDER BY ip.from_at DESC, ip.id DESC LIMIT 1) v ON true
    JOIN profile_limit l ON l.version_id = v.version_id AND l.quantity = 'temperature'
    WHERE s.id = :sublot
""")


def _within_band(u: Unit, sublot_id: int, zone: Zone) -> bool:
    """Whether the zone's own band lies within every temperature limit of the goods' profile."""
    for op, threshold in u.conn.execute(_BAND, {"sublot": sublot_id, "now": u.now}):
        edge = zone.band_high if op.startswith(">") else zone.band_low
        if edge is None or (edge > threshold if op.startswith(">") else edge < threshold):
            return False
    return True


def transfer(u: Unit, sublot_id: int, zone_id: int, *, purpose: str | None = None, reason: str = "") -> CustodyFact:
    """Brings a sublot into another zone: an intention, so it may be refused.

    What is free may go anywhere. What is held may go where held stock is accepted, and with the `rescue` permit into
    any zone whose band is within its profile; its holds stay. Raises Refused, Forbidden, NotFound.
    """
    zone = active(u, Zone, zone_id)
    lock_zones(u, [sublot_id], (zone_id,))
    sublot = lots.get_sublot(u, sublot_id, lock=True)
    wanted = purpose or lots.Purpose.QUARANTINE_TRANSFER
    if wanted not in {lots.Purpose.QUARANTINE_TRANSFER, lots.Purpose.RESCUE}:
        raise Invalid("custody.no_transfer", purpose=str(wanted))
    against = lots.movable(u, sublot_id, wanted)
    if against:
        raise lots.refusal(sublot, wanted, against)
    if lots.open_holds(u, sublot_id=sublot_id) and not zone.accepts_held:
        if wanted != lots.Purpose.RESCUE:
            extra = {"sublot_id": sublot_id, "zone_id": zone_id}
            raise Refused("custody.held_stock_not_accepted", code=sublot.code, zone=zone.address, extra=extra)
        u.need("rescue")
        if not _within_band(u, sublot_id, zone):
            raise Refused(
                "custody.zone_outside_profile", zone=zone.address, code=sublot.code, extra={"zone_id": zone_id}
            )
    return record_location(u, sublot_id, zone_id, u.now, reason or Message(f"purpose.{wanted}"))
