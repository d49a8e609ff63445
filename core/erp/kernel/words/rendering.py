"""A message as its reader sees it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from babel import Locale

from core.erp.kernel.words.catalogues import catalogue
from core.erp.kernel.words.languages import CHINESE, ENGLISH
from core.telemetry.catalogue import PLACEHOLDER, Template
from core.telemetry.message import Message, Parameter, plain_number

Times = Callable[[datetime], str]
COMMA = {ENGLISH: ", ", CHINESE: "、"}
"""Between the words of a list."""
SEMICOLON = {ENGLISH: "; ", CHINESE: "；"}
"""Between the sentences of a list."""
OR = {ENGLISH: " or ", CHINESE: "或"}
"""Between the words of a list of which one does (`{states:or}`)."""
WORDS = frozenset({"record", "records", "state", "move", "field", "permit", "role", "purpose"})
"""Families of ids that are words: a list of them is parted as words are."""


def render(message: Message, language: str = ENGLISH, zone: tzinfo = UTC, times: Times | None = None) -> str:
    """The text in the language, times as the zone has them with its offset (UTC: `2026-03-02 03:00:00Z`), or as
    `times` writes them.

    An id that is not in the catalogue (any more) is shown with its parameters: what was kept stays readable.
    """
    template = catalogue(language).get(message.id)
    if template is None:
        return f"{message.id} {message.as_json()['params']}"
    text = _form(template, message.params, language)
    if not template.placeholders:
        return text
    written = times or partial(time_text, zone=zone)
    return PLACEHOLDER.sub(lambda found: _value(message, found[1], found[2] or "", language, written), text)


def misfit(message: Message) -> str | None:
    """What is wrong with a message of ours: an id that is in no catalogue, parameters that its text does not have or
    lacks; None if it fits. What was kept long ago may not: it is shown all the same.
    """
    template = catalogue(ENGLISH).get(message.id)
    if template is None:
        return f"{message.id} is in no catalogue"
    given, wanted = set(message.params), set(template.placeholders)
    return None if given == wanted else f"{message.id} is given {sorted(given)}, says {sorted(wanted)}"


def shown(message: str | Message, language: str) -> str:
    """What the system says, in the language; people's words as they are."""
    return render(message, language) if isinstance(message, Message) else message


def kept(message: str | Message) -> tuple[str, dict[str, Any] | None]:
    """(English text, message) as two columns of a table keep them: `NAME` and `NAME_message`. People's words have no
    message.
    """
    return (render(message), message.as_json()) if isinstance(message, Message) else (message, None)


def _form(template: Template, params: Mapping[str, Parameter], language: str) -> str:
    """The plural for `count`, where there are several."""
    count = params.get("count")
    if len(template.forms) == 1 or not isinstance(count, int):
        return template.forms[-1]
    return template.forms[0] if Locale.parse(language).plural_form(count) == "one" else template.forms[-1]


def _value(message: Message, name: str, kind: str, language: str, times: Times) -> str:
    """One parameter; a placeholder without one stays as it is, so that it is seen."""
    if name not in message.params:
        return f"{{{name}}}"
    value = message.params[name]
    if kind == "or" and isinstance(value, Sequence) and not isinstance(value, str):
        return OR[language].join(_shown(one, language, times) for one in value)
    return _shown(_typed(value, kind), language, times)


def _typed(value: Parameter, kind: str) -> Parameter:
    """What was kept as text, as what its placeholder says it is; text that is no such thing stays text."""
    if not isinstance(value, str) or kind not in _READ:
        return value
    try:
        return _READ[kind](value)
    except (ValueError, InvalidOperation):
        return value


_READ: dict[str, Callable[[str], Parameter]] = {
    "time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "number": Decimal,
}


def _shown(value: Parameter, language: str, times: Times) -> str:
    if isinstance(value, Message):
        return render(value, language, times=times)
    if isinstance(value, datetime):
        return times(value)
    if isinstance(value, Decimal):
        return plain_number(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        between = SEMICOLON if any(map(_is_sentence, value)) else COMMA
        return between[language].join(map(partial(_shown, language=language, times=times), value))
    return str(value)


def _is_sentence(value: Parameter) -> bool:
    return isinstance(value, Message) and value.id.partition(".")[0] not in WORDS


def time_text(value: datetime, zone: tzinfo = UTC) -> str:
    """An instant as people read it: the zone's time with its offset from UTC, in every language alike."""
    local = value.astimezone(zone)
    if not local.utcoffset():
        return f"{local:%Y-%m-%d %H:%M:%S}Z"
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M:%S} UTC{offset[:3]}:{offset[3:5]}"
