"""Shapes of the wire of sessions."""

from typing import Literal

from pydantic import AwareDatetime, Field

from core.erp.kernel.shapes import Answer

Why = Literal["out", "wrong", "password", "inactive", "expired", "administrator"]
"""Why a session has ended: signed out, too many wrong passwords, password changed, user deactivated, unused or too old,
or by an administrator.
"""


class SessionOut(Answer):
    """Somebody signed in with a browser."""

    id: int
    user_id: int
    login: str
    address: str = Field(description="where it was begun from", examples=["10.0.0.7"])
    began_at: AwareDatetime
    last_used_at: AwareDatetime = Field(description="to the minute")
    ended_at: AwareDatetime | None
    ended_why: Why | None
