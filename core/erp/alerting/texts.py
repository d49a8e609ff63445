"""What a message says: in the reader's language, with the site's time; short where a telephone shows it.

Nothing secret and nobody's data is in it: places, goods by item and lot, values, times, and what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from core.erp.kernel.words import Message, render

SHORT = {"en": 150, "zh": 67}
"""Letters of one short message, by language: GSM's 160 and UCS-2's 70, less a mark."""
LISTED = 5
"""Goods, or alarms of a summary, that are listed by name; of more their number is said."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a text is made of: `what` is so since `since`, about `goods` (item and lot), of which there are `count`."""

    event: str
    what: str | Message
    since: datetime
    site: str
    goods: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Wording:
    """A message in words."""

    subject: str
    body: str
    short: str


@dataclass(frozen=True, slots=True)
class Reader:
    """In which language and zone somebody reads."""

    language: str
    zone: tzinfo

    def say(self, message: str | Message) -> str:
        """In the reader's words."""
        return render(message, self.language, self.zone) if isinstance(message, Message) else message


def message_of(kind: str, told: Told, severity: str, reader: Reader, *, late: timedelta | None, drill: bool) -> Wording:
    """One alert: that it is so, that it still is, or that it is over."""
    what = told.what
    first = reader.say(Message(f"alert_subject.{kind}", severity=Message(f"alert_severity.{severity}"), what=what))
    since = Message("alerting.since", site=told.site, since=told.since)
    lines = [first, reader.say(since if told.site else Message("alerting.since_anywhere", since=told.since))]
    if told.goods:
        lines.append(reader.say(Message("alerting.goods", goods=list(told.goods[:LISTED]), count=told.count)))
    if kind != "all_clear":
        lines.append(reader.say(Message(f"alert_do.{told.event}")))
    if late is not None:
        lines.append(reader.say(Message("alerting.told_late", minutes=int(late / timedelta(minutes=1)))))
    return _worded(lines, first, reader, drill=drill)


def summary_of(told: Sequence[Told], count: int, reader: Reader, *, over: bool, drill: bool) -> Wording:
    """So many alerts in one message, or that so many are over, with the first of them."""
    first = reader.say(Message("alert_subject.all_clears" if over else "alert_subject.summary", count=count))
    lines = [first, *(f"- {reader.say(one.what)}" for one in told[:LISTED])]
    if count > LISTED:
        lines.append(reader.say(Message("alerting.and_more", count=count - LISTED)))
    return _worded(lines, first, reader, drill=drill)


def _worded(lines: list[str], first: str, reader: Reader, *, drill: bool) -> Wording:
    mark = reader.say(Message("alerting.drill_mark")) if drill else ""
    longest = SHORT.get(reader.language, SHORT["en"])
    subject = " ".join(f"{mark} {first}".split())
    short = subject if len(subject) <= longest else subject[: longest - 1] + "…"
    return Wording(subject, "\n".join([*([mark] if mark else []), *lines]), short)
