"""The shape of one row as it is answered, made from the columns of the statement that reads it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_
from types import NoneType
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, create_model
from sqlalchemy import Select
from sqlmodel import SQLModel

from core.erp.kernel.annotations import parts_of
from core.erp.kernel.shapes import Answer, Duration, Figure, Quantity
from core.erp.kernel.tables import value_type
from core.erp.kernel.workflow import Workflow

_ON_THE_WIRE: dict[Any, Any] = {datetime: AwareDatetime, Decimal: Quantity, timedelta: Duration, float: Figure}
"""How values of these types are answered; all others as they are."""


def answer_of(
    model: type[SQLModel], statement: Select[Any], cycle: Workflow | None, kinds: Mapping[str, Any]
) -> type[BaseModel]:
    """One row of the statement: the model's columns by their types, its state by its life cycle, joined names as text.

    `kinds` are types of columns that say more than the table does. Columns of bytes (hashes) are left out. A joined
    column may be empty, as an outer join leaves it.
    """
    fields: dict[str, Any] = {}
    for column in statement.selected_columns:
        name = str(column.key)
        known = model.model_fields.get(name)
        kind: Any = known.annotation if known is not None else value_type(column) | None
        if bytes in parts_of(kind):
            continue
        if name == "state" and cycle is not None:
            kind = Literal[cycle.states]
        fields[name] = (kinds.get(name) or _wire(kind), ...)
    return create_model(f"{model.__name__}Out", __base__=Answer, __doc__=model.__doc__, **fields)


def row_answer(shape: type[BaseModel], row: Any, language: str) -> BaseModel:
    """The row as its reader sees it: what the system wrote in the language (`Answer.in_language`)."""
    made = shape.model_validate(row)
    return made.in_language(language) if isinstance(made, Answer) else made


def _wire(kind: Any) -> Any:
    parts = parts_of(kind)
    found = tuple(_ON_THE_WIRE.get(part, part) for part in parts if part is not NoneType)
    return reduce(or_, (*found, None) if NoneType in parts else found)
