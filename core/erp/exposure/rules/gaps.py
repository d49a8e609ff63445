"""Why nothing is known of a span, in words: the codes that gateways tell, and what was signed of a lost spool."""

from core.erp.kernel.words import Message

SPOOL_LOST = "spool_lost"
SILENT = Message("exposure.gap_silent")
TOLD = frozenset(
    {
        "disconnected",
        "queue_overflow",
        "message_lost",
        "session_lost",
        "not_queued_while_disconnected",
        "session_taken_over",
        "spool_full",
        "spool_damaged",
    }
)
"""Codes of gateways."""


def gap_told(gateway: str, reason: str) -> Message:
    """What a gateway told of a gap: a code; `spool_lost: …` with the words of who signed; any other text as it is."""
    code, _, words = reason.partition(": ")
    if code == SPOOL_LOST:
        return Message("exposure.gap_told", gateway=gateway, why=Message("exposure.gap_spool_lost", reason=words))
    return Message("exposure.gap_told", gateway=gateway, why=Message(f"gap.{code}") if reason in TOLD else reason)
