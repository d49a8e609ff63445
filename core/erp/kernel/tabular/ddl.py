"""How the rows of imports may change: a run is undone once, a mapping is said anew."""

from core.erp.kernel.guarded import Guarded
from core.erp.kernel.tabular.model import ImportLine, ImportMapping, ImportRun

TABLES = (
    Guarded(ImportRun, kept=True, changes=("undone_at", "undone_by", "undo_reason")),
    Guarded(ImportLine, append_only=True),
    Guarded(ImportMapping, kept=True, changes=("mapping", "at", "by")),
)

_UNDONE_ONCE = """
CREATE TRIGGER import_run_undone_once BEFORE UPDATE ON import_run
FOR EACH ROW WHEN (OLD.undone_at IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
"""

DDL: tuple[str, ...] = (_UNDONE_ONCE,)
