"""A list is written from columns; what it says is what the entity's shape, which the description shows, would say."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any, Literal, get_origin
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Select, select

from core.erp.kernel.annotations import parts_of
from core.erp.kernel.model import RevokedToken
from core.erp.kernel.record_json import writer
from core.erp.kernel.records.answers import row_answer
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import everything
from core.erp.kernel.shapes import Answer
from core.erp.kernel.tables import table
from core.erp.kernel.words import LANGUAGES
from tests.contracts.office import Office
from tests.contracts.record_rows import OWN

SHANGHAI = ZoneInfo("Asia/Shanghai")
STRANGE: dict[type, Sequence[Any]] = {
    Decimal: (Decimal("1E+2"), Decimal("0.100000"), Decimal("-0"), Decimal("123456789012.345678")),
    float: (8.1, 8.299999999999999, 1e-7, 1e17, float("nan"), float("inf"), -0.0),
    datetime: (
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 7, 8, 9, 500_000, tzinfo=SHANGHAI),
        datetime(2026, 3, 1, 7, 8, 9, 5, tzinfo=ZoneInfo("UTC")),
    ),
    timedelta: (timedelta(0), timedelta(days=-1, microseconds=5), timedelta(days=400, hours=1)),
    date: (date(2026, 2, 28),),
    str: ("", '<b>"\\\n\x00\x1f\u2028é批号😀', "=1+1"),
    int: (0, -1, 2**62),
    bool: (True, False),
}


@pytest.fixture(params=sorted(entities()))
def entity(request: pytest.FixtureRequest) -> Entity:
    return entities()[request.param]


def names_of(statement: Select[Any]) -> list[str]:
    return [str(column.key) for column in statement.selected_columns]


def strange(entity: Entity, row: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The row, each time with one value that is seldom met."""
    for place, name in enumerate(names_of(entity.select)):
        info = entity.shape.model_fields.get(name)
        kinds = parts_of(info.annotation) if info is not None else ()
        if any(get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)) for kind in kinds):
            continue  # nothing but these words is in such a column
        if type(None) in kinds:
            yield (*row[:place], None, *row[place + 1 :])
        for value in STRANGE.get(type(row[place]), ()):
            yield (*row[:place], value, *row[place + 1 :])


def by_shape(entity: Entity, rows: Sequence[Sequence[Any]], language: str) -> Any:
    names = names_of(entity.select)
    made = [row_answer(entity.shape, SimpleNamespace(**dict(zip(names, row, strict=True))), language) for row in rows]
    kind: TypeAdapter[list[BaseModel]] = TypeAdapter(list[entity.shape])  # type: ignore[name-defined]  # known when run
    return json.loads(kind.dump_json(made))


def test_a_list_says_what_its_shape_says(office: Office, entity: Entity) -> None:
    office.rows.of(entity, OWN)
    with office.engine.connect() as conn:
        rows = [tuple(row) for row in conn.execute(entity.select.order_by(entity.rows.c.id).limit(50))]
    assert rows
    rows += [one for row in rows[:1] for one in strange(entity, row)]
    for language in LANGUAGES:
        said = json.loads(writer(entity).json(rows, language))
        assert said == by_shape(entity, rows, language)
        assert all(list(one) == list(entity.shape.model_fields) for one in said)


def test_no_rows_are_an_empty_list(entity: Entity) -> None:
    assert writer(entity).json([], "en") == b"[]"


class Doubled(Answer):
    """Says something else than its field."""

    jti: str

    def in_language(self, language: str) -> "Doubled":
        return self.model_copy(update={"jti": f"{self.jti} {language}"})


class Elsewhere(Answer):
    """Has a field that no column is."""

    nowhere: str


@pytest.mark.parametrize("shape", [Doubled, Elsewhere])
def test_a_shape_that_is_more_than_its_columns_does_not_start(shape: type[Answer]) -> None:
    rows = table(RevokedToken)
    made = Entity(
        name="t",
        path="t",
        table=RevokedToken,
        read="audit.read",
        scope=everything,
        statement=select(rows.c.jti),
        answer=shape,
    )
    with pytest.raises(ValueError, match=r"nowhere is no column|Doubled"):
        writer(made)
