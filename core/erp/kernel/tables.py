"""Set-based SQL over SQLModel tables: the Core table behind a model, typed."""

from typing import Any, cast

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, Select, Table, TypeDecorator, select
from sqlmodel import SQLModel


def table(model: type[SQLModel]) -> Table:
    """The Core table of a model, for set-based statements (`table(Hold).c.sublot_id`)."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel makes it when the class is made


def values_of(row: Row[Any]) -> dict[str, Any]:
    """A row's values by name."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row's dict


def select_for(shape: type[BaseModel], model: type[SQLModel], *computed: ColumnElement[Any]) -> Select[Any]:
    """The columns of a table that an answer's shape has, and beside them those that are computed, by their labels."""
    own = {str(one.key) for one in computed}
    columns = table(model).c
    return select(*(columns[name] for name in shape.model_fields if name not in own), *computed)


def value_type(column: ColumnElement[Any]) -> Any:
    """The Python type of a column's values; SQLModel's own text type does not say it."""
    said, kind = column.type.python_type, column.type
    return kind.impl_instance.python_type if said is object and isinstance(kind, TypeDecorator) else said
