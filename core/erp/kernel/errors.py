"""Errors of the core. Each says who can act and carries its HTTP status; the app turns them into RFC 9457 problems.

What people are told is a message by id with its parameters (`words`), so that everybody reads it in their language.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from core.erp.kernel.words import ENGLISH, Message, render


class LotwiseError(Exception):
    """Something the caller should be told: `Refused("lots.sublot_held", code=code)`. Raises ValueError for what is no
    message's id.

    The parameters are the message's; they stand in the problem document flat as well, with `extra`, which is for
    programs and in no text. `str(error)` is English.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    masked_within: ClassVar[bool] = False
    """Whether what it tells has been masked already, part by part, for whoever it is raised for."""

    def __init__(self, said: str | Message, /, *, extra: Mapping[str, Any] | None = None, **params: Any) -> None:
        super().__init__(said, params)
        self.message = said if isinstance(said, Message) else Message(said, **params)
        self.extra: dict[str, Any] = {**self.message.as_json()["params"], **(extra or {})}

    def reworded(self, message: Message, extra: Mapping[str, Any]) -> Self:
        """The same error with another message, and other parameters in the problem document: with all else that it has,
        whatever it was made of.
        """
        other = type(self).__new__(type(self), message)
        vars(other).update(vars(self), message=message, extra=dict(extra))
        return other

    def text(self, language: str = ENGLISH) -> str:
        """What people are told, in the language."""
        return render(self.message, language)

    @property
    def detail(self) -> str:
        """What people are told, in English."""
        return self.text()

    def __str__(self) -> str:
        return self.text()


class UnfitValue(ValueError):
    """A value in a body or a query breaks a rule of ours: raised where pydantic checks, told by id as all else."""

    def __init__(self, said: str | Message, /, **params: Any) -> None:
        self.message = said if isinstance(said, Message) else Message(said, **params)
        super().__init__(render(self.message))


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


def absent(noun: str, number: object) -> NotFound:
    """The one answer for a record that is not there and for one that this actor may not know of."""
    return NotFound("kernel.no_record", record=Message(f"record.{noun}"), number=number, extra={f"{noun}_id": number})


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


class FileDamaged(LotwiseError):
    """A file that was attached is not what is on the disk any more: the administrator must bring it back."""

    status = 500
    title = "File damaged"


class Busy(LotwiseError):
    """Nothing was posted: too much waits already, or somebody else holds the record. Ask again, `retry_after` s."""

    status = 503
    title = "Busy"
