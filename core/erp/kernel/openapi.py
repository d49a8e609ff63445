"""The API's description, completed: errors as the problem documents they are, and an example of every body and answer.

What a shape gives as its own example is shown; the rest is made from the shape itself, field by field.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from core.erp.kernel.shapes import Problem

PROBLEM = "application/problem+json"
SHAPE = "#/components/schemas/{model}"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": {"$ref": SHAPE.format(model=Problem.__name__)}}},
    }
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
}
"""`responses=` of every route: 400 for a body that is no text at all, 413 for one that is too large, 429 for too many
tries at a password, 503 where too much waits already, a record is held, or the series store behind cannot be had.

Named, not given as a model: the framework would make a validator of it for each status of each route.
"""
MAX_DEPTH = 6
"""Shapes within shapes that an example follows."""

FIELD_EXAMPLES: dict[str, Any] = {
    "reason": "label torn",
    "code": "A-1",
    "name": "Cold room 1",
    "lot": "A213B1",
    "number": "A213B1",
    "actor": "quinn",
    "login": "quinn",
    "placed_by": "quinn",
    "password": "correct horse battery",
    "reference": "shipment:7",
    "address": "plant/cold/room-1",
    "zone": "plant/cold/room-1",
    "point": "plant/cold/room-1/probe-1/temperature",
    "unit": "Cel",
    "quantity": "temperature",
    "amount": "10",
    "on_hand": "100",
    "needed": "100",
    "consumed": "0",
    "returned": "0",
    "scrap": "0",
    "key": "high",
    "limit_key": "high",
    "op": ">",
    "threshold": 8.0,
    "market": "DE",
    "customer": "clinic-17",
    "consignee": "clinic-17",
    "serial": "LOG-1",
    "sscc": "340123450000000017",
    "timezone": "Europe/Berlin",
    "gateway": "gateway-1",
    "source": "mqtt",
    "conclusion": "no effect on the goods",
    "assessment": "31 min at 9 °C; stability covers 24 h",
    "state": "released",
    "certainty": "proven",
    "cursor": "aWQ6Nw",
    "next": "aWQ6Nw",
    "tolerance": "0.02",
}
"""What fields of these names hold, where their shape shows no example of its own."""

FORMAT_EXAMPLES = {
    "date-time": "2026-03-02T03:00:00Z",
    "date": "2026-03-31",
    "duration": "PT30M",
    "password": "••••••••••",
    "binary": "…",
}

Schema = Mapping[str, Any]


def describe(app: FastAPI) -> None:
    """Makes the app's own description complete, once, when it is first asked for."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            complete(plain())
        found = app.openapi_schema
        assert found is not None
        return found

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def complete(description: dict[str, Any]) -> None:
    """Puts the examples in, and the shape of a problem, in place."""
    shapes = description.setdefault("components", {}).setdefault("schemas", {})
    shapes[Problem.__name__] = Problem.model_json_schema(mode="serialization", ref_template=SHAPE)
    for path in description["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                if PROBLEM not in answer.get("content", {}):  # its shape has an example
                    _show(answer.get("content", {}), shapes)
            _show(operation.get("requestBody", {}).get("content", {}), shapes)


def _show(content: dict[str, Any], shapes: Mapping[str, Schema]) -> None:
    for media in content.values():
        shape = media.get("schema")
        if shape and "example" not in media and "examples" not in media:
            media["example"] = example_of(shape, shapes)


def example_of(shape: Schema, shapes: Mapping[str, Schema], name: str = "", depth: int = 0) -> Any:
    """A value of the shape: its own example, or one made of its parts. `name` is the field's."""
    while "$ref" in shape:
        shape = shapes[str(shape["$ref"]).rpartition("/")[2]]
    for key in ("examples", "enum"):
        if shape.get(key):
            return shape[key][0]
    if "const" in shape:
        return shape["const"]
    options = shape.get("anyOf") or shape.get("oneOf")
    if options:
        some = [option for option in options if option.get("type") != "null"]
        return example_of(some[0], shapes, name, depth) if some else None
    return _EXAMPLE_MAKERS.get(str(shape.get("type")), _nothing)(shape, shapes, name, depth)


def _object(shape: Schema, shapes: Mapping[str, Schema], name: str, depth: int) -> Any:
    del name
    needed = set(shape.get("required", ()))
    return {
        field: example_of(part, shapes, field, depth + 1)
        for field, part in shape.get("properties", {}).items()
        if depth < MAX_DEPTH or field in needed
    }


def _array(shape: Schema, shapes: Mapping[str, Schema], name: str, depth: int) -> Any:
    if "prefixItems" in shape:
        return [example_of(part, shapes, "", depth + 1) for part in shape["prefixItems"]]
    one = example_of(shape.get("items", {}), shapes, name.removesuffix("s"), depth + 1)
    least = max(1, int(shape.get("minItems", 1)))
    return [one + index if isinstance(one, int) else one for index in range(least)]


def _string(shape: Schema, shapes: Mapping[str, Schema], name: str, depth: int) -> Any:
    del shapes, depth
    if shape.get("format") in FORMAT_EXAMPLES:
        return FORMAT_EXAMPLES[shape["format"]]
    return FIELD_EXAMPLES[name] if isinstance(FIELD_EXAMPLES.get(name), str) else "10" if "pattern" in shape else "text"


def _integer(shape: Schema, shapes: Mapping[str, Schema], name: str, depth: int) -> Any:
    del shapes, name, depth
    return max(1, int(shape.get("minimum", 1)))


def _number(shape: Schema, shapes: Mapping[str, Schema], name: str, depth: int) -> Any:
    del shapes, depth
    if isinstance(FIELD_EXAMPLES.get(name), float):
        return FIELD_EXAMPLES[name]
    return max(5.0, float(shape.get("minimum", 5.0)))


def _nothing(*_: object) -> Any:
    return None


_EXAMPLE_MAKERS: dict[str, Callable[[Schema, Mapping[str, Schema], str, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda *_: True,
    "null": _nothing,
    "None": _nothing,
}
