"""How the rows of the pages' own table may change."""

from core.erp.kernel.guarded import Guarded
from core.web.model import SavedView

TABLES = (
    Guarded(
        SavedView,
        identity=("owner", "entity", "name"),
        changes=("role", "query", "saved_at"),
        removable=True,
        why="how somebody looks at a list; it says nothing of a record",
    ),
)
