"""What a merger begins with: the worst of what its parts have spent of each cumulative count, none lost."""

import json
from collections.abc import Mapping

from sqlalchemy import text

from core.erp.custody.service import intervals
from core.erp.exposure.places import versions_of
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import Slice, _counted, _levels
from core.erp.exposure.rules.profile import Limit
from core.erp.exposure.times import micros
from core.erp.exposure.ways import Ways
from core.erp.kernel.errors import Refused
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit
from core.erp.lots.events import BudgetsMerging
from core.erp.lots.rules import merged_carried

_FIELDS = {"proven": "p", "uncertain": "u", "unproven": "w"}

Budgets = dict[str, dict[str, float]]


def register(events: Events) -> None:
    """Says which events this part answers."""
    events.on(BudgetsMerging, "exposure.carry", carry)


def carry(u: Unit, event: BudgetsMerging) -> None:
    """Writes the worst of the parts' budgets, carried and own, into the merger's `carried`."""
    versions = versions_of(u.conn, list(event.parent_ids), u.now)
    rows = u.conn.execute(text("SELECT id, carried FROM sublot WHERE id = ANY (:ids)"), {"ids": list(event.parent_ids)})
    ways = Ways(u.conn, u.now)
    parts = [
        _spent(ways, u, row.id, versions[row.id], row.carried or {}) if row.id in versions else row.carried
        for row in rows
    ]
    worst = merged_carried(parts)
    if worst is not None:
        u.conn.execute(
            text("UPDATE sublot SET carried = CAST(:carried AS jsonb) WHERE id = :id"),
            {"carried": json.dumps(worst), "id": event.sublot_id},
        )


def _spent(ways: Ways, u: Unit, sublot_id: int, version: int, before: Mapping[str, Mapping[str, float]]) -> Budgets:
    """Seconds spent of each cumulative count of the version, at each certainty; what was carried is in it."""
    profile, now = ways.profile(version), micros(u.now)
    slices: list[Slice] = []
    for zone, start, stop in ways.judging(intervals(u.conn, [sublot_id])[sublot_id]):
        end = now if stop is None else min(stop, now)
        if end > start:
            part = ways.part(zone, version, start, end)
            slices.append(Slice(zone, part.start, part.stop, part.seen))
    spent: Budgets = {key: dict(counts) for key, counts in before.items()}
    for limit, members in _counted(profile):
        if not slices:
            continue
        if limit.kind != "cumulative":
            _refuse_running(sublot_id, limit, _levels(slices, members).uncertain, slices[-1].stop)
            continue
        key = f"{version}:{limit.key}"
        mine = spent.setdefault(key, dict.fromkeys(_FIELDS.values(), 0.0))
        for certainty, runs in _levels(slices, members).ranked():
            events = [run for run in runs if run[1] - run[0] >= profile.shortest_event]
            mine[_FIELDS[certainty]] += r.length(events) / 1_000_000
    return spent


def _refuse_running(sublot_id: int, limit: Limit, out: r.Runs, known_to: int) -> None:
    """A consecutive count that still runs would begin anew with the merger: such goods cannot be merged now.

    `out`: its runs, uncertain ones among them. One that nothing known has ended runs still; a
    spell that only silence makes is not looked at. Raises Refused.
    """
    if limit.kind == "consecutive" and out and out[-1][1] >= known_to:
        raise Refused(
            f"sublot {sublot_id} is out of {limit.key} now: its count would be lost by merging; bring"
            " it back into range first",
            sublot_id=sublot_id,
            limit=limit.key,
        )
