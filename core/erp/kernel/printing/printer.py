"""A document printed: the template's data in, the PDF's bytes out, off the event loop."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec

from core.erp.kernel import bounded_process
from core.erp.kernel.errors import Invalid
from core.erp.kernel.printing.documents import ROOT, Document
from core.erp.kernel.printing.setting_process import FAULT, MEMORY, Ask

SECONDS = 60.0
MOST_DATA = 16 * 1024 * 1024
"""Bytes of a document's data."""
_MODULE = "core.erp.kernel.printing.setting_process"


class TemplateFault(RuntimeError):
    """A template cannot be set with its own data: a fault of ours, with what the compiler says of it."""


async def print_document(document: Document, data: Mapping[str, Any], at: datetime, *, form: str = "pdf") -> bytes:
    """The document as PDF (or its first page as PNG). `at` is the document's time: that of what it tells, so that the
    same records are the same bytes.

    Raises Invalid for data that take too much time or room to set, TemplateFault.
    """
    content = msgspec.json.encode(data)
    if len(content) > MOST_DATA:
        raise Invalid("printing.too_much", most=MOST_DATA)
    ask = Ask(str(document.template), str(ROOT), int(at.timestamp()), MEMORY, form)
    with TemporaryFile() as source, TemporaryFile() as answer:
        await asyncio.to_thread(_written, source, content)
        code = await bounded_process.run(_MODULE, msgspec.json.encode(ask), source, answer, seconds=SECONDS)
        answer.seek(0)
        made = await asyncio.to_thread(answer.read)
    if code == FAULT:
        raise TemplateFault(f"{document.template.name}: {made.decode('utf-8', 'replace')}")
    if code or not made:
        raise Invalid("printing.takes_too_long" if code in bounded_process.TOO_LONG else "printing.takes_too_much")
    return made


def _written(file: IO[bytes], content: bytes) -> None:
    file.write(content)
    file.seek(0)
