"""The pages of all entities."""

from fastapi import APIRouter

from core.erp.kernel.records.registry import entities
from core.web.frame.routes import page_routes
from core.web.records import forms, lists, record

STILL_OLD = frozenset({"excursion", "incident"})
"""Entities whose records are shown by the older pages, until their desks are there."""


def router() -> APIRouter:
    """A list, a page and the forms of every entity."""
    made = page_routes()
    for entity in entities().values():
        lists.add(made, entity)
        forms.add(made, entity)
        if entity.name not in STILL_OLD:
            record.add(made, entity)
    return made
