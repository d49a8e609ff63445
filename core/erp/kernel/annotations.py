"""Types of fields taken apart: what a value may be beside None, and within Annotated."""

from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import MaxLen
from pydantic.fields import FieldInfo


def parts_of(kind: Any) -> tuple[Any, ...]:
    """The types that a type is one of."""
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)


def without_none(kind: Any) -> Any:
    """The type of a value that is there."""
    return reduce(or_, (part for part in parts_of(kind) if part is not NoneType))


def leaf_of(annotation: Any) -> Any:
    """The type of the value itself, None where there are several."""
    parts = [part for part in _bare(annotation) if part is not NoneType]
    return parts[0] if len(parts) == 1 else None


def may_be_none(annotation: Any) -> bool:
    """Whether a value may be left empty."""
    return NoneType in _bare(annotation)


def longest_of(info: FieldInfo, otherwise: int) -> int:
    """Letters that a field takes."""
    return next((part.max_length for part in info.metadata if isinstance(part, MaxLen)), otherwise)


def _bare(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    parts = parts_of(annotation)
    return [annotation] if parts == (annotation,) else [one for part in parts for one in _bare(part)]
