"""How goods came to be where they are: a merger's took several paths, and every one of them is judged.

A split copies its parent's custody. A merger begins with none: what its goods went through before is its parts' custody
up to the merging, each by itself, and the merger is as bad as the worst of them (design §1). Nothing is frozen when
goods are merged, so what becomes known later about a part is judged for the merger as well.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from core.erp.custody.rules import Interval
from core.erp.custody.service import intervals

Path = tuple[Interval, ...]
"""(zone or None, from, to or None), half-open, in order, none overlapping."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """`child` began as part of `parent` (a split), or with it as one of its parts (a merger)."""

    parent: int
    at: datetime
    merged: bool


def paths(conn: Connection, sublot_ids: Iterable[int]) -> dict[int, tuple[Path, ...]]:
    """By sublot: every different path its goods took. One, unless there is a merger among what it came from."""
    ids = sorted(set(sublot_ids))
    of = derivations(conn, ids)
    parts = {birth.parent for some in of.values() for birth in some if birth.merged}
    known = _PathBuilder(of, intervals(conn, sorted({*ids, *parts})))
    return {sublot: known.paths(sublot) for sublot in ids}


def mergers(conn: Connection, sublot_ids: Iterable[int]) -> list[int]:
    """The sublots that these went into by merging, and what was split off from those: judged by what these were."""
    rows = conn.execute(
        text(
            "WITH RECURSIVE down(id) AS ("
            " SELECT child_id FROM genealogy WHERE parent_id = ANY(:ids) AND transformation LIKE 'merge:%'"
            " UNION SELECT g.child_id FROM genealogy g JOIN down ON g.parent_id = down.id"
            " WHERE g.transformation LIKE 'merge:%' OR g.transformation LIKE 'split:%')"
            " SELECT id FROM down ORDER BY id"
        ),
        {"ids": sorted(set(sublot_ids))},
    )
    return list(rows.scalars())


def derivations(conn: Connection, ids: Sequence[int]) -> dict[int, list[Derivation]]:
    """By child: how it and everything it came from began, where that was a split or a merger."""
    rows = conn.execute(
        text(
            "WITH RECURSIVE up(child_id, parent_id, at, transformation) AS ("
            " SELECT child_id, parent_id, at, transformation FROM genealogy WHERE child_id = ANY(:ids)"
            " AND (transformation LIKE 'merge:%' OR transformation LIKE 'split:%')"
            " UNION SELECT g.child_id, g.parent_id, g.at, g.transformation FROM genealogy g"
            " JOIN up ON g.child_id = up.parent_id"
            " WHERE g.transformation LIKE 'merge:%' OR g.transformation LIKE 'split:%')"
            " SELECT child_id, parent_id, at, transformation FROM up ORDER BY child_id, parent_id"
        ),
        {"ids": list(ids)},
    )
    out: dict[int, list[Derivation]] = defaultdict(list)
    for row in rows:
        out[row.child_id].append(Derivation(row.parent_id, row.at, row.transformation.startswith("merge:")))
    return out


@dataclass(slots=True)
class _PathBuilder:
    derivations: Mapping[int, Sequence[Derivation]]
    custody: Mapping[int, Sequence[Interval]]
    _paths: dict[int, tuple[Path, ...]] = field(default_factory=dict)

    def paths(self, sublot: int) -> tuple[Path, ...]:
        """A sublot's own custody after each of the paths that came before it."""
        if sublot not in self._paths:
            custody = self.custody[sublot]
            before = self._before(sublot)
            found = [_concatenated(path, _since(custody, at)) for at, path in before] or [tuple(custody)]
            self._paths[sublot] = tuple(dict.fromkeys(found))
        return self._paths[sublot]

    def _before(self, sublot: int) -> list[tuple[datetime, Path]]:
        """(when it was merged, a path its goods had taken until then), for each; nothing where there was no merger."""
        out: dict[tuple[datetime, Path], None] = {}
        for birth in self.derivations.get(sublot, ()):
            if birth.merged:
                out.update(((birth.at, _until(path, birth.at)), None) for path in self.paths(birth.parent))
            else:
                out.update((one, None) for one in self._before(birth.parent))
        return list(out)


def _until(path: Path, at: datetime) -> Path:
    return tuple((zone, start, at if stop is None else min(stop, at)) for zone, start, stop in path if start < at)


def _since(custody: Sequence[Interval], at: datetime) -> Path:
    return tuple((zone, max(start, at), stop) for zone, start, stop in custody if stop is None or stop > at)


def _concatenated(path: Path, custody: Path) -> Path:
    """A path that goes on in the same zone is one interval: so parts that stood together are one path again."""
    if path and custody and (path[-1][0], path[-1][2]) == custody[0][:2]:
        return (*path[:-1], (custody[0][0], path[-1][1], custody[0][2]), *custody[1:])
    return (*path, *custody)
