"""What the ingest writes into its tables: sentences by id, in which devices' own words are made fit to be kept."""

from typing import Any

from core.erp.kernel.words import Message, Parameter, kept

LONGEST, LONGEST_WORDS = 2000, 500
"""Characters of a sentence, and of what somebody else said within it."""


def stored(detail: Message) -> dict[str, Any]:
    """The columns `detail` and `detail_message`."""
    text, message = kept(Message(detail.id, **{name: _fit(value) for name, value in detail.params.items()}))
    return {"detail": text[:LONGEST], "detail_message": message}


def _fit(value: Parameter) -> Parameter:
    """Words as a database takes them, which has no NUL."""
    return value[:LONGEST_WORDS].replace("\0", "?") if isinstance(value, str) else value
