"""What the database's own guards refuse, as errors of the core: their SQLSTATE says which."""

from sqlalchemy.exc import DataError, DBAPIError

from core.erp.kernel.errors import Busy, Conflict, Invalid, LotwiseError, Refused
from core.erp.kernel.words import Message

_LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a lock that was not had in time."""

_DATABASE: dict[str, tuple[type[LotwiseError], str]] = {
    "LW": (Refused, "kernel.database_refused"),
    "22": (Invalid, "kernel.value_misfit"),
    "23505": (Conflict, "kernel.there_already"),
    "23": (Invalid, "kernel.value_rule_broken"),
}
"""SQLSTATE or its beginning → our error and the message's id."""


def translate(error: DBAPIError) -> LotwiseError | None:
    """What the database's own guards refused, as our error; None if it is no refusal but a fault."""
    state = getattr(error.orig, "sqlstate", None) or ""
    for prefix, (kind, name) in _DATABASE.items():
        if state.startswith(prefix):
            diag = getattr(error.orig, "diag", None)
            return kind(Message(name, told=getattr(diag, "message_primary", None) or str(error.orig)))
    if state == _LOCK_NOT_AVAILABLE:
        return Busy("kernel.record_locked", extra={"retry_after": 3})
    # The driver itself refuses what PostgreSQL cannot hold (a NUL in a text) and knows no SQLSTATE for it.
    return Invalid("kernel.value_misfit", told=str(error.orig)) if isinstance(error, DataError) else None
