"""How browser sessions may change: they are used, and end once."""

from core.erp.kernel.guarded import Guarded
from core.erp.kernel.sessions.model import BrowserSession

TABLES = (
    Guarded(
        BrowserSession,
        identity=("secret_hash", "user_id", "token_epoch", "began_at", "address"),
        changes=("last_used_at", "ended_at", "ended_why"),
        removable=True,
        why="ends once (browser_session_once), kept 90 days behind its last use; what was signed in it is in signature",
    ),
)

_ONCE = """
CREATE TRIGGER browser_session_once BEFORE UPDATE ON browser_session
FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION lotwise_forbid_change()
"""

DDL = (_ONCE,)
