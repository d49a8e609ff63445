"""The records of calendars."""

from core.erp.kernel.calendars import service
from core.erp.kernel.calendars.model import WorkCalendar
from core.erp.kernel.calendars.shapes import CalendarChange, CalendarOut
from core.erp.kernel.records import Change, Column, Entity
from core.erp.kernel.scope import sites
from core.erp.kernel.tables import table

CALENDARS = Entity(
    name="work_calendar",
    path="calendars",
    table=WorkCalendar,
    read="calendar.read",
    scope=sites(table(WorkCalendar).c.site_id),
    answer=CalendarOut,
    columns=(Column("site_id", filter="eq", link="site"),),
    change=Change("calendar.manage", CalendarChange, act=service.change),
    order="id",
)

ENTITIES = (CALENDARS,)
