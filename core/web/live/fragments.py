"""Parts of pages that many look at: made once a second for all who may see the same."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request, Response

from core.erp.kernel.digits import whole
from core.erp.kernel.sessions.cookies import UNASKED
from core.erp.kernel.unit import Actor
from core.web.frame.packing import packed, sent

T = TypeVar("T")

LIVES = 1_000
"""Milliseconds for which what was made may be shown."""
MARGIN = 100
"""Milliseconds by which clocks of several servers may differ: what was made only so long after a change is not trusted
to show it.
"""
MOST = 256
"""Parts that are kept."""


def sees_the_same(actor: Actor) -> Hashable:
    """Equal for whoever is shown the same: the same permits, scope and language."""
    return actor.permits, actor.sites, actor.partner_id, actor.outside, actor.language


@dataclass(slots=True)
class _Part:
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0
    """When it was begun to be made, in milliseconds of the clock; 0: not yet."""
    made: Any = None

    def serves(self, now: int, told: int) -> bool:
        return now - LIVES <= self.begun <= now and self.begun >= told + MARGIN


class Fragments:
    """The parts of one process. For many threads: while one makes a part, the others wait for it."""

    def __init__(self) -> None:
        self._parts: OrderedDict[Hashable, _Part] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, actor: Actor, what: Hashable, told: int, make: Callable[[], T]) -> T:
        """What `make` gives, or has given within the last second for somebody who sees the same.

        `what` names the part and all that it depends on besides its reader; what depends on the person is not asked
        here. `told` is the time of the change that it is to show (`told_at`): what was made before is made anew.
        """
        part = self._part((what, sees_the_same(actor)))
        with part.lock:
            now = int(time.time() * 1000)
            if not part.serves(now, told):
                part.made, part.begun = make(), now
            made: T = part.made
        return made

    def _part(self, key: Hashable) -> _Part:
        with self._lock:
            part = self._parts.setdefault(key, _Part())
            self._parts.move_to_end(key)
            while len(self._parts) > MOST:
                self._parts.popitem(last=False)
        return part


def shared(request: Request, actor: Actor, make: Callable[[], Response]) -> Response:
    """The answer of a region's route, made once a second for all who see the same: by its whole address."""
    what = f"{request.url.path}?{request.url.query}"
    kept: Fragments = request.app.state.fragments
    plain, small, kind = kept.get(actor, what, told_at(request), lambda: _content(make()))
    return sent(request, plain, small, kind)


def _content(answer: Response) -> tuple[bytes, bytes | None, str]:
    """As it is and packed: that is done once for all, too."""
    plain = bytes(answer.body)
    return plain, packed(plain), answer.headers["content-type"]


def told_at(request: Request) -> int:
    """The time of the change that made the page ask, in milliseconds; 0 where somebody asked, or it is unknown."""
    return whole(request.headers.get(UNASKED, "")) or 0
