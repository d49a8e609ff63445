"""Every filter of a list with every sort, as the door reads it for somebody of one site, over books of volume."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, func, select, text

from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.connections import read_only
from core.erp.kernel.errors import Invalid
from core.erp.kernel.events import Events
from core.erp.kernel.permits import Role
from core.erp.kernel.records import read
from core.erp.kernel.records.declare import Column, Entity
from core.erp.kernel.records.filters import Parameter, parameters
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.unit import Actor, Unit, reading
from core.erp.migrations import upgrade
from core.wiring import build_events
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS
from lotwise.bench.volume import Volume, load
from lotwise.embedded.postgres import EmbeddedPostgres

LISTS = ("sublot", "lot", "shipment", "excursion")
LONGEST_LOCK = timedelta(seconds=3)
GOAL_MS = 50
SAMPLE = 200
"""So many records are drawn, of whose values filters are made."""
_OF_OTHERS = {("shipment", "sublot_id"): text("SELECT sublot_id FROM shipment_line ORDER BY id LIMIT 2000")}
"""Values of filters by what is no column of the record."""
METHOD = (
    "a page of 100 as the door reads it, on one connection to embedded PostgreSQL, with the scope of one of two sites;"
    " {rows} sublots, {shipments} shipments, {excursions} excursions; {turns} pages with other values"
    " each, {refused} of them refused after {longest:g} s; load average {load:.1f}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is in the books, how often each pair is asked, and which lists."""

    volume: Volume
    turns: int
    lists: tuple[str, ...] = LISTS


def run(size: Size) -> None:
    """Prints `p95_ms` for every pair of a filter and a sort of every list, then how many pairs took longer than GOAL_MS
    and how many were refused.
    """
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        upgrade(engine)
        load(engine, size.volume)
        measure(engine, size)


def measure(engine: Engine, size: Size) -> None:
    """As `run`, on books that are there."""
    readers = read_only(engine, 1, LONGEST_LOCK)
    try:
        with engine.connect() as conn:
            site = conn.scalar(text("SELECT min(id) FROM site"))
        actor = Actor("bench", frozenset(Role), sites=frozenset({site}))
        found = [_measured(_Bench(readers, actor, build_events(), size), entities()[name]) for name in size.lists]
    finally:
        readers.dispose()
    slow, refused = (sum(one[at] for one in found) for at in (0, 1))
    pairs = sum(one[2] for one in found)
    figure("lists", "pairs_over_50_ms", slow, "1", pairs, "pairs of a filter and a sort whose p95 is longer")
    figure("lists", "pairs_refused", refused, "1", pairs, "pairs of which pages were refused by the time-out")


@dataclass(slots=True)
class _Bench:
    readers: Engine
    actor: Actor
    events: Events
    size: Size

    def unit(self) -> Any:
        return reading(self.readers, self.actor, self.events, longest=read.LONGEST)


def _measured(bench: _Bench, entity: Entity) -> tuple[int, int, int]:
    """(pairs over 50 ms, pairs that were refused, pairs) of one list."""
    slow = refused = pairs = 0
    with bench.unit() as u:
        asked = list(_filters(u, entity))
    for sort in [sign + name for name in read.sortable(entity) for sign in ("", "-")]:
        for name, values in asked:
            p95, timed_out = _pair(bench, entity, sort, name, values)
            slow, refused, pairs = slow + (p95 > GOAL_MS), refused + (timed_out > 0), pairs + 1
    return slow, refused, pairs


def _pair(
    bench: _Bench, entity: Entity, sort: str, name: str, values: Sequence[Mapping[str, Any]]
) -> tuple[float, int]:
    took, refused = [], 0
    for turn in range(bench.size.turns):
        given = values[turn % len(values)]
        with bench.unit() as u:
            began = time.perf_counter()
            try:
                read.page(u, entity, read.Asked(given, sort=sort))
            except Invalid as error:
                if error.message is None or error.message.id != "kernel.list_too_slow":
                    raise
                refused += 1
            took.append((time.perf_counter() - began) * 1000)
    p95 = float(np.percentile(took, 95))
    volume = bench.size.volume
    method = METHOD.format(
        rows=volume.sublots,
        shipments=volume.shipments,
        excursions=volume.excursions,
        turns=len(took),
        refused=refused,
        longest=read.LONGEST.total_seconds(),
        load=os.getloadavg()[0],
    )
    figure("lists", "p95_ms", p95, "ms", len(took), method, list=entity.path, filter=name, sort=sort)
    if p95 > GOAL_MS:
        print(f"slow: {entity.path} {name} {sort}: {p95:.0f} ms, {refused} refused", file=sys.stderr)
    return p95, refused


def _filters(u: Unit, entity: Entity) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(name, values to ask with in turn) of every filter, and of none; a filter of yes and no is two."""
    yield "", [{}]
    dice = np.random.default_rng(3)
    rows = entity.rows.c
    last = u.conn.scalar(select(func.max(rows.id))) or 1
    ids = [int(one) for one in dice.integers(1, last + 1, SAMPLE * 4)]
    statement = scoped(entity.select.where(rows.id.in_(ids)), entity.scope, u.actor).limit(SAMPLE)
    drawn = [dict(row._mapping) for row in u.conn.execute(statement)]
    for name, parameter in parameters(entity).items():
        if parameter.kind is bool:
            yield from ((f"{name}={str(value).lower()}", [{name: value}]) for value in (True, False))
            continue
        values = _values(u, entity, parameter, drawn)
        if values:
            yield name, [{name: [value] if parameter.many else value} for value in values]


def _values(u: Unit, entity: Entity, parameter: Parameter, drawn: Sequence[Mapping[str, Any]]) -> list[Any]:
    others = _OF_OTHERS.get((entity.name, parameter.name))
    if others is not None:
        return list(u.conn.scalars(others))
    named = [column.name for column in entity.columns if column.filter and _asks(column, parameter.name)]
    return [row[name] for name in named for row in drawn if row.get(name) is not None]


def _asks(column: Column, parameter: str) -> bool:
    return parameter in {column.name, f"{column.name}_from", f"{column.name}_before", *(column.asked or ())}
