"""How tasks may change: what they are about stays; they go their life cycle, and are never removed."""

from core.erp.kernel.guarded import Guarded
from core.erp.kernel.tasks.model import Task

TABLES = (
    Guarded(
        Task,
        kept=True,
        identity=("kind", "entity", "entity_id", "site_id", "permit", "created_at", "created_by"),
        changes=(
            "title",
            "title_message",
            "assignee",
            "due_at",
            "remind_at",
            "state",
            "closed_at",
            "closed_by",
            "conclusion",
        ),
    ),
)
