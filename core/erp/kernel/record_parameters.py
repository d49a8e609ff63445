"""The parameters of a list's routes: filters, sort and search as the framework is to see them."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal

from fastapi import Query

from core.erp.kernel.http import FilterId
from core.erp.kernel.records import filters, read
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.search import SEARCHED_MOST

_OWN = ("sort", "search", "cursor", "limit", "count")
"""Parameters of every list, besides its filters."""


def asked_parameters(entity: Entity) -> dict[str, Any]:
    """(type, default) of every filter of the entity, of the sort, and of the search if it has one."""
    parameters: dict[str, Any] = {
        parameter.name: (_annotation(parameter), None) for parameter in filters.parameters(entity).values()
    }
    names = read.sortable(entity)
    sort = Literal[tuple(sign + name for name in names for sign in ("", "-"))]  # type: ignore[valid-type]  # known when run
    parameters["sort"] = (Annotated[sort | None, Query(description=f"as `{entity.order}` without it")], None)
    if entity.searches:
        text = Annotated[str | None, Query(min_length=1, max_length=SEARCHED_MOST, description="what people type")]
        parameters["search"] = (text, None)
    return parameters


def asked_of(given: Mapping[str, Any]) -> read.Asked:
    """What a list is asked for, from the values of its parameters."""
    return read.Asked(
        {name: value for name, value in given.items() if name not in _OWN and value is not None},
        **{name: given[name] for name in _OWN if name in given},
    )


def _annotation(parameter: filters.Parameter) -> Any:
    if parameter.many:
        return Annotated[list[parameter.kind] | None, Query(description="may be given several times")]  # type: ignore[name-defined]  # known when run
    if parameter.an_id:
        return FilterId
    return Annotated[parameter.kind | None, Query(max_length=200) if parameter.kind is str else Query()]


def as_endpoint(endpoint: Callable[..., Any], name: str, about: str, **parameters: Any) -> Callable[..., Any]:
    """The endpoint as the framework is to see it: named, described, with these parameters (type, or type and value)."""
    endpoint.__name__, endpoint.__doc__ = name, about
    described = [
        Parameter(key, Parameter.KEYWORD_ONLY, annotation=parameter[0], default=parameter[1])
        if isinstance(parameter, tuple)
        else Parameter(key, Parameter.KEYWORD_ONLY, annotation=parameter)
        for key, parameter in parameters.items()
    ]
    endpoint.__signature__ = Signature(described)  # type: ignore[attr-defined]  # what inspect.signature goes by
    return endpoint
