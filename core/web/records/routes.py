"""The pages of all entities."""

from functools import cache

from fastapi import APIRouter

from core.erp.kernel.records.registry import entities
from core.web.frame.routes import page_routes
from core.web.records import files, forms, lists, many, people, record, tables, views


@cache
def router() -> APIRouter:
    """A list, a page and the forms of every entity: the same for every app, and most of what installing takes."""
    made = page_routes()
    people.add(made)
    for entity in entities().values():
        lists.add(made, entity)
        many.add(made, entity)  # before what has an id in its place
        views.add(made, entity)
        tables.add(made, entity)
        files.add(made, entity)
        forms.add(made, entity)
        record.add(made, entity)
    return made
