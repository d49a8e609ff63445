"""What the pages are handed: every question is a bounded process of its own."""

import json
import tempfile
from typing import Any

import msgspec

from core.erp.kernel import bounded_process
from core.settings import Settings
from core.web.desks.sources.port import AskedSource, CannotAsk, NotOfThePlant, Offered
from lotwise.stream_address import stream_of

MODULE = "lotwise.sources.worker"
SECONDS = 60.0
"""For what a source takes besides the time that is listened to."""
ANSWER_MOST = 4 * 1024 * 1024


class SourcesBeside:
    """Port `core.web.desks.sources.port.Sources`."""

    def __init__(self, settings: Settings) -> None:
        self.networks = settings.plant
        self._instance, self._stream = settings.instance, stream_of(settings)[0]

    async def ask(self, asked: AskedSource) -> Offered:
        """What the source has. Raises CannotAsk, NotOfThePlant."""
        question = {"ask": msgspec.to_builtins(asked), "networks": self.networks, **self._head()}
        return await _answered(question, SECONDS + asked.seconds)

    async def read(self, text: str) -> Offered:
        """What a gateway's file, or a part of one, names. Raises CannotAsk."""
        return await _answered({"read": text, **self._head()}, SECONDS)

    def _head(self) -> dict[str, str]:
        return {"instance": self._instance, "stream": self._stream}


async def _answered(question: dict[str, Any], seconds: float) -> Offered:
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as answer:
        source.write(json.dumps(question).encode())
        source.seek(0)
        code = await bounded_process.run(MODULE, b"", source, answer, seconds=seconds)
        answer.seek(0)
        told = answer.read(ANSWER_MOST)
    if code in bounded_process.TOO_LONG:
        raise CannotAsk("it took too long")
    if code != 0:
        raise CannotAsk("there is too much of it, or it ended unexpectedly")
    found = json.loads(told)
    if found.get("outside"):
        raise NotOfThePlant
    if "refused" in found:
        raise CannotAsk(found["refused"])
    return msgspec.convert(found, Offered)
