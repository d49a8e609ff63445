"""What is wrong with a line of a file, or with the file: where, what stands there, and why."""

from dataclasses import dataclass, field

from core.erp.kernel.words import Message

HIDDEN_CELL = "•••"
"""In place of what stands in a cell that nobody is shown."""
SHOWN = 1000
"""So many faults are told one by one; all are counted."""
_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """`line` as the file counts (1 for the first; 0 where none is to blame), the column's heading, and what stands
    there. `choices` are what could be said of the file to make it good (`Mapping`'s values).
    """

    line: int
    column: str
    value: str
    message: Message
    choices: tuple[str, ...] = ()


class BadCell(Exception):
    """A cell's value is none of its field's."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


@dataclass(slots=True)
class Faults:
    """All faults of a file, and the lines that have one."""

    kept: list[Fault] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)
    count: int = 0

    def add(self, fault: Fault) -> None:
        """One more."""
        self.count += 1
        self.lines.add(fault.line)
        if len(self.kept) < SHOWN:
            self.kept.append(fault)

    def listed(self) -> list[Fault]:
        """Those that are told, by line."""
        return sorted(self.kept, key=lambda one: one.line)


def shown(text: object) -> str:
    """What stands in a cell, as a fault shows it: on one line, and not longer than anybody reads."""
    bare = " ".join(str(text).split())
    return bare if len(bare) <= _LETTERS else f"{bare[:_LETTERS]}…"
