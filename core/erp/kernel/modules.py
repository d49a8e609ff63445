"""What a module brings is found by the name of its file: nothing else lists the modules (`core.erp.MODULES`).

The kernel imports no module by name; it asks here for everybody's `workflow`, `permits`, `handlers` and so on.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from core.erp import ABOVE, BELOW, MODULES

NAMES = (*BELOW, *(f"core.erp.{name}" for name in MODULES), *ABOVE)
"""Every module, and the rooms beside the ERP, as Python imports them: lower ones first."""

FILES = frozenset(
    {
        "model",
        "records",
        "workflow",
        "permits",
        "scopes",
        "rules",
        "service",
        "queries",
        "events",
        "handlers",
        "deadlines",
        "ddl",
        "api",
        "shapes",
    }
)
"""The files a module may have, of which each says the same kind of thing everywhere."""


@cache
def found(file: str) -> tuple[ModuleType, ...]:
    """That file of every module that has it, imported, in order.

    Raises ValueError for a file that modules do not have, ModuleNotFoundError where a named module is not there.
    """
    if file not in FILES:
        raise ValueError(f"modules have no file {file}: {', '.join(sorted(FILES))}")
    return tuple(import_module(f"{name}.{file}") for name in NAMES if find_spec(f"{name}.{file}") is not None)


def folders() -> dict[str, Path]:
    """Where each module is on disk, by its name, in order: for what is no Python (`words/`)."""
    return {name: Path(next(iter(import_module(name).__path__))) for name in NAMES}
