"""Which dispatch lists somebody sees: those of work centres they see."""

from core.erp.kernel.scope import Visible, linked
from core.erp.kernel.tables import table
from core.erp.scheduling.model import DispatchEntry

ENTRIES = linked(table(DispatchEntry).c.work_centre_id, "work_centre")

VISIBLE = (Visible("dispatch_entry", table(DispatchEntry).c.id, ENTRIES),)
