"""Rules of CAPA, pure: what a source must name, and when a plan may be signed and is done."""

from collections.abc import Iterable
from datetime import date
from typing import Protocol

from core.erp.kernel.errors import Invalid
from core.erp.kernel.numbering.rules import Series
from core.erp.kernel.words import Message

CAPA_NUMBER = Series("capa", "CAPA-{year}-{n:04}")


class Planned(Protocol):
    """An action, as far as its plan is looked at."""

    what: str
    due_on: date
    state: str


def check_source(source: str, deviation_id: int | None, incident_id: int | None, reference: str) -> None:
    """Raises Invalid where a source names no record of its kind, or another, or nothing at all."""
    for kind, record_id in (("deviation", deviation_id), ("incident", incident_id)):
        if (source == kind) != (record_id is not None):
            raise Invalid("capa.source_of_another", source=source, record=Message(f"record.{kind}"))
    if deviation_id is None and incident_id is None and not reference.strip():
        raise Invalid("capa.source_unnamed", source=source)


def plan_fault(
    actions: Iterable[Planned], criterion: str | None, check_on: date | None, today: date, *, again: bool
) -> Message | None:
    """Why a plan is not to be signed today; None where it is whole.

    It needs an action (one still open where an earlier plan was not effective: `again`), none due before today, and a
    criterion that is looked at on a day after the last of them.
    """
    wanted = [one for one in actions if one.state != "dropped"]
    left = [one for one in wanted if one.state == "open"]
    if not (left if again else wanted):
        return Message("capa.nothing_to_do")
    late = next((one for one in left if one.due_on < today), None)
    if late is not None:
        return Message("capa.action_due_before", what=late.what, due=late.due_on)
    if criterion is None or check_on is None:
        return Message("capa.no_criterion")
    last = max([today, *(one.due_on for one in left)])
    return Message("capa.check_before_done", check=check_on, last=last) if check_on <= last else None


def done_fault(actions: Iterable[Planned], check_on: date, today: date) -> Message | None:
    """Why the plan is not done: an action is not verified, or there is no time left before its check."""
    left = [one.what for one in actions if one.state not in {"verified", "dropped"}]
    if left:
        return Message("capa.actions_left", actions=left)
    return Message("capa.check_day_came", check=check_on) if today >= check_on else None
