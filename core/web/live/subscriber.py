"""One open stream: whose it is, what they may be told of, and what they are still to be told."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from core.erp.kernel.live.topics import kinds_for
from core.erp.kernel.sessions.service import id_named
from core.erp.kernel.unit import Actor


@dataclass(eq=False, slots=True)
class Subscriber:
    """What happens is put down here, and sent by the stream when it wakes."""

    actor: Actor
    again: Callable[[], Actor]
    """Who the session is of now, from the database. Raises Unauthenticated where it has ended."""
    topics: set[str] = field(default_factory=set)
    at: int = 0
    """Of the last thing that happened, in milliseconds of the clock."""
    resync: bool = False
    """Something may have been missed, or may be read from now on: pages read all of their regions anew."""
    recheck: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self, topics: Iterable[str], at: int) -> None:
        """Something has changed: what its reader may know of it is sent."""
        found = self.visible(topics)
        if found:
            self.topics.update(found)
            self.at = at
            self.wake.set()

    def visible(self, topics: Iterable[str]) -> set[str]:
        """Of the topics those of kinds that its reader reads; who does not see every record is told kinds alone."""
        kinds = kinds_for(self.actor.permits)
        found = set()
        for topic in topics:
            kind = topic.partition(":")[0]
            if kind in kinds:
                found.add(kind if self.actor.scoped else topic)
        return found

    def missed(self, at: int) -> None:
        """Something may have happened that was not told."""
        self.resync, self.at = True, at
        self.wake.set()

    def concerns(self, topics: Iterable[str]) -> bool:
        """Whether one of the topics may change who this is, or what they may."""
        session = id_named(self.actor.session or "")
        own = {f"user:{self.actor.user_id}", "user", f"session:{session}", "session"}
        return any(topic in own or topic.partition(":")[0] == "role" for topic in topics)

    def taken(self) -> tuple[set[str], bool, int]:
        """(topics, whether to read all anew, when): what is to be sent; from now on there is nothing."""
        found = self.topics, self.resync, self.at
        self.topics, self.resync = set(), False
        self.wake.clear()
        return found
