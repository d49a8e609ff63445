"""How deadlines may change: each step is done once, and what it came to stays."""

from core.erp.kernel.deadlines.model import Deadline, DeadlineStep
from core.erp.kernel.guarded import Guarded

TABLES = (
    Guarded(
        Deadline,
        kept=True,
        identity=("term", "entity", "entity_id", "site_id", "permit", "assignee", "begun_at", "begun_by"),
        changes=("about", "about_message", "counted", "due_at", "next_at", "state", "closed_at", "closed_by"),
    ),
    Guarded(
        DeadlineStep,
        kept=True,
        identity=("deadline_id", "kind", "at", "permit"),
        changes=("done_at", "outcome", "note", "note_message", "failures", "last_error"),
    ),
)

_ONCE = """
CREATE TRIGGER deadline_step_once BEFORE UPDATE ON deadline_step
FOR EACH ROW WHEN (OLD.done_at IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
"""

DDL: tuple[str, ...] = (_ONCE,)
