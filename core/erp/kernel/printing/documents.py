"""Kinds of documents: each has a template in the `prints` folder of the module that declares it."""

from dataclasses import dataclass
from pathlib import Path

import core.erp

ROOT = Path(core.erp.__file__).parent
"""What templates may read from (`/kernel/prints/page.typ`): nothing above it."""
FOLDER = "prints"


@dataclass(frozen=True, slots=True)
class Document:
    """`Document("lots", "sublot_label")` is set by `lots/prints/sublot_label.typ`. Raises ValueError without one."""

    module: str
    name: str

    def __post_init__(self) -> None:
        if not self.template.is_file():
            raise ValueError(f"{self.module} has no template {FOLDER}/{self.name}.typ")

    @property
    def template(self) -> Path:
        """Where the template is."""
        return ROOT.joinpath(*self.module.split("."), FOLDER, f"{self.name}.typ")


def templates() -> list[Path]:
    """Every template there is, of all modules."""
    return sorted(ROOT.glob(f"**/{FOLDER}/*.typ"))
