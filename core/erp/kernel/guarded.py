"""How the rows of a table may change: every module declares it beside its tables (`TABLES` in its `ddl.py`).

From a declaration come the database's triggers, which bind the owner of the tables too, and the rights of the role that
the application runs as (`rights`). A table that nobody declares, or a column that it does not have, stops the start.
"""

from dataclasses import dataclass

from sqlmodel import SQLModel

from core.erp.kernel import modules
from core.erp.kernel.tables import table
from core.erp.kernel.triggers import append_only, keeps, no_removal, only

END = "to_at"
"""The column by which a dated fact ends."""
EVERY = ("*",)
"""Any column."""


class Unguarded(ValueError):
    """A table's declaration is missing, double, or speaks of what is not there: the core must not start."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is declared of one table.

    `append_only`: rows are never changed or removed. `kept`: rows change and are never removed. `identity`: by what,
    beside its id, a row is known for ever. `dated`: of a from-until fact only the end is written later.
    `changes`: the columns that the application may write later (None: all of a kept table, none of any other);
    `removable`: it may remove rows. Where it may change or remove what is not kept, `why` says why that is no hole.
    """

    table: type[SQLModel]
    append_only: bool = False
    kept: bool = False
    identity: tuple[str, ...] = ()
    dated: bool = False
    changes: tuple[str, ...] | None = None
    removable: bool = False
    why: str = ""

    def __post_init__(self) -> None:
        columns = set(table(self.table).c.keys())
        ends = (END,) if self.dated else ()
        unknown = {*self.identity, *ends, *(self.changes or ())} - columns - {*EVERY}
        if unknown:
            raise Unguarded(f"{self.name} has no column {', '.join(sorted(unknown))}")
        if self.append_only and (self.kept or self.dated or self.changes or self.removable):
            raise Unguarded(f"{self.name}: what is append-only does not change")
        if self.kept and self.removable:
            raise Unguarded(f"{self.name}: what is kept is not removed")
        if not (self.append_only or self.kept or self.why):
            raise Unguarded(f"{self.name} is neither append-only nor kept, and says not why")

    @property
    def name(self) -> str:
        """The table's name in the database."""
        return str(table(self.table).name)

    @property
    def writable(self) -> tuple[str, ...]:
        """The columns that the application may write later; `*` for all of them."""
        if self.changes is not None:
            return self.changes
        if self.dated:
            return (END,)
        return EVERY if self.kept else ()

    def triggers(self) -> tuple[str, ...]:
        """The DDL by which the database itself holds it."""
        return (
            *(append_only(self.name) if self.append_only else ()),
            *(no_removal(self.name) if self.kept else ()),
            *((keeps(self.name, "id", *self.identity),) if self.identity else ()),
            *((only(self.name, END),) if self.dated else ()),
        )


def declared() -> dict[str, Guarded]:
    """Every table's declaration, by its name, in the order of the modules.

    Raises Unguarded where two speak of one table, or none of a table that there is.
    """
    found: dict[str, Guarded] = {}
    for module in modules.found("ddl"):
        for one in getattr(module, "TABLES", ()):
            if one.name in found:
                raise Unguarded(f"{one.name} is declared twice, the second time by {module.__name__}")
            found[one.name] = one
    modules.found("model")
    silent = set(SQLModel.metadata.tables) - set(found)
    if silent:
        raise Unguarded(f"no TABLES of a module's ddl.py says how rows may change of {', '.join(sorted(silent))}")
    return found
