"""Tells the operator of points that the gateway reads and the core's catalog lacks: their readings are not judged."""

import asyncio
import logging
from collections.abc import Callable, Collection

from core.telemetry.batch import POINTS_MAX, BadBatch, ConfirmReply, ConfirmRequest, decode, encode
from core.telemetry.stream import confirm_subject
from edge.carrier import Carrier, CoreSilent

log = logging.getLogger("lotwise.edge.points")

EVERY = 30.0
"""Seconds between two questions; the first one comes after a tenth of that."""
NAMED = 5
"""Points that a line of the log names."""


class PointWatch:
    """Asks the core, now and then, which of the gateway's points it does not know. Logs changes, not conditions."""

    def __init__(
        self, carrier: Carrier, gateway: str, points: Callable[[], Collection[str]], *, every: float = EVERY
    ) -> None:
        self._carrier = carrier
        self._gateway = gateway
        self._points = points
        self._every = every
        self.unknown: tuple[str, ...] = ()
        """What the core said last, in order of address."""

    async def run(self) -> None:
        """Asks until cancelled. A core that does not answer is the forwarder's trouble, and is asked again."""
        await asyncio.sleep(self._every / 10)
        while True:
            try:
                self._log_unknown(await self._ask(sorted(self._points())))
            except CoreSilent as error:
                log.debug("points not asked for: %s", error)
            await asyncio.sleep(self._every)

    async def _ask(self, points: list[str]) -> tuple[str, ...]:
        unknown: list[str] = []
        for start in range(0, len(points), POINTS_MAX):
            question = ConfirmRequest(self._gateway, (), points=tuple(points[start : start + POINTS_MAX]))
            data = await self._carrier.ask(confirm_subject(self._gateway), encode(question))
            try:
                unknown += decode(ConfirmReply, data).unknown
            except BadBatch as error:
                raise CoreSilent(f"its answer is not one: {error}") from error
        return tuple(unknown)

    def _log_unknown(self, unknown: tuple[str, ...]) -> None:
        before, self.unknown = self.unknown, unknown
        fresh = sorted(set(unknown) - set(before))
        if fresh:
            some = ", ".join(fresh[:NAMED]) + (f" and {len(fresh) - NAMED} more" if len(fresh) > NAMED else "")
            log.warning(
                "the core's catalog lacks %s: what they say is not judged, and waits as dead letters (make them with"
                " `lotwise edge catalog FILE`)",
                some,
            )
        elif before and not unknown:
            log.info("the core's catalog has every point now")
