"""How calendars may change: a site's stays the site's, in its time zone."""

from core.erp.kernel.calendars.model import WorkCalendar
from core.erp.kernel.guarded import Guarded

TABLES = (Guarded(WorkCalendar, kept=True, identity=("site_id", "timezone"), changes=("week", "days")),)
