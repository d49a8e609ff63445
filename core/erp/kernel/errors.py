"""Errors of the core. Each says who can act and carries its HTTP status; the app turns them into RFC 9457 problems."""

from typing import Any, ClassVar


class LotwiseError(Exception):
    """Something the caller should be told. `detail` is for people; `extra` goes into the problem document."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class Refused(LotwiseError):
    """A rule forbids this intention; the user can act on the reason."""

    status = 409
    title = "Refused"


class IllegalMove(Refused):
    """The entity's life cycle has no such move from its state."""

    title = "Illegal move"


class Forbidden(LotwiseError):
    """The actor lacks the permit."""

    status = 403
    title = "Forbidden"


class Unauthenticated(LotwiseError):
    """No valid token, or wrong credentials."""

    status = 401
    title = "Not authenticated"


class TooManyAttempts(LotwiseError):
    """Rate limit reached; try again later."""

    status = 429
    title = "Too many attempts"


class NotFound(LotwiseError):
    """No such thing."""

    status = 404
    title = "Not found"


class Invalid(LotwiseError):
    """The values given break a rule on values (a negative quantity, a unit that does not fit)."""

    status = 422
    title = "Invalid"


class Conflict(LotwiseError):
    """Already there with other content, or changed meanwhile."""

    status = 409
    title = "Conflict"


class TooLarge(LotwiseError):
    """More than this route takes; `most` bytes."""

    status = 413
    title = "Too large"


class Busy(LotwiseError):
    """Nothing was posted: too much waits already, or somebody else holds the record. Ask again, `retry_after` s."""

    status = 503
    title = "Busy"
