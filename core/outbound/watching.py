"""When somebody is told that a place is not well: the rules of the watch that runs elsewhere. Pure.

A trouble is raised once after so many looks in a row, repeated while it lasts, and cleared once, after as many looks in
a row at which it was gone: what flaps meanwhile is neither cleared nor raised anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

ANSWER = "answer"
"""The check that a place answers at all."""


class What(StrEnum):
    """What is told of a trouble."""

    RAISED = "raised"
    REPEATED = "repeated"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Policy:
    """After how many looks in a row a trouble counts, or counts as gone; how often it is told while it lasts."""

    looks: int = 2
    repeat: timedelta = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A check that was not well lately. `told_at` is None until it was raised."""

    since: datetime
    detail: str
    wrong: int = 1
    """Looks in a row at which it was there."""
    well: int = 0
    """Looks in a row at which it was gone."""
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """One message."""

    what: What
    check: str
    detail: str
    since: datetime
    at: datetime


def step(
    standing: Mapping[str, Trouble], found: Mapping[str, str | None], now: datetime, policy: Policy
) -> tuple[dict[str, Trouble], list[Telling]]:
    """What stands after one look, and what is told of it.

    `found` has what is wrong by check, None where nothing is. A place that does not answer has ANSWER alone: what is
    not looked at stands as it did. Once it answers, a check it does not know any more is gone.
    """
    seen = dict(found)
    if seen.get(ANSWER) is None:
        seen |= {check: None for check in standing if check not in seen}
    after, told = dict(standing), []
    for check, detail in seen.items():
        trouble = _looked(standing.get(check), detail, now)
        if trouble is None:
            continue
        trouble, what = _due(trouble, now, policy)
        if what is not None:
            told.append(Telling(what, check, trouble.detail, trouble.since, now))
        if what is What.CLEARED or (trouble.told_at is None and trouble.well):
            after.pop(check, None)
        else:
            after[check] = trouble
    return after, told


def _looked(trouble: Trouble | None, detail: str | None, now: datetime) -> Trouble | None:
    """The trouble behind one look more; None if there is none."""
    if detail is None:
        return None if trouble is None else replace(trouble, well=trouble.well + 1, wrong=0)
    if trouble is None:
        return Trouble(now, detail)
    return replace(trouble, detail=detail, wrong=trouble.wrong + 1, well=0)


def _due(trouble: Trouble, now: datetime, policy: Policy) -> tuple[Trouble, What | None]:
    """What is to be told of it now."""
    if trouble.well:
        gone = trouble.told_at is not None and trouble.well >= policy.looks
        return trouble, What.CLEARED if gone else None
    if trouble.told_at is None:
        what = What.RAISED if trouble.wrong >= policy.looks else None
    else:
        what = What.REPEATED if now - trouble.told_at >= policy.repeat else None
    return (trouble, None) if what is None else (replace(trouble, told_at=now), what)
