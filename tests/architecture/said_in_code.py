"""Finds in the core's source what people are told: every message and every refusal, with its parameters."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import core
from core.erp.kernel.words import ID

ERRORS = frozenset(
    {
        "LotwiseError",
        "Refused",
        "IllegalMove",
        "Forbidden",
        "Unauthenticated",
        "TooManyAttempts",
        "NotFound",
        "Invalid",
        "Conflict",
        "TooLarge",
        "Busy",
        "FileDamaged",
    }
)
"""By name, as they are called; the test beside compares them with the classes that there are."""
TELLING = ERRORS | {"Message", "BadTable"}


@dataclass(frozen=True, slots=True)
class Said:
    """One call that tells people something: an id with its parameters, or an English sentence."""

    where: str
    """file:line"""
    id: str | None
    """None for a sentence."""
    params: frozenset[str] | None
    """None where they are not written out (`**params`)."""


def sources() -> list[Path]:
    root = Path(core.__file__).parent
    return sorted(path for path in root.rglob("*.py") if "migrations" not in path.parts)


@cache
def _nodes() -> list[tuple[Path, ast.AST]]:
    return [
        (path, node)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Call, ast.Constant))
    ]


def said() -> list[Said]:
    """Every call in the core that tells people something by a constant or a sentence made on the spot."""
    return [one for path, node in _nodes() for one in _said(path, node)]


def _said(path: Path, node: ast.AST) -> Iterator[Said]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TELLING and node.args):
        return
    where = f"{path.relative_to(Path(core.__file__).parent.parent)}:{node.lineno}"
    names = [keyword.arg for keyword in node.keywords]
    params = None if None in names else frozenset(name for name in names if name is not None) - {"extra"}
    for text in _texts(node.args[0]):
        is_id = text is not None and ID.fullmatch(text)
        yield Said(where, text if is_id else None, params)


def _texts(node: ast.expr) -> Iterator[str | None]:
    """The constants that the argument may be; None for a sentence put together. Names of a family are no sentence."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BinOp) or (isinstance(node, ast.JoinedStr) and not _of_a_family(node)):
        yield None


def _of_a_family(node: ast.JoinedStr) -> bool:
    """Whether it begins as an id does: f"state.{noun}.{state}"."""
    first = node.values[0] if node.values else None
    return isinstance(first, ast.Constant) and ID.fullmatch(str(first.value) + "x") is not None


def constants() -> str:
    """Every text in the core's source, one a line: where an id is used that is not written where it is told."""
    return "\n".join(
        node.value for _, node in _nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
