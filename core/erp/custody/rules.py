"""Custody facts into intervals. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

Interval = tuple[int | None, datetime, datetime | None]
"""(zone or None where it was not with us, from, to or None while it lasts): half-open."""


class Fact(NamedTuple):
    """One custody fact as known. Facts are put in order by (at, known_at, id)."""

    id: int
    zone_id: int | None
    at: datetime
    known_at: datetime
    retracts_id: int | None = None


def effective(facts: Iterable[Fact], known_at: datetime | None = None) -> list[Fact]:
    """The facts that stood at `known_at` (now): retracted ones and retractions left out, in order of time.

    Of two facts at the same instant the one learned last counts.
    """
    known = [fact for fact in facts if known_at is None or fact.known_at <= known_at]
    if len(known) == 1 and known[0].retracts_id is None:  # most goods were put somewhere once
        return known
    gone = {fact.retracts_id for fact in known if fact.retracts_id is not None}
    standing = [fact for fact in known if fact.retracts_id is None and fact.id not in gone]
    last: dict[datetime, Fact] = {}
    for fact in sorted(standing, key=lambda f: (f.at, f.known_at, f.id)):
        last[fact.at] = fact
    return [last[at] for at in sorted(last)]


def intervals_of(facts: Sequence[Fact]) -> list[Interval]:
    """Effective facts as intervals; neighbours in the same zone become one."""
    found: list[Interval] = []
    for index, fact in enumerate(facts):
        stop = facts[index + 1].at if index + 1 < len(facts) else None
        if found and found[-1][0] == fact.zone_id:
            found[-1] = (fact.zone_id, found[-1][1], stop)
        else:
            found.append((fact.zone_id, fact.at, stop))
    return found
