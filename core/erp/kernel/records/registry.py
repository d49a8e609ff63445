"""All entities there are: what the modules' `records.py` files declare, checked as they are collected."""

from functools import cache

from core.erp.kernel import modules
from core.erp.kernel.records.checked import check, check_links
from core.erp.kernel.records.declare import Entity


@cache
def entities() -> dict[str, Entity]:
    """Every entity by its name, lower modules first. Raises ValueError for a declaration that cannot be."""
    found: dict[str, Entity] = {}
    for module in modules.found("records"):
        for entity in getattr(module, "ENTITIES", ()):
            if entity.name in found or any(entity.path == other.path for other in found.values()):
                raise ValueError(f"two entities are called {entity.name}, or read at /{entity.path}")
            check(entity)
            found[entity.name] = entity
    for entity in found.values():
        check_links(entity, found)
    return found


def entity_named(name: str) -> Entity:
    """One entity. Raises ValueError."""
    found = entities().get(name)
    if found is None:
        raise ValueError(f"no entity is called {name}")
    return found


def module_of(entity: Entity) -> str:
    """The module that declares it, as `quality`."""
    return next(
        module.__name__.split(".")[-2]
        for module in modules.found("records")
        if entity in getattr(module, "ENTITIES", ())
    )
