"""What the watch tells people, in their language."""

from dataclasses import dataclass

from core.erp.kernel.words import ENGLISH, Message, render
from core.outbound.watching import Telling, What

CHECKS = {
    "answer": "outbound.watch_answer",
    "database": "outbound.watch_database",
    "room": "outbound.watch_room",
    "disk": "outbound.watch_disk",
    "filling": "outbound.watch_filling",
    "archive": "outbound.watch_archive",
    "background": "outbound.watch_background",
    "heartbeat": "outbound.watch_heartbeat",
    "servers": "outbound.watch_servers",
    "ingest": "outbound.watch_ingest",
    "gateways": "outbound.watch_gateways",
    "clock": "outbound.watch_clock",
    "own_clock": "outbound.watch_own_clock",
    "certificate": "outbound.watch_certificate",
    "served_certificate": "outbound.watch_certificate",
    "spool": "outbound.watch_spool",
    "stream": "outbound.watch_stream",
    "core": "outbound.watch_core",
}
"""What each check means, in a few words. One that is not here is told by its name."""
_SUBJECTS = {
    What.RAISED: "outbound.watch_raised",
    What.REPEATED: "outbound.watch_repeated",
    What.CLEARED: "outbound.watch_cleared",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A message as it is handed to a channel."""

    subject: str
    body: str


def text_of(place: str, told: Telling, language: str = ENGLISH) -> Text:
    """Which place, what is wrong with it, since when, and what to do."""
    known = CHECKS.get(told.check)
    check = told.check if known is None else Message(known)
    subject = Message(_SUBJECTS[told.what], place=place, check=check)
    kind = "outbound.watch_body_cleared" if told.what is What.CLEARED else "outbound.watch_body"
    body = Message(kind, place=place, trouble=told.detail, since=told.since, at=told.at)
    return Text(render(subject, language), render(body, language))


def trial(place: str, language: str = ENGLISH) -> Text:
    """The marked test of a channel."""
    return Text(
        render(Message("outbound.watch_trial", place=place), language),
        render(Message("outbound.watch_trial_body", place=place), language),
    )
