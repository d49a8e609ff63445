"""Finds in the core's source what people are told: every message and every refusal, with its parameters."""

import ast
import re
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
        "NothingImported",
        "FileDamaged",
    }
)
"""By name, as they are called; the test beside compares them with the classes that there are."""
TELLING = ERRORS | {"Message", "BadTable", "BadFile", "NoTable", "Unreadable", "Doubt", "doubt"}
"""What is called to tell people something. A file's reader cannot be told in any language but by a message."""
_TOLD_AT = {"Doubt": 2, "doubt": 2}
"""Which argument is told, where that is not the first."""


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


def acts() -> set[str]:
    """Every act that the core tells the trail by a constant."""
    calls = [node for _, node in _nodes() if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "audit"]
    firsts = [part for node in calls if node.args for part in ast.walk(node.args[0])]
    texts = {str(one.value) for one in firsts if isinstance(one, ast.Constant)}
    return {one for one in texts if "." in one.strip(".")}


def said() -> list[Said]:
    """Every call in the core, and in its SQL, that tells people something by a constant or a sentence made on the
    spot.
    """
    in_code = [one for path, node in _nodes() for one in (*_said(path, node), *_said_in_sql(path, node))]
    return [*in_code, *said_in_templates()]


def templates() -> list[Path]:
    return sorted((Path(core.__file__).parent / "web" / "templates").rglob("*.html"))


_IN_TEMPLATE = re.compile(r"\bt\('([\w.]+)'((?:, *\w+=(?:[^()]|\([^()]*\))*?)*)\)")


def said_in_templates() -> Iterator[Said]:
    """`t('web.found', count=rows|length)`."""
    for path in templates():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for found in _IN_TEMPLATE.finditer(line):
                where = f"{path.relative_to(Path(core.__file__).parent.parent)}:{number}"
                yield Said(where, found[1], frozenset(re.findall(r", *(\w+)=", found[2])))


_IN_SQL = re.compile(r"lotwise_message\('([\w.]+)'")


def _said_in_sql(path: Path, node: ast.AST) -> Iterator[Said]:
    """`lotwise_message('lots.database_restored', jsonb_build_object('at', …))`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        for found in _IN_SQL.finditer(node.value):
            if not found[1].endswith("."):  # a family: 'state.' || …
                params = _keys(node.value[found.end() :])
                yield Said(_where(path, node), found[1], params)


def _keys(rest: str) -> frozenset[str]:
    """The keys of the object that follows at once, in SQL."""
    object_ = re.match(r",\s*jsonb_build_object\(", rest)
    if object_ is None:
        return frozenset()
    depth, parts = 1, [""]
    for sign in rest[object_.end() :]:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            break
        if sign == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += sign
    return frozenset(part.strip().strip("'") for part in parts[::2])


def raised_in_sql() -> list[tuple[str, str]]:
    """(where, statement) of every refusal of the database that is ours (SQLSTATE class LW)."""
    raised = re.compile(r"RAISE EXCEPTION [^;]*ERRCODE = 'LW[^;]*;")
    return [
        (_where(path, node), found)
        for path, node in _nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for found in raised.findall(node.value)
    ]


def families_used() -> set[str]:
    """The families whose ids are put together where they are told: f"purpose.{purpose}", 'purpose.' || purpose."""
    made = {
        str(first.value)
        for _, node in _nodes()
        if isinstance(told := _told(node), ast.JoinedStr)
        if isinstance(first := told.values[0], ast.Constant) and _of_a_family(told)
    }
    sql = re.compile(r"lotwise_message\('([\w.]+)\.'")
    made |= {one for _, node in _nodes() if isinstance(node, ast.Constant) for one in sql.findall(str(node.value))}
    return {one.partition(".")[0] for one in made}


def _where(path: Path, node: ast.expr) -> str:
    return f"{path.relative_to(Path(core.__file__).parent.parent)}:{node.lineno}"


def _told(node: ast.AST) -> ast.expr | None:
    """What a call tells people; None for one that tells nothing."""
    if not isinstance(node, ast.Call):
        return None
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    place = _TOLD_AT.get(name, 0)
    known = name in TELLING if isinstance(node.func, ast.Name) else name in _TOLD_AT
    return node.args[place] if known and len(node.args) > place else None


def _said(path: Path, node: ast.AST) -> Iterator[Said]:
    told = _told(node)
    if told is None or not isinstance(node, ast.Call):
        return
    where = _where(path, node)
    names = [keyword.arg for keyword in node.keywords]
    params = None if None in names else frozenset(name for name in names if name is not None) - {"extra"}
    for text in _texts(told):
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
    in_code = (node.value for _, node in _nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return "\n".join([*in_code, *(path.read_text(encoding="utf-8") for path in templates())])
