"""What alerting does on others' events: from the outbox, after their commit, so that nobody waits for it."""

from core.erp.alerting.service.intake import SOURCES
from core.erp.kernel.outbox import Outbox


def register_outbox(outbox: Outbox) -> None:
    """One handler a source; each takes many rows at once."""
    for pattern, take_in in SOURCES.items():
        outbox.on_internal_many(pattern, f"alerts:{pattern.partition('.')[0]}", take_in)
