"""The ids of words that forms and filters need beyond those of fields: of the few values that a field may have."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from core.erp.kernel.annotations import leaf_of
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.filters import parameters
from core.erp.kernel.records.registry import entities
from core.erp.kernel.words import ENGLISH, catalogue
from core.web.records.acts import TRAIL_FIELDS
from core.web.records.inputs import SEVERAL, choices_of, is_unseen
from core.web.records.lists import half_of
from core.web.records.shown import choice_id


def choice_ids() -> set[str]:
    """Of every value of every field that has few, in forms, in filters, and in the sections of a record's page."""
    found = {
        choice_id(name, value)
        for entity in entities().values()
        for name, value in (
            *_of_filters(entity),
            *(one for model in _models(entity) for one in _of_model(entity, model)),
            *(one for part in entity.sections for model in _within(part.shape) for one in _of_model(entity, model)),
        )
    }
    return {one for one in found if one is not None}


def filter_ids() -> set[str]:
    """Of the filters that no field gives its name."""
    return {
        f"filter.{name}"
        for entity in entities().values()
        for name in parameters(entity)
        if half_of(entity, name) is None and entity.field(name).id not in catalogue(ENGLISH)
    }


def field_ids() -> set[str]:
    """Of every field of a form, of a section of a record's page, and of what stands in one."""
    found = {f"field.{name}" for name in TRAIL_FIELDS}
    for entity in entities().values():
        found |= {entity.field(section.name).id for section in entity.sections}
        models = [*_models(entity), *(model for section in entity.sections for model in _within(section.shape))]
        found |= {entity.field(name).id for model in models for name in _fields(model)}
    return found


def _fields(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if is_unseen(model, name) or name.endswith("_message"):
            continue
        yield name
        for within in _within(info.annotation):
            yield from _fields(within)


def _within(shape: Any) -> Iterator[type[BaseModel]]:
    leaf = leaf_of(shape)
    if get_origin(leaf) in SEVERAL:
        leaf = leaf_of(get_args(leaf)[0])
    if isinstance(leaf, type) and issubclass(leaf, BaseModel):
        yield leaf


def _models(entity: Entity) -> Iterator[type[BaseModel]]:
    yield entity.shape
    for one in (entity.create, entity.change):
        if one is not None:
            yield one.body
    yield from (form for verb in entity.verbs if (form := entity.form(verb)) is not None)


def _of_model(entity: Entity, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, info in model.model_fields.items():
        leaf = leaf_of(info.annotation)
        if get_origin(leaf) in SEVERAL:
            leaf = leaf_of(get_args(leaf)[0])
        if isinstance(leaf, type) and issubclass(leaf, BaseModel):
            yield from _of_model(entity, leaf)
        elif name != "state" or entity.cycle is None:
            yield from ((name, value) for value in choices_of(leaf))


def _of_filters(entity: Entity) -> Iterator[tuple[str, str]]:
    for name, parameter in parameters(entity).items():
        if name != "state" or entity.cycle is None:
            yield from ((name, value) for value in choices_of(parameter.kind))
