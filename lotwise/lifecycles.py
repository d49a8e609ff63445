"""docs/lifecycles.md, drawn from the tables that decide: `python -m lotwise.lifecycles [--check]`."""

import sys
from pathlib import Path

from core.erp.kernel.workflow import Move, workflows

FILE = Path(__file__).parents[1] / "docs" / "lifecycles.md"
LEAD = """# Life cycles

Drawn by `python -m lotwise.lifecycles` from the tables that the core itself goes by; `make check` fails where they
differ.
*Held*, *expired*, *restricted* and *unjudged* are computed, never states.
"""


def rendered() -> str:
    """The page."""
    parts = [LEAD]
    for workflow in workflows().values():
        rows = [_row(move) for move in workflow.moves.values()]
        table = "\n".join(["| move | from | to | permit | asks for |", "| --- | --- | --- | --- | --- |", *rows])
        parts.append(f"## {workflow.words.capitalize()}\n\n```mermaid\n{workflow.diagram()}\n```\n\n{table}\n")
    return "\n".join(parts)


def _row(move: Move) -> str:
    maker = " or ".join(move.permits) or "the system"
    asked = {"a reason": move.reasoned, "a signature": move.meaning, "a second person": move.second_person}
    besides = ", ".join(what for what, wanted in asked.items() if wanted)
    return f"| {move.name} | {', '.join(sorted(move.sources))} | {move.target} | {maker} | {besides} |"


def main(arguments: list[str]) -> int:
    """Writes the page, or with --check says whether the committed one is true."""
    if "--check" in arguments:
        same = FILE.exists() and FILE.read_text(encoding="utf-8") == rendered()
        print(f"{FILE.name} is {'true' if same else 'out of date: python -m lotwise.lifecycles'}")
        return 0 if same else 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(rendered(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
