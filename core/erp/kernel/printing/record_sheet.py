"""One record on paper: what it says, what was done to it by whom and when, and its signatures. In both languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import Row, func, select

from core.erp.kernel.model import AuditRow, Signature
from core.erp.kernel.printing.documents import Document
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.history import Entry, history, version_of
from core.erp.kernel.records.read import row_of
from core.erp.kernel.tables import table
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.export import Export, text_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import ENGLISH, LANGUAGES, Message, catalogue, render, time_text

RECORD_SHEET = Document("kernel", "record_sheet")
MOST_ENTRIES = 500
"""The newest acts that are printed; how many are left out is said."""
Label = dict[str, str]
"""The words in each language."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The data of the template `record_sheet`, and the time of what it tells: that of the newest act or signature."""

    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Beside:
    """Something that stands in the history and is told by other records: who was told of this one, and when."""

    at: datetime
    who: str
    done: Message
    reason: str = ""


def sheet_of(u: Unit, entity: Entity, record_id: int, zone: tzinfo, beside: Sequence[Beside] = ()) -> Sheet:
    """The record's sheet, times in the zone, with what is told `beside` in its history. Raises NotFound, the same for
    one outside the actor's scope.
    """
    row = row_of(u, entity, record_id)
    entries, _ = history(u, entity, record_id, limit=MOST_ENTRIES)
    signatures = _signatures(u, entity, record_id)
    times = [*(one.at for one in entries[:1]), *(one.at for one in signatures), *(one.at for one in beside)]
    at = max(times, default=u.now)
    told = [(one.at, _told(one, zone)) for one in beside]
    acts = sorted([*((one.at, _entry(entity, one, zone)) for one in reversed(entries)), *told], key=_first)
    called = dict(zip(_names(entity), record_columns.as_exported(entity, [row], ENGLISH).__next__(), strict=True))
    version = version_of(u, entity, record_id)
    foot = Message("printing.foot", record=entity.called, number=record_id, version=version, at=at)
    data = {
        "title": _label(entity.called),
        "name": str(called.get(entity.label) or record_id),
        "foot": " · ".join(dict.fromkeys(render(foot, language, zone) for language in LANGUAGES)),
        "words": _WORDS,
        "facts": _facts(entity, row, zone),
        "history": [entry for _, entry in acts],
        "left_out": _count(u, entity, record_id) - len(entries),
        "signatures": [
            {"name": one.name, "at": time_text(one.at, zone), "meaning": one.meaning, "reason": one.reason or ""}
            for one in signatures
        ],
    }
    return Sheet(data, at)


def _label(message: Message) -> Label:
    return {language: render(message, language) for language in LANGUAGES}


_WORDS = {
    "history": _label(Message("printing.history")),
    "signatures": _label(Message("printing.signatures")),
    "at": _label(Message("printing.at")),
    "who": _label(Message("printing.who")),
    "done": _label(Message("printing.done")),
    "reason": _label(Message("printing.reason")),
    "name": _label(Message("printing.name")),
    "meaning": _label(Message("printing.meaning")),
    "none": _label(Message("printing.none")),
    "left_out": _label(Message("printing.left_out")),
}


def _names(entity: Entity) -> list[str]:
    return [field.name for field in record_columns.exported(entity)]


def _facts(entity: Entity, row: Row[Any], zone: tzinfo) -> list[dict[str, Any]]:
    """Every field with its value; where that reads otherwise in Chinese, in both languages."""
    fields = record_columns.exported(entity)
    said = []
    for language in LANGUAGES:
        cells = Export(fields, language=language, zone=zone).cells()
        (values,) = record_columns.as_exported(entity, [row], language)
        said.append([text_of(cell(value)) for cell, value in zip(cells, values, strict=True)])
    return [{"label": dict(field.labels), "value": _both(texts)} for field, *texts in zip(fields, *said, strict=True)]


def _both(texts: Sequence[str]) -> str:
    different = list(dict.fromkeys(texts))
    return ("\n" if any("\n" in text or " " in text for text in different) else " ").join(different)


def _entry(entity: Entity, entry: Entry, zone: tzinfo) -> dict[str, Any]:
    state = next((change for change in entry.changes if change.field == "state"), None)
    done = {}
    for language in LANGUAGES:
        text = _done(entity, entry.action, language)
        if state is not None:
            steps = [_state(entity, one, language) for one in (state.before, state.after) if one]
            text = f"{text} ({' → '.join(steps)})"
        done[language] = text
    return {"at": time_text(entry.at, zone), "who": entry.actor, "done": done, "reason": entry.reason or ""}


def _first(one: tuple[datetime, Any]) -> datetime:
    return one[0]


def _told(one: Beside, zone: tzinfo) -> dict[str, Any]:
    return {"at": time_text(one.at, zone), "who": one.who, "done": _label(one.done), "reason": one.reason}


def _done(entity: Entity, action: str, language: str) -> str:
    """What was done, in the language where there is a word for it."""
    name = action.rpartition(".")[2]
    known = {"create": "printing.created", "change": "printing.changed"}.get(name, f"move.{entity.name}.{name}")
    return render(Message(known), language) if known in catalogue(language) else action


def _state(entity: Entity, state: str, language: str) -> str:
    name = f"state.{entity.name}.{state}"
    return render(Message(name), language) if name in catalogue(language) else state


def _signatures(u: Unit, entity: Entity, record_id: int) -> Sequence[Row[Any]]:
    s = table(Signature)
    where = (s.c.entity == entity.name, s.c.entity_id == str(record_id))
    return u.conn.execute(select(s).where(*where).order_by(s.c.at, s.c.id)).all()


def _count(u: Unit, entity: Entity, record_id: int) -> int:
    a = table(AuditRow).c
    counted = select(func.count()).where(a.entity == entity.name, a.entity_id == str(record_id))
    return int(u.conn.execute(counted).scalar_one())
