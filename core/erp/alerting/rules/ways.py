"""By which ways somebody is told, and when: two that do not depend on each other for harm, quiet hours for the rest.
Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.erp.alerting.rules.events import Severity
from core.erp.alerting.rules.oncall import minutes
from core.erp.kernel.calendars.rules import Calendar

LOUD = ("voice", "sms", "chat", "mqtt", "webhook", "mail")
"""Kinds of ways, those first that wake somebody."""
CALM = ("mail", "chat", "webhook", "mqtt", "sms", "voice")
CARRIER = {"sms": "telephone", "voice": "telephone"}
"""What kinds of ways depend on, where that is not the kind itself: with the telephone net both fail."""
INDEPENDENT = 2
"""Ways for harm to goods."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to reach somebody."""

    id: int
    kind: str
    quiet: str

    @property
    def carrier(self) -> str:
        """What it depends on."""
        return CARRIER.get(self.kind, self.kind)


def independent(ways: Sequence[Way]) -> int:
    """How many of the ways do not depend on the same."""
    return len({one.carrier for one in ways})


def chosen(ways: Sequence[Way], severity: Severity, down: frozenset[str] = frozenset()) -> list[Way]:
    """The ways to take, of those whose kinds are not `down` (of all, where they all are): for harm one of every carrier
    that there is, for an alarm the loudest, for a notice the calmest.
    """
    up = [one for one in ways if one.kind not in down] or list(ways)
    order = CALM if severity is Severity.NOTICE else LOUD
    ranked = sorted(up, key=lambda one: (order.index(one.kind), one.id))
    if severity is not Severity.HARM:
        return ranked[:1]
    first: dict[str, Way] = {}
    for one in ranked:
        first.setdefault(one.carrier, one)
    return list(first.values())


def not_before(way: Way, severity: Severity, calendar: Calendar, at: datetime) -> datetime | None:
    """Until when a way's quiet hours keep a message back; None: it goes now. Harm to goods waits for nothing."""
    start, _, stop = way.quiet.partition("-")
    begins, ends = minutes(start), minutes(stop)
    if severity is Severity.HARM or begins is None or ends is None or begins == ends:
        return None
    today = calendar.today(at)
    for day in (today - timedelta(days=1), today):
        since = calendar.at(day, begins)
        until = calendar.at(day if begins < ends else day + timedelta(days=1), ends)
        if since <= at < until:
            return until
    return None


def fits_quiet(text: str) -> bool:
    """Whether a text says quiet hours, or that there are none."""
    start, _, stop = text.partition("-")
    return text == "" or (minutes(start) is not None and minutes(stop) is not None and start != stop)


_MAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_NUMBER = re.compile(r"\+?[0-9][0-9 ()/-]{4,20}")
_TOPIC = re.compile(r"[^\s#+]+")


def fits_address(kind: str, address: str) -> bool:
    """Whether an address can be one of that kind: what has a line break in it is none of any."""
    if not address.isprintable():
        return False
    forms = {"mail": _MAIL, "sms": _NUMBER, "voice": _NUMBER, "mqtt": _TOPIC}
    if kind == "webhook":
        return address.startswith(("https://", "http://")) and "@" not in address.partition("://")[2].partition("/")[0]
    return forms[kind].fullmatch(address) is not None if kind in forms else True
