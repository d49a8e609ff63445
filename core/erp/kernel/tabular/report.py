"""What an import did, or would do."""

from dataclasses import dataclass, field
from enum import StrEnum

from core.erp.kernel.errors import Invalid
from core.erp.kernel.tabular.faults import Faults
from core.erp.kernel.tabular.headings import Head
from core.erp.kernel.tabular.importable import Importable
from core.erp.kernel.tabular.making import Made
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.reading import Table
from core.erp.kernel.tabular.settling import Settled


class Mode(StrEnum):
    """What is done with a file that has bad lines."""

    ALL = "all"
    """Nothing."""
    GOOD = "good"
    """Its good lines are imported."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A mapping that was said before of the same headings."""

    mapping: Mapping
    by: str


@dataclass
class Report:
    """What an import did, or would do: how the file was read, what it made, and what is wrong with it.

    `refused`: nothing was imported, or would be. `lines` are those below the headings; of these `good` made a record
    and `bad` did not. `missing` are fields without a column: their records have what the entity gives by itself.
    """

    table: Table
    mode: Mode
    dry_run: bool
    head: Head
    mapping: Mapping
    settled: Settled
    remembered: Remembered | None = None
    lines: int = 0
    made: list[Made] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    refused: bool = False
    run_id: int | None = None

    @property
    def bad(self) -> int:
        """How many lines made nothing."""
        return self.lines - len(self.made)

    def missing(self, importable: Importable) -> list[str]:
        """Names of fields that have no column."""
        placed = {column.field.name for column in self.head.columns if column.field is not None}
        return [field.name for field in importable.fields if field.name not in placed]


class NothingImported(Invalid):
    """A file whose faults let nothing of it be imported. `report` says what they are.

    Each was masked when it was found: what the file itself names would else be told apart, there and not there.
    """

    masked_within = True

    def __init__(self, report: Report) -> None:
        faults = [
            {"line": one.line, "column": one.column, "value": one.value, "message": one.message, "choices": one.choices}
            for one in report.faults.listed()
        ]
        extra = {"lines": report.lines, "bad": report.bad, "faults": faults}
        super().__init__("tabular.nothing_imported", count=report.faults.count, extra=extra)
        self.report = report
