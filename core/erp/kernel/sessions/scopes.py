"""Which sessions somebody sees: those of the users they see."""

from core.erp.kernel.scope import Visible, linked
from core.erp.kernel.sessions.model import BrowserSession
from core.erp.kernel.tables import table

_s = table(BrowserSession).c

SESSIONS = linked(_s.user_id, "user")
VISIBLE = (Visible("session", _s.id, SESSIONS),)
