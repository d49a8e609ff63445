"""What the database's own guards refuse, as errors of the core: their SQLSTATE says which."""

import json
from decimal import Decimal

from sqlalchemy.exc import DataError, DBAPIError

from core.erp.kernel.errors import Busy, Conflict, Invalid, LotwiseError, Refused
from core.erp.kernel.words import Message, from_json

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
            said = _said(getattr(diag, "message_detail", None)) if kind is Refused else None
            return kind(said or Message(name, told=getattr(diag, "message_primary", None) or str(error.orig)))
    if state == _LOCK_NOT_AVAILABLE:
        return Busy("kernel.record_locked", extra={"retry_after": 3})
    # The driver itself refuses what PostgreSQL cannot hold (a NUL in a text) and knows no SQLSTATE for it.
    return Invalid("kernel.value_misfit", told=str(error.orig)) if isinstance(error, DataError) else None


def _said(detail: str | None) -> Message | None:
    """The message that one of our triggers raised; what else refuses says none."""
    try:
        return from_json(json.loads(detail or "", parse_float=Decimal))
    except (ValueError, KeyError, TypeError):
        return None
