"""docs/architecture.md draws what is there: every file, and every function in the file of whoever is called."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks

PAGE = ROOT / "docs" / "architecture.md"

PARTICIPANT = re.compile(r"^\s*(?:participant|actor)\s+(\w+)\s+as\s+(.+?)\s*$")
ARROW = re.compile(r"^\s*(\w+)\s*-{1,2}>{1,2}\s*(\w+)\s*:\s*(.+?)\s*$")
CALL = re.compile(r"^([A-Za-z_][\w.]*)\(\)$")
SPAN = re.compile(r"`([^`\n]+)`")
NODE = re.compile(r'\["([^"<]+)')
FOLDERS = ("core", "edge", "lotwise", "simulators", "tests", "dashboards", "docs")


@cache
def names(path: Path) -> frozenset[str]:
    """Everything that a file defines or brings in: `function`, `Class`, `Class.method`, `Class.field`, `CONSTANT`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        found.update(_bound(node))
        if isinstance(node, ast.ClassDef):
            found.update(f"{node.name}.{name}" for part in node.body for name in _bound(part))
    return frozenset(found)


def _bound(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
            return [alias.asname or alias.name for alias in aliases]
    return []


def is_there(dotted: str) -> bool:
    """Whether `core.erp.lots.rules.POLICY` (a module, or a name in one) is in the source."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if path.is_file():
            return length == len(parts) or ".".join(parts[length:]) in names(path)
    return False


def faults(text: str) -> list[str]:
    """What a sequence diagram draws that is not there."""
    files: dict[str, Path | None] = {}
    found: list[str] = []
    for line in text.splitlines():
        if participant := PARTICIPANT.match(line):
            path = ROOT / participant[2]
            files[participant[1]] = path if path.suffix == ".py" else None
            if path.suffix == ".py" and not path.is_file():
                found.append(f"no file {participant[2]}")
        elif arrow := ARROW.match(line):
            found += _arrow_faults(files, arrow[1], arrow[2], arrow[3])
    return found


def _arrow_faults(files: dict[str, Path | None], caller: str, called: str, label: str) -> list[str]:
    unknown = [f"nobody is called {one}" for one in (caller, called) if one not in files]
    path = files.get(called)
    if unknown or path is None or not path.is_file():
        return unknown
    call = CALL.match(label)
    if call is None:
        return [f"{label!r} calls nothing of {path.relative_to(ROOT)}"]
    return [] if call[1] in names(path) else [f"{path.relative_to(ROOT)} has no {call[1]}"]


def test_diagrams_draw_what_is_there() -> None:
    diagrams = [block for block in blocks(PAGE) if block.language == "mermaid"]
    assert len(diagrams) > 4
    assert [f"{block.name}: {fault}" for block in diagrams for fault in faults(block.text)] == []


def test_every_path_and_dotted_name_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    spans = {span.removesuffix("/") for span in SPAN.findall(text)}
    drawn = {node.strip() for block in blocks(PAGE) for label in NODE.findall(block.text) for node in label.split("·")}
    paths = {one for one in spans | drawn if "/" in one and one.split("/")[0] in FOLDERS}
    dotted = {one for one in spans if re.fullmatch(r"[a-z_]+(\.\w+)+", one) and one.split(".")[0] in FOLDERS}
    assert len(paths) > 15
    assert dotted
    assert sorted(one for one in paths if not (ROOT / one).exists()) == []
    assert sorted(one for one in dotted if not is_there(one)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("participant a as core/nowhere.py", "no file core/nowhere.py"),
        ("participant a as core/app.py\na->>a: create_app()", None),
        ("participant a as core/app.py\na->>a: nothing_such()", "core/app.py has no nothing_such"),
        ("participant a as core/app.py\na->>a: it begins", "'it begins' calls nothing of core/app.py"),
        ("participant a as the stream\na->>a: whatever is said", None),
        ("participant a as core/app.py\na->>b: create_app()", "nobody is called b"),
    ],
)
def test_the_test_itself(text: str, fault: str | None) -> None:
    assert faults(text) == ([] if fault is None else [fault])


def test_names_are_looked_up_where_they_are() -> None:
    assert is_there("core.erp.lots.rules.POLICY")
    assert is_there("core.erp.kernel.unit.Unit.flush")
    assert not is_there("core.erp.kernel.unit.Unit.commit")
    assert not is_there("core.nowhere")
