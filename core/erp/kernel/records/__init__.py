"""Records: a capability is declared once (design §6).

A module's `records.py` declares its entities; lists, single records, forms, verbs, history, routes and exports are made
from that. No web framework in here.
"""

from core.erp.kernel.records.declare import (
    Change,
    Column,
    Create,
    Entity,
    Files,
    Filter,
    Hidden,
    Section,
    Verb,
)
from core.erp.kernel.records.links import Link
from core.erp.kernel.records.search import Search
from core.erp.kernel.search_indexes import beginnings, bigrams

__all__ = [
    "Change",
    "Column",
    "Create",
    "Entity",
    "Files",
    "Filter",
    "Hidden",
    "Link",
    "Search",
    "Section",
    "Verb",
    "beginnings",
    "bigrams",
]
