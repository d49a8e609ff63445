"""Shapes of the wire that every module uses: ids, measures, texts and times as they are checked and answered.

Pydantic only: what declares records or answers needs no web framework.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from pydantic.fields import FieldInfo

from core.erp.kernel import strict
from core.erp.kernel.digits import whole
from core.erp.kernel.errors import UnfitValue
from core.erp.kernel.words import from_json, plain_number, render

T = TypeVar("T")
BIGGEST_ID = 2**63 - 1


Ref = Annotated[int, Field(strict=True, ge=1, le=BIGGEST_ID)]
"""An id in a body or answer."""
Amount = Annotated[
    Decimal, Field(gt=0, max_digits=18, decimal_places=6), PlainSerializer(plain_number, return_type=str)
]
"""A quantity more than nothing, at most 6 decimals; text in answers, so that no digit is lost."""
Quantity = Annotated[Decimal, PlainSerializer(plain_number, return_type=str)]
"""A quantity in an answer."""


def figure(value: float) -> float:
    """A figure worked out from readings, to ten digits (`Figure`)."""
    return float(f"{value:.10g}")


Figure = Annotated[float, PlainSerializer(figure, return_type=float, when_used="json")]
"""A figure worked out from readings, in an answer: ten digits, so that no binary digits show (8.3, never
8.299999999999999). What a device sent is answered as it was sent, by a plain float.
"""


def duration_text(value: timedelta) -> str:
    """A length of time as ISO 8601, in days, hours, minutes and seconds.

    A year or a month has no length that everybody agrees on.
    """
    seconds, sign = abs(value).seconds, "-" if value < timedelta(0) else ""
    parts = ((seconds // 3600, "H"), (seconds // 60 % 60, "M"))
    time = "".join(f"{count}{name}" for count, name in parts if count)
    rest = Decimal(seconds % 60) + Decimal(abs(value).microseconds) / 1_000_000
    time += f"{plain_number(rest)}S" if rest or not (time or abs(value).days) else ""
    return f"{sign}P{f'{abs(value).days}D' if abs(value).days else ''}{'T' if time else ''}{time}"


Duration = Annotated[
    timedelta,
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "duration"}),
]
"""A length of time in an answer: PT30M, P730D."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _plausible(value: datetime) -> datetime:
    """A clock that was never set says 1970, a slip of the finger 2206: neither is when anything was so here."""
    if not EARLIEST <= value < LATEST:
        raise UnfitValue("value.implausible_time", first=EARLIEST.year, last=LATEST.year - 1)
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
"""A time in a body or a query: with its offset, and one that can be meant."""
Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
"""Words that must be there."""


@dataclass(frozen=True, slots=True)
class OfPerson:
    """Says of a text that it is somebody's login: forms offer people by name."""


Login = Annotated[str, Field(min_length=1, max_length=64, examples=["wes"]), OfPerson()]
"""Somebody who works here, by login."""
Who = Annotated[str, OfPerson()]
"""The login of somebody, in an answer: lists that filter by it offer people by name."""


def names_person(info: FieldInfo) -> bool:
    """Whether a field is somebody's login."""
    return _marked((*info.metadata, info.annotation))


def _marked(parts: Any) -> bool:
    return any(isinstance(part, OfPerson) or _marked(get_args(part)) for part in parts)


class Body(BaseModel):
    """A request's body: unknown fields are an error, not a shrug, and nothing passes for what it is not (`strict`)."""

    model_config = ConfigDict(extra="forbid")
    all_texts: ClassVar[bool] = False
    """Fields of a form, which are texts whatever they mean."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_came(cls, data: Any) -> Any:
        return strict.check(cls, data, all_texts=cls.all_texts)


class SignIn(Body):
    """What a signature needs: the password again, and the login for the first signing of a session."""

    password: SecretStr = Field(max_length=1024, examples=["••••••••••"])
    login: str | None = Field(None, max_length=64, examples=["quinn"])


def id_in(text: str) -> int | None:
    """The id or version that a text is, None for what is none: a number of ASCII digits, as big as ids are."""
    return number if (number := whole(text)) is not None and number <= BIGGEST_ID else None


class Answer(BaseModel):
    """An answer's body, made from rows."""

    model_config = ConfigDict(from_attributes=True)

    def in_language(self, language: str) -> Self:
        """With what the system wrote in the language: `reason` from its `reason_message`, and so on."""
        kept = {name: one for name in _messages(type(self)) if (one := getattr(self, name)) is not None}
        texts = {name.removesuffix("_message"): render(from_json(one), language) for name, one in kept.items()}
        return self.model_copy(update=texts) if texts else self


@cache
def _messages(shape: type[Answer]) -> tuple[str, ...]:
    """The shape's fields that hold what the system wrote, each beside a field of sentences."""
    return tuple(name for name in shape.model_fields if name.endswith("_message"))


Sentence = Annotated[
    dict[str, Any] | None,
    Field(description="what the system wrote, by a message's id and params; null: people's words"),
]
"""The column beside a sentence, in an answer."""


class Page(BaseModel, Generic[T]):
    """Some items and, if there are more, the cursor that asks for the next."""

    items: list[T]
    next: str | None = None


class Problem(BaseModel):
    """An error (RFC 9457): `detail` in the language that was asked for (Accept-Language: en, zh), and the same as a
    message's `id` and `params` for programs. Refusals of stock also carry `obstacles`.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:lotwise:refused",
                    "title": "Refused",
                    "status": 409,
                    "detail": "sublot S-1 may not be taken for sale: held (held since 2026-03-02 03:00:00Z: warm)",
                    "id": "lots.not_movable",
                    "params": {"code": "S-1", "purpose": "sale"},
                    "obstacles": [{"kind": "held", "detail": "held since 2026-03-02 03:00:00Z: warm", "hold_id": 7}],
                }
            ]
        },
    )
    type: str
    title: str
    status: int
    detail: str
    id: str = ""
    params: dict[str, Any] = {}


class ReasonIn(Body):
    """Why."""

    reason: Text
