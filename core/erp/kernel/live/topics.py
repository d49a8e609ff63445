"""Topics: what a change is about, as `kind:id`, or as a kind alone where it is about many; and who may be told of it.

Kinds are the names of records (`hold`, `sublot`, `zone`), and first words of the outbox's topics that are no record.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from core.erp.kernel.digits import whole
from core.erp.kernel.named import kind_named
from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities

MOST_IDS = 100
"""Ids of one kind that are told at once; more are told as the kind alone, which means any of them."""

NO_RECORDS = {
    "alert_harm": "alert",
    "attachment": None,
    "audit": "audit.read",
    "backup": "restoration.read",
    "batch": "batch_release",
    "custody": "sublot",
    "dispatch_list": "work_order",
    "epoch": "ingest.read",
    "import": "import.read",
    "ingest": "ingest.read",
    "simulation": "simulator.run",
    "stock": "sublot",
}
"""First words of the outbox's topics that are no record: the record whose readers may know, or a permit; None: told by
the record it is about.
"""


@cache
def permits_of_kinds() -> Mapping[str, tuple[str, ...]]:
    """By kind, the permits of which one lets somebody know of its changes."""
    found = {entity.name: as_permits(entity.read) for entity in entities().values()}
    others = {kind: found.get(known) or (known,) for kind, known in NO_RECORDS.items() if known is not None}
    return MappingProxyType(found | others)


@cache
def _records() -> frozenset[str]:
    return frozenset(entity.name for entity in entities().values())


@cache
def kinds_for(permits: frozenset[str]) -> frozenset[str]:
    """The kinds that somebody with these permits is told of."""
    return frozenset(kind for kind, needed in permits_of_kinds().items() if not permits.isdisjoint(needed))


def topics_of(topic: str, key: str, payload: Mapping[str, Any]) -> Iterator[str]:
    """What an outbox row is about: its own record, those its payload names, and the kind of what happened."""
    kind = topic.partition(".")[0]
    if NO_RECORDS.get(kind, kind) is not None:
        yield f"{kind}:{key}" if whole(key) is not None and kind in _records() else kind
    if isinstance(payload.get("entity"), str) and payload.get("entity_id") is not None:
        yield f"{payload['entity']}:{payload['entity_id']}"
    for name, value in payload.items():
        named = kind_named(name) if value else None
        if named is not None:
            yield from (f"{named}:{one}" for one in (value if isinstance(value, list) else [value]) if type(one) is int)


def collapsed(topics: Iterable[str]) -> list[str]:
    """Each topic once, in order; a kind alone in place of its records where it is there, or where they are many."""
    ids: dict[str, set[str]] = defaultdict(set)
    for topic in topics:
        kind, _, number = topic.partition(":")
        ids[kind].add(number)
    found: list[str] = []
    for kind, numbers in sorted(ids.items()):
        alone = "" in numbers or len(numbers) > MOST_IDS
        found += [kind] if alone else sorted(f"{kind}:{number}" for number in numbers)
    return found
