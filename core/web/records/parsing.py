"""From what a form sent to the body it fills: texts as values, links by what records are called, faults by field."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, TypeVar, get_origin
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from core.erp.kernel.annotations import leaf_of, may_be_none
from core.erp.kernel.digits import whole
from core.erp.kernel.misfits import misfit
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.shapes import names_person
from core.erp.kernel.tabular.values import number_in
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.web.records.inputs import SEVERAL, kind_of, lines_named, link_of
from core.web.records.people import logins_of
from core.web.records.pickers import find

B = TypeVar("B", bound=BaseModel)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(days?|d|天|hours?|h|小时|时|min(?:utes)?|m|分钟|分|sec|s|秒)", re.IGNORECASE)
_SECONDS = {"d": 86400, "天": 86400, "h": 3600, "小": 3600, "时": 3600, "m": 60, "分": 60, "s": 1, "秒": 1}


class NoSuchValue(ValueError):
    """A text is none of its field's."""

    def __init__(self, message: Message) -> None:
        super().__init__(message.id)
        self.message = message


def read_form(
    u: Unit, entity: Entity, model: type[B], form: Mapping[str, list[str]], zone: ZoneInfo
) -> tuple[B | None, dict[str, Message]]:
    """(the body, or None; what is wrong, by the field's path). Empty fields that may be left out are left out."""
    reader = _FormReader(u, entity, form, zone)
    values = reader.fields(model, "")
    if reader.errors:
        return None, reader.errors
    try:
        return model.model_validate(values), {}
    except ValidationError as error:
        return None, {".".join(map(str, fault["loc"])): misfit(fault) for fault in error.errors()}


_LEFT_OUT = object()


class _FormReader:
    """Reads one form's fields, those of groups and of tables' lines too; collects what is wrong."""

    def __init__(self, u: Unit, entity: Entity, form: Mapping[str, list[str]], zone: ZoneInfo) -> None:
        self._u, self._entity, self._form, self._zone = u, entity, form, zone
        self.errors: dict[str, Message] = {}

    def fields(self, model: type[BaseModel], within: str) -> dict[str, Any]:
        """Values by field."""
        found = {}
        for name, info in model.model_fields.items():
            try:
                value = self._field(name, info, f"{within}{name}")
            except NoSuchValue as error:
                self.errors[f"{within}{name}"] = error.message
                continue
            if value is not _LEFT_OUT:
                found[name] = value
        return found

    def _field(self, name: str, info: FieldInfo, path: str) -> Any:
        kind, leaf = kind_of(self._entity, name, info)
        if kind == "group":
            return None if may_be_none(info.annotation) and not self._sent(path) else self.fields(leaf, f"{path}.")
        if kind == "table":
            return [self.fields(leaf, f"{path}.{line}.") for line in self._lines(path)]
        texts = [text if kind == "secret" else text.strip() for text in self._form.get(path, [])]
        if kind == "flag":
            return bool(texts and texts[-1])
        if kind in {"choices", "links"} or get_origin(leaf_of(info.annotation)) in SEVERAL:
            parts = [part.strip() for text in texts for part in text.split("\n") if part.strip()]
            return [self._value(name, info, kind, leaf, part) for part in parts]
        return self._single(name, info, kind, leaf, texts[-1] if texts else "")

    def _single(self, name: str, info: FieldInfo, kind: str, leaf: Any, text: str) -> Any:
        if text:
            return self._value(name, info, kind, leaf, text)
        if may_be_none(info.annotation):
            return None
        if info.is_required():
            raise NoSuchValue(Message("web.fill_in"))
        return _LEFT_OUT

    def _sent(self, path: str) -> bool:
        """Whether anything was written in a group."""
        return any(text.strip() for name, texts in self._form.items() if name.startswith(f"{path}.") for text in texts)

    def _lines(self, path: str) -> list[int]:
        """The lines of a table in which anything was written."""
        return lines_named(path, [name for name, texts in self._form.items() if any(text.strip() for text in texts)])

    def _value(self, name: str, info: FieldInfo, kind: str, leaf: Any, text: str) -> Any:
        if names_person(info):
            return _person(self._u, text)
        if kind in {"link", "links"}:
            return _linked(self._u, link_of(self._entity, name, info) or "", text)
        if kind == "number":
            return _number(text, leaf)
        if kind == "time":
            return moment(text, self._zone)
        return {"date": _date, "span": span_in, "pairs": pairs_in}.get(kind, str)(text)


def pairs_in(text: str) -> dict[str, Any]:
    """Lines like `only: DE, AT` or `days: 90` by their names. Raises NoSuchValue for a line without a colon."""
    found: dict[str, Any] = {}
    for line in filter(None, map(str.strip, text.replace("：", ":").splitlines())):
        name, colon, given = (part.strip() for part in line.partition(":"))
        if not colon or not name or not given:
            raise NoSuchValue(Message("web.no_pair", line=line))
        parts = [part.strip() for part in given.replace("，", ",").replace("、", ",").split(",") if part.strip()]
        number = whole(given)
        several = name in {"only", "except"} or len(parts) > 1
        found[name] = parts if several else given if number is None else number
    return found


def _number(text: str, leaf: Any) -> Any:
    """A number as its body takes it: a decimal as text, so that nothing is rounded on the way."""
    number = number_in(text, ".")
    if number is None:
        raise NoSuchValue(Message("web.no_number"))
    if leaf is int and number == number.to_integral_value():
        return int(number)
    return float(number) if leaf is float else str(number)


def _linked(u: Unit, name: str, text: str) -> int:
    """The id of the record that is called so. Raises NoSuchValue."""
    ids = find(u, entities()[name], text)
    if len(ids) == 1:
        return ids[0]
    what = Message(f"record.{name}")
    raise NoSuchValue(Message("web.several_called" if ids else "web.none_called", what=what, text=text))


def _person(u: Unit, text: str) -> str:
    """The login of whoever is called so, by login or by name. Raises NoSuchValue."""
    found = logins_of(u, text)
    if len(found) == 1:
        return found[0]
    raise NoSuchValue(
        Message("web.several_called" if found else "web.none_called", what=Message("record.user"), text=text)
    )


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise NoSuchValue(Message("web.no_date")) from error


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A time of the reader's zone. Raises NoSuchValue for none, and for one that the clocks leave out in spring."""
    try:
        found = datetime.fromisoformat(text)
        local = found if found.tzinfo is not None else found.replace(tzinfo=zone)
        there = local.astimezone(ZoneInfo("UTC")).astimezone(zone)
    except (ValueError, OverflowError) as error:  # the first and the last day that there is lie in another year in UTC
        raise NoSuchValue(Message("web.no_time")) from error
    if found.tzinfo is None and there.replace(tzinfo=None) != found:
        raise NoSuchValue(Message("web.time_left_out"))
    return local


def span_in(text: str) -> timedelta:
    """A length of time: `1 d 2 h`, `30 min`, `2小时`. Raises NoSuchValue."""
    parts = list(_SPAN.finditer(text))
    if not parts or _SPAN.sub("", text).strip(" ,"):
        raise NoSuchValue(Message("web.no_span"))
    try:
        return timedelta(seconds=sum(float(part[1]) * _SECONDS[part[2][0].lower()] for part in parts))
    except OverflowError as error:
        raise NoSuchValue(Message("web.no_span")) from error
