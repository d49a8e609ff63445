"""The watch: looks at every place in turn, remembers, and tells until a channel has taken the message."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import apprise
import httpx

from core.erp.kernel.words import ENGLISH
from core.outbound.watch_texts import Text, text_of
from core.outbound.watching import Policy, Telling, step
from lotwise.watching.look import Place, named
from lotwise.watching.memory import load, save

log = logging.getLogger(__name__)

Send = Callable[[Text], bool]
"""Hands a message to a channel; whether it took it."""
_HIDDEN = "apprise"
"""The library's log names addresses with their secrets at some levels: it says nothing through ours."""


class BadChannel(ValueError):
    """No channel is reached by this address."""


def channel(url: str) -> Send:
    """The way to people behind an address (`mailto://…`, `sms…`, `wecombot://…`: apprise's). Raises BadChannel."""
    logging.getLogger(_HIDDEN).setLevel(logging.CRITICAL)
    way = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if way is None:
        raise BadChannel(f"{url.partition('://')[0]}://…: no channel that is known, or its address lacks something")
    return lambda text: bool(way.notify(body=text.body, title=text.subject))


@dataclass(slots=True)
class Watch:
    """Everything that one round needs. A message that any channel took is told; one that none took is kept."""

    places: Sequence[Place]
    channels: Sequence[Send]
    memory: Path
    policy: Policy = field(default_factory=Policy)
    language: str = ENGLISH
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ping: str | None = None
    """Asked after each round in which everything could be told: whoever watches the watch misses it otherwise."""

    def round(self) -> bool:
        """Looks at every place once; whether all are well and everything has been told. Raises BadMemory.

        What is to be told is on disk before a channel has it: after a kill it is told again rather than never.
        """
        memory, well = load(self.memory), True
        for place in self.places:
            found = place.look()
            well &= all(trouble is None for trouble in found.values())
            before = memory.standing.get(place.url, {})
            memory.standing[place.url], told = step(before, found, self.clock(), self.policy)
            memory.untold += [(place.url, one) for one in told]
        watched = {place.url for place in self.places}
        memory.standing = {url: standing for url, standing in memory.standing.items() if url in watched}
        save(self.memory, memory)
        while memory.untold and self._tell(*memory.untold[0]):
            del memory.untold[0]
            save(self.memory, memory)
        if self.ping is not None and not memory.untold:
            self._ping(self.ping)
        return well and not memory.untold

    def _tell(self, url: str, telling: Telling) -> bool:
        text = text_of(named(url), telling, self.language)
        log.warning("%s: %s", text.subject, telling.detail)
        # every channel is tried: one that took it last time may have nobody behind it tonight
        took = [send(text) for send in self.channels]
        if not any(took):
            log.error("no channel took it; it is tried again: %s", text.subject)
        return any(took)

    def _ping(self, url: str) -> None:
        try:
            httpx.get(url, timeout=10).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("whoever watches the watch was not reached: %s", error)
