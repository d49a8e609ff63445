"""YAML whose every error names its file and line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong, and on which line (from 1)."""

    line: int
    text: str


class BadFile(Exception):
    """The file cannot be used; the text has one line `file:line: what` for each problem, all at once."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(f"{path}:{problem.line}: {problem.text}" for problem in self.problems))


def load(path: Path) -> CommentedMap:
    """The document, which must be a mapping. Raises BadFile."""
    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(path, [Problem(1, f"cannot be read: {error}")]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise BadFile(path, [Problem(mark.line + 1 if mark else 1, f"not YAML: {error.problem}")]) from error
    except YAMLError as error:
        raise BadFile(path, [Problem(1, f"not YAML: {error}")]) from error
    if not isinstance(document, CommentedMap):
        raise BadFile(path, [Problem(1, "a mapping of settings is expected")])
    return document


def line_of(document: Any, where: Path_) -> int:
    """Line (from 1) of the innermost part of `where` that the document has; parts it lacks are passed over."""
    line, node = 1, document
    for part in where:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            continue
        node = node[part]
    return line


def problems_of(error: ValidationError, document: Any) -> list[Problem]:
    """Pydantic's findings, each on its line; a single wrong value is quoted, unless it is a password."""
    found = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "file"
        given = item["input"]
        quoted = isinstance(given, str | int | float) and "password" not in where and item["type"] != "extra_forbidden"
        text = item["msg"].removeprefix("Value error, ")
        said = f" (found {given!r})" if quoted and repr(given) not in text else ""
        found.append(Problem(line_of(document, item["loc"]), f"{where}: {text}{said}"))
    return found


def plain(node: Any) -> Any:
    """The document without its comments and marks."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return node
