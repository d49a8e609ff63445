"""Excursions follow the data: the judge says what every sublot broke, and what stands is made to say the same."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, text, update

from core.erp.catalog.limit_words import limit_of, limit_said
from core.erp.catalog.model import ProfileLimit
from core.erp.exposure.events import Judged, SublotsJudged
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.model import Sublot
from core.erp.quality.events import DepartedGoods, ExcursionAfterDeparture
from core.erp.quality.model import Excursion
from core.erp.quality.rules import (
    CERTAINTY_RANK,
    LIVE,
    SIGNED,
    Breach,
    ExcursionChanges,
    KnownExcursion,
    NewExcursion,
    Origin,
    assessment_stands,
    excursion_changes,
)
from core.erp.quality.service.ends import known_end
from core.erp.quality.service.incidents import assign_incidents
from core.erp.quality.service.origins import origins
from core.erp.quality.workflow import ENDED, EXCURSION, OPEN

_EXCURSION, _SUBLOT = table(Excursion), table(Sublot)

Key = tuple[int, int]
"""Sublot and profile version."""
_Span = KnownExcursion | Breach
"""What knows when it began, broke and ended."""


def sync_excursions(u: Unit, judged: SublotsJudged) -> None:
    """Makes the standing excursions of the judged sublots say what the data say, whatever order data came in.

    Missing ones are opened with an incident and an exposure hold each; those that stand follow the data until they
    are signed; refuted ones become superseded and their holds stand until QA lifts them. A run whose start late data
    moved is superseded and opened anew, naming the old one (`replaces_id`): its own hold is placed, and the
    disposition that lifts it lifts the replaced one's hold too, for it is the same cause. The caller holds the locks
    on the zones; sublots are locked here, ascending, and only when something changes. What begins or ends to stand
    against goods is known to those that began from them.
    """
    items: Sequence[Judged] = judged.items
    while items:
        items = _sync_round(u, items)


def _sync_round(u: Unit, items: Sequence[Judged]) -> list[Judged]:
    """One round; gives those judged that began, by a split or a merger, from what it has changed."""
    plan, _ = _plan(u, items)
    if not any(plan.values()):
        return []
    u.lock(
        select(_SUBLOT.c.id)
        .where(_SUBLOT.c.id == func.any(bindparam("ids", sorted({s for (s, _), change in plan.items() if change}))))
        .order_by(_SUBLOT.c.id)
        .with_for_update()
    )
    plan, origin_of = _plan(u, items)  # QA may have signed while we waited
    _supersede(u, [known for change in plan.values() for known in change.superseded])
    _update(u, plan)
    opened = [(key, opening) for key, change in plan.items() for opening in change.opened]
    if opened:
        _open(u, opened)
    changed = {sublot for (sublot, _), change in plan.items() if change.opened or change.superseded}
    after = {key for key, origin in origin_of.items() if not changed.isdisjoint(origin.ancestors())}
    return [item for item in items if (item.sublot_id, item.version_id) in after]


def _plan(u: Unit, items: Sequence[Judged]) -> tuple[dict[Key, ExcursionChanges], dict[Key, Origin]]:
    """What has to change, by sublot and version; and what those began from that began from others."""
    known = _known_excursions(u, items)
    delays = _delays(u, {item.version_id for item in items})
    origin_of = origins(u, [(item.sublot_id, item.version_id) for item in items if item.breaches])
    plan: dict[Key, ExcursionChanges] = {}
    for item in items:
        key = (item.sublot_id, item.version_id)
        if item.breaches or key in known:
            plan[key] = excursion_changes(
                known.get(key, []), item.breaches, delays[item.version_id], origin_of.get(key)
            )
    return plan, origin_of


def _known_excursions(u: Unit, items: Sequence[Judged]) -> dict[Key, list[KnownExcursion]]:
    c = _EXCURSION.c
    rows = u.conn.execute(
        select(
            c.sublot_id,
            c.version_id,
            c.id,
            c.limit_key,
            c.started_at,
            c.broke_at,
            known_end(),
            c.certainty,
            c.out,
            c.lowest,
            c.highest,
            c.state,
            c.accepted_before,
            c.accepted,
            c.zone_id,
        )
        .where(
            c.sublot_id == func.any(bindparam("sublots", [item.sublot_id for item in items])),
            c.state.in_(sorted(LIVE | SIGNED)),
        )
        .order_by(c.id)
    )
    found: dict[Key, list[KnownExcursion]] = defaultdict(list)
    for sublot, version, *rest in rows:
        found[sublot, version].append(KnownExcursion(*rest))
    return found


def _limits(u: Unit, versions: Iterable[int]) -> dict[int, list[Any]]:
    """The limits of profile versions, in order."""
    found: dict[int, list[Any]] = {version: [] for version in versions}
    if found:
        query = select(table(ProfileLimit)).where(table(ProfileLimit).c.version_id.in_(sorted(found)))
        for row in u.conn.execute(query.order_by(table(ProfileLimit).c.id)):
            found[row.version_id].append(row)
    return found


def _delays(u: Unit, versions: Iterable[int]) -> dict[int, dict[str, timedelta]]:
    found: dict[int, dict[str, timedelta]] = {}
    for version, limits in _limits(u, versions).items():
        found[version] = {limit.key: limit.delay for limit in limits}
        for limit in limits:
            if limit.allowance is not None:  # limits that share one are judged as the first of them
                found[version].setdefault(f"allowance:{limit.allowance}", limit.delay)
    return found


def _supersede(u: Unit, refuted: Sequence[KnownExcursion]) -> None:
    spans = {known.id: _times(known) for known in refuted}
    EXCURSION.apply_many(u, Excursion, spans, "supersede", reason=Message("quality.refuted"), also=spans)


def _times(span: _Span) -> dict[str, datetime | None]:
    """When it began, broke and ended, which is not when that was learned: audit and outbox tell it with each move."""
    return {"started_at": span.started_at, "broke_at": span.broke_at, "ended_at": span.ended_at}


def _move(known: KnownExcursion, breach: Breach) -> str | None:
    """The move by which what stands goes along with the data."""
    if breach.ended_at is None:
        return "reopen" if known.state != OPEN and not assessment_stands(known, breach) else None
    return "end" if known.state == OPEN else None


def _update(u: Unit, plan: dict[Key, ExcursionChanges]) -> None:
    """Lets standing excursions follow the data; holds gain in certainty, never lose."""
    updated = [(key, known, breach) for key, change in plan.items() for known, breach in change.updated]
    if not updated:
        return
    u.conn.execute(
        update(_EXCURSION).where(_EXCURSION.c.id == bindparam("excursion")),
        [{"excursion": known.id, **_measured_values(breach)} for _, known, breach in updated],
    )
    moved: dict[str, dict[int, dict[str, datetime | None]]] = {"end": {}, "reopen": {}}
    for _, known, breach in updated:
        move = _move(known, breach)
        if move is not None:
            moved[move][known.id] = _times(breach)
        elif (known.broke_at, known.ended_at) != (breach.broke_at, breach.ended_at):
            u.outbox("excursion.revised", known.id, {"state": known.state, **_times(breach)})
        if known.certainty != breach.certainty:
            u.audit(
                "excursion.certainty",
                "excursion",
                known.id,
                before={"certainty": known.certainty},
                after={"certainty": breach.certainty},
            )
    for move, spans in moved.items():
        EXCURSION.apply_many(u, Excursion, spans, move, reason=Message("quality.as_data_stand"), also=spans)
    _raise_certainty(u, updated)


def _measured_values(breach: Breach) -> dict[str, Any]:
    return {
        "broke_at": breach.broke_at,
        "ended_at": breach.ended_at,
        "certainty": breach.certainty,
        "out": breach.out,
        "lowest": breach.lowest,
        "highest": breach.highest,
        "zone_id": breach.zone_id,
    }


def _raise_certainty(u: Unit, updated: Sequence[tuple[Key, KnownExcursion, Breach]]) -> None:
    """Proof upgrades the hold that stands; where QA had lifted an excursion's hold already, proof places it again."""
    grown = [item for item in updated if CERTAINTY_RANK[item[2].certainty] > CERTAINTY_RANK[item[1].certainty]]
    _place_holds(u, [(key, known.id, breach) for key, known, breach in grown])


def _place_holds(u: Unit, broken: Sequence[tuple[Key, int, Breach]]) -> None:
    """A hold for each excursion, whose reason says which limit was broken."""
    rows = _limits(u, {version for (_, version), _, _ in broken})
    lots.place_holds(u, [_hold(key, excursion, breach, rows[key[1]]) for key, excursion, breach in broken])


def _hold(key: Key, excursion_id: int, breach: Breach, limits: Sequence[Any]) -> lots.NewHold:
    limit = limit_said(limit_of(limits, breach.limit_key))
    return lots.NewHold(
        sublot_id=key[0],
        kind="exposure",
        reason=Message("quality.limit_broken", limit=limit, at=breach.broke_at),
        since_at=breach.broke_at,
        certainty=breach.certainty,
        excursion_id=excursion_id,
        lift_permit="excursion.disposition",
    )


def _open(u: Unit, opened: Sequence[tuple[Key, NewExcursion]]) -> None:
    """Opens excursions with their incidents, holds, and field actions where goods have left."""
    incidents = assign_incidents(u, [opening.breach for _, opening in opened])
    rows = [
        {
            "incident_id": incident,
            "sublot_id": key[0],
            "version_id": key[1],
            "limit_key": opening.breach.limit_key,
            "kind": opening.breach.kind,
            "started_at": opening.breach.started_at,
            "known_at": u.now,
            "state": OPEN if opening.breach.ended_at is None else ENDED,
            "accepted_before": opening.accepted_before,
            "replaces_id": opening.replaces_id,
            **_measured_values(opening.breach),
        }
        for (key, opening), incident in zip(opened, incidents, strict=True)
    ]
    made = _insert(u, rows)
    for excursion, row in zip(made, rows, strict=True):
        after = {name: row[name] for name in row if name != "known_at"}
        u.audit("excursion.opened", "excursion", excursion, after=after)
        u.outbox("excursion.opened", excursion, after)
    _place_holds(u, [(key, made_id, opening.breach) for made_id, (key, opening) in zip(made, opened, strict=True)])
    gone = _at_customers(u, {key[0] for key, _ in opened})
    if gone:
        u.emit(
            ExcursionAfterDeparture(
                tuple(
                    DepartedGoods(made_id, key[0], opening.breach.certainty, opening.breach.broke_at, u.now)
                    for made_id, (key, opening) in zip(made, opened, strict=True)
                    if key[0] in gone
                )
            )
        )


_INSERT = text("""
    INSERT INTO excursion (incident_id, sublot_id, zone_id, version_id, limit_key, kind, started_at, broke_at, ended_at,
        known_at, certainty, out, lowest, highest, state, accepted_before, replaces_id)
    SELECT r.* FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        incident_id bigint, sublot_id bigint, zone_id bigint, version_id bigint, limit_key text, kind text,
        started_at timestamptz, broke_at timestamptz, ended_at timestamptz, known_at timestamptz, certainty text,
        out interval, lowest float8, highest float8, state text, accepted_before interval, replaces_id bigint)
    RETURNING id, sublot_id, version_id, limit_key, started_at, accepted_before
""")
_IDENTITY = ("sublot_id", "version_id", "limit_key", "started_at", "accepted_before")


def _insert(u: Unit, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Writes the excursions and answers their ids, in order.

    One JSON value carries them all: a list of VALUES for hundreds of goods costs several times as much to parse.
    """
    values = [{name: _json(value) for name, value in row.items()} for row in rows]
    found = {tuple(row[1:]): int(row[0]) for row in u.conn.execute(_INSERT, {"rows": json.dumps(values)})}
    return [found[tuple(row[name] for name in _IDENTITY)] for row in rows]


def _json(value: object) -> object:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f} seconds"
    return value.isoformat() if isinstance(value, datetime) else value


_AT_CUSTOMERS = text("""
    WITH RECURSIVE made(root, id) AS (
        SELECT s, s FROM unnest(CAST(:ids AS bigint[])) AS s
        UNION
        SELECT m.root, g.child_id FROM made m JOIN genealogy g ON g.parent_id = m.id
        WHERE g.transformation LIKE 'work\\_order:%'
    )
    SELECT m.root FROM made m JOIN stock_move v ON v.sublot_id = m.id
    WHERE 'customer' IN (v.source, v.target)
    GROUP BY m.root HAVING sum(CASE v.target WHEN 'customer' THEN v.amount ELSE -v.amount END) > 0
""")


def _at_customers(u: Unit, sublots: set[int]) -> set[int]:
    """Which of the sublots, or what was made from them, has a quantity at customers."""
    return set(u.conn.scalars(_AT_CUSTOMERS, {"ids": sorted(sublots)}))
