"""How a state looks: a shape and a tone beside its word. Red is for harm to goods and for nothing else."""

from collections.abc import Mapping
from typing import Literal

Tone = Literal["harm", "hold", "warn", "ok", "wait", "unknown", "no"]
"""harm: goods are or may be spoiled; hold: stopped; warn: somebody should look; ok: as it should be; wait: somebody's
turn; unknown: nobody knows; no: over, and of no more use.
"""

_BY_NOUN: Mapping[str, Mapping[str, Tone]] = {
    "excursion": {"open": "harm", "ended": "wait", "assessed": "wait", "dispositioned": "ok", "closed": "ok"},
    "alarm": {
        "unacknowledged": "harm",
        "acknowledged": "warn",
        "returned_unacknowledged": "warn",
        "normal": "ok",
    },
    "alert": {"standing": "warn", "taken": "wait", "over": "ok"},
    "alert_message": {"sent": "ok", "failed": "warn"},
    "sublot": {"released": "ok", "quarantine": "wait", "expected": "wait", "rejected": "no"},
    "shipment": {"accepted": "ok", "refused": "no"},
}
"""By the noun of the life cycle and the state, where the state's name alone does not say."""
_BY_STATE: Mapping[str, Tone] = {
    "open": "warn",
    "held": "hold",
    "blocked": "hold",
    "suspended": "hold",
    "expired": "warn",
    "overdue": "warn",
    "lapsed": "warn",
    "closed": "ok",
    "done": "ok",
    "completed": "ok",
    "accepted": "ok",
    "approved": "ok",
    "active": "ok",
    "verified": "ok",
    "valid": "ok",
    "released": "ok",
    "effective": "ok",
    "returned": "ok",
    "read": "ok",
    "current": "ok",
    "refused": "no",
    "rejected": "no",
    "cancelled": "no",
    "withdrawn": "no",
    "superseded": "no",
    "destroyed": "no",
    "aborted": "no",
    "missing": "unknown",
    "unknown": "unknown",
}


def tone(noun: str, state: str) -> Tone:
    """How a state of that life cycle looks; somebody's turn, where nothing else is known of it."""
    return _BY_NOUN.get(noun, {}).get(state) or _BY_STATE.get(state, "wait")
